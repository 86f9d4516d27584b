/* K-4: Vault's PKI calls, with openssl as the client that must believe what they give. */
#include "service_check.h"

#include "../crypto/x509_check.h"

static void put_member(struct check *check, const char *name, const char *path)
{
    const char *text = body_member(check, name);
    struct buffer plain = {0};
    for (; *text != '\0'; text++) {
        bool line = text[0] == '\\' && text[1] == 'n';
        buffer_byte(&plain, line ? '\n' : (uint8_t)*text);
        text += line;
    }
    buffer_byte(&plain, '\n');
    put_file(path, plain.bytes, plain.size_bytes);
    buffer_clear(&plain);
}

/* The file's text with its line ends as JSON has them. */
static char *json_of_file(const char *path)
{
    struct buffer text = get_file(path), out = {0};
    for (size_t i = 0; i < text.size_bytes; i++)
        if (text.bytes[i] == '\n')
            buffer_text(&out, "\\n");
        else
            buffer_byte(&out, (uint8_t)text.bytes[i]);
    buffer_byte(&out, '\0');
    buffer_clear(&text);
    return out.bytes;
}

static unsigned post(struct check *check, const char *path, const char *body)
{
    return call(check, "POST", path, check->root, body);
}

static void must_make_pki(struct check *check)
{
    assert_int_equal(200, post(check, "pki/root/generate/internal",
                               "{\"common_name\":\"Test Root\",\"ttl\":\"8760h\"}"));
    assert_int_equal(204, post(check, "pki/roles/web",
                               "{\"allowed_domains\":\"a.test, b.test\",\"allow_subdomains\":true,"
                               "\"max_ttl\":\"72h\",\"organization\":[\"Acme\"]}"));
}

static void nothing_is_there_before_a_root(void **state)
{
    struct check *check = *state;
    static const char *const open[] = {"pki/ca", "pki/ca/pem", "pki/ca_chain", "pki/crl",
                                       "pki/crl/pem"};
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        assert_int_equal(204, call(check, "GET", open[i], NULL, NULL));
    assert_int_equal(404, call(check, "LIST", "pki/roles", check->root, NULL));
    assert_int_equal(404, call(check, "LIST", "pki/certs", check->root, NULL));
    assert_int_equal(404, call(check, "GET", "pki/roles/web", check->root, NULL));
    assert_int_equal(404, call(check, "GET", "pki/cert/0a:1b", NULL, NULL));
    assert_int_equal(404, call(check, "GET", "pki/cert/nothing", NULL, NULL));
    assert_int_equal(404, call(check, "GET", "pki/cert/ca", NULL, NULL));
    assert_int_equal(400, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\"}"));
    assert_int_equal(400, post(check, "pki/revoke", "{\"serial_number\":\"0a:1b\"}"));
    assert_int_equal(204, call(check, "DELETE", "pki/root", check->root, NULL));
}

static void who_may_not_gets_nothing(void **state)
{
    struct check *check = *state;
    must_make_pki(check);
    static const char *const paths[] = {"pki/root/generate/internal", "pki/roles/other",
                                        "pki/issue/web", "pki/revoke", "pki/config/crl"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(403, call(check, "POST", paths[i], check->other, "{}"));
        assert_int_equal(403, call(check, "POST", paths[i], NULL, "{}"));
    }
    /* Even a root token takes no key out over the network. */
    assert_int_equal(204, call(check, "DELETE", "pki/root", check->root, NULL));
    assert_int_equal(403, post(check, "pki/root/generate/exported", "{\"common_name\":\"Out\"}"));
    assert_int_equal(200, call_operator(check, "POST", "pki/root/generate/exported",
                                        "{\"common_name\":\"Out\"}"));
    assert_has(check, "BEGIN EC PRIVATE KEY");
    assert_has(check, "\"private_key_type\":\"ec\"");
}

