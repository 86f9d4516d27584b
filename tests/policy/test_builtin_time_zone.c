#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "policy/time_zone.h"

#define BUFFER(name) CLEANUP(buffer_clear) struct buffer name = {0}

/* ---- files that are made here ---- */

/* What is put into a file; zero is the smallest that is right: one type, no transition, no rule. */
struct file_plan {
    uint32_t utc, standard, leap, times, types, name_bytes; /* types, name_bytes 0: 1, 4 */
    const char *names;                                      /* NULL: "ABC" */
    const uint8_t *type_bytes;                              /* NULL: all zeros */
    const int64_t *at;
    const uint8_t *to;
    const char *rule; /* NULL: "" */
    char version;
};

static void put_be(struct buffer *file, uint64_t number, unsigned bytes)
{
    while (bytes-- > 0)
        buffer_byte(file, (uint8_t)(number >> 8 * bytes));
}

static void put_block(struct buffer *file, const struct file_plan *plan, unsigned time_bytes)
{
    static const uint8_t zeros[257 * 6] = {0};
    uint32_t types = plan->types != 0 ? plan->types : 1;
    uint32_t name_bytes = plan->name_bytes != 0 ? plan->name_bytes : 4;
    buffer_append(file, "TZif", 4);
    buffer_byte(file, (uint8_t)plan->version);
    buffer_append(file, zeros, 15);
    put_be(file, plan->utc, 4);
    put_be(file, plan->standard, 4);
    put_be(file, plan->leap, 4);
    put_be(file, plan->times, 4);
    put_be(file, types, 4);
    put_be(file, name_bytes, 4);
    for (uint32_t i = 0; i < plan->times; i++)
        put_be(file, (uint64_t)plan->at[i], time_bytes);
    buffer_append(file, plan->to != NULL ? plan->to : zeros, plan->times);
    buffer_append(file, plan->type_bytes != NULL ? plan->type_bytes : zeros, (size_t)types * 6);
    buffer_append(file, plan->names != NULL ? plan->names : "ABC", name_bytes);
    buffer_append(file, zeros, (size_t)plan->leap * (time_bytes + 4) + plan->standard + plan->utc);
}

static void make_file(struct buffer *file, const struct file_plan *plan)
{
    put_block(file, plan, 4);
    if (plan->version == 0)
        return;
    put_block(file, plan, 8);
    buffer_format(file, "\n%s\n", plan->rule != NULL ? plan->rule : "");
}

static bool reads(const struct buffer *file, struct zone *zone)
{
    BUFFER(why);
    bool read = zone_read(file->bytes, file->size_bytes, zone, &why);
    if (read)
        assert_int_equal(why.size_bytes, 0);
    else
        assert_memory_equal(why.bytes, "malformed time zone information", 31);
    return read;
}

static const int64_t two_times[] = {100, 200}, wrong_times[] = {200, 100};
static const uint8_t to_type_1[] = {0, 1};
/* Offset, daylight, name. */
static const uint8_t hour_type[] = {0, 0, 0x0e, 0x10, 0, 0};
static const uint8_t far_type[] = {0x80, 0, 0, 0, 0, 0}, ahead_type[] = {0, 1, 0x6d, 0xa4, 0, 0};
static const uint8_t odd_daylight[] = {0, 0, 0, 0, 2, 0}, name_4[] = {0, 0, 0, 0, 0, 4};

