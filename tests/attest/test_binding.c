#include "check.h"

#include "attest/attest.h"

/* E-3: what is bound cannot be read as another list of parts. */
static void binding_is_unambiguous(void **state)
{
    (void)state;
    const struct attest_part one[] = {{"ab", 2}, {"c", 1}};
    const struct attest_part other[] = {{"a", 1}, {"bc", 2}};
    const struct attest_part longer[] = {{"ab", 2}, {"c", 1}, {"", 0}};
    uint8_t a[ATTEST_BINDING_BYTES], b[ATTEST_BINDING_BYTES], c[ATTEST_BINDING_BYTES];
    assert_int_equal(attest_binding(one, 2, a, NULL), LETHE_OK);
    assert_int_equal(attest_binding(other, 2, b, NULL), LETHE_OK);
    assert_int_equal(attest_binding(longer, 3, c, NULL), LETHE_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

/* As sha256sum says of the bytes written out by hand. */
static void binding_has_its_vector(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x98, 0xf2, 0x3e, 0x2f, 0x01, 0x32, 0x9e, 0x25,
                                       0x99, 0x80, 0x17, 0x0e, 0xec, 0x9a, 0xcd, 0x90,
                                       0x40, 0x36, 0x61, 0xf4, 0x97, 0x02, 0x1f, 0x58,
                                       0x0a, 0x66, 0x8a, 0x31, 0x6e, 0xca, 0xce, 0xd6};
    const struct attest_part parts[] = {{"lethe-release-v1", 16}, {"", 0}, {"xyz", 3}};
    uint8_t out[ATTEST_BINDING_BYTES];
    assert_int_equal(attest_binding(parts, 3, out, NULL), LETHE_OK);
    assert_memory_equal(out, expected, sizeof out);
}

static void kinds_have_names(void **state)
{
    (void)state;
    enum attest_kind kind;
    assert_int_equal(attest_kind_parse("sev-snp", &kind), LETHE_OK);
    assert_string_equal(attest_kind_name(kind), "sev-snp");
    assert_int_equal(attest_kind_parse("sev", &kind), LETHE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(binding_is_unambiguous),
                                       cmocka_unit_test(binding_has_its_vector),
                                       cmocka_unit_test(kinds_have_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
