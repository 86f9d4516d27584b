/* The key source over a key service, against one by another hand: what it gives opens with the
 * local keeper's own code, what it says wrongly is refused, and what was revoked is known. */
#include "check_files.h"

#include <inttypes.h>
#include <time.h>

#include "../net/certificates.h"
#include "../net/https_peer.h"
#include "base/error.h"
#include "crypto/crypto.h"
#include "kms/client.h"
#include "kms/client_json.h"

#define SCRIPT TEST_VECTORS "/../kms/transit_peer.py"
#define KEY "acme.llama.hot"

static struct identity_files authority, server;
static struct peer peer;
static char *ca_path, *token_path, *bad_token_path;

static int set_up(void **state)
{
    struct lethe_error err = {0};
    char key_pem[4096] = "";
    assert_ok(crypto_start(&err), &err);
    char *directory = temp_dir();
    char *certificate_path = path_join(directory, "server.pem");
    char *key_path = path_join(directory, "server.key");
    ca_path = path_join(directory, "ca.pem");
    token_path = path_join(directory, "token");
    bad_token_path = path_join(directory, "bad");
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &server);
    memcpy(key_pem, lethe_secret_bytes_const(server.key_pem), lethe_secret_size(server.key_pem));
    write_text(certificate_path, server.certificate_pem, 0600);
    write_text(key_path, key_pem, 0600);
    write_text(ca_path, authority.certificate_pem, 0600);
    write_text(token_path, "s.good\n", 0600);
    write_text(bad_token_path, "s.bad\n", 0600);
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
    free(ca_path);
    free(token_path);
    free(bad_token_path);
    return 0;
}

static struct kms_client *open_with(const struct kms_client_options *more)
{
    struct lethe_error err = {0};
    struct kms_client *client = NULL;
    struct kms_client_options options = *more;
    options.address = peer.url;
    options.ca_path = ca_path;
    if (options.token_path == NULL)
        options.token_path = token_path;
    assert_ok(kms_client_open(&options, &client, &err), &err);
    return client;
}

static struct kms_client *open_client(void)
{
    return open_with(&(struct kms_client_options){0});
}

/* Tells the service what to do, or asks what it was told. */
static void control(const char *what, const char *json, struct guarded *answer)
{
    struct lethe_error err = {0};
    struct guarded unwanted = {0};
    char path[64];
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    snprintf(path, sizeof path, "control/%s", what);
    assert_ok(kms_client_call(client, HTTP_POST, path, json, strlen(json),
                              answer != NULL ? answer : &unwanted, &err),
              &err);
    guarded_clear(&unwanted);
}

static uint64_t count_calls(void)
{
    struct guarded answer = {0};
    struct json_piece piece = {0};
    uint64_t calls = 0;
    control("last", "{}", &answer);
    assert_int_equal(client_answer(&answer, &piece, NULL), LETHE_OK);
    assert_int_equal(client_answer_number(&piece, "data/calls", &calls, NULL), LETHE_OK);
    guarded_clear(&answer);
    return calls;
}

static void answer_next(unsigned status, const char *body)
{
    struct guarded json = {0};
    client_put_open(&json, NULL, '{');
    client_put_number(&json, "status", status);
    client_put_text(&json, "body", body);
    client_put_close(&json, '}');
    guarded_append(&json, "", 1);
    control("next", (const char *)json.bytes, NULL);
    guarded_clear(&json);
}

static struct key_use use_for(const char *key, const char *purpose)
{
    return (struct key_use){.key = key,
                            .shard = "00\"00",
                            .purpose = purpose,
                            .release = 7,
                            .aad = "bound",
                            .aad_bytes = 5};
}

static struct lethe_secret *data_key(uint8_t fill)
{
    struct lethe_secret *secret = NULL;
    assert_int_equal(lethe_secret_create(32, &secret, NULL), LETHE_OK);
    memset(lethe_secret_bytes(secret), fill, 32);
    return secret;
}

