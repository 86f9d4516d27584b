#include "x509_check.h"

static const enum signature_kind kinds[] = {SIGNATURE_ED25519, SIGNATURE_ECDSA_P256,
                                            SIGNATURE_ECDSA_P384};

static void test_blocks(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(holder_clear) struct holder a = make_root("A", SIGNATURE_ED25519);
    CLEANUP(holder_clear) struct holder b = make_root("B", SIGNATURE_ECDSA_P256);
    struct buffer pem = {0}, der = {0}, expected = {0};
    buffer_text(&pem, "subject=CN = A\n");
    x509_pem_append(X509_PEM_CERTIFICATE, a.der.bytes, a.der.size_bytes, &pem);
    x509_pem_append(X509_PEM_REQUEST, "x", 1, &pem);
    x509_pem_append(X509_PEM_CERTIFICATE, b.der.bytes, b.der.size_bytes, &pem);
    buffer_prefixed(&expected, a.der.bytes, a.der.size_bytes);
    buffer_prefixed(&expected, b.der.bytes, b.der.size_bytes);
    assert_ok(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &der, &err), &err);
    assert_int_equal(der.size_bytes, expected.size_bytes);
    assert_memory_equal(der.bytes, expected.bytes, expected.size_bytes);
    buffer_truncate(&der, 0);
    assert_result(LETHE_MALFORMED,
                  x509_pem_read(X509_PEM_CRL, pem.bytes, pem.size_bytes, &der, &err));
    for (unsigned i = 0; i < X509_CHAIN_MAX; i++)
        x509_pem_append(X509_PEM_CERTIFICATE, "x", 1, &pem);
    assert_result(LETHE_MALFORMED,
                  x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &der, &err));
    buffer_clear(&pem);
    buffer_clear(&der);
    buffer_clear(&expected);
}

static void test_our_pem_is_openssls(void **state)
{
    CLEANUP(memory_free) char *path = temp_path("pem");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP(holder_clear) struct holder a = make_root("A", kinds[i]);
        put_pem(path, X509_PEM_CERTIFICATE, &a.der);
        assert_int_equal(openssl_tool("x509 -in %s", path), 0);
        struct buffer ours = get_file(path);
        assert_string_equal(tool_output, ours.bytes);
        buffer_clear(&ours);
    }
}

static void test_broken_blocks(void **state)
{
    static const char *const bad[] = {
        "",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nQUJD\n",
        "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE",
        "-----BEGIN CERTIFICATE-----\nQUJD\n-----END X509 CRL-----\n",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nQUJ\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nQU=D\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nQUJD\nProc-Type: 4\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "----- BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buffer der = {0};
        lethe_result got = x509_pem_read(X509_PEM_CERTIFICATE, bad[i], strlen(bad[i]), &der, NULL);
        if (got != LETHE_MALFORMED)
            fail_msg("text %zu: %s", i, lethe_result_name(got));
        buffer_clear(&der);
    }
}

/* Private keys go to openssl, which knows their public halves. */
static void test_private_keys(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *path = temp_path("key");
    for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(kinds[i / 2]);
        CLEANUP(lethe_secret_free) struct lethe_secret *pem = NULL;
        assert_ok(x509_private_pem(pair, i % 2 == 1, &pem, &err), &err);
        put_file(path, lethe_secret_bytes(pem), lethe_secret_size(pem));
        struct buffer ours = {0};
        assert_ok(sign_public_pem(sign_pair_public(pair), &ours, &err), &err);
        assert_int_equal(openssl_tool("pkey -pubout -in %s", path), 0);
        assert_string_equal(tool_output, ours.bytes);
        assert_int_equal(
            memmem(lethe_secret_bytes(pem), lethe_secret_size(pem), "EC PRIVATE", 10) != NULL,
            i == 3 || i == 5);
        buffer_clear(&ours);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_our_pem_is_openssls),
        cmocka_unit_test(test_broken_blocks),
        cmocka_unit_test(test_private_keys),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
