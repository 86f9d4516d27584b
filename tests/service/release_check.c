#include "check.h"

#include "release_check.h"

#include <stdlib.h>
#include <time.h>

#include "../crypto/x509_check.h"

#include "base/text.h"
#include "crypto/hash.h"

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t wall_ns(void *context)
{
    const struct scene *scene = context;
    return (uint64_t)((int64_t)clock_wall_ns(&clock_system) + scene->ahead_s * 1000000000);
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns(&clock_system);
}

uint64_t scene_now_s(const struct scene *scene)
{
    return wall_ns((void *)(uintptr_t)scene) / 1000000000u;
}

/* ---- identities ------------------------------------------------------------------------------ */

static char *issue_body(const char *id, const struct sign_pair *pair)
{
    struct lethe_error err = {0};
    const struct x509_subject nobody = {.common_name = "x"};
    struct buffer der = {0}, pem = {0}, out = {0};
    assert_ok(x509_make_request(&nobody, pair, &der, &err), &err);
    x509_pem_append(X509_PEM_REQUEST, der.bytes, der.size_bytes, &pem);
    buffer_format(&out, "{\"id\":\"%s\",\"csr\":\"", id);
    for (size_t i = 0; i < pem.size_bytes; i++)
        if (pem.bytes[i] == '\n')
            buffer_text(&out, "\\n");
        else
            buffer_byte(&out, (uint8_t)pem.bytes[i]);
    buffer_text(&out, "\"}");
    buffer_clear(&der);
    buffer_clear(&pem);
    return out.bytes;
}

static struct buffer chain_of_answer(struct check *check)
{
    struct lethe_error err = {0};
    struct buffer pem = {0}, chain = {0};
    for (const char *at = body_member(check, "certificate"); *at != '\0'; at++) {
        bool line = at[0] == '\\' && at[1] == 'n';
        buffer_byte(&pem, line ? '\n' : (uint8_t)*at);
        at += line;
    }
    assert_ok(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &chain, &err), &err);
    buffer_clear(&pem);
    return chain;
}

void scene_come_back(struct scene *scene, const struct identity *identity)
{
    connect_with_chain(scene->check, identity->chain.bytes, identity->chain.size_bytes);
    scene->who = identity;
}

void scene_connect_as(struct scene *scene, const char *id, struct identity *out)
{
    char body[512];
    struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(memory_free) char *issue = issue_body(id, pair);
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"policies\":[\"release\"]}", id);
    must_ask(scene, "POST", "lethe/identities", body);
    must_ask(scene, "POST", "lethe/identities/issue", issue);
    snprintf(out->id, sizeof out->id, "%s", id);
    out->chain = chain_of_answer(scene->check);
    sign_pair_free(pair);
    scene_come_back(scene, out);
}

/* ---- calls ----------------------------------------------------------------------------------- */

void must_ask(struct scene *scene, const char *method, const char *path, const char *body)
{
    struct check *check = scene->check;
    unsigned status = call_operator(check, method, path, body);
    if (status / 100 != 2)
        fail_msg("%s %s %s: %u %s", method, path, body != NULL ? body : "", status,
                 body_text(check));
}

static void put_member(struct buffer *body, const char *name, const struct buffer *bytes)
{
    buffer_format(body, ",\"%s\":\"", name);
    base64_append(body, bytes->bytes, bytes->size_bytes);
    buffer_text(body, "\"");
}

unsigned begin_enrolment(struct scene *scene, const char *name, const struct tpm *tpm,
                         const char *members)
{
    char path[256];
    CLEANUP(buffer_clear) struct buffer body = {0};
    buffer_format(&body, "{\"kind\":\"tpm2\"%s", members);
    put_member(&body, "ek", &tpm->ek_public);
    put_member(&body, "ak", &tpm->ak_public);
    buffer_text(&body, "}");
    snprintf(path, sizeof path, "lethe/attest/machines/%s/enroll", name);
    return call_operator(scene->check, "POST", path, body.bytes);
}