static void wrap(const struct key_source *keys, const char *key, uint8_t fill, struct buffer *out)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = data_key(fill);
    const struct key_use use = use_for(key, "encrypt");
    assert_ok(keys->ensure(keys->context, key, &err), &err);
    assert_ok(keys->wrap(keys->context, &use, secret, out, &err), &err);
}

static lethe_result unwrap(const struct key_source *keys, const char *key, const char *purpose,
                           const char *wrapped, struct lethe_secret **out, struct lethe_error *err)
{
    const struct key_use use = use_for(key, purpose);
    return keys->unwrap(keys->context, &use, wrapped, out, err);
}

/* K-3, K-6: what a service wraps looks like what a keeper wraps, and opens only as it was bound. */
static void test_wrap_and_unwrap(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *before = data_key(0x5a);
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    uint64_t version = 0;
    wrap(keys, KEY, 0x5a, &wrapped);
    assert_int_equal(strncmp(wrapped.bytes, "vault:v1:", 9), 0);
    assert_ok(unwrap(keys, KEY, "load", wrapped.bytes, &opened, &err), &err);
    assert_true(lethe_secret_equal(before, opened));
    assert_ok(keys->newest(keys->context, KEY, &version, &err), &err);
    assert_int_equal(version, 1);

    struct key_use other = use_for(KEY, "load");
    other.aad = "other";
    CLEANUP(lethe_secret_free) struct lethe_secret *none = NULL;
    assert_result(LETHE_INTEGRITY, keys->unwrap(keys->context, &other, wrapped.bytes, &none, &err));
    assert_null(none);
}

/* the service is told for what, of which release and for which shard. */
static void test_what_is_asked(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    struct guarded answer = {0};
    struct json_piece whole = {0};
    struct json_piece piece = {0};
    static const struct {
        const char *path, *text;
    } rows[] = {{"data/last/path", "/v1/transit/decrypt/" KEY},
                {"data/last/fields/purpose", "load"},
                {"data/last/fields/shard", "00\"00"},
                {"data/last/fields/associated_data", "Ym91bmQ="}};
    wrap(keys, KEY, 1, &wrapped);
    assert_ok(unwrap(keys, KEY, "load", wrapped.bytes, &opened, &err), &err);
    control("last", "{}", &answer);
    assert_ok(client_answer(&answer, &whole, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(json_piece_find(&whole, rows[i].path, &piece), LETHE_OK);
        assert_true(json_piece_is(&piece, rows[i].text));
    }
    uint64_t release = 0;
    assert_ok(client_answer_number(&whole, "data/last/fields/release", &release, &err), &err);
    assert_int_equal(release, 7);
    guarded_clear(&answer);
}

/* Names come out of manifests: none of them may lead to another path. */
static void test_bad_names(void **state)
{
    static const char *const names[] = {"",       "a.b",         "a.b.c/../../sys/seal",
                                        "a.b.c?", "acme.signer", "a.b.c d"};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    uint64_t before = count_calls();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct lethe_error err = {0};
        struct lethe_secret *none = NULL;
        uint64_t version;
        assert_result(LETHE_INVALID, keys->ensure(keys->context, names[i], &err));
        assert_result(LETHE_INVALID, keys->newest(keys->context, names[i], &version, &err));
        assert_result(LETHE_INVALID, unwrap(keys, names[i], "load", "vault:v1:AAAA", &none, &err));
    }
    assert_int_equal(count_calls(), before);
}

