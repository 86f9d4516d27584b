/* What a role allows, and what it does not: the wrong names first. */
#include "service_home.h"

#include "service/authority_roles.h"

struct name_case {
    const char *domain; /* allowed; NULL: none */
    const char *flag;   /* that is set */
    const char *name;
    bool allowed;
};

static const struct name_case names[] = {
    {NULL, NULL, "a.test", false},
    {"a.test", NULL, "a.test", false},
    {"a.test", "allow_bare_domains", "a.test", true},
    {"a.test", "allow_bare_domains", "A.TEST", true},
    {"a.test", "allow_bare_domains", "x.a.test", false},
    {"a.test", "allow_subdomains", "a.test", false},
    {"a.test", "allow_subdomains", "x.a.test", true},
    {"a.test", "allow_subdomains", "y.x.a.test", true},
    {"a.test", "allow_subdomains", "*.a.test", true},
    {"a.test", "allow_subdomains", "xa.test", false},
    {"a.test", "allow_subdomains", ".a.test", false},
    {"a.test", "allow_subdomains", "x.a.test.evil.test", false},
    {"a.test", "allow_subdomains", "x*.a.test", false},
    {"a.test", "allow_subdomains", "x.*.a.test", false},
    {"a.test", "allow_subdomains", "-x.a.test", false},
    {"a.test", "allow_subdomains", "x..a.test", false},
    {"a.test", "allow_subdomains", "x/.a.test", false},
    {"a.test", "allow_subdomains", "ops@a.test", false},
    {"*.a.test", "allow_glob_domains", "x.a.test", true},
    {"web-*.a.test", "allow_glob_domains", "web-1.a.test", true},
    {"web-*.a.test", "allow_glob_domains", "db-1.a.test", false},
    {"web-*.a.test", NULL, "web-1.a.test", false},
    {"a.test", "allow_glob_domains", "a.test", false},
    {NULL, "allow_any_name", "whatever.test", true},
    {NULL, "allow_any_name", "no host", false},
    {NULL, NULL, "localhost", true},
    {NULL, NULL, "x.localhost", true},
    {NULL, NULL, "xlocalhost", false},
};

static void set_flag(struct authority_role *role, const char *flag)
{
    for (size_t i = 0; flag != NULL && i < ROLE_FLAG_COUNT; i++)
        if (strcmp(authority_role_flag_names[i], flag) == 0)
            role->flags[i] = true;
}

static void names_by_the_role(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct authority_role role = authority_role_standard();
        set_flag(&role, names[i].flag);
        if (names[i].domain != NULL)
            role.lists[ROLE_allowed_domains] =
                (struct x509_list){.at = {names[i].domain}, .count = 1};
        const struct x509_subject by_cn = {.common_name = names[i].name};
        const struct x509_subject by_san = {.common_name = "localhost",
                                            .dns_names = {.at = {names[i].name}, .count = 1}};
        lethe_result expected = names[i].allowed ? LETHE_OK : LETHE_INVALID;
        if (authority_role_allows(&role, &by_cn, NULL) != expected ||
            authority_role_allows(&role, &by_san, NULL) != expected)
            fail_msg("%s with %s of %s", names[i].name, names[i].flag, names[i].domain);
    }
}

static void what_else_a_role_refuses(void **state)
{
    struct authority_role role = authority_role_standard();
    const struct x509_subject none = {0};
    const struct x509_subject address = {.common_name = "localhost",
                                         .ip_addresses = {.at = {"127.0.0.1"}, .count = 1}};
    const struct x509_subject uri = {.common_name = "localhost",
                                     .uris = {.at = {"spiffe://lethe.test/a"}, .count = 1}};
    const struct x509_subject email = {.common_name = "localhost",
                                       .emails = {.at = {"a@localhost"}, .count = 1}};
    assert_result(LETHE_INVALID, authority_role_allows(&role, &none, NULL));
    assert_result(LETHE_OK, authority_role_allows(&role, &address, NULL));
    assert_result(LETHE_INVALID, authority_role_allows(&role, &uri, NULL));
    assert_result(LETHE_INVALID, authority_role_allows(&role, &email, NULL));
    role.flags[ROLE_allow_ip_sans] = false;
    assert_result(LETHE_INVALID, authority_role_allows(&role, &address, NULL));
    role.lists[ROLE_allowed_uri_sans] =
        (struct x509_list){.at = {"spiffe://lethe.test/b*", "spiffe://lethe.test/a"}, .count = 2};
    assert_result(LETHE_OK, authority_role_allows(&role, &uri, NULL));
    role.flags[ROLE_require_cn] = false;
    assert_result(LETHE_OK, authority_role_allows(&role, &none, NULL));
}

