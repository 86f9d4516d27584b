/* Keys by attested release (docs/release-protocol.md): a challenge, evidence of this machine over
 * all that is asked, and keys that only the pair that was made for this opens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crypto/hpke.h"
#include "kms/client_core.h"
#include "kms/transit.h"

#define NONCE_BYTES 32u
#define SERVICE_MAX 128u
#define CHALLENGE "lethe/release/challenge"
#define RELEASE "lethe/release"
#define CHECK "lethe/release/check"

bool client_releases(const struct kms_client *client, const struct key_use *use)
{
    static const char *const purposes[] = {"load", "decrypt", "verify", "export"};
    for (size_t i = 0; client->evidence != NULL && i < ARRAY_LEN(purposes); i++) {
        if (strcmp(use->purpose, purposes[i]) == 0)
            return true;
    }
    return false;
}

/* One exchange; the pair and the binding are of it alone. */
struct exchange {
    struct kms_client *client;
    const struct client_shards *shards;
    struct buffer nonce;
    struct buffer service; /* with a NUL */
    uint32_t pcrs;
    struct guarded request;
    struct lethe_secret *pair;
    uint8_t public_key[HPKE_PUBLIC_BYTES];
    uint8_t binding[ATTEST_BINDING_BYTES];
    struct buffer evidence;
};
static void exchange_clear(struct exchange *exchange)
{
    buffer_clear(&exchange->nonce);
    buffer_clear(&exchange->service);
    guarded_clear(&exchange->request);
    lethe_secret_free(MOVE(exchange->pair));
    buffer_clear(&exchange->evidence);
}
static inline void exchange_clear_at_scope_end(struct exchange *exchange)
{
    exchange_clear(exchange);
}

/* ---- why not --------------------------------------------------------------------------------- */

/* What whoever is refused can do about it, or whoever runs the service. */
static const struct {
    const char *code;
    const char *hint;
} hints[] = {
    {"measurement_unknown",
     "if this state of the machine is good, its operator says so to the service: lethe attest "
     "reference add NAME --from-machine"},
    {"machine_unknown", "lethe attest enroll NAME, by whoever may enrol machines"},
    {"machine_revoked",
     "a machine that was revoked stays so, and its TPM with it: use another machine"},
    {"machine_foreign", "lethe attest machines shows which identity it was enrolled for"},
    {"certificate_needed", "give --certificate and --key: lethe identity issue makes them"},
    {"identity_mismatch", "the model's tenant is another one than the certificate's"},
    {"policy_denied", "lethe release --dry-run MODEL shows what the policy saw"},
    {"release_too_old", "lethe key minimum shows the smallest release that gets keys"},
    {"counter_rolled_back", "was the TPM's state restored from a copy? enrol it under another "
                            "name, with a new --attest-key"},
};

/* "PATH: the key service answered 403: CODE: sentence" is said as what it is. */
static void say_refused(struct lethe_error *err)
{
    static const char before[] = "answered 403: ";
    char text[sizeof err->text];
    const char *at = strstr(err->text, before);
    if (at == NULL)
        return;
    snprintf(text, sizeof text, "%s", at + strlen(before));
    error_set(err, LETHE_DENIED, "no key is released: %s", text);
    size_t length = strcspn(text, ":");
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (strlen(hints[i].code) == length && strncmp(hints[i].code, text, length) == 0)
            error_hint(err, "%s", hints[i].hint);
    }
}

static bool has_code(const struct lethe_error *err, const char *code)
{
    const char *at = strstr(err->text, code);
    return at != NULL && at[strlen(code)] == ':';
}

/* ---- challenge ------------------------------------------------------------------------------- */

static lethe_result read_pcrs(const struct json_piece *answer, uint32_t *mask,
                              struct lethe_error *err)
{
    struct json_piece list = {0}, name, value;
    uint64_t index;
    *mask = 0;
    if (json_piece_find(answer, "data/pcrs", &list) != LETHE_OK || list.kind != JSON_PIECE_ARRAY)
        return error_set(err, LETHE_MALFORMED, "the key service's challenge names no PCRs");
    struct json_walk walk = json_walk_over(&list);
    while (json_walk_next(&walk, &name, &value) == LETHE_OK) {
        if (json_piece_unsigned(&value, &index) != LETHE_OK || index >= ATTEST_PCRS)
            return error_set(err, LETHE_MALFORMED, "the key service asks for what is no PCR");
        *mask |= 1u << index;
    }
    return LETHE_OK;
}

