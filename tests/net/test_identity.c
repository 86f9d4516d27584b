#include "check.h"

#include "net/identity.h"

/* P-1, P-15: what a certificate says, and nothing else, names identity and tenant. */
static void test_good_ids(void **state)
{
    static const struct {
        const char *text, *domain, *tenant;
    } rows[] = {
        {"spiffe://example.org/loader", "example.org", "default"},
        {"spiffe://example.org/tenant/acme/loader/one", "example.org", "acme"},
        {"spiffe://example.org/tenant/acme", "example.org", "acme"},
        {"spiffe://d/tenants/acme", "d", "default"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spiffe_id id;
        assert_int_equal(spiffe_parse(rows[i].text, strlen(rows[i].text), &id, NULL), LETHE_OK);
        assert_string_equal(id.text, rows[i].text);
        assert_string_equal(id.trust_domain, rows[i].domain);
        assert_string_equal(id.tenant, rows[i].tenant);
    }
}

static void test_bad_ids(void **state)
{
    static const char *const rows[] = {
        "",
        "spiffe://",
        "spiffe:///path",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a//b",
        "spiffe://example.org/a/",
        "spiffe://example.org/./a",
        "spiffe://example.org/a/..",
        "spiffe://Example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a%41",
        "SPIFFE://example.org/a",
        "https://example.org/a",
        "spiffe://example.org/tenant/a.b/c",
        "spiffe://example.org/a b",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spiffe_id id;
        assert_int_equal(spiffe_parse(rows[i], strlen(rows[i]), &id, NULL), LETHE_INVALID);
    }
}

/* Of two spellings of one identity there is one inside. */
static void test_read(void **state)
{
    static const char *const wrong[] = {
        "",    "/",        "//d/a",  "d",         "d/",          "https://d/a", "spiffe:d/a",
        "D/a", "d/a/../b", "d/a//b", "spiffe://", "spiffe:///a", "d:80/a",      "d/a?b",
    };
    static const char whole[] = "spiffe://example.org/tenant/acme/loader";
    struct spiffe_id with, without;
    char text[SPIFFE_ID_MAX + 2];
    assert_int_equal(spiffe_read(whole, strlen(whole), &with, NULL), LETHE_OK);
    assert_string_equal(with.text, whole);
    assert_int_equal(spiffe_read(whole + 9, strlen(whole) - 9, &without, NULL), LETHE_OK);
    assert_string_equal(without.text, whole);
    assert_string_equal(without.tenant, "acme");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (spiffe_read(wrong[i], strlen(wrong[i]), &with, NULL) != LETHE_INVALID)
            fail_msg("%s", wrong[i]);
    }
    memset(text, 'a', sizeof text);
    memcpy(text, "d/", 2);
    assert_int_equal(spiffe_read(text, SPIFFE_ID_MAX - 9, &with, NULL), LETHE_OK);
    assert_int_equal(spiffe_read(text, SPIFFE_ID_MAX - 8, &with, NULL), LETHE_INVALID);
    assert_int_equal(spiffe_read(text, SPIFFE_ID_MAX, &with, NULL), LETHE_INVALID);
    assert_int_equal(spiffe_read(text, SPIFFE_ID_MAX + 1, &with, NULL), LETHE_INVALID);
    assert_int_equal(spiffe_read("d/a\0b", 5, &with, NULL), LETHE_INVALID);
}

static void test_lengths(void **state)
{
    char text[SPIFFE_ID_MAX + 2];
    struct spiffe_id id;
    memset(text, 'a', sizeof text);
    memcpy(text, "spiffe://d/", 11);
    assert_int_equal(spiffe_parse(text, SPIFFE_ID_MAX, &id, NULL), LETHE_OK);
    assert_int_equal(spiffe_parse(text, SPIFFE_ID_MAX + 1, &id, NULL), LETHE_INVALID);
    assert_int_equal(spiffe_parse("spiffe://d/a\0b", 14, &id, NULL), LETHE_INVALID);
    memset(text, 'a', sizeof text);
    memcpy(text, "spiffe://d/tenant/", 18);
    assert_int_equal(spiffe_parse(text, 18 + 64, &id, NULL), LETHE_OK);
    assert_int_equal(spiffe_parse(text, 18 + 65, &id, NULL), LETHE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ids),
        cmocka_unit_test(test_bad_ids),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
