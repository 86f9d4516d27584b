/* The PKI: roots and intermediates, what they issue, and what they take back (K-4, K-10). */
#include "service_home.h"

static const char *const no_names[] = {NULL};

static struct x509_template leaf_template(const char *name)
{
    return (struct x509_template){
        .subject = {.common_name = name, .dns_names = {.at = {name}, .count = 1}},
        .max_path_length = -1,
        .extended_usage = X509_SERVER_AUTH};
}

static struct buffer must_issue(struct service *service, const char *mount, struct x509_template *t,
                                const struct sign_pair *pair)
{
    struct lethe_error err = {0};
    struct buffer der = {0};
    const struct authority_request request = {
        .mount = mount, .role = "web", .template_ = t, .key = sign_pair_public(pair)};
    assert_ok(authority_issue(service->authority, &request, &der, &err), &err);
    return der;
}

static lethe_result check(struct service *service, const char *mount, const struct buffer *der,
                          unsigned usage)
{
    struct lethe_error err = {0};
    struct authority_view view;
    CLEANUP(buffer_clear) struct buffer chain = {0};
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    assert_ok(authority_view(service->authority, mount, &view, &err), &err);
    buffer_prefixed(&chain, der->bytes, der->size_bytes);
    buffer_append(&chain, view.chain, view.chain_bytes);
    const struct x509_check c = {
        .chain = chain.bytes,
        .chain_bytes = chain.size_bytes,
        .roots = view.roots,
        .roots_bytes = view.roots_bytes,
        .crls = view.crls,
        .crls_bytes = view.crls_bytes,
        .now_s = service_now_s,
        .extended_usage = usage,
    };
    return x509_check_chain(&c, &leaf, &err);
}

static void a_root_issues_and_survives_reopening(void **state)
{
    const struct home *home = *state;
    struct lethe_error err = {0};
    struct service service;
    must_begin(home, &service);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    struct x509_template t = leaf_template("a.lethe.test");
    struct buffer der = must_issue(&service, AUTHORITY_IDENTITIES, &t, pair);
    assert_result(LETHE_OK, check(&service, AUTHORITY_IDENTITIES, &der, X509_SERVER_AUTH));
    assert_result(LETHE_EXISTS,
                  authority_make_root(service.authority, AUTHORITY_IDENTITIES, "x", DAY_S, &err));
    struct authority_view none;
    assert_result(LETHE_NOT_FOUND, authority_view(service.authority, AUTHORITY_PKI, &none, &err));
    must_close_service(&service);
    must_open_service(home, &service);
    assert_result(LETHE_OK, check(&service, AUTHORITY_IDENTITIES, &der, X509_SERVER_AUTH));
    must_close_service(&service);
    assert_int_equal(2, count_records(home, "identity_issued", NULL));
    assert_int_equal(1, count_records(home, "identity_issued", "\"role\":\"web\""));
    assert_log_verifies(home);
    buffer_clear(&der);
}

/* Nothing that it signs outlives it. */
static void certificates_end_with_their_issuer(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    assert_ok(authority_make_root(service.authority, AUTHORITY_PKI, "Short", DAY_S, &err), &err);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P384);
    struct x509_template t = leaf_template("a.lethe.test");
    struct buffer der = must_issue(&service, AUTHORITY_PKI, &t, pair);
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    assert_ok(x509_read(der.bytes, der.size_bytes, &s, &err), &err);
    assert_int_equal(s.not_after_s, service_now_s + DAY_S);
    buffer_clear(&der);
    must_close_service(&service);
}