static void how_long(void **state)
{
    struct authority_role role = authority_role_standard();
    bool capped;
    assert_int_equal(authority_role_ttl(&role, 0, &capped), AUTHORITY_TTL_MAX_S);
    assert_false(capped);
    assert_int_equal(authority_role_ttl(&role, AUTHORITY_TTL_MAX_S + 1, &capped),
                     AUTHORITY_TTL_MAX_S);
    assert_true(capped);
    role.ttl_s = 7200;
    role.max_ttl_s = 3600;
    assert_int_equal(authority_role_ttl(&role, 0, &capped), 3600);
    assert_int_equal(authority_role_ttl(&role, 60, &capped), 60);
    assert_int_equal(authority_role_usage(&role), X509_SERVER_AUTH | X509_CLIENT_AUTH);
}

static void roles_come_back_as_they_were(void **state)
{
    struct lethe_error err = {0};
    struct service service;
    must_begin(*state, &service);
    struct authority_role role = authority_role_standard(), got;
    role.ttl_s = 60;
    role.any_key = true;
    role.kind = SIGNATURE_ECDSA_P384;
    role.flags[ROLE_no_store] = true;
    role.lists[ROLE_province] = (struct x509_list){.at = {"Kent", ""}, .count = 2};
    assert_ok(authority_role_put(service.authority, "web.1", &role, &err), &err);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL, *none = NULL;
    assert_ok(authority_role_get(service.authority, "web.1", &row, &got, &err), &err);
    assert_int_equal(got.ttl_s, 60);
    assert_true(got.any_key && got.flags[ROLE_no_store] && got.flags[ROLE_allow_localhost]);
    assert_int_equal(got.kind, SIGNATURE_ECDSA_P384);
    assert_int_equal(got.key_usage, role.key_usage);
    assert_int_equal(got.lists[ROLE_province].count, 2);
    assert_string_equal(got.lists[ROLE_province].at[0], "Kent");
    static const char *const bad[] = {"", "a/b", "a b", "..%", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_result(LETHE_INVALID, authority_role_put(service.authority, bad[i], &role, &err));
    assert_ok(authority_role_delete(service.authority, "web.1", &err), &err);
    assert_result(LETHE_NOT_FOUND, authority_role_delete(service.authority, "web.1", &err));
    assert_result(LETHE_NOT_FOUND,
                  authority_role_get(service.authority, "web.1", &none, &got, &err));
    must_close_service(&service);
}

static void rows_cut_or_changed_are_refused(void **state)
{
    struct authority_role role = authority_role_standard(), got;
    CLEANUP(buffer_clear) struct buffer row = {0};
    role.lists[ROLE_ou] = (struct x509_list){.at = {"Unit"}, .count = 1};
    authority_role_format(&role, &row);
    const uint8_t *bytes = (const uint8_t *)row.bytes;
    assert_result(LETHE_OK, authority_role_parse(bytes, row.size_bytes, &got));
    for (size_t size = 0; size < row.size_bytes; size++)
        assert_result(LETHE_MALFORMED, authority_role_parse(bytes, size, &got));
    buffer_byte(&row, 0);
    bytes = (const uint8_t *)row.bytes;
    assert_result(LETHE_MALFORMED, authority_role_parse(bytes, row.size_bytes, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_by_the_role),
        cmocka_unit_test(what_else_a_role_refuses),
        cmocka_unit_test(how_long),
        ON_HOME(roles_come_back_as_they_were),
        cmocka_unit_test(rows_cut_or_changed_are_refused),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