/* Whatever a service says instead of an answer, nothing is made of it. */
static void test_lies(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        lethe_result unwrapped;
    } rows[] = {
        {200, "", LETHE_MALFORMED},
        {200, "[]", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":1}}", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":\"\"}}", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":\"AAA\"}}", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":\"AA=A\"}}", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":\"AAAA\",\"plaintext\":\"AAAA\"}}", LETHE_MALFORMED},
        {200, "{\"data\":{\"plaintext\":\"AAAA\"}", LETHE_MALFORMED},
        {200, "{\"data\":{\"ciphertext\":\"AAAA\"}}", LETHE_MALFORMED},
        {200, "{\"data\":null}", LETHE_MALFORMED},
        {204, "", LETHE_MALFORMED},
        {429, "{\"errors\":[\"later\"]}", LETHE_UNAVAILABLE},
        {500, "<html>", LETHE_UNAVAILABLE},
        {503, "{\"errors\":[\"sealed\"]}", LETHE_UNAVAILABLE},
        {302, "", LETHE_FAILED},
    };
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(keys, KEY, 2, &wrapped);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        struct lethe_secret *none = NULL;
        answer_next(rows[i].status, rows[i].body);
        lethe_result result = unwrap(keys, KEY, "load", wrapped.bytes, &none, &err);
        if (result != rows[i].unwrapped)
            fail_msg("row %zu: %s, %s", i, lethe_result_name(result), err.text);
        assert_null(none);
        assert_true(err.text[0] != '\0');
    }
}

static void test_lies_when_wrapping(void **state)
{
    static const char *const bodies[] = {
        "{\"data\":{\"ciphertext\":\"plain\"}}",
        "{\"data\":{\"ciphertext\":\"vault:v0:AAAA\"}}",
        "{\"data\":{\"ciphertext\":\"vault:v1:\"}}",
        "{\"data\":{\"ciphertext\":\"vault:v1:AAAA\\\",\\\"x\\\":\\\"\"}}",
        "{\"data\":{\"ciphertext\":\"vault:v1:AA AA\"}}",
        "{\"data\":{\"ciphertext\":[\"vault:v1:AAAA\"]}}",
    };
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = data_key(3);
    const struct key_use use = use_for(KEY, "encrypt");
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct lethe_error err = {0};
        CLEANUP(buffer_clear) struct buffer wrapped = {0};
        answer_next(200, bodies[i]);
        assert_result(LETHE_MALFORMED, keys->wrap(keys->context, &use, secret, &wrapped, &err));
        assert_int_equal(wrapped.size_bytes, 0);
    }
}

/* The service's words reach the person, and nothing that a terminal would obey. */
static void test_errors_are_told(void **state)
{
    struct lethe_error err = {0};
    struct guarded answer = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    answer_next(403, "{\"errors\":[\"one\\u001b[2J\",\"two\"]}");
    assert_result(LETHE_DENIED,
                  kms_client_call(client, HTTP_GET, "transit/keys/x", NULL, 0, &answer, &err));
    assert_non_null(strstr(err.text, "one?[2J; two"));
    assert_true(err.hint[0] != '\0');
    guarded_clear(&answer);
}

/* P-3: without a good token nothing is released, and the token is in no error. */
static void test_token(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    CLEANUP(kms_client_close)
    struct kms_client *nobody =
        open_with(&(struct kms_client_options){.token_path = bad_token_path});
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct lethe_secret *none = NULL;
    wrap(kms_client_key_source(client), KEY, 4, &wrapped);
    lethe_result result =
        unwrap(kms_client_key_source(nobody), KEY, "load", wrapped.bytes, &none, &err);
    assert_result(LETHE_DENIED, result);
    assert_null(strstr(err.text, "s.bad"));
}