static void files_that_are_wrong_are_refused(void **state)
{
    static const struct file_plan plans[] = {
        {.version = '2', .times = 2, .at = wrong_times},
        {.version = '2', .times = 2, .at = two_times, .to = to_type_1},
        {.version = '2', .types = 257},
        {.version = '2', .leap = 1},
        {.version = '2', .utc = 2},
        {.version = '2', .standard = 2},
        {.version = '2', .type_bytes = far_type},
        {.version = '2', .type_bytes = ahead_type},
        {.version = '2', .type_bytes = odd_daylight},
        {.version = '2', .type_bytes = name_4},
        {.version = '2', .names = "ABCD"},
        {.version = '2', .names = "A\nC"},
        {.version = '2', .names = "A\xc3\x89"},
        {.version = '2', .rule = "\n"},
        {.version = '2', .rule = "AB0"},
        {.version = 0, .times = 2, .at = wrong_times},
        {.version = 0, .leap = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        BUFFER(file);
        struct zone zone;
        make_file(&file, &plans[i]);
        if (reads(&file, &zone))
            fail_msg("plan %zu is read", i);
    }
}

static void a_file_that_is_cut_or_longer_is_refused(void **state)
{
    static const struct file_plan plan = {.version = '2',
                                          .times = 1,
                                          .at = two_times,
                                          .utc = 1,
                                          .standard = 1,
                                          .rule = "CET-1CEST,M3.5.0,M10.5.0/3"};
    BUFFER(file);
    struct zone zone;
    make_file(&file, &plan);
    assert_true(reads(&file, &zone));
    for (size_t size = 0; size < file.size_bytes; size++) {
        BUFFER(cut);
        buffer_append(&cut, file.bytes, size);
        buffer_append(&cut, "", 0);
        assert_false(reads(&cut, &zone));
    }
    buffer_byte(&file, '\n');
    assert_false(reads(&file, &zone));
}

static void counts_that_are_not_there_are_not_believed(void **state)
{
    static const struct file_plan plan = {.version = '2'};
    for (size_t count = 0; count < 6; count++) {
        BUFFER(file);
        struct zone zone;
        make_file(&file, &plan);
        memset(file.bytes + 20 + 4 * count, 0xff, 4);
        assert_false(reads(&file, &zone));
    }
}

static void a_file_over_the_limit_is_refused(void **state)
{
    CLEANUP(memory_free) char *bytes = calloc(1, ZONE_FILE_MAX_BYTES + 1);
    BUFFER(why);
    struct zone zone;
    assert_non_null(bytes);
    assert_false(zone_read(bytes, ZONE_FILE_MAX_BYTES + 1, &zone, &why));
}

static void the_first_version_has_times_of_32_bits_and_no_rule(void **state)
{
    static const int64_t times[] = {-100, 200};
    static const uint8_t to[] = {1, 0};
    static const uint8_t types[] = {0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x10, 1, 2};
    static const struct file_plan plan = {.times = 2,
                                          .at = times,
                                          .to = to,
                                          .types = 2,
                                          .type_bytes = types,
                                          .names = "ABC",
                                          .name_bytes = 4};
    BUFFER(file);
    struct zone zone;
    make_file(&file, &plan);
    assert_true(reads(&file, &zone));
    assert_int_equal(zone_find(&zone, -101).offset_s, 0);
    assert_int_equal(zone_find(&zone, -100).offset_s, 3600);
    assert_true(span_is(zone_find(&zone, 199).name, "C"));
    assert_int_equal(zone_find(&zone, 200).offset_s, 0);
}

static void before_the_first_transition_it_is_the_first_type(void **state)
{
    static const uint8_t to[] = {0, 0};
    static const struct file_plan plan = {
        .version = '2', .times = 2, .at = two_times, .to = to, .type_bytes = hour_type};
    BUFFER(file);
    struct zone zone;
    make_file(&file, &plan);
    assert_true(reads(&file, &zone));
    assert_int_equal(zone_find(&zone, -9223372036).offset_s, 3600);
    assert_int_equal(zone_find(&zone, 9223372036).offset_s, 3600);
}

/* ---- rules ---- */

static void rules_that_are_none_are_refused(void **state)
{
    static const char *const rules[] = {
        "",
        "CET",
        "CE-1",
        "-1",
        "<CET-1",
        "<C>-1",
        "<C@T>-1",
        "CET-25",
        "CET-1:60",
        "CET-1:00:60",
        "CET-1:",
        "CET-1CEST",
        "CET-1CE,M3.5.0,M10.5.0",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,",
        "CET-1CEST,M3.5.0,M10.5.0,",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,J366,J1",
        "CET-1CEST,366,0",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0/-168,M10.5.0",
        "CET-1CEST,M3.5.0/,M10.5.0",
        "CET-1CEST,M99999999999.5.0,M10.5.0",
        "CET-1CEST;M3.5.0;M10.5.0",
        " CET-1",
        "CET-1 ",
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct zone_rule rule;
        if (zone_rule_read((struct span){rules[i], strlen(rules[i])}, &rule))
            fail_msg("'%s' is read", rules[i]);
    }
}

/* Moments just before and at a change, as POSIX describes them. */
static void rules_change_when_they_say(void **state)
{
    static const struct {
        const char *rule;
        int64_t at; /* the change; */
        int32_t before_s, after_s;
    } cases[] = {
        /* 2021-03-28 and 2021-10-31 01:00 UTC */
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1616893200, 3600, 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1635642000, 7200, 3600},
        /* 2021-04-04 and 2021-10-03, where the year begins in summer: 02:00 at +10, 03:00 at +11 */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", 1617465600, 39600, 36000},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", 1633190400, 36000, 39600},
        /* Half an hour: 2021-04-04 02:00 at +11 */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1617462000, 39600, 37800},
        /* Winter time is the one with a name of its own: 2021-10-31 02:00 at +1 */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1635642000, 3600, 0},
        /* Days before and after midnight: 2021-03-27 22:00 UTC, the day before */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1616893200, -7200, -3600},
        /* 2020-02-29 is day 59 counted from 0; March 1 is J60 in every year */
        {"AAA0BBB,59/0,300", 1582934400, 0, 3600},
        {"AAA0BBB,J60/0,J300", 1583020800, 0, 3600},
        {"AAA0BBB,J60/0,J300", 1614556800, 0, 3600},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct zone_rule rule;
        assert_true(zone_rule_read((struct span){cases[i].rule, strlen(cases[i].rule)}, &rule));
        if (zone_rule_find(&rule, cases[i].at - 1).offset_s != cases[i].before_s ||
            zone_rule_find(&rule, cases[i].at).offset_s != cases[i].after_s)
            fail_msg("'%s' at %lld", cases[i].rule, (long long)cases[i].at);
    }
}

