/* Keys by attested release, from a service by another hand: all that it must say is said, each key
 * is its shard's, and whatever is answered wrongly gives none. */
#include "check_files.h"

#include "../net/certificates.h"
#include "../net/https_peer.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"
#include "kms/client.h"
#include "kms/client_json.h"

#define SCRIPT TEST_VECTORS "/../kms/release_peer.py"
#define NODE "spiffe://example.org/tenant/acme/model-loader-sa"
#define HOT "acme.llama.hot"
#define COLD "acme.llama.cold"
#define WRAPPED "vault:v1:AAAA"
#define MANY 600

static struct identity_files authority, server, node;
static struct peer peer;
static char *ca_path, *token_path, *node_path, *node_key_path;

static void write_identity(const struct identity_files *identity, char *certificate_path,
                           char *key_path)
{
    char key_pem[4096] = "";
    memcpy(key_pem, lethe_secret_bytes_const(identity->key_pem),
           lethe_secret_size(identity->key_pem));
    write_text(certificate_path, identity->certificate_pem, 0600);
    write_text(key_path, key_pem, 0600);
}

static int set_up(void **state)
{
    struct lethe_error err = {0};
    assert_ok(crypto_start(&err), &err);
    char *directory = temp_dir();
    char *certificate_path = path_join(directory, "server.pem");
    char *key_path = path_join(directory, "server.key");
    ca_path = path_join(directory, "ca.pem");
    token_path = path_join(directory, "token");
    node_path = path_join(directory, "node.pem");
    node_key_path = path_join(directory, "node.key");
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &server);
    certificate_make(&authority, "node", "URI:" NODE, 10, &node);
    write_identity(&server, certificate_path, key_path);
    write_identity(&node, node_path, node_key_path);
    write_text(ca_path, authority.certificate_pem, 0600);
    write_text(token_path, "s.good\n", 0600);
    peer_start(&peer, SCRIPT, (const char *const[]){certificate_path, key_path, NULL});
    free(certificate_path);
    free(key_path);
    free(directory);
    return 0;
}

static int tear_down(void **state)
{
    peer_stop(&peer);
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&node);
    free(ca_path);
    free(token_path);
    free(node_path);
    free(node_key_path);
    return 0;
}

/* ---- evidence that says what was bound ------------------------------------------------------- */

static unsigned evidences;

static lethe_result produce(void *context, const uint8_t binding[ATTEST_BINDING_BYTES],
                            uint32_t pcr_mask, struct buffer *json, struct lethe_error *err)
{
    char hex[2 * ATTEST_BINDING_BYTES + 1];
    (void)context;
    evidences++;
    hex_encode(binding, ATTEST_BINDING_BYTES, hex);
    buffer_format(json, "{\"kind\":\"none\",\"binding\":\"%s\",\"pcrs\":%u}", hex, pcr_mask);
    return buffer_result(json, err);
}

static const struct evidence_source source = {.kind = ATTEST_TPM2, .produce = produce};

static struct kms_client *open_with(const char *service, bool has_certificate)
{
    struct lethe_error err = {0};
    struct kms_client *client = NULL;
    const struct kms_client_options options = {.address = peer.url,
                                               .ca_path = ca_path,
                                               .token_path = token_path,
                                               .certificate_path =
                                                   has_certificate ? node_path : NULL,
                                               .key_path = has_certificate ? node_key_path : NULL,
                                               .evidence = &source,
                                               .service = service};
    assert_ok(kms_client_open(&options, &client, &err), &err);
    assert_ok(kms_client_set_engine(client, "{\"digest\":\"sha256:00\"}", &err), &err);
    evidences = 0;
    return client;
}

static void set_mode(struct kms_client *client, const char *mode)
{
    struct lethe_error err = {0};
    struct guarded answer = {0};
    char json[64];
    snprintf(json, sizeof json, "{\"mode\":\"%s\"}", mode);
    assert_ok(kms_client_call(client, HTTP_POST, "control/mode", json, strlen(json), &answer, &err),
              &err);
    guarded_clear(&answer);
}

/* ---- items ----------------------------------------------------------------------------------- */

struct asked {
    struct key_unwrap items[MANY];
    char ids[MANY][24];
    struct lethe_secret *keys[MANY];
    size_t count;
};

/* Every third is of another tier. */
static void ask_for(struct asked *asked, size_t count)
{
    *asked = (struct asked){.count = count};
    for (size_t i = 0; i < count; i++) {
        snprintf(asked->ids[i], sizeof asked->ids[i], "%04zu", i);
        asked->items[i] = (struct key_unwrap){.use = {.key = i % 3 == 1 ? COLD : HOT,
                                                      .shard = asked->ids[i],
                                                      .purpose = "load",
                                                      .release = 7,
                                                      .aad = "bound",
                                                      .aad_bytes = 5},
                                              .wrapped = WRAPPED,
                                              .data_key = &asked->keys[i]};
    }
}

static lethe_result unwrap_all(struct kms_client *client, struct asked *asked,
                               struct lethe_error *err)
{
    const struct key_source *keys = kms_client_key_source(client);
    return keys->unwrap_all(keys->context, asked->items, asked->count, err);
}

static void are_all_right(struct asked *asked)
{
    uint8_t expected[SHA256_BYTES];
    for (size_t i = 0; i < asked->count; i++) {
        sha256(asked->ids[i], strlen(asked->ids[i]), expected);
        assert_int_equal(lethe_secret_size(asked->keys[i]), sizeof expected);
        assert_memory_equal(lethe_secret_bytes_const(asked->keys[i]), expected, sizeof expected);
        lethe_secret_free(asked->keys[i]);
        asked->keys[i] = NULL;
    }
}

