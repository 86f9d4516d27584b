#include "x509_check.h"

#define SPIFFE "spiffe://lethe.test/tenant/acme/api"

static const enum signature_kind kinds[] = {SIGNATURE_ED25519, SIGNATURE_ECDSA_P256,
                                            SIGNATURE_ECDSA_P384};

static struct x509_template full_template(void)
{
    struct x509_template t = template_of("api.lethe.test", 7);
    t.subject.organizations = (struct x509_list){.at = {"Acme", "Acme Labs"}, .count = 2};
    t.subject.units = (struct x509_list){.at = {"Models"}, .count = 1};
    t.subject.countries = (struct x509_list){.at = {"GB"}, .count = 1};
    t.subject.provinces = (struct x509_list){.at = {"Kent"}, .count = 1};
    t.subject.localities = (struct x509_list){.at = {"Dover \xc3\xa9"}, .count = 1};
    t.subject.dns_names = (struct x509_list){.at = {"api.lethe.test", "b.lethe.test"}, .count = 2};
    t.subject.ip_addresses = (struct x509_list){.at = {"127.0.0.1", "::1"}, .count = 2};
    t.subject.uris = (struct x509_list){.at = {SPIFFE}, .count = 1};
    t.subject.emails = (struct x509_list){.at = {"ops@lethe.test"}, .count = 1};
    t.extended_usage = X509_SERVER_AUTH | X509_CLIENT_AUTH;
    t.crl_url = "http://lethe.test/crl";
    return t;
}

static int verify(const char *directory, const char *purpose, uint64_t now_s)
{
    return openssl_tool("verify -x509_strict -check_ss_sig -purpose %s -attime %llu "
                        "-CAfile %s/root -untrusted %s/middle %s/leaf",
                        purpose, (unsigned long long)now_s, directory, directory, directory);
}

/* K-4: what we issue is a certificate to everyone else, in the strictest reading. */
static void test_openssl_verifies_what_we_issue(void **state)
{
    CLEANUP(memory_free) char *directory = temp_dir();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP(holder_clear) struct holder root = make_root("Lethe Root", kinds[i]);
        struct x509_template middle_template = template_of("Lethe Issuing", 2);
        middle_template.is_ca = true;
        middle_template.max_path_length = 0;
        CLEANUP(holder_clear)
        struct holder middle =
            make_holder(&middle_template, &root, kinds[(i + 1) % ARRAY_LEN(kinds)]);
        struct x509_template t = full_template();
        CLEANUP(holder_clear) struct holder leaf = make_holder(&t, &middle, kinds[i]);
        put_pem(path_in(directory, "root"), X509_PEM_CERTIFICATE, &root.der);
        put_pem(path_in(directory, "middle"), X509_PEM_CERTIFICATE, &middle.der);
        put_pem(path_in(directory, "leaf"), X509_PEM_CERTIFICATE, &leaf.der);
        if (verify(directory, "sslclient", NOW_S) != 0)
            fail_msg("%s", tool_output);
        assert_int_equal(verify(directory, "sslserver", NOW_S), 0);
        assert_int_not_equal(verify(directory, "smimesign", NOW_S), 0);
        assert_int_not_equal(verify(directory, "sslclient", NOW_S + 2 * DAY_S), 0);
    }
}

static void assert_list(const struct x509_list *expected, const struct x509_list *got)
{
    assert_int_equal(got->count, expected->count);
    for (size_t i = 0; i < expected->count; i++)
        assert_string_equal(got->at[i], expected->at[i]);
}

static void assert_subject(const struct x509_subject *expected, const struct x509_subject *got)
{
    assert_string_equal(got->common_name, expected->common_name);
    assert_list(&expected->organizations, &got->organizations);
    assert_list(&expected->units, &got->units);
    assert_list(&expected->countries, &got->countries);
    assert_list(&expected->provinces, &got->provinces);
    assert_list(&expected->localities, &got->localities);
    assert_list(&expected->dns_names, &got->dns_names);
    assert_list(&expected->ip_addresses, &got->ip_addresses);
    assert_list(&expected->uris, &got->uris);
    assert_list(&expected->emails, &got->emails);
}

static void test_reads_what_it_issues(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(holder_clear) struct holder root = make_root("Root", SIGNATURE_ECDSA_P256);
    struct x509_template t = full_template();
    CLEANUP(holder_clear) struct holder leaf = make_holder(&t, &root, SIGNATURE_ED25519);
    CLEANUP(x509_summary_clear) struct x509_summary s = {0}, r = {0};
    assert_ok(x509_read(leaf.der.bytes, leaf.der.size_bytes, &s, &err), &err);
    assert_ok(x509_read(root.der.bytes, root.der.size_bytes, &r, &err), &err);
    assert_subject(&t.subject, &s.subject);
    assert_int_equal(s.serial_bytes, X509_SERIAL_BYTES);
    assert_memory_equal(s.serial, t.serial, X509_SERIAL_BYTES);
    assert_int_equal(s.not_before_s, t.not_before_s);
    assert_int_equal(s.not_after_s, t.not_after_s);
    assert_false(s.is_ca);
    assert_true(r.is_ca);
    assert_int_equal(s.authority_key_id_bytes, r.subject_key_id_bytes);
    assert_memory_equal(s.authority_key_id, r.subject_key_id, r.subject_key_id_bytes);
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES], expected[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes, expected_bytes;
    sign_public_raw(s.key, raw, &raw_bytes);
    sign_public_raw(sign_pair_public(leaf.pair), expected, &expected_bytes);
    assert_int_equal(raw_bytes, expected_bytes);
    assert_memory_equal(raw, expected, raw_bytes);
}