static void decoded_member(struct check *check, const char *name, struct buffer *out)
{
    size_t size_bytes;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *at = strstr(body_text(check), wanted);
    if (at == NULL)
        fail_msg("no %s in %s", name, body_text(check));
    at += strlen(wanted);
    size_t length = strcspn(at, "\"");
    buffer_clear(out);
    assert_non_null(buffer_extend(out, length));
    assert_int_equal(LETHE_OK, base64_decode(at, length, out->bytes, length, &size_bytes));
    buffer_truncate(out, size_bytes);
}

void enrolment_answer(struct scene *scene, const struct tpm *tpm, char body[256])
{
    uint8_t secret[32] = {0};
    char text[64] = "";
    CLEANUP(buffer_clear) struct buffer blob = {0}, seed = {0};
    decoded_member(scene->check, "credential_blob", &blob);
    decoded_member(scene->check, "encrypted_secret", &seed);
    (void)tpm_activate(tpm, &blob, &seed, secret);
    base64_write(secret, sizeof secret, text);
    snprintf(body, 256, "{\"enrolment\":\"%s\",\"secret\":\"%s\"}",
             body_member(scene->check, "enrolment"), text);
}

void must_enrol(struct scene *scene, const char *name, const struct tpm *tpm, const char *members)
{
    char path[256], body[256];
    unsigned status = begin_enrolment(scene, name, tpm, members);
    if (status != 200)
        fail_msg("enroll: %u %s", status, body_text(scene->check));
    enrolment_answer(scene, tpm, body);
    snprintf(path, sizeof path, "lethe/attest/machines/%s/activate", name);
    must_ask(scene, "POST", path, body);
}

void must_add_reference(struct scene *scene, const char *name, const struct tpm *tpm)
{
    char path[128], body[512], pcr0[65], pcr7[65];
    hex_encode(tpm->pcrs[0], 32, pcr0);
    hex_encode(tpm->pcrs[7], 32, pcr7);
    snprintf(path, sizeof path, "lethe/attest/references/%s", name);
    snprintf(body, sizeof body,
             "{\"document\":\"{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"0\\\":\\\"%s\\\","
             "\\\"7\\\":\\\"%s\\\"}}\"}",
             pcr0, pcr7);
    must_ask(scene, "POST", path, body);
}

/* ---- a scene --------------------------------------------------------------------------------- */

void scene_make_key(struct scene *scene, const char *name)
{
    char body[256], path[128], key[64] = "";
    struct check *check = scene->check;
    for (size_t i = 0; i < sizeof scene->data_key; i++)
        scene->data_key[i] = (uint8_t)(0xa0 + i);
    base64_write(scene->data_key, sizeof scene->data_key, key);
    snprintf(body, sizeof body, "{\"plaintext\":\"%s\",\"associated_data\":\"c2hhcmQ=\"}", key);
    snprintf(path, sizeof path, "transit/keys/%s", name);
    must_ask(scene, "POST", path, "{}");
    snprintf(path, sizeof path, "transit/encrypt/%s", name);
    must_ask(scene, "POST", path, body);
    snprintf(scene->wrapped, sizeof scene->wrapped, "%s", body_member(check, "ciphertext"));
}

static void make_rules(struct scene *scene)
{
    must_ask(scene, "POST", "sys/policies/acl/release",
             "{\"policy\":\"path \\\"lethe/release*\\\" { capabilities = [\\\"update\\\"] }\\n"
             "path \\\"transit/*\\\" { capabilities = [\\\"update\\\", \\\"read\\\"] }\"}");
    must_ask(scene, "POST", "lethe/policies/data",
             "{\"document\":\"{\\\"tenant_models\\\":{\\\"acme\\\":{\\\"llama\\\":true}}}\"}");
}