static void are_none(const struct asked *asked)
{
    for (size_t i = 0; i < asked->count; i++)
        assert_null(asked->keys[i]);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static struct asked asked;

/* One piece of evidence for all shards of a key, and each key where it belongs. */
static void test_many(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
    ask_for(&asked, MANY);
    assert_ok(unwrap_all(client, &asked, &err), &err);
    are_all_right(&asked);
    assert_int_equal(evidences, 2);
}

static void test_one(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
    const struct key_source *keys = kms_client_key_source(client);
    ask_for(&asked, 1);
    assert_ok(keys->unwrap(keys->context, &asked.items[0].use, WRAPPED, &asked.keys[0], &err),
              &err);
    are_all_right(&asked);
}

static const struct {
    const char *mode;
    lethe_result result;
    unsigned evidences; /* that are made before it is found out */
} lies[] = {
    {"denied", LETHE_DENIED, 0},
    {"short_nonce", LETHE_MALFORMED, 0},
    {"pcr_24", LETHE_MALFORMED, 0},
    {"no_pcrs", LETHE_MALFORMED, 0},
    {"fewer", LETHE_MALFORMED, 1},
    {"more", LETHE_MALFORMED, 1},
    {"none", LETHE_MALFORMED, 1},
    {"long", LETHE_MALFORMED, 1},
    {"empty", LETHE_MALFORMED, 1},
    {"cut", LETHE_MALFORMED, 1},
    {"other_binding", LETHE_INTEGRITY, 1},
    {"other_aad", LETHE_INTEGRITY, 1},
    {"other_key", LETHE_INTEGRITY, 1},
    {"changed", LETHE_INTEGRITY, 1},
    {"short_key", LETHE_MALFORMED, 1},
    {"no_base64", LETHE_MALFORMED, 1},
    {"used", LETHE_DENIED, 2},
};

static void test_lies(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct lethe_error err = {0};
        CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
        ask_for(&asked, 6);
        set_mode(client, lies[i].mode);
        lethe_result result = unwrap_all(client, &asked, &err);
        if (result != lies[i].result || evidences != lies[i].evidences)
            fail_msg("%s: %s, %u", lies[i].mode, err.text, evidences);
        are_none(&asked);
        set_mode(client, "");
        assert_ok(unwrap_all(client, &asked, &err), &err); /* the control */
        are_all_right(&asked);
    }
}

/* A service that was started again in between has forgotten the challenge: one more is asked for.
 */
static void test_forgotten_challenge(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
    ask_for(&asked, 1);
    set_mode(client, "used_once");
    assert_ok(unwrap_all(client, &asked, &err), &err);
    are_all_right(&asked);
    assert_int_equal(evidences, 2);
}

/* Nothing is proven to a service that is not the one that was named. */
static void test_other_service(void **state)
{
    char service[sizeof "lethe-kms:" + 64];
    struct lethe_error err = {0};
    snprintf(service, sizeof service, "lethe-kms:%064d", 0);
    struct kms_client *client = open_with(service, true);
    ask_for(&asked, 1);
    assert_int_equal(unwrap_all(client, &asked, &err), LETHE_DENIED);
    assert_int_equal(evidences, 0);
    are_none(&asked);
    kms_client_close(client);
    memset(service + strlen("lethe-kms:"), 'a', 64);
    for (size_t i = 0; i < 64; i += 2)
        service[strlen("lethe-kms:") + i + 1] = 'b';
    client = open_with(service, true);
    assert_ok(unwrap_all(client, &asked, &err), &err);
    are_all_right(&asked);
    kms_client_close(client);
}

static void test_no_certificate(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, false);
    ask_for(&asked, 1);
    assert_int_equal(unwrap_all(client, &asked, &err), LETHE_INVALID);
    assert_non_null(strstr(err.hint, "lethe identity issue"));
    assert_int_equal(evidences, 0);
}

/* Denials keep the service's code; what is the key's fault is said as such. */
static void test_denials(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
    ask_for(&asked, 1);
    asked.items[0].use.release = 8; /* which this service does not expect */
    assert_int_equal(unwrap_all(client, &asked, &err), LETHE_DENIED);
    assert_non_null(strstr(err.text, "request_malformed: other members"));
    asked.items[0].use.release = 7;
    set_mode(client, "denied");
    assert_int_equal(unwrap_all(client, &asked, &err), LETHE_DENIED);
    assert_non_null(strstr(err.hint, "--certificate"));
    set_mode(client, "");
}

/* Only what uses a model goes this way: encrypting anew is for who owns the key. */
static void test_purposes(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_with(NULL, true);
    ask_for(&asked, 1);
    asked.items[0].use.purpose = KEY_PURPOSE_REENCRYPT;
    assert_int_not_equal(unwrap_all(client, &asked, &err), LETHE_OK); /* it knows no such key */
    assert_non_null(strstr(err.text, "transit/decrypt"));
    assert_int_equal(evidences, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),          cmocka_unit_test(test_one),
        cmocka_unit_test(test_lies),          cmocka_unit_test(test_forgotten_challenge),
        cmocka_unit_test(test_other_service), cmocka_unit_test(test_no_certificate),
        cmocka_unit_test(test_denials),       cmocka_unit_test(test_purposes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
