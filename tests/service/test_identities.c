/* Who may come with a certificate, and who may not any more (P-3, K-10). */
#include "service_home.h"

#define LOADER "spiffe://lethe.test/tenant/acme/loader"
#define OTHER "spiffe://lethe.test/tenant/acme/other"

static struct identity_entry entry_of(const char *id)
{
    struct lethe_error err = {0};
    struct identity_entry entry = {.policies = {"default", "acme-read"}, .policy_count = 2};
    assert_ok(spiffe_parse(id, strlen(id), &entry.id, &err), &err);
    return entry;
}

static void must_put_identity(struct service *service, const char *id)
{
    struct lethe_error err = {0};
    const struct identity_entry entry = entry_of(id);
    assert_ok(identities_put(service->identities, &entry, &err), &err);
}

static struct buffer request_of(const struct sign_pair *pair)
{
    struct lethe_error err = {0};
    struct buffer request = {0};
    const struct x509_subject subject = {.common_name = "root",
                                         .uris = {.at = {"spiffe://lethe.test/admin"}, .count = 1}};
    assert_ok(x509_make_request(&subject, pair, &request, &err), &err);
    return request;
}

/* The chain as a peer shows it. */
static struct buffer must_issue(struct service *service, const char *id, uint64_t ttl_s)
{
    struct lethe_error err = {0};
    struct buffer der = {0}, chain = {0};
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer request = request_of(pair);
    assert_ok(identities_issue(service->identities, id, request.bytes, request.size_bytes, ttl_s,
                               &der, &err),
              &err);
    buffer_prefixed(&chain, der.bytes, der.size_bytes);
    buffer_clear(&der);
    return chain;
}

static lethe_result prove(struct service *service, const struct buffer *chain, const char **id)
{
    struct lethe_error err = {0};
    const struct identity_entry *entry;
    const char *reason = NULL;
    lethe_result result = identities_prove(service->identities, (const uint8_t *)chain->bytes,
                                           chain->size_bytes, service_now_s, &entry, &reason, &err);
    assert_int_equal(result == LETHE_OK, entry != NULL);
    assert_int_equal(result == LETHE_OK, reason == NULL);
    if (id != NULL)
        *id = entry != NULL ? entry->id.text : "";
    return result;
}