static void bad_roots_are_refused(void **state)
{
    struct check *check = *state;
    static const char *const bad[] = {
        "{}",
        "{\"common_name\":\"\"}",
        "{\"common_name\":\"x\",\"key_type\":\"rsa\"}",
        "{\"common_name\":\"x\",\"key_type\":\"ec\",\"key_bits\":521}",
        "{\"common_name\":\"x\",\"key_type\":\"any\"}",
        "{\"common_name\":\"x\",\"ttl\":\"1h\",\"not_after\":\"2099-01-01T00:00:00Z\"}",
        "{\"common_name\":\"x\",\"not_after\":\"2001-01-01T00:00:00Z\"}",
        "{\"common_name\":\"x\",\"not_after\":\"tomorrow\"}",
        "{\"common_name\":\"x\",\"format\":\"jks\"}",
        "{\"common_name\":\"x\",\"private_key_format\":\"raw\"}",
        "{\"common_name\":\"x\",\"ip_sans\":\"nowhere\"}",
        "{\"common_name\":\"x\",\"country\":\"England\"}",
        "{\"common_name\":\"x\",\"max_path_length\":-2}",
        "{\"common_name\":\"a\\u0000b\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (post(check, "pki/root/generate/internal", bad[i]) != 400)
            fail_msg("%s: %u", bad[i], check->status);
    assert_int_equal(200, post(check, "pki/root/generate/internal", "{\"common_name\":\"x\"}"));
    assert_int_equal(400, post(check, "pki/root/generate/internal", "{\"common_name\":\"y\"}"));
    assert_has_not(check, "PRIVATE");
}

static void a_certificate_that_openssl_believes(void **state)
{
    struct check *check = *state;
    CLEANUP(memory_free) char *directory = temp_dir();
    must_make_pki(check);
    assert_int_equal(200, post(check, "pki/issue/web",
                               "{\"common_name\":\"x.a.test\",\"alt_names\":\"y.b.test,*.a.test\","
                               "\"ip_sans\":\"127.0.0.1\",\"ttl\":\"24h\"}"));
    put_member(check, "certificate", path_in(directory, "cert"));
    put_member(check, "private_key", path_in(directory, "key"));
    assert_has(check, "\"private_key_type\":\"ec\"");
    assert_has(check, "BEGIN EC PRIVATE KEY");
    assert_has(check, "\"ca_chain\":[\"-----BEGIN CERTIFICATE");
    assert_has(check, "\"warnings\":null");
    assert_int_equal(200, call(check, "GET", "pki/ca/pem", NULL, NULL));
    assert_string_equal(check->content_type, "application/pem-certificate-chain");
    put_file(path_in(directory, "ca"), check->body.bytes, check->body.size_bytes);
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    assert_string_equal(check->content_type, "application/x-pem-file");
    put_file(path_in(directory, "crl"), check->body.bytes, check->body.size_bytes);
    static const char *const asked[] = {"-verify_hostname x.a.test", "-verify_hostname y.b.test",
                                        "-verify_hostname z.a.test", "-verify_ip 127.0.0.1"};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        assert_int_equal(0, openssl_tool("verify -x509_strict -crl_check -purpose sslserver %s "
                                         "-CRLfile %s/crl -CAfile %s/ca %s/cert",
                                         asked[i], directory, directory, directory));
    assert_int_not_equal(0, openssl_tool("verify -verify_hostname a.test -CAfile %s/ca %s/cert",
                                         directory, directory));
    assert_int_equal(0, openssl_tool("x509 -noout -pubkey -in %s/cert", directory));
    CLEANUP(memory_free) char *public_key = strdup(tool_output);
    assert_int_equal(0, openssl_tool("pkey -pubout -in %s/key", directory));
    assert_string_equal(public_key, tool_output);
}

static void forms_of_answers(void **state)
{
    struct check *check = *state;
    must_make_pki(check);
    assert_int_equal(200, post(check, "pki/issue/web",
                               "{\"common_name\":\"x.a.test\",\"private_key_format\":\"pkcs8\"}"));
    assert_has(check, "BEGIN PRIVATE KEY");
    assert_int_equal(
        200, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\",\"format\":\"der\"}"));
    assert_has_not(check, "BEGIN");
    assert_has(check, "\"certificate\":\"MII");
    assert_int_equal(200, post(check, "pki/issue/web",
                               "{\"common_name\":\"x.a.test\",\"format\":\"pem_bundle\"}"));
    assert_has(check, "\"certificate\":\"-----BEGIN EC PRIVATE KEY");
    assert_int_equal(200, call(check, "GET", "pki/ca", NULL, NULL));
    assert_string_equal(check->content_type, "application/pkix-cert");
    assert_int_equal(check->body.bytes[0], 0x30);
    assert_int_equal(200, call(check, "GET", "pki/crl", NULL, NULL));
    assert_string_equal(check->content_type, "application/pkix-crl");
    assert_int_equal(200, call(check, "GET", "pki/cert/ca", NULL, NULL));
    assert_has(check, "\"revocation_time\":0");
}

