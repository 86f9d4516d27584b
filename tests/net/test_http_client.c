/* The client against another implementation's TLS and sockets: what goes right, and every way in
 * which a server, or somebody on the way, can go wrong. */
#include "check_files.h"

#include <time.h>

#include "base/error.h"
#include "certificates.h"
#include "crypto/crypto.h"
#include "https_peer.h"
#include "net/http_client.h"
#include "net/http_response.h"

#define SCRIPT TEST_VECTORS "/../net/https_peer.py"

static struct identity_files authority, stranger, server, elsewhere, client_identity;
static char *directory;
static struct peer peer;

static char *put_pem(const char *name, const char *text)
{
    char *path = path_join(directory, name);
    write_text(path, text, 0600);
    return path;
}

static char *put_key(const char *name, const struct lethe_secret *key)
{
    char text[4096] = "";
    memcpy(text, lethe_secret_bytes_const(key), lethe_secret_size(key));
    return put_pem(name, text);
}

static void start_peer(struct peer *out, const struct identity_files *who, const char *option,
                       const char *value)
{
    CLEANUP(memory_free) char *certificate = put_pem("server.pem", who->certificate_pem);
    CLEANUP(memory_free) char *key = put_key("server.key", who->key_pem);
    const char *words[] = {certificate, key, option, value, NULL};
    peer_start(out, SCRIPT, words);
}

static int set_up(void **state)
{
    struct lethe_error err = {0};
    assert_ok(crypto_start(&err), &err);
    directory = temp_dir();
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(NULL, "stranger", NULL, 10, &stranger);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &server);
    certificate_make(&authority, "elsewhere", "DNS:elsewhere.example", 10, &elsewhere);
    certificate_make(&authority, "client", "URI:spiffe://test/client", 10, &client_identity);
    start_peer(&peer, &server, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    struct identity_files *all[] = {&authority, &stranger, &server, &elsewhere, &client_identity};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certificate_free(all[i]);
    peer_stop(&peer);
    free(directory);
    return 0;
}

static struct http_client *connect_to(const char *address, const struct identity_files *roots,
                                      const struct identity_files *me)
{
    struct url url;
    struct lethe_error err = {0};
    struct http_client *client = NULL;
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    struct tls_options options = {.roots_pem = roots->certificate_pem};
    if (me != NULL) {
        options.certificates_pem = me->certificate_pem;
        options.key_pem = me->key_pem;
    }
    assert_ok(url_parse(address, &url, &err), &err);
    assert_ok(tls_client_create(&options, &tls, &err), &err);
    assert_ok(http_client_create(&url, tls, &client, &err), &err);
    return client;
}

struct result {
    lethe_result result;
    unsigned status;
    struct guarded body;
    struct lethe_error err;
};

static void get(struct http_client *client, const char *target, struct result *out)
{
    const struct http_call call = {.method = HTTP_GET, .target = target, .timeout_ms = 5000};
    out->result = http_client_call(client, &call, &out->status, &out->body, &out->err);
}

#define assert_body(result, text)                                                                  \
    do {                                                                                           \
        assert_int_equal((result)->body.size_bytes, strlen(text));                                 \
        assert_memory_equal((result)->body.bytes, text, strlen(text));                             \
    } while (0)

static bool body_has(const struct result *result, const char *text)
{
    return memmem(result->body.bytes, result->body.size_bytes, text, strlen(text)) != NULL;
}

/* K-2, P-2: whole answers of every framing that a key service may use. */
static void test_good_answers(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
        const char *body;
    } rows[] = {
        {"/ok", 200, "{\"a\":1}"},          {"/empty", 204, ""},
        {"/chunked", 200, "one two three"}, {"/missing", 404, "{\"errors\":[]}"},
        {"/bytes", 200, "one two three"},   {"/redirect", 307, ""},
        {"/ok", 200, "{\"a\":1}"},
    };
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        get(client, rows[i].target, &result);
        assert_ok(result.result, &result.err);
        assert_int_equal(result.status, rows[i].status);
        if (rows[i].body[0] != '\0')
            assert_body(&result, rows[i].body);
        else
            assert_int_equal(result.body.size_bytes, 0);
    }
    guarded_clear(&result.body);
}

static void test_head(void **state)
{
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    const struct http_call call = {.method = HTTP_HEAD, .target = "/head", .timeout_ms = 5000};
    assert_ok(http_client_call(client, &call, &result.status, &result.body, &result.err),
              &result.err);
    assert_int_equal(result.body.size_bytes, 0);
    get(client, "/ok", &result); /* on the same connection */
    assert_ok(result.result, &result.err);
    guarded_clear(&result.body);
}