int scene_setup(void **state)
{
    void *check;
    if (service_setup(&check) != 0)
        return -1;
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->check = check;
    scene->clock = (struct clock_source){wall_ns, monotonic_ns, scene};
    scene->check->options.keeper.clock = &scene->clock;
    scene->guest = guest_make(scene_now_s(scene));
    scene->check->options.attest.snp_anchors = guest_anchors(scene->guest);
    scene->check->options.attest.snp_anchors_product = GUEST_PRODUCT;
    reopen(scene->check);
    tpm_make(&scene->tpm);
    scene_make_key(scene, "acme.llama.hot");
    make_rules(scene);
    scene_connect_as(scene, LOADER_ID, &scene->loader);
    must_enrol(scene, "rack7", &scene->tpm, "");
    must_add_reference(scene, "prod", &scene->tpm);
    *state = scene;
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *scene = *state;
    void *check = scene->check;
    int result = service_teardown(&check);
    tpm_clear(&scene->tpm);
    guest_free(scene->guest);
    lethe_secret_free(scene->private_key);
    struct buffer *const buffers[] = {&scene->loader.chain, &scene->request, &scene->evidence,
                                      &scene->body};
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        buffer_clear(buffers[i]);
    free(scene);
    return result;
}

void scene_reopen(struct scene *scene)
{
    reopen(scene->check);
    scene_come_back(scene, &scene->loader);
}

/* ---- one exchange ---------------------------------------------------------------------------- */

static uint32_t pcrs_of_answer(struct check *check)
{
    uint32_t mask = 0;
    const char *at = strstr(body_text(check), "\"pcrs\":[");
    assert_non_null(at);
    for (at += strlen("\"pcrs\":["); *at != ']'; at += *at == ',')
        mask |= 1u << strtoul(at, (char **)(uintptr_t)&at, 10);
    return mask;
}

void take_challenge(struct scene *scene)
{
    struct check *check = scene->check;
    CLEANUP(buffer_clear) struct buffer nonce = {0};
    if (call(check, "POST", "lethe/release/challenge", NULL, "{}") != 200)
        fail_msg("%u %s", check->status, body_text(check));
    decoded_member(check, "nonce", &nonce);
    assert_int_equal(sizeof scene->nonce, nonce.size_bytes);
    memcpy(scene->nonce, nonce.bytes, sizeof scene->nonce);
    snprintf(scene->service, sizeof scene->service, "%s", body_member(check, "service"));
    scene->pcr_mask = pcrs_of_answer(check);
}

static const char *or_else(const char *text, const char *other)
{
    return text != NULL ? text : other;
}

static void write_shards(struct scene *scene, const struct wanted *wanted)
{
    scene->shard_count = wanted->shards != 0 ? wanted->shards : 3;
    for (size_t i = 0; i < scene->shard_count; i++)
        buffer_format(&scene->request, "%s{\"id\":\"%04zu\",\"wrapped\":\"%s\",\"aad\":\"%s\"}",
                      i == 0 ? "" : ",", i, scene->wrapped,
                      i + 1 == wanted->bad_shard ? "b3RoZXI=" : "c2hhcmQ=");
}

void write_request(struct scene *scene, const struct wanted *wanted)
{
    struct lethe_error err = {0};
    lethe_secret_free(MOVE(scene->private_key));
    assert_ok(hpke_generate(&scene->private_key, scene->public_key, &err), &err);
    buffer_clear(&scene->request);
    buffer_format(&scene->request,
                  "{\"principal\":\"%s\",\"operation\":\"%s\",\"model_id\":\"%s\","
                  "\"tenant\":\"%s\",\"tier\":\"%s\",\"purpose\":\"load\",\"release\":%llu%s,"
                  "\"shards\":[",
                  or_else(wanted->principal, PRINCIPAL),
                  or_else(wanted->operation, "decrypt_for_vram_load"),
                  or_else(wanted->model, "llama"), or_else(wanted->tenant, "acme"),
                  or_else(wanted->tier, "hot"),
                  (unsigned long long)(wanted->release != 0 ? wanted->release : 3),
                  or_else(wanted->members, ""));
    write_shards(scene, wanted);
    buffer_text(&scene->request, "]}");
}