static void revoked_certificates_are_in_the_crl_at_once(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    const struct home *home = *state;
    must_begin(home, &service);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    struct x509_template one = leaf_template("one.test"), two = leaf_template("two.test");
    struct buffer first = must_issue(&service, AUTHORITY_IDENTITIES, &one, pair);
    struct buffer second = must_issue(&service, AUTHORITY_IDENTITIES, &two, pair);
    uint64_t revoked_s, again_s;
    assert_ok(authority_revoke(service.authority, AUTHORITY_IDENTITIES, one.serial,
                               X509_SERIAL_BYTES, &revoked_s, &err),
              &err);
    assert_int_equal(revoked_s, NOW_S);
    assert_result(LETHE_REVOKED, check(&service, AUTHORITY_IDENTITIES, &first, 0));
    assert_result(LETHE_OK, check(&service, AUTHORITY_IDENTITIES, &second, 0));
    service_now_s += 60;
    assert_ok(authority_revoke(service.authority, AUTHORITY_IDENTITIES, one.serial,
                               X509_SERIAL_BYTES, &again_s, &err),
              &err);
    assert_int_equal(again_s, revoked_s);
    one.serial[5] ^= 1;
    assert_result(LETHE_NOT_FOUND, authority_revoke(service.authority, AUTHORITY_IDENTITIES,
                                                    one.serial, X509_SERIAL_BYTES, &again_s, &err));
    must_close_service(&service);
    must_open_service(home, &service);
    assert_result(LETHE_REVOKED, check(&service, AUTHORITY_IDENTITIES, &first, 0));
    assert_result(LETHE_OK, check(&service, AUTHORITY_IDENTITIES, &second, 0));
    must_close_service(&service);
    assert_int_equal(1, count_records(home, "identity_revoked", NULL));
    buffer_clear(&first);
    buffer_clear(&second);
}

static uint64_t crl_number(struct service *service, const char *directory)
{
    struct lethe_error err = {0};
    struct authority_view view;
    assert_ok(authority_view(service->authority, AUTHORITY_IDENTITIES, &view, &err), &err);
    put_file(path_in(directory, "crl"), view.crls + 4, view.crls_bytes - 4);
    assert_int_equal(openssl_tool("crl -inform DER -in %s/crl -noout -crlnumber", directory), 0);
    return strtoull(strchr(tool_output, 'x') + 1, NULL, 16);
}

/* A CRL that ends would make everyone's certificate worthless: it is made anew before. */
static void crls_are_renewed_before_they_end(void **state)
{
    struct service service;
    CLEANUP(memory_free) char *directory = temp_dir();
    must_begin(*state, &service);
    uint64_t first = crl_number(&service, directory);
    service_now_s += 3600;
    assert_int_equal(crl_number(&service, directory), first);
    service_now_s += 60 * 3600;
    assert_int_equal(crl_number(&service, directory), first + 1);
    service_now_s += 400 * 3600;
    assert_int_equal(crl_number(&service, directory), first + 2);
    must_close_service(&service);
}

static void an_intermediate_is_signed_from_above(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    struct buffer request = {0}, der = {0}, chain = {0}, wrong = {0};
    const struct x509_subject subject = {.common_name = "Issuing"};
    assert_result(LETHE_INVALID,
                  authority_set_signed(service.authority, AUTHORITY_PKI, "", 0, &err));
    assert_ok(authority_make_intermediate(service.authority, AUTHORITY_PKI, &subject,
                                          SIGNATURE_ECDSA_P256, &request, &err),
              &err);
    CLEANUP(x509_summary_clear) struct x509_summary asked = {0};
    assert_ok(x509_read_request(request.bytes, request.size_bytes, &asked, &err), &err);
    struct x509_template t = {
        .subject = subject, .is_ca = true, .max_path_length = 0, .not_after_s = NOW_S + DAY_S};
    const struct authority_request signing = {
        .mount = AUTHORITY_IDENTITIES, .role = "intermediate", .template_ = &t, .key = asked.key};
    assert_ok(authority_issue(service.authority, &signing, &der, &err), &err);
    struct authority_view view;
    assert_ok(authority_view(service.authority, AUTHORITY_IDENTITIES, &view, &err), &err);
    buffer_prefixed(&chain, der.bytes, der.size_bytes);
    assert_result(LETHE_INVALID, authority_set_signed(service.authority, AUTHORITY_PKI, chain.bytes,
                                                      chain.size_bytes, &err)); /* no root */
    buffer_append(&chain, view.chain, view.chain_bytes);
    buffer_append(&wrong, view.chain, view.chain_bytes);
    assert_result(LETHE_INVALID, authority_set_signed(service.authority, AUTHORITY_PKI, wrong.bytes,
                                                      wrong.size_bytes, &err)); /* another key */
    assert_ok(
        authority_set_signed(service.authority, AUTHORITY_PKI, chain.bytes, chain.size_bytes, &err),
        &err);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    struct x509_template leaf = leaf_template("a.lethe.test");
    struct buffer issued = must_issue(&service, AUTHORITY_PKI, &leaf, pair);
    assert_result(LETHE_OK, check(&service, AUTHORITY_PKI, &issued, X509_SERVER_AUTH));
    struct buffer *all[] = {&request, &der, &chain, &wrong, &issued};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buffer_clear(all[i]);
    must_close_service(&service);
}