/* K-8: rewrapped without being seen here, in one call for each key; all of them or none. */
static void test_rewrap(void **state)
{
    enum { COUNT = 5 };
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    static const char *const names[COUNT] = {"acme.one.hot", "acme.two.hot", "acme.one.hot",
                                             "acme.two.hot", "acme.one.hot"};
    struct buffer wrapped[COUNT] = {0};
    struct buffer rewrapped[COUNT] = {0};
    struct key_rewrap items[COUNT];
    struct guarded answer = {0};
    for (size_t i = 0; i < COUNT; i++) {
        wrap(keys, names[i], (uint8_t)i, &wrapped[i]);
        items[i] =
            (struct key_rewrap){use_for(names[i], "rewrap"), wrapped[i].bytes, &rewrapped[i]};
    }
    assert_ok(kms_client_call(client, HTTP_POST, "transit/keys/acme.one.hot/rotate", NULL, 0,
                              &answer, &err),
              &err);
    uint64_t before = count_calls();
    assert_ok(keys->rewrap(keys->context, items, COUNT, &err), &err);
    assert_int_equal(count_calls(), before + 2);
    for (size_t i = 0; i < COUNT; i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
        CLEANUP(lethe_secret_free) struct lethe_secret *expected = data_key((uint8_t)i);
        const char *prefix = i % 2 == 0 ? "vault:v2:" : "vault:v1:";
        assert_int_equal(strncmp(rewrapped[i].bytes, prefix, 9), 0);
        assert_ok(unwrap(keys, names[i], "load", rewrapped[i].bytes, &opened, &err), &err);
        assert_true(lethe_secret_equal(opened, expected));
        buffer_truncate(&rewrapped[i], 0);
    }
    items[4].use.aad = "other"; /* one of them does not open */
    assert_result(LETHE_INTEGRITY, keys->rewrap(keys->context, items, COUNT, &err));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rewrapped[i].size_bytes, 0);
        buffer_clear(&rewrapped[i]);
        buffer_clear(&wrapped[i]);
    }
    guarded_clear(&answer);
}

/* New keys in few calls: what comes opens as it was bound; all of them or none. */
static void test_wrap_all(void **state)
{
    enum { COUNT = 1203 };
    static struct buffer wrapped[COUNT];
    static struct key_wrap items[COUNT];
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    static const char *const names[2] = {"acme.first.hot", "acme.second.hot"};
    struct lethe_secret *plain[2] = {data_key(3), data_key(4)};
    for (size_t i = 0; i < 2; i++)
        assert_ok(keys->ensure(keys->context, names[i], &err), &err);
    for (size_t i = 0; i < COUNT; i++) /* all but the first two are of one key */
        items[i] = (struct key_wrap){use_for(names[i == 1], "encrypt"), plain[i % 2], &wrapped[i]};
    uint64_t before = count_calls();
    assert_ok(keys->wrap_all(keys->context, items, COUNT, &err), &err);
    assert_int_equal(count_calls(), before + 3); /* 1000, 202, 1 */
    for (size_t i = 0; i < COUNT; i += 100) {
        CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
        assert_ok(unwrap(keys, items[i].use.key, "load", wrapped[i].bytes, &opened, &err), &err);
        assert_true(lethe_secret_equal(opened, plain[i % 2]));
    }
    for (size_t i = 0; i < COUNT; i++)
        buffer_truncate(&wrapped[i], 0);
    items[COUNT - 1].use.key = "acme.none.hot"; /* one of them is not there */
    assert_int_not_equal(keys->wrap_all(keys->context, items, COUNT, &err), LETHE_OK);
    items[COUNT - 1].use.key = "acme.signer";
    assert_result(LETHE_INVALID, keys->wrap_all(keys->context, items, COUNT, &err));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(wrapped[i].size_bytes, 0);
        buffer_clear(&wrapped[i]);
    }
    for (size_t i = 0; i < 2; i++)
        lethe_secret_free(plain[i]);
}

/* Whatever the service says, the caller gets as many wrapped keys as there were keys, or none. */
static void test_wrap_all_lies(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        lethe_result result;
        const char *says;
    } rows[] = {
        {200, "{}", LETHE_MALFORMED, ""},
        {200, "{\"data\":{\"batch_results\":[]}}", LETHE_MALFORMED, ""},
        {200, "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v1:AAAA\"}]}}",
         LETHE_MALFORMED, ""},
        {200,
         "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v1:AAAA\"},{\"ciphertext\":"
         "\"vault:v1:AAAA\"},{\"ciphertext\":\"vault:v1:AAAA\"}]}}",
         LETHE_MALFORMED, ""},
        {200,
         "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v1:AAAA\"},{\"ciphertext\":"
         "\"vault:v1:\"}]}}",
         LETHE_MALFORMED, ""},
        {200,
         "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v1:AAAA\"},{\"error\":\"no\"}]}}",
         LETHE_INTEGRITY, "cannot wrap"},
        {400,
         "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v1:AAAA\"},{\"error\":\"it was "
         "revoked\"}]}}",
         LETHE_INVALID, "it was revoked"},
    };
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = data_key(1);
    struct buffer wrapped[2] = {0};
    struct key_wrap items[2];
    for (size_t i = 0; i < 2; i++)
        items[i] = (struct key_wrap){use_for(KEY, "encrypt"), plain, &wrapped[i]};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        answer_next(rows[i].status, rows[i].body);
        assert_result(rows[i].result, keys->wrap_all(keys->context, items, 2, &err));
        assert_non_null(strstr(err.text, rows[i].says));
        assert_int_equal(wrapped[0].size_bytes + wrapped[1].size_bytes, 0);
    }
    for (size_t i = 0; i < 2; i++)
        buffer_clear(&wrapped[i]);
}