/* Another service than the one that was named gets no evidence to see. */
static lethe_result check_service(const struct exchange *exchange, struct lethe_error *err)
{
    const struct buffer *service = &exchange->service;
    if (service->size_bytes == 0 || service->size_bytes > SERVICE_MAX)
        return error_set(err, LETHE_MALFORMED, "the key service does not say which it is");
    if (client_is_expected(exchange->client, service))
        return LETHE_OK;
    error_set(err, LETHE_DENIED, "this is another key service than the one that was named: %.*s",
              (int)service->size_bytes, service->bytes);
    error_hint(err, "[kms] service in lethe.conf names it, by the key of its log");
    return LETHE_DENIED;
}

static lethe_result read_challenge(struct exchange *exchange, const struct json_piece *answer,
                                   struct lethe_error *err)
{
    TRY(client_answer_bytes(answer, "data/nonce", &exchange->nonce, err));
    if (exchange->nonce.size_bytes != NONCE_BYTES)
        return error_set(err, LETHE_MALFORMED, "the key service's challenge is not of %u bytes",
                         NONCE_BYTES);
    TRY(client_answer_text(answer, "data/service", &exchange->service, err));
    TRY(check_service(exchange, err));
    return read_pcrs(answer, &exchange->pcrs, err);
}

static lethe_result take_challenge(struct exchange *exchange, struct lethe_error *err)
{
    struct kms_client *client = exchange->client;
    struct json_piece answer;
    unsigned status;
    guarded_wipe(&client->request);
    client_put_open(&client->request, NULL, '{');
    client_put_close(&client->request, '}');
    TRY(client_post(client, CHALLENGE, &status, &answer, err));
    return read_challenge(exchange, &answer, err);
}

/* ---- evidence -------------------------------------------------------------------------------- */

static lethe_result bind(struct exchange *exchange, struct lethe_error *err)
{
    const char *id = exchange->client->proof.identity.text;
    const struct attest_part parts[] = {
        {ATTEST_RELEASE_LABEL, strlen(ATTEST_RELEASE_LABEL)},
        {exchange->service.bytes, exchange->service.size_bytes},
        {exchange->nonce.bytes, exchange->nonce.size_bytes},
        {id, strlen(id)},
        {exchange->public_key, sizeof exchange->public_key},
        {exchange->request.bytes, exchange->request.size_bytes},
    };
    return attest_binding(parts, ARRAY_LEN(parts), exchange->binding, err);
}

static lethe_result make_evidence(struct exchange *exchange, struct lethe_error *err)
{
    const struct evidence_source *source = exchange->client->evidence;
    client_put_request(exchange->client, exchange->shards, &exchange->request);
    TRY(guarded_result(&exchange->request, err));
    TRY(hpke_generate(&exchange->pair, exchange->public_key, err));
    TRY(bind(exchange, err));
    return error_context(err,
                         source->produce(source->context, exchange->binding, exchange->pcrs,
                                         &exchange->evidence, err),
                         "evidence of this machine");
}

static void put_all(const struct exchange *exchange, struct guarded *out)
{
    client_put_open(out, NULL, '{');
    client_put_base64(out, "nonce", exchange->nonce.bytes, exchange->nonce.size_bytes);
    client_put_base64(out, "public_key", exchange->public_key, sizeof exchange->public_key);
    client_put_base64(out, "request", exchange->request.bytes, exchange->request.size_bytes);
    client_put_base64(out, "evidence", exchange->evidence.bytes, exchange->evidence.size_bytes);
    client_put_close(out, '}');
}

/* ---- keys ------------------------------------------------------------------------------------ */

