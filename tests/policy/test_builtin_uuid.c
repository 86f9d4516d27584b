#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller plain;

static void what_is_no_uuid_is_undefined(void **state)
{
    static const struct builtin_example examples[] = {
        {"uuid.parse", "[\"\"]", "undefined"},
        {"uuid.parse", "[\"00000000-0000-4000-8000-00000000000\"]", "undefined"},
        {"uuid.parse", "[\"00000000-0000-4000-8000-0000000000000\"]", "undefined"},
        {"uuid.parse", "[\"00000000-0000-4000-8000-00000000000g\"]", "undefined"},
        {"uuid.parse", "[\"00000000-0000-4000-8000+000000000000\"]", "undefined"},
        {"uuid.parse", "[\"0000000-00000-4000-8000-000000000000\"]", "undefined"},
        {"uuid.parse", "[\"0000000000000400080000000000000000-\"]", "undefined"},
        {"uuid.parse", "[\"urn:oid::00000000-0000-4000-8000-000000000000\"]", "undefined"},
        {"uuid.parse", "[\"000000000000040008000000000000\\u0000\\u0000\"]", "undefined"},
        {"uuid.parse", "[\"00000000-0000-4000-8000-00000000000\\u00e9\"]", "undefined"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void only_texts_are_taken(void **state)
{
    static const struct builtin_example examples[] = {
        {"uuid.parse", "[123]",
         "eval_type_error: uuid.parse: operand 1 must be string but got number"},
        {"uuid.rfc4122", "[123]",
         "eval_type_error: uuid.rfc4122: operand 1 must be string but got number"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void brackets_of_any_kind_are_taken_off(void **state)
{
    static const struct builtin_example examples[] = {
        {"uuid.parse", "[\"(00000000-0000-4000-8000-000000000000)\"]",
         "{\"variant\": \"RFC4122\", \"version\": 4}"},
        {"uuid.parse", "[\"{6BEA8EF2-D3D3-3CD1-84E0-9BAB06A52ECE}\"]",
         "{\"variant\": \"RFC4122\", \"version\": 3}"},
        {"uuid.parse", "[\"000003e8-48b9-21ee-b203-325096b39f47\"]",
         "{\"clocksequence\": 12803, \"domain\": \"Domain3\", \"id\": 1000, "
         "\"macvariables\": \"local:unicast\", \"nodeid\": \"32-50-96-b3-9f-47\", "
         "\"time\": 1693566990121469600, \"variant\": \"RFC4122\", \"version\": 2}"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's uuid, from random bytes. A time is nanoseconds since 1970 and may need more than
 * 64 bits: version 1 counts to the year 5236. */
static void fields_are_those_of_another_implementation(void **state)
{
    static const struct builtin_example examples[] = {
        {"uuid.parse", "[\"0cb6dcaa-3f40-1710-aef6-72ce6e8c408a\"]",
         "{\"clocksequence\": 12022, \"macvariables\": \"local:unicast\", \"nodeid\": "
         "\"72-ce-6e-8c-40-8a\", \"time\": 38678337421663351400, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"70D98974-0265-1656-AB42-7C06CBA5EE6A\"]",
         "{\"clocksequence\": 11074, \"macvariables\": \"global:unicast\", \"nodeid\": "
         "\"7c-06-cb-a5-ee-6a\", \"time\": 33436211893294117200, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"urn:uuid:f992040f-b15a-2423-9700-2342fbd44665\"]",
         "{\"clocksequence\": 5888, \"domain\": \"Person\", \"id\": 4187096079, \"macvariables\": "
         "\"local:multicast\", \"nodeid\": \"23-42-fb-d4-46-65\", \"time\": 17608407662885377500, "
         "\"variant\": \"RFC4122\", \"version\": 2}"},
        {"uuid.parse", "[\"URN:UUID:90662C9C-163B-3C01-2D87-5180E4A6EB70\"]",
         "{\"variant\": \"Reserved\", \"version\": 3}"},
        {"uuid.parse", "[\"{eeafa3bb-393d-407e-af7a-f439b669568f}\"]",
         "{\"variant\": \"RFC4122\", \"version\": 4}"},
        {"uuid.parse", "[\"9ce8baeaa74658a5b80ceb12c382a5e0\"]",
         "{\"variant\": \"RFC4122\", \"version\": 5}"},
        {"uuid.parse", "[\"5e2882c4-cae2-144f-4cb1-4cd98d5f2ab3\"]",
         "{\"clocksequence\": 3249, \"macvariables\": \"global:unicast\", \"nodeid\": "
         "\"4c-d9-8d-5f-2a-b3\", \"time\": 18849704490298643600, \"variant\": \"Reserved\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"B3BC7698-15DB-6FE5-9BF5-8392602D2740\"]",
         "{\"variant\": \"RFC4122\", \"version\": 6}"},
        {"uuid.parse", "[\"urn:uuid:6d37f191-b8c1-180d-beae-64b7a3596283\"]",
         "{\"clocksequence\": 16046, \"macvariables\": \"global:unicast\", \"nodeid\": "
         "\"64-b7-a3-59-62-83\", \"time\": 45813013990124379300, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"URN:UUID:D82A8BBA-FE0A-16FB-17CE-41A01944BCE9\"]",
         "{\"clocksequence\": 6094, \"macvariables\": \"global:multicast\", \"nodeid\": "
         "\"41-a0-19-44-bc-e9\", \"time\": 38108217791173727400, \"variant\": \"Reserved\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"{15f5f923-f8c6-2dd7-b701-afb31471d9ec}\"]",
         "{\"clocksequence\": 14081, \"domain\": \"Group\", \"id\": 368441635, \"macvariables\": "
         "\"local:multicast\", \"nodeid\": \"af-b3-14-71-d9-ec\", \"time\": 87534644414150889900, "
         "\"variant\": \"RFC4122\", \"version\": 2}"},
        {"uuid.parse", "[\"3df8d961f0cd376ea52ae85370209fe8\"]",
         "{\"variant\": \"RFC4122\", \"version\": 3}"},
        {"uuid.parse", "[\"7cf5361e-6e99-4868-e81e-a94b473f60bf\"]",
         "{\"variant\": \"Future\", \"version\": 4}"},
        {"uuid.parse", "[\"8F01F530-8770-5405-87A0-F99B3ED54234\"]",
         "{\"variant\": \"RFC4122\", \"version\": 5}"},
        {"uuid.parse", "[\"urn:uuid:2c48258a-3345-1f95-8140-d5ae72cadccf\"]",
         "{\"clocksequence\": 320, \"macvariables\": \"global:multicast\", \"nodeid\": "
         "\"d5-ae-72-ca-dc-cf\", \"time\": 100066712628749249000, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"URN:UUID:DAF92B8B-5B7D-6BDB-1FC4-3592E1623448\"]",
         "{\"variant\": \"Reserved\", \"version\": 6}"},
        {"uuid.parse", "[\"{cf1be7ce-061e-11bf-838b-4bf7acc2b9f9}\"]",
         "{\"clocksequence\": 907, \"macvariables\": \"local:multicast\", \"nodeid\": "
         "\"4b-f7-ac-c2-b9-f9\", \"time\": 363311598316129400, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"a62213805f921e4faf80ad5bc2875200\"]",
         "{\"clocksequence\": 12160, \"macvariables\": \"global:multicast\", \"nodeid\": "
         "\"ad-5b-c2-87-52-00\", \"time\": 90895499514824793600, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"1f71b773-594e-2a66-5602-bbae927e1ca5\"]",
         "{\"clocksequence\": 5634, \"domain\": \"Org\", \"id\": 527546227, \"macvariables\": "
         "\"local:multicast\", \"nodeid\": \"bb-ae-92-7e-1c-a5\", \"time\": 62719165207363365100, "
         "\"variant\": \"Reserved\", \"version\": 2}"},
        {"uuid.parse", "[\"EA606134-8E00-3E47-A299-B8E1BDD4BA82\"]",
         "{\"variant\": \"RFC4122\", \"version\": 3}"},
        {"uuid.parse", "[\"urn:uuid:32fcec76-99d5-4468-afbe-b6fcfc4eb32b\"]",
         "{\"variant\": \"RFC4122\", \"version\": 4}"},
        {"uuid.parse", "[\"URN:UUID:739EAB87-325C-5600-AD63-946DF86756DC\"]",
         "{\"variant\": \"RFC4122\", \"version\": 5}"},
        {"uuid.parse", "[\"{9f95f9bb-b3e5-17bf-917e-fcbe3fa3f7a6}\"]",
         "{\"clocksequence\": 4478, \"macvariables\": \"global:unicast\", \"nodeid\": "
         "\"fc-be-3f-a3-f7-a6\", \"time\": 43616974962351967500, \"variant\": \"RFC4122\", "
         "\"version\": 1}"},
        {"uuid.parse", "[\"4aa10568b8a167a287ef65c845d82dc4\"]",
         "{\"variant\": \"RFC4122\", \"version\": 6}"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static lethe_result fill_with_ones(void *context, void *out, size_t size_bytes)
{
    memset(out, 0xff, size_bytes);
    return LETHE_OK;
}

static lethe_result fill_nothing(void *context, void *out, size_t size_bytes)
{
    return LETHE_FAILED;
}

static void a_new_uuid_has_version_4_and_random_bits_else(void **state)
{
    static const struct random_source ones = {.fill = fill_with_ones},
                                      none = {.fill = fill_nothing};
    static const struct builtin_caller with_ones = {.world = {.random = &ones}};
    static const struct builtin_caller with_none = {.world = {.random = &none}};
    static const struct builtin_example example = {"uuid.rfc4122", "[\"\"]",
                                                   "\"ffffffff-ffff-4fff-bfff-ffffffffffff\""};
    static const struct builtin_example failing = {
        "uuid.rfc4122", "[\"\"]",
        "eval_builtin_error: uuid.rfc4122: the system has no randomness to give"};
    builtin_check(&with_ones, &example, 1);
    builtin_check(&with_none, &failing, 1);
}

static void two_new_uuids_differ(void **state)
{
    CLEANUP(buffer_clear) struct buffer a = {0};
    CLEANUP(buffer_clear) struct buffer b = {0};
    builtin_call_text(&plain, "uuid.rfc4122", "[\"a\"]", &a);
    builtin_call_text(&plain, "uuid.rfc4122", "[\"a\"]", &b);
    assert_int_equal(a.size_bytes, 38);
    assert_string_not_equal(a.bytes, b.bytes);
    assert_int_equal(builtin_find("uuid.rfc4122", 12, false)->flags, BUILTIN_VARIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_uuid_is_undefined),
        cmocka_unit_test(only_texts_are_taken),
        cmocka_unit_test(brackets_of_any_kind_are_taken_off),
        cmocka_unit_test(fields_are_those_of_another_implementation),
        cmocka_unit_test(a_new_uuid_has_version_4_and_random_bits_else),
        cmocka_unit_test(two_new_uuids_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