static void what_the_role_does_not_allow(void **state)
{
    struct check *check = *state;
    must_make_pki(check);
    static const char *const bad[] = {
        "{}",
        "{\"common_name\":\"a.test\"}",
        "{\"common_name\":\"x.evil.test\"}",
        "{\"common_name\":\"x.a.test\",\"alt_names\":\"evil.test\"}",
        "{\"common_name\":\"x.a.test\",\"alt_names\":[\"y.a.test\",\"evil.test\"]}",
        "{\"common_name\":\"x.a.test\",\"uri_sans\":\"spiffe://example.org/admin\"}",
        "{\"common_name\":\"x.a.test\\nevil.test\"}",
        "{\"common_name\":\"x.a.test\",\"ttl\":\"-1h\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (post(check, "pki/issue/web", bad[i]) != 400)
            fail_msg("%s: %u", bad[i], check->status);
    assert_int_equal(400, post(check, "pki/issue/nobody", "{\"common_name\":\"x.a.test\"}"));
    assert_int_equal(404, call(check, "LIST", "pki/certs", check->root, NULL));
    assert_int_equal(
        200, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\",\"ttl\":\"1000h\"}"));
    assert_has(check, "ttl is more than the role gives");
}

static void roles_are_read_as_they_were_written(void **state)
{
    struct check *check = *state;
    static const char *const bad[] = {"{\"key_type\":\"rsa\"}", "{\"key_usage\":\"Everything\"}",
                                      "{\"key_usage\":[\"CertSign\"]}",
                                      "{\"ttl\":\"2h\",\"max_ttl\":\"1h\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(400, post(check, "pki/roles/bad", bad[i]));
    assert_int_equal(404, call(check, "GET", "pki/roles/bad", check->root, NULL));
    must_make_pki(check);
    assert_int_equal(200, call(check, "GET", "pki/roles/web", check->root, NULL));
    assert_has(check, "\"allowed_domains\":[\"a.test\",\"b.test\"]");
    assert_has(check, "\"allow_subdomains\":true");
    assert_has(check, "\"allow_localhost\":true");
    assert_has(check, "\"max_ttl\":259200");
    assert_has(check, "\"key_type\":\"ec\"");
    assert_has(check, "\"key_usage\":[\"DigitalSignature\",\"KeyEncipherment\",\"KeyAgreement\"]");
    assert_int_equal(200, call(check, "LIST", "pki/roles", check->root, NULL));
    assert_has(check, "\"keys\":[\"web\"]");
    assert_int_equal(204, call(check, "DELETE", "pki/roles/web", check->root, NULL));
    assert_int_equal(404, call(check, "GET", "pki/roles/web", check->root, NULL));
    assert_int_equal(2, records(check, "permission_changed", "pki/role"));
}

static void requests_are_signed(void **state)
{
    struct check *check = *state;
    CLEANUP(memory_free) char *directory = temp_dir();
    must_make_pki(check);
    assert_int_equal(0, openssl_tool("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                                     "-keyout %s/key -out %s/csr -subj /CN=x.a.test -addext "
                                     "subjectAltName=DNS:y.a.test",
                                     directory, directory));
    CLEANUP(memory_free) char *csr = json_of_file(path_in(directory, "csr"));
    char body[4096];
    snprintf(body, sizeof body, "{\"csr\":\"%s\",\"common_name\":\"evil.test\"}", csr);
    assert_int_equal(200, post(check, "pki/sign/web", body));
    assert_has_not(check, "PRIVATE");
    put_member(check, "certificate", path_in(directory, "cert"));
    assert_int_equal(
        0, openssl_tool("x509 -noout -subject -ext subjectAltName -in %s/cert", directory));
    assert_non_null(strstr(tool_output, "CN = x.a.test"));
    assert_non_null(strstr(tool_output, "DNS:y.a.test, DNS:x.a.test"));
    /* The role may say that the call's names count. */
    assert_int_equal(204, post(check, "pki/roles/mine",
                               "{\"allowed_domains\":\"a.test\",\"allow_subdomains\":true,"
                               "\"use_csr_common_name\":false,\"use_csr_sans\":false}"));
    assert_int_equal(400, post(check, "pki/sign/mine", body));
    static const char *const bad[] = {"{}", "{\"csr\":\"\"}", "{\"csr\":\"nonsense\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(400, post(check, "pki/sign/web", bad[i]));
    assert_int_equal(0, openssl_tool("req -new -newkey rsa:2048 -nodes -keyout %s/key -out %s/rsa "
                                     "-subj /CN=x.a.test",
                                     directory, directory));
    CLEANUP(memory_free) char *rsa = json_of_file(path_in(directory, "rsa"));
    snprintf(body, sizeof body, "{\"csr\":\"%s\"}", rsa);
    assert_int_equal(400, post(check, "pki/sign/web", body));
    assert_has(check, "RSA");
}

static void revoked_is_in_the_crl_that_anyone_reads(void **state)
{
    struct check *check = *state;
    char body[256], path[256], serial[X509_SERIAL_TEXT_SIZE];
    CLEANUP(memory_free) char *directory = temp_dir();
    must_make_pki(check);
    assert_int_equal(200, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\"}"));
    put_member(check, "certificate", path_in(directory, "cert"));
    snprintf(serial, sizeof serial, "%s", body_member(check, "serial_number"));
    assert_int_equal(200, call(check, "LIST", "pki/certs", check->root, NULL));
    assert_has(check, serial);
    snprintf(path, sizeof path, "pki/cert/%s", serial);
    assert_int_equal(200, call(check, "GET", path, NULL, NULL));
    assert_has(check, "\"revocation_time\":0");
    snprintf(body, sizeof body, "{\"serial_number\":\"%s\"}", serial);
    for (char *at = body; *at != '\0'; at++)
        if (at > body + 15 && *at == ':' && at[1] != '"')
            *at = '-'; /* either separator */
    assert_int_equal(200, post(check, "pki/revoke", body));
    assert_has(check, "\"state\":\"revoked\"");
    assert_int_equal(200, call(check, "GET", path, NULL, NULL));
    assert_has_not(check, "\"revocation_time\":0");
    assert_int_equal(200, call(check, "GET", "pki/crl/pem", NULL, NULL));
    put_file(path_in(directory, "crl"), check->body.bytes, check->body.size_bytes);
    assert_int_equal(200, call(check, "GET", "pki/ca_chain", NULL, NULL));
    put_file(path_in(directory, "ca"), check->body.bytes, check->body.size_bytes);
    assert_int_not_equal(0, openssl_tool("verify -crl_check -CRLfile %s/crl -CAfile %s/ca %s/cert",
                                         directory, directory, directory));
    assert_non_null(strstr(tool_output, "certificate revoked"));
    static const char *const bad[] = {
        "{}", "{\"serial_number\":\"0a:1b\"}", "{\"serial_number\":\"x\"}",
        "{\"serial_number\":\"0a:1b\",\"certificate\":\"x\"}", "{\"certificate\":\"x\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(400, post(check, "pki/revoke", bad[i]));
    assert_int_equal(1, records(check, "identity_revoked", serial));
    assert_int_equal(200, call(check, "GET", "pki/crl/rotate", check->root, NULL));
    assert_has(check, "\"success\":true");
}

static void settings(void **state)
{
    struct check *check = *state;
    must_make_pki(check);
    assert_int_equal(400, post(check, "pki/config/crl", "{\"disable\":true}"));
    assert_int_equal(400, post(check, "pki/config/crl", "{\"expiry\":\"1s\"}"));
    assert_int_equal(204, post(check, "pki/config/crl", "{\"expiry\":\"24h\"}"));
    assert_int_equal(200, call(check, "GET", "pki/config/crl", check->root, NULL));
    assert_has(check, "\"expiry\":\"86400s\"");
    assert_int_equal(400, post(check, "pki/config/urls",
                               "{\"crl_distribution_points\":\"http://a/,http://b/\"}"));
    assert_int_equal(204, post(check, "pki/config/urls",
                               "{\"crl_distribution_points\":\"http://kms.a.test/crl\"}"));
    assert_int_equal(200, call(check, "GET", "pki/config/urls", check->root, NULL));
    assert_has(check, "\"crl_distribution_points\":[\"http://kms.a.test/crl\"]");
    CLEANUP(memory_free) char *path = temp_path("cert");
    assert_int_equal(200, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\"}"));
    put_member(check, "certificate", path);
    assert_int_equal(0, openssl_tool("x509 -noout -ext crlDistributionPoints -in %s", path));
    assert_non_null(strstr(tool_output, "http://kms.a.test/crl"));
    assert_int_equal(200, post(check, "pki/tidy", "{\"tidy_cert_store\":true}"));
    assert_has(check, "\"removed\":0");
}

/* A root signs the intermediate of another service; here both are openssl's and ours. */
static void an_intermediate(void **state)
{
    struct check *check = *state;
    CLEANUP(memory_free) char *directory = temp_dir();
    assert_int_equal(400, post(check, "pki/intermediate/set-signed", "{\"certificate\":\"x\"}"));
    assert_int_equal(
        200, post(check, "pki/intermediate/generate/internal", "{\"common_name\":\"Issuing\"}"));
    put_member(check, "csr", path_in(directory, "csr"));
    assert_int_equal(
        0, openssl_tool("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
                        "-keyout %s/rootkey -out %s/root -subj /CN=Corporate",
                        directory, directory));
    static const char ext[] = "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                              "keyUsage=critical,keyCertSign,cRLSign\n"
                              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    put_file(path_in(directory, "ext"), ext, sizeof ext - 1);
    assert_int_equal(0, openssl_tool("x509 -req -in %s/csr -CA %s/root -CAkey %s/rootkey "
                                     "-CAcreateserial -days 20 -extfile %s/ext -out %s/signed",
                                     directory, directory, directory, directory, directory));
    CLEANUP(memory_free) char *signed_pem = json_of_file(path_in(directory, "signed"));
    CLEANUP(memory_free) char *root_pem = json_of_file(path_in(directory, "root"));
    char body[8192];
    snprintf(body, sizeof body, "{\"certificate\":\"%s%s\"}", signed_pem, root_pem);
    if (post(check, "pki/intermediate/set-signed", body) != 200)
        fail_msg("%s", body_text(check));

    assert_int_equal(204, post(check, "pki/roles/web", "{\"allow_any_name\":true}"));
    assert_int_equal(200, post(check, "pki/issue/web", "{\"common_name\":\"x.a.test\"}"));
    put_member(check, "certificate", path_in(directory, "cert"));
    assert_int_equal(0, openssl_tool("verify -purpose sslserver -CAfile %s/root "
                                     "-untrusted %s/signed %s/cert",
                                     directory, directory, directory));
}

static void our_root_signs_another_authority(void **state)
{
    struct check *check = *state;
    CLEANUP(memory_free) char *directory = temp_dir();
    must_make_pki(check);
    assert_int_equal(0, openssl_tool("req -new -newkey ed25519 -nodes -keyout %s/key -out %s/csr "
                                     "-subj /CN=Below",
                                     directory, directory));
    CLEANUP(memory_free) char *csr = json_of_file(path_in(directory, "csr"));
    char body[4096];
    snprintf(body, sizeof body, "{\"csr\":\"%s\",\"max_path_length\":0}", csr);
    assert_int_equal(400, post(check, "pki/root/sign-intermediate", body)); /* no name */
    snprintf(body, sizeof body, "{\"csr\":\"%s\",\"max_path_length\":0,\"use_csr_values\":true}",
             csr);
    assert_int_equal(200, post(check, "pki/root/sign-intermediate", body));
    put_member(check, "certificate", path_in(directory, "cert"));
    assert_int_equal(200, call(check, "GET", "pki/ca/pem", NULL, NULL));
    put_file(path_in(directory, "ca"), check->body.bytes, check->body.size_bytes);
    assert_int_equal(
        0, openssl_tool("verify -x509_strict -CAfile %s/ca %s/cert", directory, directory));
    assert_int_equal(0, openssl_tool("x509 -noout -ext basicConstraints -in %s/cert", directory));
    assert_non_null(strstr(tool_output, "CA:TRUE, pathlen:0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(nothing_is_there_before_a_root),
        ON_SERVICE(who_may_not_gets_nothing),
        ON_SERVICE(bad_roots_are_refused),
        ON_SERVICE(a_certificate_that_openssl_believes),
        ON_SERVICE(forms_of_answers),
        ON_SERVICE(what_the_role_does_not_allow),
        ON_SERVICE(roles_are_read_as_they_were_written),
        ON_SERVICE(requests_are_signed),
        ON_SERVICE(revoked_is_in_the_crl_that_anyone_reads),
        ON_SERVICE(settings),
        ON_SERVICE(an_intermediate),
        ON_SERVICE(our_root_signs_another_authority),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