static lethe_result open_answer(const struct exchange *exchange, const struct json_piece *answer,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer encapsulated = {0};
    CLEANUP(buffer_clear) struct buffer cipher = {0};
    CLEANUP(guarded_clear) struct guarded plain = {0};
    const struct hpke_context context = {.info = exchange->binding,
                                         .info_bytes = sizeof exchange->binding,
                                         .aad = ATTEST_KEYS_AAD,
                                         .aad_bytes = strlen(ATTEST_KEYS_AAD)};
    TRY(client_answer_bytes(answer, "data/encapsulated_key", &encapsulated, err));
    TRY(client_answer_bytes(answer, "data/ciphertext", &cipher, err));
    if (encapsulated.size_bytes != HPKE_ENCAPSULATED_BYTES)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no encapsulated key");
    TRY(error_context(err,
                      hpke_open(exchange->pair, &context, (const uint8_t *)encapsulated.bytes,
                                cipher.bytes, cipher.size_bytes, &plain, err),
                      "the keys that the key service released"));
    return client_open_keys(&plain, exchange->shards, err);
}

static lethe_result check_identity(const struct kms_client *client, struct lethe_error *err)
{
    if (client->proof.identity.text[0] != '\0')
        return LETHE_OK;
    error_set(err, LETHE_INVALID,
              "attested release needs a certificate with the SPIFFE id of this node");
    error_hint(err, "give --certificate and --key: lethe identity issue makes them");
    return LETHE_INVALID;
}

/* The answer is in client->answer until it is wiped. */
static lethe_result send(struct exchange *exchange, const char *path, struct json_piece *answer,
                         struct lethe_error *err)
{
    struct kms_client *client = exchange->client;
    const struct client_ask ask = {.method = HTTP_POST, .path = path, .is_once = true};
    unsigned status;
    TRY(check_identity(client, err));
    TRY(take_challenge(exchange, err));
    TRY(make_evidence(exchange, err));
    guarded_wipe(&client->request);
    put_all(exchange, &client->request);
    return client_ask(client, &ask, &status, answer, err);
}

static lethe_result release(struct kms_client *client, const struct client_shards *shards,
                            struct lethe_error *err)
{
    CLEANUP(exchange_clear)
    struct exchange exchange = {.client = client, .shards = shards};
    struct json_piece answer;
    lethe_result result = send(&exchange, RELEASE, &answer, err);
    if (result == LETHE_OK)
        result = open_answer(&exchange, &answer, err);
    client_wipe(client);
    return result;
}

/* A service that was started again has forgotten its challenges, and a slow TPM may take longer
 * than they live: one more, then. */
lethe_result client_release(struct kms_client *client, const struct client_shards *shards,
                            struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct lethe_error why = {0};
    uint64_t version;
    const struct key_unwrap *first = &shards->items[shards->taken != NULL ? shards->taken[0] : 0];
    TRY(client_key_path("", first->use.key, path, err));
    TRY(transit_version(first->wrapped, &version, err));
    lethe_result result = release(client, shards, &why);
    if (result == LETHE_DENIED &&
        (has_code(&why, "nonce_unknown") || has_code(&why, "nonce_expired")))
        result = release(client, shards, &why);
    if (result == LETHE_OK)
        return LETHE_OK;
    if (has_code(&why, "key_unusable"))
        result = client_explain(client, &first->use, version, LETHE_INVALID, &why);
    else if (result == LETHE_DENIED)
        say_refused(&why);
    if (err != NULL)
        *err = why;
    return result;
}

lethe_result kms_client_check_release(struct kms_client *client, const struct key_unwrap *items,
                                      size_t count, struct guarded *answer, struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece document;
    const struct client_shards shards = {.items = items, .count = count};
    CLEANUP(exchange_clear)
    struct exchange exchange = {.client = client, .shards = &shards};
    if (client->evidence == NULL || count == 0 || count > CLIENT_RELEASE_MAX)
        return error_set(err, LETHE_INVALID, "a release is of 1 to %u shards, with evidence",
                         CLIENT_RELEASE_MAX);
    TRY(client_key_path("", items[0].use.key, path, err));
    lethe_result result = send(&exchange, CHECK, &document, err);
    if (result == LETHE_OK)
        guarded_append(answer, client->answer.bytes, client->answer.size_bytes);
    client_wipe(client);
    return result == LETHE_OK ? guarded_result(answer, err) : result;
}