/* Certificates and requests that openssl made, with RSA as well, are read. */
static void test_reads_what_openssl_makes(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = temp_dir();
    static const struct {
        const char *key;
        bool has_key;
    } made[] = {{"ec -pkeyopt ec_paramgen_curve:P-256", true},
                {"ec -pkeyopt ec_paramgen_curve:P-384", true},
                {"ed25519", true},
                {"rsa:2048", false}};
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        const char *names = "-subj /C=GB/O=Acme/CN=a.test -addext "
                            "subjectAltName=DNS:a.test,IP:10.0.0.1,URI:" SPIFFE;
        assert_int_equal(openssl_tool("req -x509 -nodes -newkey %s -keyout %s/key -out %s/cert %s",
                                      made[i].key, directory, directory, names),
                         0);
        assert_int_equal(
            openssl_tool("req -new -key %s/key -out %s/csr %s", directory, directory, names), 0);
        struct buffer pem = get_file(path_in(directory, "cert")), der = {0};
        assert_ok(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &der, &err), &err);
        CLEANUP(x509_summary_clear) struct x509_summary s = {0}, q = {0};
        assert_ok(x509_read(der.bytes + 4, der.size_bytes - 4, &s, &err), &err);
        assert_string_equal(s.subject.common_name, "a.test");
        assert_string_equal(s.subject.ip_addresses.at[0], "10.0.0.1");
        assert_string_equal(s.subject.uris.at[0], SPIFFE);
        assert_true(s.is_ca);
        assert_int_equal(s.key != NULL, made[i].has_key);
        buffer_clear(&pem);
        buffer_clear(&der);
        pem = get_file(path_in(directory, "csr"));
        assert_ok(x509_pem_read(X509_PEM_REQUEST, pem.bytes, pem.size_bytes, &der, &err), &err);
        assert_ok(x509_read_request(der.bytes + 4, der.size_bytes - 4, &q, &err), &err);
        assert_string_equal(q.subject.uris.at[0], SPIFFE);
        assert_int_equal(q.key != NULL, made[i].has_key);
        buffer_clear(&pem);
        buffer_clear(&der);
    }
}

static void test_refuses_templates_that_make_no_certificate(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(holder_clear) struct holder root = make_root("Root", SIGNATURE_ECDSA_P256);
    struct x509_template usual = full_template();
    CLEANUP(holder_clear) struct holder leaf = make_holder(&usual, &root, SIGNATURE_ED25519);
    struct x509_template bad[14];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        bad[i] = full_template();
    memset(bad[0].serial, 0, X509_SERIAL_BYTES);
    bad[1].serial[0] = 0x80;
    bad[2].not_before_s = bad[2].not_after_s + 1;
    bad[3].not_after_s = UINT64_C(253402300800);
    bad[4].subject = (struct x509_subject){0};
    bad[5].subject.countries.at[0] = "GBR";
    bad[6].subject.ip_addresses.at[0] = "localhost";
    bad[7].subject.dns_names.at[0] = "a b";
    bad[8].subject.common_name = "a\nb";
    bad[9].key_usage = X509_CERT_SIGN;
    bad[10].permitted_dns = (struct x509_list){.at = {"a.test"}, .count = 1};
    bad[11].is_ca = true;
    bad[11].subject = (struct x509_subject){.dns_names = {.at = {"a.test"}, .count = 1}};
    bad[12].subject.uris.at[0] = "";
    bad[13].subject.common_name =
        "a name of more than sixty-four characters, which is what X.520 allows at most";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buffer der = {0};
        lethe_result got = x509_issue(&bad[i], sign_pair_public(leaf.pair), root.pair,
                                      root.der.bytes, root.der.size_bytes, &der, &err);
        if (got != LETHE_INVALID || der.size_bytes != 0)
            fail_msg("template %zu: %s", i, lethe_result_name(got));
        buffer_clear(&der);
    }
    struct buffer der = {0};
    assert_result(LETHE_INVALID, x509_issue(&usual, sign_pair_public(leaf.pair), leaf.pair,
                                            leaf.der.bytes, leaf.der.size_bytes, &der, &err));
    assert_result(LETHE_INVALID, x509_issue(&usual, sign_pair_public(leaf.pair), leaf.pair,
                                            root.der.bytes, root.der.size_bytes, &der, &err));
    assert_result(LETHE_INVALID,
                  x509_issue(&usual, sign_pair_public(leaf.pair), root.pair, NULL, 0, &der, &err));
    assert_int_equal(der.size_bytes, 0);
}