/* K-10, Z-2: many keys in few calls, what is kept not at all, and all of them or none. */
static void test_unwrap_all(void **state)
{
    enum { COUNT = 600 };
    static struct buffer wrapped[2];
    static struct key_unwrap items[COUNT];
    static struct lethe_secret *opened[COUNT];
    struct lethe_error err = {0};
    CLEANUP(kms_client_close)
    struct kms_client *client = open_with(&(struct kms_client_options){.cache_ttl_s = 60});
    const struct key_source *keys = kms_client_key_source(client);
    static const char *const names[2] = {"acme.many.hot", "acme.more.hot"};
    for (size_t i = 0; i < 2; i++)
        wrap(keys, names[i], (uint8_t)(i + 1), &wrapped[i]);
    for (size_t i = 0; i < COUNT; i++)
        items[i] =
            (struct key_unwrap){use_for(names[i % 2], "load"), wrapped[i % 2].bytes, &opened[i]};
    uint64_t before = count_calls();
    for (unsigned again = 0; again < 2; again++) {
        assert_ok(keys->unwrap_all(keys->context, items, COUNT, &err), &err);
        for (size_t i = 0; i < COUNT; i++) {
            CLEANUP(lethe_secret_free)
            struct lethe_secret *expected = data_key((uint8_t)(i % 2 + 1));
            assert_true(lethe_secret_equal(opened[i], expected));
            lethe_secret_free(opened[i]);
        }
        if (again == 0) /* 256 and 44 of each; then they are kept, and only looked after */
            assert_int_equal(count_calls(), before + 4);
        else
            assert_true(count_calls() < before + 8);
    }
    items[COUNT - 1].use.aad = "other"; /* one of them does not open */
    assert_int_not_equal(keys->unwrap_all(keys->context, items, COUNT, &err), LETHE_OK);
    for (size_t i = 0; i < COUNT; i++)
        assert_null(opened[i]);
    for (size_t i = 0; i < 2; i++)
        buffer_clear(&wrapped[i]);
}

static void test_unwrap_all_lies(void **state)
{
    static const char *const bodies[] = {
        "{\"data\":{\"batch_results\":[]}}",
        "{\"data\":{\"batch_results\":[{\"plaintext\":\"AAAA\"}]}}",
        "{\"data\":{\"batch_results\":[{\"plaintext\":\"AAAA\"},{\"plaintext\":\"\"}]}}",
        "{\"data\":{\"batch_results\":[{\"plaintext\":\"AAAA\"},{\"error\":\"no\"}]}}",
        "{\"data\":{\"batch_results\":[{\"plaintext\":\"AA==\"},{\"plaintext\":\"AA==\"},{}]}}",
        "{\"data\":{\"batch_results\":{\"plaintext\":\"AAAA\"}}}",
    };
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct lethe_secret *opened[2] = {0};
    struct key_unwrap items[2];
    wrap(keys, KEY, 5, &wrapped);
    for (size_t i = 0; i < 2; i++)
        items[i] = (struct key_unwrap){use_for(KEY, "load"), wrapped.bytes, &opened[i]};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct lethe_error err = {0};
        answer_next(200, bodies[i]);
        assert_result(LETHE_MALFORMED, keys->unwrap_all(keys->context, items, 2, &err));
        assert_null(opened[0]);
        assert_null(opened[1]);
    }
}