static void a_deleted_root_is_gone(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    struct authority_view view;
    must_begin(*state, &service);
    assert_ok(authority_make_root(service.authority, AUTHORITY_PKI, "One", DAY_S, &err), &err);
    assert_ok(authority_delete_root(service.authority, AUTHORITY_PKI, &err), &err);
    assert_result(LETHE_NOT_FOUND, authority_delete_root(service.authority, AUTHORITY_PKI, &err));
    assert_result(LETHE_NOT_FOUND, authority_view(service.authority, AUTHORITY_PKI, &view, &err));
    assert_ok(authority_make_root(service.authority, AUTHORITY_PKI, "Two", DAY_S, &err), &err);
    must_close_service(&service);
}

/* The door makes its key itself, and gets a certificate that clients believe by the root. */
static void the_door_gets_what_it_needs(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    CLEANUP(memory_free) char *directory = temp_dir();
    must_begin(*state, &service);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    struct buffer request = {0}, chain = {0}, roots = {0}, crls = {0};
    const struct x509_subject nobody = {0};
    assert_ok(x509_make_request(&nobody, pair, &request, &err), &err);
    static const char *const names[] = {"localhost", "127.0.0.1", "::1", NULL};
    assert_ok(authority_door(service.authority, request.bytes, request.size_bytes, names, &chain,
                             &roots, &crls, &err),
              &err);
    put_file(path_in(directory, "chain"), chain.bytes, chain.size_bytes);
    put_file(path_in(directory, "roots"), roots.bytes, roots.size_bytes);
    put_file(path_in(directory, "crls"), crls.bytes, crls.size_bytes);
    static const char *const asked[] = {"-verify_hostname localhost", "-verify_ip 127.0.0.1",
                                        "-verify_ip ::1"};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        assert_int_equal(openssl_tool("verify -x509_strict -purpose sslserver -attime %llu %s "
                                      "-crl_check -CRLfile %s/crls -CAfile %s/roots %s/chain",
                                      (unsigned long long)NOW_S, asked[i], directory, directory,
                                      directory),
                         0);
    request.bytes[request.size_bytes - 1] ^= 1;
    assert_result(LETHE_INTEGRITY,
                  authority_door(service.authority, request.bytes, request.size_bytes, names,
                                 &chain, &roots, &crls, &err));
    buffer_truncate(&chain, 0);
    assert_ok(authority_door(service.authority, NULL, 0, no_names, &chain, &roots, &crls, &err),
              &err);
    assert_int_equal(chain.size_bytes, 0);
    struct buffer *all[] = {&request, &chain, &roots, &crls};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buffer_clear(all[i]);
    must_close_service(&service);
}

static void what_is_not_there_leaves_no_words_in_the_error(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    assert_ok(authority_refresh(service.authority, &err), &err); /* "pki" has no row */
    assert_string_equal(err.text, "");
    must_close_service(&service);
}