/* By the document, not by the code that is tested. */
void bind_request(struct scene *scene)
{
    const struct {
        const void *bytes;
        size_t size_bytes;
    } parts[] = {
        {"lethe-release-v1", strlen("lethe-release-v1")},
        {scene->service, strlen(scene->service)},
        {scene->nonce, sizeof scene->nonce},
        {scene->who->id, strlen(scene->who->id)},
        {scene->public_key, sizeof scene->public_key},
        {scene->request.bytes, scene->request.size_bytes},
    };
    CLEANUP(buffer_clear) struct buffer all = {0};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (unsigned shift = 0; shift < 32; shift += 8)
            buffer_byte(&all, (uint8_t)(parts[i].size_bytes >> shift));
        buffer_append(&all, parts[i].bytes, parts[i].size_bytes);
    }
    sha256(all.bytes, all.size_bytes, scene->binding);
}

void prove_tpm(struct scene *scene)
{
    tpm_prove(&scene->tpm, scene->binding, scene->pcr_mask, NULL, &scene->evidence);
}

void prove_guest(struct scene *scene)
{
    guest_prove(scene->guest, scene->binding, &scene->evidence);
}

unsigned send_release(struct scene *scene, const char *path)
{
    const struct buffer nonce = {.bytes = (char *)scene->nonce, .size_bytes = 32};
    const struct buffer key = {.bytes = (char *)scene->public_key, .size_bytes = 32};
    struct buffer *body = &scene->body;
    buffer_clear(body);
    buffer_text(body, "{\"x\":0");
    put_member(body, "nonce", &nonce);
    put_member(body, "public_key", &key);
    put_member(body, "request", &scene->request);
    put_member(body, "evidence", &scene->evidence);
    buffer_text(body, "}");
    return call(scene->check, "POST", path, NULL, body->bytes);
}

unsigned ask_release(struct scene *scene, const struct wanted *wanted)
{
    take_challenge(scene);
    write_request(scene, wanted);
    bind_request(scene);
    prove_tpm(scene);
    return send_release(scene, "lethe/release");
}

void check_denied(struct scene *scene, const char *code, const char *file, int line)
{
    char text[96];
    struct check *check = scene->check;
    snprintf(text, sizeof text, "\"%s: ", code);
    if (check->status != 403 || strstr(body_text(check), text) == NULL)
        fail_msg("%s:%d: expected %s, got %u %s", file, line, code, check->status,
                 body_text(check));
    assert_has_not(check, "\"ciphertext\":");
    snprintf(text, sizeof text, "\"reason\":\"%s\"", code);
    if (records(check, "key_denied", text) == 0)
        fail_msg("%s:%d: %s is not on record", file, line, code);
    if (records(check, "key_released", NULL) != 0)
        fail_msg("%s:%d: something is on record as released", file, line);
}

void assert_released(struct scene *scene)
{
    struct lethe_error err = {0};
    struct check *check = scene->check;
    const struct hpke_context context = {.info = scene->binding,
                                         .info_bytes = sizeof scene->binding,
                                         .aad = "lethe-keys-v1",
                                         .aad_bytes = strlen("lethe-keys-v1")};
    CLEANUP(buffer_clear) struct buffer encapsulated = {0}, cipher = {0};
    CLEANUP(guarded_clear) struct guarded keys = {0};
    if (check->status != 200)
        fail_msg("%u %s", check->status, body_text(check));
    decoded_member(check, "encapsulated_key", &encapsulated);
    decoded_member(check, "ciphertext", &cipher);
    assert_int_equal(HPKE_ENCAPSULATED_BYTES, encapsulated.size_bytes);
    assert_ok(hpke_open(scene->private_key, &context, (const uint8_t *)encapsulated.bytes,
                        cipher.bytes, cipher.size_bytes, &keys, &err),
              &err);
    assert_int_equal(scene->shard_count * (4 + DATA_KEY_BYTES), keys.size_bytes);
    for (size_t i = 0; i < scene->shard_count; i++) {
        static const uint8_t length[4] = {DATA_KEY_BYTES};
        const uint8_t *at = keys.bytes + i * (4 + DATA_KEY_BYTES);
        assert_memory_equal(length, at, sizeof length);
        assert_memory_equal(scene->data_key, at + 4, DATA_KEY_BYTES);
    }
}