/* The text of `from` in the DER becomes `to`, of the same length. */
static void replace(struct buffer *der, const char *from, const char *to)
{
    char *found = memmem(der->bytes, der->size_bytes, from, strlen(from));
    assert_non_null(found);
    memcpy(found, to, strlen(from));
}

static void test_refuses_hostile_texts(void **state)
{
    struct lethe_error err = {0};
    struct x509_summary s;
    struct x509_template t = template_of("good.test.evil.test", 3);
    CLEANUP(holder_clear) struct holder root = make_root("Root", SIGNATURE_ECDSA_P256);
    CLEANUP(holder_clear) struct holder leaf = make_holder(&t, &root, SIGNATURE_ED25519);
    assert_ok(x509_read(leaf.der.bytes, leaf.der.size_bytes, &s, &err), &err);
    x509_summary_clear(&s);
    replace(&leaf.der, "good.test.evil.test", "good.test\0evil.test");
    assert_result(LETHE_MALFORMED, x509_read(leaf.der.bytes, leaf.der.size_bytes, &s, &err));

    struct x509_template n = full_template();
    CLEANUP(holder_clear) struct holder named = make_holder(&n, &root, SIGNATURE_ED25519);
    replace(&named.der, SPIFFE, "spiffe://lethe.test/tenant/acm\0/api");
    assert_result(LETHE_MALFORMED, x509_read(named.der.bytes, named.der.size_bytes, &s, &err));
    assert_null(s.storage.bytes);
    assert_result(LETHE_MALFORMED, x509_read(named.der.bytes, 0, &s, &err));
}

static void test_refuses_truncation_and_what_follows(void **state)
{
    struct lethe_error err = {0};
    struct x509_summary s;
    CLEANUP(holder_clear) struct holder root = make_root("Root", SIGNATURE_ECDSA_P256);
    for (size_t size = 0; size < root.der.size_bytes; size++)
        assert_result(LETHE_MALFORMED, x509_read(root.der.bytes, size, &s, &err));
    buffer_byte(&root.der, 0);
    assert_result(LETHE_MALFORMED, x509_read(root.der.bytes, root.der.size_bytes, &s, &err));
    struct buffer large = {0};
    memset(buffer_extend(&large, X509_DER_MAX + 1), 0x30, X509_DER_MAX + 1);
    assert_result(LETHE_MALFORMED, x509_read(large.bytes, large.size_bytes, &s, &err));
    buffer_clear(&large);
}

/* A request is signed by its own key: whoever changes a byte of it is found out. */
static void test_requests(void **state)
{
    struct lethe_error err = {0};
    struct x509_template t = full_template();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(kinds[i]);
        struct buffer der = {0};
        assert_ok(x509_make_request(&t.subject, pair, &der, &err), &err);
        CLEANUP(x509_summary_clear) struct x509_summary s = {0};
        assert_ok(x509_read_request(der.bytes, der.size_bytes, &s, &err), &err);
        assert_subject(&t.subject, &s.subject);
        CLEANUP(memory_free) char *path = temp_path("csr");
        put_pem(path, X509_PEM_REQUEST, &der);
        assert_int_equal(openssl_tool("req -verify -noout -in %s", path), 0);
        for (size_t byte = 0; byte < der.size_bytes; byte++) {
            struct x509_summary bad;
            der.bytes[byte] ^= 1;
            lethe_result got = x509_read_request(der.bytes, der.size_bytes, &bad, &err);
            if (got != LETHE_MALFORMED && got != LETHE_INTEGRITY)
                fail_msg("byte %zu: %s", byte, lethe_result_name(got));
            der.bytes[byte] ^= 1;
        }
        buffer_clear(&der);
    }
}

static void test_serials(void **state)
{
    uint8_t serial[X509_SERIAL_BYTES];
    size_t size;
    char text[X509_SERIAL_TEXT_SIZE];
    assert_result(LETHE_OK, x509_serial_parse("0a:1B-ff", serial, &size));
    x509_serial_text(serial, size, text);
    assert_string_equal(text, "0a:1b:ff");
    assert_result(LETHE_OK, x509_serial_parse("00:ff", serial, &size));
    assert_int_equal(size, 1);
    static const char *const bad[] = {"",     ":",  "0",  "0a:",    "0a::1b",
                                      "0a1b", "0g", "00", "0a:1b ", "1:2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_MALFORMED, x509_serial_parse(bad[i], serial, &size));
    static const char too_long[] = "01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15";
    assert_result(LETHE_MALFORMED, x509_serial_parse(too_long, serial, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_verifies_what_we_issue),
        cmocka_unit_test(test_reads_what_it_issues),
        cmocka_unit_test(test_reads_what_openssl_makes),
        cmocka_unit_test(test_refuses_templates_that_make_no_certificate),
        cmocka_unit_test(test_refuses_hostile_texts),
        cmocka_unit_test(test_refuses_truncation_and_what_follows),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_serials),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
