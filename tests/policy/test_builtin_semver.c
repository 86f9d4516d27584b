#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* What is no version. */
static const struct builtin_example refused[] = {
    {"semver.is_valid", "[\"\"]", "false"},
    {"semver.is_valid", "[\"1\"]", "false"},
    {"semver.is_valid", "[\"1.0\"]", "false"},
    {"semver.is_valid", "[\"1.0.0.0\"]", "false"},
    {"semver.is_valid", "[\"a.0.0\"]", "false"},
    {"semver.is_valid", "[\"1.0.0-a..b\"]", "false"},
    {"semver.is_valid", "[\"1.0.0+a..b\"]", "false"},
    {"semver.is_valid", "[\"1.0.0-a_b\"]", "false"},
    {"semver.is_valid", "[\"1..0\"]", "false"},
    {"semver.is_valid", "[\"-1.0.0\"]", "false"},
    {"semver.is_valid", "[\" 1.0.0\"]", "false"},
    {"semver.is_valid", "[\"1.0.0 \"]", "false"},
    {"semver.is_valid", "[\"9223372036854775808.0.0\"]", "false"},
    {"semver.is_valid", "[\"vv1.0.0\"]", "false"},
    {"semver.is_valid", "[\"V1.0.0\"]", "false"},
    {"semver.is_valid", "[\"1.0.0\\u0000\"]", "false"},
    {"semver.is_valid", "[1]", "false"},
    {"semver.compare", "[\"1\", \"1.0.0\"]",
     "eval_builtin_error: semver.compare: operand 1: string \"1\" is not a valid SemVer"},
    {"semver.compare", "[\"1.0.0\", \"1\"]",
     "eval_builtin_error: semver.compare: operand 2: string \"1\" is not a valid SemVer"},
    {"semver.compare", "[1, \"1.0.0\"]",
     "eval_type_error: semver.compare: operand 1 must be string but got number"},
};

static void what_is_no_version_is_refused(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* What is one. */
static const struct builtin_example valid[] = {
    {"semver.is_valid", "[\"1.0.0\"]", "true"},
    {"semver.is_valid", "[\"v1.0.0\"]", "true"},
    {"semver.is_valid", "[\"0.0.0\"]", "true"},
    {"semver.is_valid", "[\"01.2.3\"]", "true"},
    {"semver.is_valid", "[\"1.0.0-alpha.1\"]", "true"},
    {"semver.is_valid", "[\"1.0.0-0A.is.legal\"]", "true"},
    {"semver.is_valid", "[\"1.0.0+build.5-x\"]", "true"},
    {"semver.is_valid", "[\"1.0.0-rc.1+sha.5114f85\"]", "true"},
    {"semver.is_valid", "[\"9223372036854775807.0.0\"]", "true"},
    {"semver.is_valid", "[\"1.0.0--\"]", "true"},
};

static void versions_are_known(void **state)
{
    BUILTIN_CHECK(&caller, valid);
}

/* The order of semver.org, section 11, and numbers of any size. */
static const char *const ascending[] = {
    "0.9.9",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-10.a",
    "1.0.0-99999999999999999998",
    "1.0.0-99999999999999999999",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
};

static void versions_are_in_order(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ascending); i++) {
        for (size_t j = 0; j < ARRAY_LEN(ascending); j++) {
            char operands[128];
            snprintf(operands, sizeof operands, "[\"%s+build\", \"v%s\"]", ascending[i],
                     ascending[j]);
            const struct builtin_example example = {"semver.compare", operands,
                                                    i < j   ? "-1"
                                                    : i > j ? "1"
                                                            : "0"};
            builtin_check(&caller, &example, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_version_is_refused),
        cmocka_unit_test(versions_are_known),
        cmocka_unit_test(versions_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