static void what_expired_is_tidied(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    struct x509_template brief = leaf_template("brief.test"), lasting = leaf_template("last.test");
    brief.not_after_s = NOW_S + 60;
    brief.subject.uris = (struct x509_list){.at = {"spiffe://lethe.test/a"}, .count = 1};
    struct buffer one = must_issue(&service, AUTHORITY_IDENTITIES, &brief, pair);
    struct buffer two = must_issue(&service, AUTHORITY_IDENTITIES, &lasting, pair);
    uint64_t revoked_s;
    assert_ok(authority_revoke(service.authority, AUTHORITY_IDENTITIES, brief.serial,
                               X509_SERIAL_BYTES, &revoked_s, &err),
              &err);
    size_t removed;
    uint64_t epoch = store_epoch(keeper_store(service.keeper));
    assert_ok(authority_tidy(service.authority, AUTHORITY_IDENTITIES, 0, 100, &removed, &err),
              &err);
    assert_int_equal(removed, 0);
    assert_int_equal(epoch, store_epoch(keeper_store(service.keeper))); /* nothing was written */
    service_now_s += 120;
    assert_ok(authority_tidy(service.authority, AUTHORITY_IDENTITIES, 0, 0, &removed, &err), &err);
    assert_int_equal(removed, 0);
    assert_ok(authority_tidy(service.authority, AUTHORITY_IDENTITIES, 0, 100, &removed, &err),
              &err);
    assert_int_equal(removed, 1);
    struct authority_issued issued;
    assert_result(LETHE_NOT_FOUND, authority_find(service.authority, AUTHORITY_IDENTITIES,
                                                  brief.serial, X509_SERIAL_BYTES, &issued, &err));
    assert_ok(authority_find(service.authority, AUTHORITY_IDENTITIES, lasting.serial,
                             X509_SERIAL_BYTES, &issued, &err),
              &err);
    assert_int_equal(issued.der.size_bytes, two.size_bytes);
    assert_string_equal("", listing(keeper_store(service.keeper), "pki/identities/revoked/"));
    assert_string_equal("", listing(keeper_store(service.keeper), "pki/identities/of/"));
    buffer_clear(&issued.der);
    buffer_clear(&one);
    buffer_clear(&two);
    must_close_service(&service);
}

/* Whoever can write rows of another form finds a service that does not start, not one that signs.
 */
static void rows_of_another_form_are_refused(void **state)
{
    static const char *const rows[] = {"pki/identities/key", "pki/identities/ca/0",
                                       "pki/identities/crl/0", "pki/identities/settings"};
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(lethe_secret_free) struct lethe_secret *before = NULL;
        lethe_result had = store_get(keeper_store(service.keeper), rows[i], &before, NULL, &err);
        must_put(keeper_store(service.keeper), rows[i], "\x01\x02nonsense that is no row at all");
        assert_true(authority_refresh(service.authority, &err) != LETHE_OK);
        must_delete(keeper_store(service.keeper), rows[i]);
        if (had == LETHE_OK) {
            assert_ok(store_begin(keeper_store(service.keeper), &err), &err);
            assert_ok(store_put(keeper_store(service.keeper), rows[i], lethe_secret_bytes(before),
                                lethe_secret_size(before), STORE_ANY, &err),
                      &err);
            assert_ok(store_commit(keeper_store(service.keeper), &err), &err);
        }
        assert_ok(authority_refresh(service.authority, &err), &err);
    }
    must_close_service(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HOME(a_root_issues_and_survives_reopening),
        ON_HOME(certificates_end_with_their_issuer),
        ON_HOME(revoked_certificates_are_in_the_crl_at_once),
        ON_HOME(crls_are_renewed_before_they_end),
        ON_HOME(an_intermediate_is_signed_from_above),
        ON_HOME(a_deleted_root_is_gone),
        ON_HOME(the_door_gets_what_it_needs),
        ON_HOME(what_is_not_there_leaves_no_words_in_the_error),
        ON_HOME(what_expired_is_tidied),
        ON_HOME(rows_of_another_form_are_refused),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