static void daylight_time_may_last_all_year(void **state)
{
    static const char text[] = "XXX3EDT4,0/0,J365/23";
    struct zone_rule rule;
    assert_true(zone_rule_read((struct span){text, sizeof text - 1}, &rule));
    for (int64_t seconds = 1600000000; seconds < 1700000000; seconds += 10000)
        assert_int_equal(zone_rule_find(&rule, seconds).offset_s, -4 * 3600);
}

/* ---- the zones of the system ---- */

static void check_row(const char *row)
{
    char zone_name[64], abbreviation[16];
    long long seconds;
    int offset_s;
    BUFFER(bytes);
    BUFFER(why);
    struct zone zone;
    assert_int_equal(sscanf(row, "%63s %lld %d %15s", zone_name, &seconds, &offset_s, abbreviation),
                     4);
    assert_result(LETHE_OK,
                  zone_load((struct span){zone_name, strlen(zone_name)}, &bytes, &zone, &why));
    struct zone_period period = zone_find(&zone, seconds);
    if (period.offset_s != offset_s || !span_is(period.name, abbreviation))
        fail_msg("%s: %d %.*s", row, period.offset_s, (int)period.name.length, period.name.at);
}

static void zones_of_the_system_are_those_of_another_implementation(void **state)
{
    if (access(ZONE_DIRECTORY "/UTC", R_OK) != 0)
        skip();
    char row[128];
    size_t rows = 0;
    FILE *file = fopen(TEST_VECTORS "/time/zones.tsv", "re");
    assert_non_null(file);
    while (fgets(row, sizeof row, file) != NULL) {
        if (row[0] == '#')
            continue;
        check_row(row);
        rows++;
    }
    fclose(file);
    assert_true(rows > 300);
}

static void a_zone_of_null_is_utc(void **state)
{
    struct zone_period period = zone_find(NULL, 1600000000);
    assert_int_equal(period.offset_s, 0);
    assert_true(span_is(period.name, "UTC"));
    assert_true(zone_to_utc(NULL, 1600000000) == 1600000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_wrong_are_refused),
        cmocka_unit_test(a_file_that_is_cut_or_longer_is_refused),
        cmocka_unit_test(counts_that_are_not_there_are_not_believed),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(the_first_version_has_times_of_32_bits_and_no_rule),
        cmocka_unit_test(before_the_first_transition_it_is_the_first_type),
        cmocka_unit_test(rules_that_are_none_are_refused),
        cmocka_unit_test(rules_change_when_they_say),
        cmocka_unit_test(daylight_time_may_last_all_year),
        cmocka_unit_test(zones_of_the_system_are_those_of_another_implementation),
        cmocka_unit_test(a_zone_of_null_is_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
