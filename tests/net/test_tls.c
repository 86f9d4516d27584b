/* Two of ours on a pair of sockets: what each sees of the other. */
#include "check.h"

#include <fcntl.h>

#include "crypto/crypto.h"
#include "tls_pair.h"

static struct identity_files authority, stranger, server, other_name, client, wrong, expired;
static bool bulk; /* everything here holds for both kinds of contexts */

static struct tls_context *context_of(const struct identity_files *identity, const char *roots_pem,
                                      const char *crls_pem, enum tls_client_proof proof)
{
    const struct tls_options options = {
        .certificates_pem = identity != NULL ? identity->certificate_pem : NULL,
        .key_pem = identity != NULL ? identity->key_pem : NULL,
        .roots_pem = roots_pem,
        .crls_pem = crls_pem,
        .client_proof = proof,
        .bulk = bulk,
    };
    return pair_context(&options, identity == &server || identity == &other_name);
}

/* ---- proofs ---------------------------------------------------------------------------------- */

static void clients_check_servers(void **state)
{
    static const struct {
        const struct identity_files *server, *root;
        const char *host;
        bool believed;
    } cases[] = {
        {&server, &authority, "localhost", true},
        {&server, &authority, "LOCALHOST", true},
        {&server, &authority, "127.0.0.1", true},
        {&server, &authority, "::1", false},
        {&server, &authority, "example.org", false},
        {&server, &authority, "server", false}, /* the common name is no name */
        {&server, &stranger, "localhost", false},
        {&other_name, &authority, "keys.example.org", true},
        {&other_name, &authority, "a.keys.example.org", false},
        {&other_name, &authority, "localhost", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side a, b;
        open_pair(context_of(cases[i].server, NULL, NULL, TLS_CLIENT_NOT_ASKED),
                  context_of(NULL, cases[i].root->certificate_pem, NULL, 0), cases[i].host, &a, &b);
        shake_hands(&a, &b);
        if (is_done(&b) != cases[i].believed)
            fail_msg("case %zu: %s", i, b.err.text);
        if (!cases[i].believed) {
            assert_int_equal(b.result, LETHE_DENIED);
            assert_non_null(strstr(b.err.text, "the peer's certificate is not believed"));
            assert_int_equal(a.result, LETHE_DENIED); /* it is told */
            assert_non_null(strstr(a.err.text, "the peer does not believe our certificate"));
        }
        close_pair(&a, &b);
    }
}

/* With TLS 1.3 a client learns of its refusal when it reads. */
static void refused_clients_are_told(void **state)
{
    static const struct {
        const struct identity_files *client;
        const char *why;
    } cases[] = {
        {NULL, "shows no certificate"},
        {&wrong, "is not believed"},
        {&expired, "expired"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side a, b;
        uint8_t byte;
        size_t got;
        open_pair(context_of(&server, authority.certificate_pem, NULL, TLS_CLIENT_MUST),
                  context_of(cases[i].client, authority.certificate_pem, NULL, 0), "localhost", &a,
                  &b);
        shake_hands(&a, &b);
        assert_int_equal(a.result, LETHE_DENIED);
        if (strstr(a.err.text, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, a.err.text);
        assert_true(is_done(&b));
        assert_result(LETHE_DENIED, tls_read(b.connection, &byte, 1, &got, &b.want, &b.err));
        assert_non_null(strstr(b.err.text, "the peer does not believe our certificate"));
        close_pair(&a, &b);
    }
}

static void chains_are_given(void **state)
{
    struct side a, b;
    CLEANUP(buffer_clear) struct buffer of_client = {0};
    CLEANUP(buffer_clear) struct buffer of_server = {0};
    uint8_t *der = NULL;
    open_pair(context_of(&server, authority.certificate_pem, NULL, TLS_CLIENT_MUST),
              context_of(&client, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    assert_true(is_done(&a) && is_done(&b));
    assert_result(LETHE_OK, tls_peer_chain(a.connection, &of_client, NULL));
    assert_result(LETHE_OK, tls_peer_chain(b.connection, &of_server, NULL));
    int size = i2d_X509(client.certificate, &der);
    assert_true(of_client.size_bytes >= (size_t)size + 4);
    assert_memory_equal(of_client.bytes + 4, der, (size_t)size);
    OPENSSL_free(der);
    der = NULL;
    size = i2d_X509(server.certificate, &der);
    assert_memory_equal(of_server.bytes, &(uint32_t){(uint32_t)size}, 4);
    assert_memory_equal(of_server.bytes + 4, der, (size_t)size);
    OPENSSL_free(der);
    close_pair(&a, &b);
}

static void no_certificate_no_chain(void **state)
{
    struct side a, b;
    CLEANUP(buffer_clear) struct buffer chain = {0};
    open_pair(context_of(&server, authority.certificate_pem, NULL, TLS_CLIENT_MAY),
              context_of(NULL, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    assert_true(is_done(&a));
    assert_result(LETHE_OK, tls_peer_chain(a.connection, &chain, NULL));
    assert_int_equal(chain.size_bytes, 0);
    close_pair(&a, &b);
}

static void peers_say_who_they_are(void **state)
{
    static struct identity_files two_names, no_spiffe, issuer;
    certificate_make(&authority, "two", "URI:spiffe://example.org/a,URI:spiffe://example.org/b", 10,
                     &two_names);
    certificate_make(&authority, "other", "URI:https://example.org/client", 10, &no_spiffe);
    certificate_make(NULL, "issuer", "URI:spiffe://example.org/client", 10, &issuer);
    const struct {
        const struct identity_files *client;
        const char *id, *why;
    } cases[] = {
        {&client, "spiffe://example.org/client", NULL},
        {NULL, NULL, "shows no certificate"},
        {&other_name, NULL, "0 URIs instead of one"},
        {&two_names, NULL, "2 URIs instead of one"},
        {&no_spiffe, NULL, "spiffe://"},
        {&issuer, NULL, "an authority's"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side a, b;
        struct spiffe_id id;
        struct lethe_error err;
        const struct tls_options options = {
            .certificates_pem = cases[i].client != NULL ? cases[i].client->certificate_pem : NULL,
            .key_pem = cases[i].client != NULL ? cases[i].client->key_pem : NULL,
            .roots_pem = authority.certificate_pem,
            .bulk = bulk,
        };
        char roots[2 * sizeof authority.certificate_pem];
        snprintf(roots, sizeof roots, "%s%s", authority.certificate_pem, issuer.certificate_pem);
        open_pair(context_of(&server, roots, NULL, TLS_CLIENT_MAY), pair_context(&options, false),
                  "localhost", &a, &b);
        shake_hands(&a, &b);
        assert_true(is_done(&a) && is_done(&b));
        lethe_result result = tls_peer_spiffe(a.connection, &id, &err);
        if (cases[i].id != NULL) {
            assert_ok(result, &err);
            assert_string_equal(id.text, cases[i].id);
        } else if (result != LETHE_DENIED || strstr(err.text, cases[i].why) == NULL) {
            fail_msg("case %zu: %s: %s", i, lethe_result_name(result), err.text);
        }
        assert_result(LETHE_DENIED, tls_peer_spiffe(b.connection, &id, NULL)); /* DNS names only */
        close_pair(&a, &b);
    }
    certificate_free(&two_names);
    certificate_free(&no_spiffe);
    certificate_free(&issuer);
}

/* ---- revocation ------------------------------------------------------------------------------ */

static void make_crl(const struct identity_files *issuer, const struct identity_files *revoked,
                     long seconds, char out[4096])
{
    const char *bytes;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->certificate));
    X509_CRL_set1_lastUpdate(crl, X509_gmtime_adj(time, -7200));
    X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(time, seconds));
    if (revoked != NULL) {
        X509_REVOKED *row = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(row, X509_get_serialNumber(revoked->certificate));
        X509_REVOKED_set_revocationDate(row, X509_gmtime_adj(time, -3600));
        X509_CRL_add0_revoked(crl, row);
    }
    assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
    BIO *text = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_CRL(text, crl);
    long size = BIO_get_mem_data(text, &bytes);
    assert_true(size > 0 && size < 4096);
    memcpy(out, bytes, (size_t)size);
    out[size] = '\0';
    BIO_free(text);
    ASN1_TIME_free(time);
    X509_CRL_free(crl);
}

static void revoked_clients_are_refused(void **state)
{
    const struct {
        const struct identity_files *issuer, *revoked;
        long seconds;
        bool believed;
    } cases[] = {
        {&authority, NULL, 3600, true},     {&authority, &server, 3600, true},
        {&authority, &client, 3600, false}, {&authority, NULL, -60, false}, /* too old */
        {&stranger, &client, 3600, true}, /* not theirs to revoke */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side a, b;
        char crl[4096];
        make_crl(cases[i].issuer, cases[i].revoked, cases[i].seconds, crl);
        open_pair(context_of(&server, authority.certificate_pem, crl, TLS_CLIENT_MUST),
                  context_of(&client, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
        shake_hands(&a, &b);
        if (is_done(&a) != cases[i].believed)
            fail_msg("case %zu: %s", i, a.err.text);
        close_pair(&a, &b);
    }
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void bytes_go_through_small_pipes(void **state)
{
    struct side a, b;
    static uint8_t sent[300000], got[300000];
    size_t sent_bytes = 0, got_bytes = 0, step;
    int small = 4096;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 31 + i / 7);
    open_pair(context_of(&server, NULL, NULL, TLS_CLIENT_NOT_ASKED),
              context_of(NULL, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    setsockopt(tls_fd(a.connection), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (bool waited = false; got_bytes < sizeof got;) {
        if (sent_bytes < sizeof sent) {
            assert_result(LETHE_OK, tls_write(a.connection, sent + sent_bytes,
                                              sizeof sent - sent_bytes, &step, &a.want, NULL));
            sent_bytes += step;
            waited |= a.want == TLS_WANT_WRITE;
        }
        assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
        waited |= a.want == TLS_WANT_WRITE;
        assert_result(LETHE_OK, tls_read(b.connection, got + got_bytes,
                                         MIN(sizeof got - got_bytes, 5000u), &step, &b.want, NULL));
        got_bytes += step;
        if (got_bytes == sizeof got)
            assert_true(waited);
    }
    assert_memory_equal(sent, got, sizeof sent);
    assert_false(tls_pending(b.connection));
    close_pair(&a, &b);
}

static void ends_are_told_apart(void **state)
{
    struct side a, b;
    uint8_t byte;
    size_t got;
    open_pair(context_of(&server, NULL, NULL, TLS_CLIENT_NOT_ASKED),
              context_of(NULL, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    tls_finish(a.connection);
    assert_result(LETHE_OK, tls_read(b.connection, &byte, 1, &got, &b.want, NULL));
    assert_int_equal(b.want, TLS_CLOSED);
    close_pair(&a, &b);
    open_pair(context_of(&server, NULL, NULL, TLS_CLIENT_NOT_ASKED),
              context_of(NULL, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    shutdown(tls_fd(a.connection), SHUT_RDWR); /* as who cuts the line does */
    assert_result(LETHE_IO, tls_read(b.connection, &byte, 1, &got, &b.want, NULL));
    close_pair(&a, &b);
}

/* Without SIGPIPE, whose default would end this test. */
static void writing_to_nobody_is_an_error(void **state)
{
    struct side a, b;
    uint8_t bytes[1000] = {0};
    size_t written;
    lethe_result result = LETHE_OK;
    open_pair(context_of(&server, NULL, NULL, TLS_CLIENT_NOT_ASKED),
              context_of(NULL, authority.certificate_pem, NULL, 0), "localhost", &a, &b);
    shake_hands(&a, &b);
    tls_free(MOVE(b.connection));
    for (unsigned i = 0; i < 3 && result == LETHE_OK; i++) {
        result = tls_write(a.connection, bytes, sizeof bytes, &written, &a.want, NULL);
        if (result == LETHE_OK)
            result = tls_flush(a.connection, &a.want, NULL);
    }
    assert_int_equal(result, LETHE_IO);
    close_pair(&a, &b);
}

/* ---- what contexts are made of --------------------------------------------------------------- */

static void broken_parts_are_refused(void **state)
{
    struct tls_context *context;
    struct lethe_error err;
    struct lethe_secret *nonsense;
    char cut[4096];
    assert_result(LETHE_OK, lethe_secret_create(64, &nonsense, NULL));
    memset(lethe_secret_bytes(nonsense), 'n', 64);
    snprintf(cut, sizeof cut, "%s", server.certificate_pem);
    cut[strlen(cut) / 2] = '\0';
    const struct {
        struct tls_options options;
        lethe_result result;
    } cases[] = {
        {{.certificates_pem = NULL}, LETHE_INVALID},
        {{.certificates_pem = server.certificate_pem}, LETHE_INVALID},
        {{.certificates_pem = "", .key_pem = server.key_pem}, LETHE_MALFORMED},
        {{.certificates_pem = "nonsense", .key_pem = server.key_pem}, LETHE_MALFORMED},
        {{.certificates_pem = cut, .key_pem = server.key_pem}, LETHE_MALFORMED},
        {{.certificates_pem = server.certificate_pem, .key_pem = nonsense}, LETHE_MALFORMED},
        {{.certificates_pem = server.certificate_pem, .key_pem = client.key_pem}, LETHE_INVALID},
        {{.certificates_pem = server.certificate_pem,
          .key_pem = server.key_pem,
          .client_proof = TLS_CLIENT_MUST},
         LETHE_INVALID},
        {{.certificates_pem = server.certificate_pem,
          .key_pem = server.key_pem,
          .client_proof = TLS_CLIENT_MUST,
          .roots_pem = cut},
         LETHE_MALFORMED},
        {{.certificates_pem = server.certificate_pem,
          .key_pem = server.key_pem,
          .client_proof = TLS_CLIENT_MUST,
          .roots_pem = authority.certificate_pem,
          .crls_pem = "nonsense"},
         LETHE_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_options options = cases[i].options;
        options.bulk = bulk;
        lethe_result result = tls_server_create(&options, &context, &err);
        if (result != cases[i].result)
            fail_msg("case %zu: %s: %s", i, lethe_result_name(result), err.text);
        assert_null(strstr(err.text, "nnnn"));
    }
    lethe_secret_free(nonsense);
}

static void failed_connections_leave_the_socket(void **state)
{
    struct tls_context *context = context_of(NULL, authority.certificate_pem, NULL, 0);
    struct tls_connection *connection;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_result(LETHE_INVALID, tls_connect(context, pair[0], "", &connection, NULL));
    assert_true(fcntl(pair[0], F_GETFD) >= 0);
    close(pair[0]);
    close(pair[1]);
    tls_context_free(context);
}

static int make_identities(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(NULL, "stranger", NULL, 10, &stranger);
    certificate_make(&authority, "server", "DNS:localhost,IP:127.0.0.1", 10, &server);
    certificate_make(&authority, "server", "DNS:keys.example.org", 10, &other_name);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    certificate_make(&stranger, "client", "URI:spiffe://example.org/client", 10, &wrong);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", -1, &expired);
    return 0;
}

static int make_identities_for_bulk(void **state)
{
    bulk = true;
    return make_identities(state);
}

static int free_identities(void **state)
{
    struct identity_files *all[] = {&authority, &stranger, &server, &other_name,
                                    &client,    &wrong,    &expired};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certificate_free(all[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_check_servers),
        cmocka_unit_test(refused_clients_are_told),
        cmocka_unit_test(chains_are_given),
        cmocka_unit_test(no_certificate_no_chain),
        cmocka_unit_test(peers_say_who_they_are),
        cmocka_unit_test(revoked_clients_are_refused),
        cmocka_unit_test(bytes_go_through_small_pipes),
        cmocka_unit_test(ends_are_told_apart),
        cmocka_unit_test(writing_to_nobody_is_an_error),
        cmocka_unit_test(broken_parts_are_refused),
        cmocka_unit_test(failed_connections_leave_the_socket),
    };
    return cmocka_run_group_tests_name("plain", tests, make_identities, free_identities) +
           cmocka_run_group_tests_name("bulk", tests, make_identities_for_bulk, free_identities);
}