static void test_what_is_sent(void **state)
{
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    struct result result = {0};
    assert_ok(lethe_secret_create(5, &token, &result.err), &result.err);
    memcpy(lethe_secret_bytes(token), "s.abc", 5);
    const struct http_call call = {
        .method = HTTP_LIST, .target = "/echo", .token = token, .body = "BODY", .body_bytes = 4};
    for (unsigned i = 0; i < 3; i++) { /* over one connection */
        char served[16];
        snprintf(served, sizeof served, "served=%u&BODY", i);
        assert_ok(http_client_call(client, &call, &result.status, &result.body, &result.err),
                  &result.err);
        assert_true(body_has(&result, "method=LIST&token=s.abc&host=localhost:"));
        assert_true(body_has(&result, served));
    }
    guarded_clear(&result.body);
}

/* Nothing that a caller passes may become a header of its own. */
static void test_no_smuggling_out(void **state)
{
    static const char *const targets[] = {"",      "ok",    "/a b",     "/a\r\nX: y",
                                          "/a\nb", "/\x7f", "/\xc3\xa4"};
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    struct result result = {0};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        get(client, targets[i], &result);
        assert_result(LETHE_INVALID, result.result);
    }
    assert_ok(lethe_secret_create(6, &token, &result.err), &result.err);
    memcpy(lethe_secret_bytes(token), "a\r\nb:c", 6);
    const struct http_call call = {.method = HTTP_GET, .target = "/echo", .token = token};
    assert_result(LETHE_INVALID,
                  http_client_call(client, &call, &result.status, &result.body, &result.err));
    assert_null(strstr(result.err.text, "b:c"));
    guarded_clear(&result.body);
}

/* P-2: an answer that two readers may read in two ways is none. */
static void test_lying_answers(void **state)
{
    static const char *const targets[] = {
        "/two-lengths",
        "/length-and-chunked",
        "/signed-length",
        "/huge-length",
        "/short",
        "/folded",
        "/spaced",
        "/bare-lf",
        "/one-lf",
        "/nul",
        "/old",
        "/interim",
        "/upgrade",
        "/gzip",
        "/bad-chunk",
        "/chunk-lf",
        "/chunk-overflow",
        "/trailer",
        "/behind",
        "/not-http",
        "/big-head",
        "/many-headers",
        "/body-in-204",
        "/until-close",
        "/too-large",
    };
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        get(client, targets[i], &result);
        if (result.result != LETHE_MALFORMED)
            fail_msg("%s: %s, %s", targets[i], lethe_result_name(result.result), result.err.text);
        assert_int_equal(result.body.size_bytes, 0);
        get(client, "/ok", &result); /* and the next call has a connection of its own */
        assert_ok(result.result, &result.err);
    }
    guarded_clear(&result.body);
}

static void test_cut(void **state)
{
    static const char *const targets[] = {"/cut", "/cut-head"};
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        get(client, targets[i], &result);
        assert_result(LETHE_UNAVAILABLE, result.result);
        assert_int_equal(result.body.size_bytes, 0);
    }
    guarded_clear(&result.body);
}

/* The deadline is for all of the answer: bytes that trickle in do not move it. */
static void test_slow(void **state)
{
    static const char *const targets[] = {"/hang?20", "/drip"};
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        const struct http_call call = {.method = HTTP_GET, .target = targets[i], .timeout_ms = 300};
        assert_result(LETHE_UNAVAILABLE,
                      http_client_call(client, &call, &result.status, &result.body, &result.err));
        assert_non_null(strstr(result.err.text, "within 300 ms"));
    }
    guarded_clear(&result.body);
}

/* A connection that has ended meanwhile costs nobody an error. */
static void test_connection_gone(void **state)
{
    static const char *const ends[] = {"/quiet-end", "/said-end"};
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    struct result result = {0};
    for (size_t i = 0; i < 6; i++) {
        get(client, ends[i % 2], &result);
        assert_ok(result.result, &result.err);
        get(client, "/ok", &result);
        assert_ok(result.result, &result.err);
    }
    guarded_clear(&result.body);
}