static void test_rewrap_lies(void **state)
{
    static const char *const bodies[] = {
        "{\"data\":{\"batch_results\":[]}}",
        "{\"data\":{\"batch_results\":[{\"ciphertext\":\"vault:v2:AAAA\"},null]}}",
        "{\"data\":{\"batch_results\":{\"ciphertext\":\"vault:v2:AAAA\"}}}",
        "{\"data\":{\"batch_results\":[{}]}}",
        "{\"data\":{\"batch_results\":[1]}}",
    };
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(buffer_clear) struct buffer rewrapped = {0};
    wrap(keys, KEY, 5, &wrapped);
    const struct key_rewrap item = {use_for(KEY, "rewrap"), wrapped.bytes, &rewrapped};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct lethe_error err = {0};
        answer_next(200, bodies[i]);
        assert_result(LETHE_MALFORMED, keys->rewrap(keys->context, &item, 1, &err));
        assert_int_equal(rewrapped.size_bytes, 0);
    }
}

/* M-3: the signer is made when it is new; each of its versions verifies what it signed. */
static void test_sign(void **state)
{
    struct lethe_error err = {0};
    struct signature signature;
    const struct sign_public *first = NULL;
    const struct sign_public *second = NULL;
    struct guarded answer = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    assert_ok(keys->sign(keys->context, "fresh", "text", 4, &signature, &err), &err);
    assert_ok(keys->signer(keys->context, "fresh", NULL, &first, &err), &err);
    assert_ok(sign_verify(first, "text", 4, &signature, &err), &err);
    assert_result(LETHE_INTEGRITY, sign_verify(first, "texT", 4, &signature, NULL));
    assert_ok(kms_client_call(client, HTTP_POST, "transit/keys/fresh.signer/rotate", NULL, 0,
                              &answer, &err),
              &err);
    assert_ok(keys->signer(keys->context, "fresh", NULL, &second, &err), &err);
    assert_result(LETHE_INTEGRITY, sign_verify(second, "text", 4, &signature, NULL));
    assert_ok(sign_verify(first, "text", 4, &signature, &err), &err); /* still there */
    assert_result(LETHE_NOT_FOUND, keys->signer(keys->context, "fresh", "00", &second, &err));
    assert_null(second);
    assert_result(LETHE_INVALID, keys->signer(keys->context, "a/b", NULL, &second, &err));
    guarded_clear(&answer);
}

/* A version keeps its public key: another one under its number is somebody else's. */
static void test_changed_signer(void **state)
{
    static const char other[] =
        "{\"data\":{\"latest_version\":1,\"keys\":{\"1\":{\"public_key\":\"-----BEGIN PUBLIC "
        "KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\\n"
        "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\\n-----END PUBLIC "
        "KEY-----\\n\"}}}}";
    struct lethe_error err = {0};
    struct signature signature;
    const struct sign_public *key = NULL;
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    assert_ok(keys->sign(keys->context, "steady", "text", 4, &signature, &err), &err);
    assert_ok(keys->signer(keys->context, "steady", NULL, &key, &err), &err);
    answer_next(200, other);
    assert_result(LETHE_INTEGRITY, keys->signer(keys->context, "steady", NULL, &key, &err));
    assert_null(key);
}

/* ---- whether a key may still be used --------------------------------------------------------- */

static void wait_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* K-9: known within about a second, without asking more often. */
static void test_revoked(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct lethe_secret *none = NULL;
    wrap(keys, "acme.gone.hot", 6, &wrapped);
    uint64_t before = count_calls();
    for (size_t i = 0; i < 20; i++)
        assert_ok(kms_client_check_usable(client, "acme.gone.hot", 1, &err), &err);
    assert_true(count_calls() <= before + 2);
    assert_result(LETHE_NOT_FOUND, kms_client_check_usable(client, "acme.gone.hot", 2, &err));
    assert_result(LETHE_NOT_FOUND, kms_client_check_usable(client, "acme.never.hot", 1, &err));
    control("revoke", "{\"key\":\"acme.gone.hot\",\"through\":1}", NULL);
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < 40 && result == LETHE_OK; i++) {
        wait_ms(100);
        result = kms_client_check_usable(client, "acme.gone.hot", 1, &err);
    }
    assert_result(LETHE_REVOKED, result);
    assert_result(LETHE_REVOKED, unwrap(keys, "acme.gone.hot", "load", wrapped.bytes, &none, &err));
    assert_null(none);
}