/* A request's own names count for nothing: who it is for is said by who may say it. */
static void a_certificate_says_who_it_is_for(void **state)
{
    struct service service;
    const struct home *home = *state;
    must_begin(home, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(&service, LOADER, 0);
    const char *id;
    assert_result(LETHE_OK, prove(&service, &chain, &id));
    assert_string_equal(id, LOADER);
    const struct identity_entry *entry = identities_find(service.identities, LOADER);
    assert_string_equal(entry->id.tenant, "acme");
    assert_int_equal(entry->policy_count, 2);
    assert_string_equal(entry->policies[1], "acme-read");
    assert_int_equal(entry->certificate_ttl_s, IDENTITY_TTL_S);
    must_close_service(&service);
    must_open_service(home, &service);
    assert_result(LETHE_OK, prove(&service, &chain, &id));
    must_close_service(&service);
    assert_int_equal(1, count_records(home, "permission_changed", "default,acme-read"));
    assert_int_equal(1, count_records(home, "identity_issued", LOADER));
}

static void certificates_end(void **state)
{
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(&service, LOADER, 90);
    assert_result(LETHE_OK, prove(&service, &chain, NULL));
    service_now_s += 89;
    assert_result(LETHE_OK, prove(&service, &chain, NULL));
    service_now_s += 2; /* what was remembered ends with it */
    assert_result(LETHE_DENIED, prove(&service, &chain, NULL));
    service_now_s = NOW_S - 3600;
    assert_result(LETHE_DENIED, prove(&service, &chain, NULL));
    must_close_service(&service);
}

/* Revoked is revoked: at once, for every certificate, and for good. */
static void a_revoked_identity_does_not_come_back(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    const struct home *home = *state;
    must_begin(home, &service);
    must_put_identity(&service, LOADER);
    must_put_identity(&service, OTHER);
    CLEANUP(buffer_clear) struct buffer first = must_issue(&service, LOADER, 0);
    CLEANUP(buffer_clear) struct buffer second = must_issue(&service, LOADER, 0);
    CLEANUP(buffer_clear) struct buffer other = must_issue(&service, OTHER, 0);
    assert_result(LETHE_OK, prove(&service, &first, NULL));
    assert_ok(identities_revoke(service.identities, LOADER, "stolen", &err), &err);
    assert_ok(identities_revoke(service.identities, LOADER, "stolen", &err), &err);
    assert_result(LETHE_REVOKED, prove(&service, &first, NULL));
    assert_result(LETHE_REVOKED, prove(&service, &second, NULL));
    assert_result(LETHE_OK, prove(&service, &other, NULL));
    const struct identity_entry entry = entry_of(LOADER);
    assert_result(LETHE_CONFLICT, identities_put(service.identities, &entry, &err));
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer request = request_of(pair), der = {0};
    assert_result(LETHE_REVOKED, identities_issue(service.identities, LOADER, request.bytes,
                                                  request.size_bytes, 0, &der, &err));
    assert_result(LETHE_NOT_FOUND,
                  identities_revoke(service.identities, "spiffe://lethe.test/nobody", "x", &err));
    must_close_service(&service);
    must_open_service(home, &service);
    assert_result(LETHE_REVOKED, prove(&service, &first, NULL));
    must_close_service(&service);
    assert_int_equal(1, count_records(home, "identity_revoked", "stolen"));
    assert_log_verifies(home);
}

/* The CRL alone says so too: to the door, and to everyone who has only that. */
static void a_revoked_identity_is_in_the_crl(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(buffer_clear) struct buffer chain = must_issue(&service, LOADER, 0);
    assert_ok(identities_revoke(service.identities, LOADER, "stolen", &err), &err);
    struct authority_view view;
    assert_ok(authority_view(service.authority, AUTHORITY_IDENTITIES, &view, &err), &err);
    const struct x509_check check = {
        .chain = chain.bytes,
        .chain_bytes = chain.size_bytes,
        .roots = view.roots,
        .roots_bytes = view.roots_bytes,
        .crls = view.crls,
        .crls_bytes = view.crls_bytes,
        .now_s = service_now_s,
    };
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    assert_result(LETHE_REVOKED, x509_check_chain(&check, &leaf, &err));
    must_close_service(&service);
}

static void who_is_nobody(void **state)
{
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(buffer_clear) struct buffer none = {0}, garbage = {0}, chain = {0};
    buffer_text(&none, "");
    assert_result(LETHE_DENIED, prove(&service, &none, NULL));
    buffer_text(&garbage, "\xff\xff\xff\xff garbage");
    assert_result(LETHE_DENIED, prove(&service, &garbage, NULL));
    /* Of an authority that nobody here believes, with the right id. */
    CLEANUP(holder_clear) struct holder root = make_root("Lethe identities", SIGNATURE_ECDSA_P256);
    struct x509_template t = template_of("x", 9);
    t.subject.uris = (struct x509_list){.at = {LOADER}, .count = 1};
    t.extended_usage = X509_CLIENT_AUTH;
    CLEANUP(holder_clear) struct holder forged = make_holder(&t, &root, SIGNATURE_ECDSA_P256);
    buffer_prefixed(&chain, forged.der.bytes, forged.der.size_bytes);
    buffer_prefixed(&chain, root.der.bytes, root.der.size_bytes);
    assert_result(LETHE_DENIED, prove(&service, &chain, NULL));
    must_close_service(&service);
}

/* Signed by us, but no identity's: unknown, for servers only, with two ids. */
static void what_our_authority_signs_for_others(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    const struct {
        struct x509_list uris;
        unsigned usage;
        lethe_result expected;
    } cases[] = {
        {{.at = {LOADER}, .count = 1}, X509_CLIENT_AUTH, LETHE_OK},
        {{.at = {LOADER}, .count = 1}, X509_SERVER_AUTH, LETHE_DENIED},
        {{.at = {LOADER}, .count = 1}, 0, LETHE_DENIED},
        {{.at = {OTHER}, .count = 1}, X509_CLIENT_AUTH, LETHE_DENIED},
        {{.at = {LOADER, OTHER}, .count = 2}, X509_CLIENT_AUTH, LETHE_DENIED},
        {{.at = {"https://lethe.test/"}, .count = 1}, X509_CLIENT_AUTH, LETHE_DENIED},
        {{.count = 0}, X509_CLIENT_AUTH, LETHE_DENIED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct x509_template t = {.subject = {.common_name = LOADER, .uris = cases[i].uris},
                                  .max_path_length = -1,
                                  .extended_usage = cases[i].usage};
        const struct authority_request request = {.mount = AUTHORITY_IDENTITIES,
                                                  .role = "test",
                                                  .template_ = &t,
                                                  .key = sign_pair_public(pair)};
        CLEANUP(buffer_clear) struct buffer der = {0}, chain = {0};
        assert_ok(authority_issue(service.authority, &request, &der, &err), &err);
        buffer_prefixed(&chain, der.bytes, der.size_bytes);
        lethe_result got = prove(&service, &chain, NULL);
        if (got != cases[i].expected)
            fail_msg("case %zu: %s", i, lethe_result_name(got));
    }
    must_close_service(&service);
}

/* An authority of the operator's may name anybody, once it was added, and until it goes. */
static void an_authority_of_the_operators(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    CLEANUP(holder_clear) struct holder root = make_root("Corporate", SIGNATURE_ED25519);
    struct x509_template t = template_of("x", 9);
    t.subject.uris = (struct x509_list){.at = {LOADER}, .count = 1};
    t.extended_usage = X509_CLIENT_AUTH;
    CLEANUP(holder_clear) struct holder node = make_holder(&t, &root, SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer chain = {0}, roots = {0};
    buffer_prefixed(&chain, node.der.bytes, node.der.size_bytes);
    buffer_prefixed(&roots, root.der.bytes, root.der.size_bytes);
    assert_result(LETHE_DENIED, prove(&service, &chain, NULL));
    assert_ok(identities_set_roots(service.identities, roots.bytes, roots.size_bytes, &err), &err);
    assert_result(LETHE_OK, prove(&service, &chain, NULL));
    assert_ok(identities_revoke(service.identities, LOADER, "stolen", &err), &err);
    assert_result(LETHE_REVOKED, prove(&service, &chain, NULL)); /* though in no CRL */
    assert_ok(identities_set_roots(service.identities, NULL, 0, &err), &err);
    assert_result(LETHE_DENIED, prove(&service, &chain, NULL));
    must_close_service(&service);
}

static void what_is_not_issued(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    must_put_identity(&service, LOADER);
    must_put_identity(&service, "spiffe://elsewhere.test/a");
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ED25519);
    CLEANUP(buffer_clear) struct buffer request = request_of(pair), der = {0};
    const struct {
        const char *id;
        uint64_t ttl_s;
        lethe_result expected;
    } cases[] = {
        {"spiffe://lethe.test/nobody", 0, LETHE_NOT_FOUND},
        {"spiffe://elsewhere.test/a", 0, LETHE_INVALID},
        {LOADER, IDENTITY_TTL_LEAST_S - 1, LETHE_INVALID},
        {LOADER, IDENTITY_TTL_MOST_S + 1, LETHE_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_result(cases[i].expected,
                      identities_issue(service.identities, cases[i].id, request.bytes,
                                       request.size_bytes, cases[i].ttl_s, &der, &err));
    request.bytes[request.size_bytes - 1] ^= 1;
    assert_result(LETHE_INTEGRITY, identities_issue(service.identities, LOADER, request.bytes,
                                                    request.size_bytes, 0, &der, &err));
    assert_int_equal(der.size_bytes, 0);
    must_close_service(&service);
}

static void rows_cut_or_changed_are_refused(void **state)
{
    struct identity_entry entry = entry_of(LOADER), got;
    CLEANUP(buffer_clear) struct buffer row = {0};
    identity_row_format(&entry, &row);
    const uint8_t *bytes = (const uint8_t *)row.bytes;
    assert_result(LETHE_OK, identity_row_parse(bytes, row.size_bytes, &got));
    assert_string_equal(got.id.tenant, "acme");
    for (size_t size = 0; size < row.size_bytes; size++)
        assert_result(LETHE_MALFORMED, identity_row_parse(bytes, size, &got));
    buffer_byte(&row, 0);
    bytes = (const uint8_t *)row.bytes;
    assert_result(LETHE_MALFORMED, identity_row_parse(bytes, row.size_bytes, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HOME(a_certificate_says_who_it_is_for),
        ON_HOME(certificates_end),
        ON_HOME(a_revoked_identity_does_not_come_back),
        ON_HOME(a_revoked_identity_is_in_the_crl),
        ON_HOME(who_is_nobody),
        ON_HOME(what_our_authority_signs_for_others),
        ON_HOME(an_authority_of_the_operators),
        ON_HOME(what_is_not_issued),
        cmocka_unit_test(rows_cut_or_changed_are_refused),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