static void test_nobody_there(void **state)
{
    struct result result = {0};
    CLEANUP(http_client_free)
    struct http_client *client = connect_to("https://127.0.0.1:1", &authority, NULL);
    get(client, "/ok", &result);
    assert_result(LETHE_UNAVAILABLE, result.result);
    assert_non_null(strstr(result.err.text, "127.0.0.1:1"));
}

/* P-2: nothing is sent to whom is not proven. */
static void test_wrong_server(void **state)
{
    struct result result = {0};
    CLEANUP(http_client_free) struct http_client *unknown = connect_to(peer.url, &stranger, NULL);
    get(unknown, "/ok", &result);
    assert_result(LETHE_DENIED, result.result);

    struct peer other;
    start_peer(&other, &elsewhere, NULL, NULL);
    CLEANUP(http_client_free) struct http_client *named = connect_to(other.url, &authority, NULL);
    get(named, "/ok", &result);
    assert_result(LETHE_DENIED, result.result);
    peer_stop(&other);
}

static void test_old_tls(void **state)
{
    struct peer old;
    struct result result = {0};
    start_peer(&old, &server, "--tls12", NULL);
    CLEANUP(http_client_free) struct http_client *client = connect_to(old.url, &authority, NULL);
    get(client, "/ok", &result);
    assert_true(result.result == LETHE_MALFORMED || result.result == LETHE_DENIED);
    peer_stop(&old);
}

/* In TLS 1.3 a client without a certificate learns only behind the handshake that it was refused.
 */
static void test_client_certificate(void **state)
{
    struct peer strict;
    struct result result = {0};
    CLEANUP(memory_free) char *roots = put_pem("roots.pem", authority.certificate_pem);
    start_peer(&strict, &server, "--client-roots", roots);
    CLEANUP(http_client_free) struct http_client *nobody = connect_to(strict.url, &authority, NULL);
    get(nobody, "/ok", &result);
    assert_result(LETHE_DENIED, result.result);
    CLEANUP(http_client_free)
    struct http_client *other = connect_to(strict.url, &authority, &stranger);
    get(other, "/ok", &result);
    assert_result(LETHE_DENIED, result.result);
    CLEANUP(http_client_free)
    struct http_client *known = connect_to(strict.url, &authority, &client_identity);
    get(known, "/ok", &result);
    assert_ok(result.result, &result.err);
    guarded_clear(&result.body);
    peer_stop(&strict);
}

/* ---- streams --------------------------------------------------------------------------------- */

struct heard {
    char text[256];
    size_t length;
    size_t stop_at; /* 0: never */
};

static lethe_result hear(void *context, const uint8_t *bytes, size_t size_bytes,
                         struct lethe_error *err)
{
    struct heard *heard = context;
    assert_true(heard->length + size_bytes < sizeof heard->text);
    memcpy(heard->text + heard->length, bytes, size_bytes);
    heard->length += size_bytes;
    if (heard->stop_at > 0 && heard->length >= heard->stop_at)
        return error_set(err, LETHE_CANCELLED, "enough");
    return LETHE_OK;
}

static void test_stream(void **state)
{
    static const struct {
        const char *target;
        size_t stop_at;
        lethe_result result;
        const char *text;
    } rows[] = {
        {"/events?3", 0, LETHE_UNAVAILABLE, "event 0\nevent 1\nevent 2\n"},
        {"/events?9", 24, LETHE_CANCELLED, "event 0\nevent 1\nevent 2\n"},
        {"/until-close", 0, LETHE_OK, "as long as it lasts"},
        {"/chunked", 0, LETHE_OK, "one two three"},
        {"/cut", 0, LETHE_UNAVAILABLE, "one two "},
    };
    CLEANUP(http_client_free) struct http_client *client = connect_to(peer.url, &authority, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct heard heard = {.stop_at = rows[i].stop_at};
        struct lethe_error err = {0};
        unsigned status = 0;
        const struct http_call call = {.method = HTTP_GET, .target = rows[i].target};
        assert_result(rows[i].result,
                      http_client_stream(client, &call, 300, hear, &heard, &status, &err));
        assert_int_equal(status, 200);
        assert_memory_equal(heard.text, rows[i].text, strlen(rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_answers),  cmocka_unit_test(test_head),
        cmocka_unit_test(test_what_is_sent),  cmocka_unit_test(test_no_smuggling_out),
        cmocka_unit_test(test_lying_answers), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_slow),          cmocka_unit_test(test_connection_gone),
        cmocka_unit_test(test_nobody_there),  cmocka_unit_test(test_wrong_server),
        cmocka_unit_test(test_old_tls),       cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