/* With no more than Vault's calls, min_decryption_version says it. */
static void test_revoked_elsewhere(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    struct guarded answer = {0};
    wrap(kms_client_key_source(client), "acme.plain.hot", 6, &wrapped);
    control("lethe", "{\"speaks\":false}", NULL);
    assert_ok(kms_client_check_usable(client, "acme.plain.hot", 1, &err), &err);
    assert_ok(kms_client_call(client, HTTP_POST, "transit/keys/acme.plain.hot/rotate", NULL, 0,
                              &answer, &err),
              &err);
    control("smallest", "{\"key\":\"acme.plain.hot\",\"version\":2}", NULL);
    CLEANUP(kms_client_close) struct kms_client *later = open_client();
    assert_result(LETHE_REVOKED, kms_client_check_usable(later, "acme.plain.hot", 1, &err));
    assert_ok(kms_client_check_usable(later, "acme.plain.hot", 2, &err), &err);
    control("lethe", "{\"speaks\":true}", NULL);
    guarded_clear(&answer);
}

/* K-9: a token that was revoked ends the use of every key. */
static void test_revoked_token(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(kms_client_key_source(client), "acme.token.hot", 6, &wrapped);
    control("token", "{\"token\":\"s.new\"}", NULL);
    assert_result(LETHE_REVOKED, kms_client_check_usable(client, "acme.token.hot", 1, &err));
    assert_true(err.hint[0] != '\0');
    control("token", "{\"token\":\"s.good\"}", NULL);
}

/* A certificate or token that is renewed in its file is used from then on, by who runs already. */
static void test_renewed_token(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(kms_client_key_source(client), "acme.renewed.hot", 6, &wrapped);
    control("token", "{\"token\":\"s.renewed\"}", NULL);
    write_text(token_path, "s.renewed-longer\n", 0600);
    assert_result(LETHE_REVOKED, kms_client_check_usable(client, "acme.renewed.hot", 1, &err));
    write_text(token_path, "s.renewed\n", 0600);
    wait_ms(1100);
    assert_ok(kms_client_check_usable(client, "acme.renewed.hot", 1, &err), &err);
    write_text(token_path, "s.good\n", 0600);
    control("token", "{\"token\":\"s.good\"}", NULL);
}

/* ---- keys that are kept ---------------------------------------------------------------------- */

/* Z-2: unless somebody says otherwise, every use asks anew. */
static void test_nothing_kept(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close) struct kms_client *client = open_client();
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(keys, KEY, 7, &wrapped);
    uint64_t before = count_calls();
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
        assert_ok(unwrap(keys, KEY, "load", wrapped.bytes, &opened, &err), &err);
    }
    assert_int_equal(count_calls(), before + 3);
}

/* K-10: kept for as long as was said, and for nothing but the same words. */
static void test_kept(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close)
    struct kms_client *client = open_with(&(struct kms_client_options){.cache_ttl_s = 1});
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *expected = data_key(8);
    struct lethe_secret *none = NULL;
    wrap(keys, "acme.kept.hot", 8, &wrapped);
    uint64_t before = count_calls();
    for (size_t i = 0; i < 5; i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
        assert_ok(unwrap(keys, "acme.kept.hot", "load", wrapped.bytes, &opened, &err), &err);
        assert_true(lethe_secret_equal(expected, opened));
    }
    assert_true(count_calls() <= before + 3); /* once, and whether it may still be used */
    struct key_use other = use_for("acme.kept.hot", "load");
    other.aad = "other";
    assert_result(LETHE_INTEGRITY, keys->unwrap(keys->context, &other, wrapped.bytes, &none, &err));
    wait_ms(1100);
    before = count_calls();
    CLEANUP(lethe_secret_free) struct lethe_secret *again = NULL;
    assert_ok(unwrap(keys, "acme.kept.hot", "load", wrapped.bytes, &again, &err), &err);
    assert_int_equal(count_calls(), before + 1);
}

/* K-9, K-10: what is kept goes with the key. */
static void test_kept_and_revoked(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close)
    struct kms_client *client = open_with(&(struct kms_client_options){.cache_ttl_s = 600});
    const struct key_source *keys = kms_client_key_source(client);
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(keys, "acme.short.hot", 9, &wrapped);
    CLEANUP(lethe_secret_free) struct lethe_secret *first = NULL;
    assert_ok(unwrap(keys, "acme.short.hot", "load", wrapped.bytes, &first, &err), &err);
    control("revoke", "{\"key\":\"acme.short.hot\",\"through\":1}", NULL);
    struct lethe_secret *none = NULL;
    assert_result(LETHE_REVOKED,
                  unwrap(keys, "acme.short.hot", "load", wrapped.bytes, &none, &err));
    assert_null(none);
}

/* The last one, for it silences the service: in use for as long as was said, and no longer. */
static void test_out_of_reach(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(kms_client_close)
    struct kms_client *client = open_with(&(struct kms_client_options){.offline_s = 2});
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    wrap(kms_client_key_source(client), KEY, 10, &wrapped);
    assert_ok(kms_client_check_usable(client, KEY, 1, &err), &err);
    control("silent", "{}", NULL);
    assert_ok(kms_client_check_usable(client, KEY, 1, &err), &err);
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < 60 && result == LETHE_OK; i++) {
        wait_ms(100);
        result = kms_client_check_usable(client, KEY, 1, &err);
    }
    assert_result(LETHE_UNAVAILABLE, result);
}

static void test_options(void **state)
{
    static const struct {
        struct kms_client_options options;
        lethe_result result;
    } rows[] = {
        {{.address = "http://localhost:1"}, LETHE_INVALID},
        {{.address = "unix:/tmp/x"}, LETHE_INVALID},
        {{.address = "https://user@localhost"}, LETHE_INVALID},
        {{.address = "https://localhost", .ca_path = "/nowhere/ca.pem"}, LETHE_NOT_FOUND},
        {{.address = "https://localhost", .token_path = "/nowhere/token"}, LETHE_UNAVAILABLE},
        {{.address = "https://localhost", .certificate_path = "/nowhere/a"}, LETHE_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        struct kms_client *client = NULL;
        lethe_result result = kms_client_open(&rows[i].options, &client, &err);
        if (result != rows[i].result)
            fail_msg("row %zu: %s, %s", i, lethe_result_name(result), err.text);
        assert_null(client);
    }
    assert_int_equal(chmod(token_path, 0644), 0);
    struct lethe_error err = {0};
    struct kms_client *client = NULL;
    const struct kms_client_options open_token = {
        .address = peer.url, .ca_path = ca_path, .token_path = token_path};
    assert_result(LETHE_UNPROTECTED, kms_client_open(&open_token, &client, &err));
    assert_int_equal(chmod(token_path, 0600), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap_and_unwrap),
        cmocka_unit_test(test_what_is_asked),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_lies_when_wrapping),
        cmocka_unit_test(test_errors_are_told),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_rewrap),
        cmocka_unit_test(test_wrap_all),
        cmocka_unit_test(test_wrap_all_lies),
        cmocka_unit_test(test_unwrap_all),
        cmocka_unit_test(test_unwrap_all_lies),
        cmocka_unit_test(test_rewrap_lies),
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_changed_signer),
        cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_revoked_elsewhere),
        cmocka_unit_test(test_revoked_token),
        cmocka_unit_test(test_renewed_token),
        cmocka_unit_test(test_nothing_kept),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_kept_and_revoked),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_out_of_reach),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
