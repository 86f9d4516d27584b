#include "check.h"

#include <unistd.h>

#include "builtin_call.h"

static const struct builtin_caller plain;

#define SKIP_WITHOUT_ZONES()                                                                       \
    do {                                                                                           \
        if (access("/usr/share/zoneinfo/UTC", R_OK) != 0)                                          \
            skip();                                                                                \
    } while (0)

static void operands_of_other_kinds_are_type_errors(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.date", "[\"x\"]",
         "eval_type_error: time.date: operand 1 must be either number (ns) or [number (ns), string "
         "(tz)] but got string"},
        {"time.clock", "[[]]",
         "eval_type_error: time.clock: operand 1 must be either number (ns) or [number (ns), "
         "string (tz)] but got array"},
        {"time.weekday", "[[\"0\"]]",
         "eval_type_error: time.weekday: operand 1 must be number but got string"},
        {"time.format", "[[0, 1]]",
         "eval_type_error: time.format: operand 1 must be string but got number"},
        {"time.format", "[[0, \"UTC\", null]]",
         "eval_type_error: time.format: operand 1 must be string but got null"},
        {"time.diff", "[0, {}]",
         "eval_type_error: time.diff: operand 2 must be either number (ns) or [number (ns), string "
         "(tz)] but got object"},
        {"time.add_date", "[0, \"1\", 0, 0]",
         "eval_type_error: time.add_date: operand 2 must be number but got string"},
        {"time.add_date", "[0, 0, 0, 1.5]",
         "eval_type_error: time.add_date: operand 4 must be integer number but got floating-point "
         "number"},
        {"time.parse_ns", "[1, \"\"]",
         "eval_type_error: time.parse_ns: operand 1 must be string but got number"},
        {"time.parse_rfc3339_ns", "[[]]",
         "eval_type_error: time.parse_rfc3339_ns: operand 1 must be string but got array"},
        {"time.parse_duration_ns", "[true]",
         "eval_type_error: time.parse_duration_ns: operand 1 must be string but got boolean"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Fractions of a nanosecond too: that is what OPA calls them. */
static void moments_are_whole_and_of_64_bits(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.date", "[15829776000000000000000]",
         "eval_builtin_error: time.date: timestamp too big"},
        {"time.clock", "[9223372036854775808]",
         "eval_builtin_error: time.clock: timestamp too big"},
        {"time.weekday", "[-9223372036854775809]",
         "eval_builtin_error: time.weekday: timestamp too big"},
        {"time.format", "[1.5]", "eval_builtin_error: time.format: timestamp too big"},
        {"time.date", "[[18446744073709551616]]",
         "eval_builtin_error: time.date: timestamp too big"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void dates_that_64_bits_do_not_reach_are_refused(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.add_date", "[0, 2262, 1, 1]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[-9223372036854775808, 0, 0, -1]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[9223372036854775807, 0, 0, 1]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, 9223372036854775807, 0, 0]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, 0, 9223372036854775807, 0]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, 0, 0, 9223372036854775807]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date",
         "[9223372036854775807, -9223372036854775808, -9223372036854775808, -9223372036854775808]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, -9223372036854775808, 0, 0]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, 1000000000000, 0, 0]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.add_date", "[0, 300, 0, -1]",
         "eval_builtin_error: time.add_date: time outside of valid range"},
        {"time.parse_rfc3339_ns", "[\"1677-09-21T00:12:43.145224191-00:00\"]",
         "eval_builtin_error: time.parse_rfc3339_ns: time outside of valid range"},
        {"time.parse_rfc3339_ns", "[\"2262-04-11T23:47:16.854775808-00:00\"]",
         "eval_builtin_error: time.parse_rfc3339_ns: time outside of valid range"},
        {"time.parse_rfc3339_ns", "[\"9999-12-31T23:59:59Z\"]",
         "eval_builtin_error: time.parse_rfc3339_ns: time outside of valid range"},
        {"time.parse_rfc3339_ns", "[\"1677-09-21T00:12:43.145224192-00:00\"]",
         "-9223372036854775808"},
        {"time.parse_rfc3339_ns", "[\"2262-04-11T23:47:16.854775807-00:00\"]",
         "9223372036854775807"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Years far apart may make up for each other, as long as nothing overflows on the way. */
static void parts_of_a_date_may_be_far_away(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.add_date", "[0, 1000000, -12000000, 0]", "0"},
        {"time.add_date", "[0, 400, 0, -146097]", "0"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void zones_that_are_none_are_refused(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.date", "[[0, \"Nowhere\"]]",
         "eval_builtin_error: time.date: unknown time zone \"Nowhere\""},
        {"time.date", "[[0, \"../etc/passwd\"]]",
         "eval_builtin_error: time.date: time: invalid location name \"../etc/passwd\""},
        {"time.date", "[[0, \"/etc/localtime\"]]",
         "eval_builtin_error: time.date: time: invalid location name \"/etc/localtime\""},
        {"time.date", "[[0, \"Europe/../UTC\"]]",
         "eval_builtin_error: time.date: time: invalid location name \"Europe/../UTC\""},
        {"time.date", "[[0, \"Europe\"]]",
         "eval_builtin_error: time.date: unknown time zone \"Europe\""},
        {"time.date", "[[0, \"zone.tab\"]]",
         "eval_builtin_error: time.date: unknown time zone \"zone.tab\""},
        {"time.date", "[[0, \"tzdata.zi\"]]",
         "eval_builtin_error: time.date: unknown time zone \"tzdata.zi\""},
        {"time.date", "[[0, \"\\\\x\"]]",
         "eval_builtin_error: time.date: time: invalid location name \"\\\\x\""},
        {"time.date", "[[0, \"UTC\\u0000\"]]",
         "eval_builtin_error: time.date: unknown time zone \"UTC\\x00\""},
        {"time.date", "[[0, \"europe/zurich\"]]",
         "eval_builtin_error: time.date: unknown time zone \"europe/zurich\""},
        {"time.date", "[[0, \" UTC\"]]",
         "eval_builtin_error: time.date: unknown time zone \" UTC\""},
        {"time.date",
         "[[0, \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]]",
         "eval_builtin_error: time.date: unknown time zone "
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""},
        {"time.date", "[[0, \"Z\\u00fcrich\"]]",
         "eval_builtin_error: time.date: unknown time zone \"Z\\xc3\\xbcrich\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void durations_that_are_none_are_refused(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.parse_duration_ns", "[\"\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"\""},
        {"time.parse_duration_ns", "[\"-\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"-\""},
        {"time.parse_duration_ns", "[\"1\"]",
         "eval_builtin_error: time.parse_duration_ns: time: missing unit in duration \"1\""},
        {"time.parse_duration_ns", "[\"1.\"]",
         "eval_builtin_error: time.parse_duration_ns: time: missing unit in duration \"1.\""},
        {"time.parse_duration_ns", "[\".s\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \".s\""},
        {"time.parse_duration_ns", "[\"h\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"h\""},
        {"time.parse_duration_ns", "[\"1x\"]",
         "eval_builtin_error: time.parse_duration_ns: time: unknown unit \"x\" in duration \"1x\""},
        {"time.parse_duration_ns", "[\"1h 2m\"]",
         "eval_builtin_error: time.parse_duration_ns: time: unknown unit \"h \" in duration \"1h "
         "2m\""},
        {"time.parse_duration_ns", "[\"1H\"]",
         "eval_builtin_error: time.parse_duration_ns: time: unknown unit \"H\" in duration \"1H\""},
        {"time.parse_duration_ns", "[\"+-1h\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"+-1h\""},
        {"time.parse_duration_ns", "[\"1h-2m\"]",
         "eval_builtin_error: time.parse_duration_ns: time: unknown unit \"h-\" in duration "
         "\"1h-2m\""},
        {"time.parse_duration_ns", "[\"9223372036854775808ns\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration "
         "\"9223372036854775808ns\""},
        {"time.parse_duration_ns", "[\"106752d\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"106752d\""},
        {"time.parse_duration_ns", "[\"293y\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration \"293y\""},
        {"time.parse_duration_ns", "[\"99999999999999999999h\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration "
         "\"99999999999999999999h\""},
        {"time.parse_duration_ns", "[\"9000000000s1000000000s\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration "
         "\"9000000000s1000000000s\""},
        {"time.parse_duration_ns", "[\"-9223372036854775809ns\"]",
         "eval_builtin_error: time.parse_duration_ns: time: invalid duration "
         "\"-9223372036854775809ns\""},
        {"time.parse_duration_ns", "[\"1\\u00b5\"]",
         "eval_builtin_error: time.parse_duration_ns: time: unknown unit \"\\xc2\\xb5\" in "
         "duration \"1\\xc2\\xb5\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void durations_are_sums_of_numbers_with_units(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.parse_duration_ns", "[\"0\"]", "0"},
        {"time.parse_duration_ns", "[\"-0\"]", "0"},
        {"time.parse_duration_ns", "[\"+0\"]", "0"},
        {"time.parse_duration_ns", "[\"0s\"]", "0"},
        {"time.parse_duration_ns", "[\"100ns\"]", "100"},
        {"time.parse_duration_ns", "[\"100us\"]", "100000"},
        {"time.parse_duration_ns", "[\"100\\u00b5s\"]", "100000"},
        {"time.parse_duration_ns", "[\"100\\u03bcs\"]", "100000"},
        {"time.parse_duration_ns", "[\"100ms\"]", "100000000"},
        {"time.parse_duration_ns", "[\"100s\"]", "100000000000"},
        {"time.parse_duration_ns", "[\"100m\"]", "6000000000000"},
        {"time.parse_duration_ns", "[\"100h\"]", "360000000000000"},
        {"time.parse_duration_ns", "[\"365d\"]", "31536000000000000"},
        {"time.parse_duration_ns", "[\"1w\"]", "604800000000000"},
        {"time.parse_duration_ns", "[\"1y\"]", "31536000000000000"},
        {"time.parse_duration_ns", "[\"1d2h\"]", "93600000000000"},
        {"time.parse_duration_ns", "[\"1.5h\"]", "5400000000000"},
        {"time.parse_duration_ns", "[\"-1.5h\"]", "-5400000000000"},
        {"time.parse_duration_ns", "[\"+.5s\"]", "500000000"},
        {"time.parse_duration_ns", "[\"1.s\"]", "1000000000"},
        {"time.parse_duration_ns", "[\"1h30m15.5s\"]", "5415500000000"},
        {"time.parse_duration_ns", "[\"0.3333333333333333333h\"]", "1200000000000"},
        {"time.parse_duration_ns", "[\"1h1h\"]", "7200000000000"},
        {"time.parse_duration_ns", "[\"9223372036854775807ns\"]", "9223372036854775807"},
        {"time.parse_duration_ns", "[\"-9223372036854775808ns\"]", "-9223372036854775808"},
        {"time.parse_duration_ns", "[\"2562047h47m16.854775807s\"]", "9223372036854775807"},
        {"time.parse_duration_ns", "[\"0.100000000000000000000h\"]", "360000000000"},
        {"time.parse_duration_ns", "[\"0.9223372036854775807h\"]", "3320413933267"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void the_calendar_goes_both_ways_from_1970(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.date", "[0]", "[1970, 1, 1]"},
        {"time.clock", "[-1]", "[23, 59, 59]"},
        {"time.date", "[-1]", "[1969, 12, 31]"},
        {"time.date", "[-9223372036854775808]", "[1677, 9, 21]"},
        {"time.clock", "[-9223372036854775808]", "[0, 12, 43]"},
        {"time.date", "[9223372036854775807]", "[2262, 4, 11]"},
        {"time.clock", "[9223372036854775807]", "[23, 47, 16]"},
        {"time.weekday", "[0]", "\"Thursday\""},
        {"time.date", "[951782400000000000]", "[2000, 2, 29]"},
        {"time.date", "[[0, \"UTC\"]]", "[1970, 1, 1]"},
        {"time.date", "[[0, \"\"]]", "[1970, 1, 1]"},
        {"time.date", "[[0, \"UTC\", \"x\", 1]]", "[1970, 1, 1]"},
        {"time.date", "[1000000000.0]", "[1970, 1, 1]"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's datetime and zoneinfo, of random moments. */
static void dates_and_clocks_are_those_of_another_implementation(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.date", "[1642869421929583699]", "[2022, 1, 22]"},
        {"time.clock", "[[6582960472780362279, \"America/New_York\"]]", "[12, 7, 52]"},
        {"time.weekday", "[[1649993976485151261, \"Asia/Kolkata\"]]", "\"Friday\""},
        {"time.date", "[[6549435972184405693, \"Australia/Lord_Howe\"]]", "[2177, 7, 18]"},
        {"time.clock", "[[1715349830203905758, \"Europe/Zurich\"]]", "[16, 3, 50]"},
        {"time.weekday", "[[5605971263777110648, \"Pacific/Chatham\"]]", "\"Friday\""},
        {"time.date", "[1674828856510846881]", "[2023, 1, 27]"},
        {"time.clock", "[[2102169398385414777, \"America/New_York\"]]", "[11, 56, 38]"},
        {"time.weekday", "[[1499951236101064292, \"Asia/Kolkata\"]]", "\"Thursday\""},
        {"time.date", "[[-3626606604854918714, \"Australia/Lord_Howe\"]]", "[1855, 1, 29]"},
        {"time.clock", "[[1476125683097356745, \"Europe/Zurich\"]]", "[20, 54, 43]"},
        {"time.weekday", "[[5711933494378980703, \"Pacific/Chatham\"]]", "\"Saturday\""},
        {"time.date", "[1422484332639345074]", "[2015, 1, 28]"},
        {"time.clock", "[[-1915510387950314700, \"America/New_York\"]]", "[12, 46, 52]"},
        {"time.weekday", "[[1643199765702143973, \"Asia/Kolkata\"]]", "\"Wednesday\""},
        {"time.date", "[[2131755680504163155, \"Australia/Lord_Howe\"]]", "[2037, 7, 21]"},
        {"time.clock", "[[1484553996669079081, \"Europe/Zurich\"]]", "[9, 6, 36]"},
        {"time.weekday", "[[6118814989828270724, \"Pacific/Chatham\"]]", "\"Friday\""},
        {"time.date", "[1683672534067822818]", "[2023, 5, 9]"},
        {"time.clock", "[[-8565694322606583341, \"America/New_York\"]]", "[19, 31, 55]"},
        {"time.weekday", "[[1502117281944425699, \"Asia/Kolkata\"]]", "\"Monday\""},
        {"time.date", "[[1837629338617744952, \"Australia/Lord_Howe\"]]", "[2028, 3, 26]"},
        {"time.clock", "[[1416150466835487536, \"Europe/Zurich\"]]", "[16, 7, 46]"},
        {"time.weekday", "[[-3204322044393423698, \"Pacific/Chatham\"]]", "\"Wednesday\""},
        {"time.date", "[1636508343634537864]", "[2021, 11, 10]"},
        {"time.clock", "[[-5620328596596923923, \"America/New_York\"]]", "[16, 40, 41]"},
        {"time.weekday", "[[1678702636250875089, \"Asia/Kolkata\"]]", "\"Monday\""},
        {"time.date", "[[-3797233272302355379, \"Australia/Lord_Howe\"]]", "[1849, 9, 2]"},
        {"time.clock", "[[1668313669004932521, \"Europe/Zurich\"]]", "[5, 27, 49]"},
        {"time.weekday", "[[-7655606031488393489, \"Pacific/Chatham\"]]", "\"Wednesday\""},
        {"time.date", "[1645527110703087908]", "[2022, 2, 22]"},
        {"time.clock", "[[-1719628821073018084, \"America/New_York\"]]", "[16, 19, 38]"},
        {"time.weekday", "[[1695959611902174582, \"Asia/Kolkata\"]]", "\"Friday\""},
        {"time.date", "[[3833410991534794410, \"Australia/Lord_Howe\"]]", "[2091, 6, 23]"},
        {"time.clock", "[[1536362388338526335, \"Europe/Zurich\"]]", "[1, 19, 48]"},
        {"time.weekday", "[[-4986783966900963646, \"Pacific/Chatham\"]]", "\"Tuesday\""},
        {"time.date", "[1675352847310354284]", "[2023, 2, 2]"},
        {"time.clock", "[[-7927977187782465958, \"America/New_York\"]]", "[19, 10, 50]"},
        {"time.weekday", "[[1702334697822795356, \"Asia/Kolkata\"]]", "\"Tuesday\""},
        {"time.date", "[[-1837299247698498258, \"Australia/Lord_Howe\"]]", "[1911, 10, 13]"},
        {"time.clock", "[[1457876348909012247, \"Europe/Zurich\"]]", "[14, 39, 8]"},
        {"time.weekday", "[[-2093455730715774797, \"Pacific/Chatham\"]]", "\"Monday\""},
        {"time.date", "[1435877205018136001]", "[2015, 7, 2]"},
        {"time.clock", "[[3410756465946713877, \"America/New_York\"]]", "[3, 21, 5]"},
        {"time.weekday", "[[1400292560229245687, \"Asia/Kolkata\"]]", "\"Saturday\""},
        {"time.date", "[[7877537101181722196, \"Australia/Lord_Howe\"]]", "[2219, 8, 19]"},
        {"time.clock", "[[1428090478504644994, \"Europe/Zurich\"]]", "[21, 47, 58]"},
        {"time.weekday", "[[8861058396197220165, \"Pacific/Chatham\"]]", "\"Saturday\""},
        {"time.date", "[1613365593450747587]", "[2021, 2, 15]"},
        {"time.clock", "[[1221944508995352596, \"America/New_York\"]]", "[17, 1, 48]"},
        {"time.weekday", "[[1506563579835919667, \"Asia/Kolkata\"]]", "\"Thursday\""},
        {"time.date", "[[-4246890767219659534, \"Australia/Lord_Howe\"]]", "[1835, 6, 4]"},
        {"time.clock", "[[1580867965093570372, \"Europe/Zurich\"]]", "[2, 59, 25]"},
        {"time.weekday", "[[-3088250047068830914, \"Pacific/Chatham\"]]", "\"Tuesday\""},
        {"time.date", "[1408133328440288822]", "[2014, 8, 15]"},
        {"time.clock", "[[7800163422318134628, \"America/New_York\"]]", "[11, 3, 42]"},
        {"time.weekday", "[[1463346302144521862, \"Asia/Kolkata\"]]", "\"Monday\""},
        {"time.date", "[[3818771759416007646, \"Australia/Lord_Howe\"]]", "[2091, 1, 5]"},
        {"time.clock", "[[1454248824011762859, \"Europe/Zurich\"]]", "[15, 0, 24]"},
        {"time.weekday", "[[-646745742361575276, \"Pacific/Chatham\"]]", "\"Tuesday\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's datetime: months are counted from the 1st, then days. */
static void added_dates_are_those_of_another_implementation(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.add_date", "[2490152341592971806, -38, 31, -1914]", "1207025941592971806"},
        {"time.add_date", "[1866718813307735819, 0, 0, 1]", "1866805213307735819"},
        {"time.add_date", "[-36660673972006807, 0, 0, 0]", "-36660673972006807"},
        {"time.add_date", "[-272394540090320142, 0, 0, 0]", "-272394540090320142"},
        {"time.add_date", "[-650080135256809404, -33, 16, -769]", "-1715737735256809404"},
        {"time.add_date", "[1561789214177357968, -51, -31, -3524]", "-433532385822642032"},
        {"time.add_date", "[241398625399170170, -59, 36, 1040]", "-1435970974600829830"},
        {"time.add_date", "[-826592586071444927, 0, 0, 1]", "-826506186071444927"},
        {"time.add_date", "[3785312882548657162, -41, -1, -1259]", "2380103282548657162"},
        {"time.add_date", "[-538319557730842936, 0, -299, 0]", "-1324645957730842936"},
        {"time.add_date", "[1580604682730216063, 0, 0, 1]", "1580691082730216063"},
        {"time.add_date", "[-1042247972397874586, 0, 1, 0]", "-1039569572397874586"},
        {"time.add_date", "[1611973683991499203, 0, 1, 0]", "1614652083991499203"},
        {"time.add_date", "[-381912575562246796, 0, 0, 1]", "-381826175562246796"},
        {"time.add_date", "[3680403241158238422, 1, 0, 0]", "3711939241158238422"},
        {"time.add_date", "[-1847124475582776044, 1, 0, 0]", "-1815502075582776044"},
        {"time.add_date", "[-1570208038383385533, -38, -4, 1042]", "-2689692838383385533"},
        {"time.add_date", "[-786402332877075571, 0, 0, 1]", "-786315932877075571"},
        {"time.add_date", "[1052612868420771316, 1, 0, 0]", "1084235268420771316"},
        {"time.add_date", "[-1676439220337895684, 0, 1, 0]", "-1673847220337895684"},
        {"time.add_date", "[875890734109738347, 0, 0, 0]", "875890734109738347"},
        {"time.add_date", "[-1379538499678778120, 0, 0, 0]", "-1379538499678778120"},
        {"time.add_date", "[2179024662757666296, 0, 421, 0]", "3286240662757666296"},
        {"time.add_date", "[1245096772849370385, 0, 0, 1]", "1245183172849370385"},
        {"time.add_date", "[3283216681428787430, -59, 39, 1264]", "1632976681428787430"},
        {"time.add_date", "[3615805993115958499, 0, 0, 0]", "3615805993115958499"},
        {"time.add_date", "[372281441675009248, 0, -103, 0]", "101331041675009248"},
        {"time.add_date", "[3358344533672475911, -2, 16, 2579]", "3560088533672475911"},
        {"time.add_date", "[2784136686662762611, 36, 25, -4512]", "3596210286662762611"},
        {"time.add_date", "[2436043661946756811, -58, -11, -3151]", "304642061946756811"},
        {"time.add_date", "[359617255978695413, 1, 0, 0]", "391153255978695413"},
        {"time.add_date", "[3642472434303656598, 0, 1, 0]", "3645064434303656598"},
        {"time.add_date", "[2596108088043535538, 0, -86, 0]", "2370085688043535538"},
        {"time.add_date", "[-169107362498525532, 1, 0, 0]", "-137571362498525532"},
        {"time.add_date", "[25244473770459988, 1, 0, 0]", "56780473770459988"},
        {"time.add_date", "[1235052898003482323, 0, 1, 0]", "1237472098003482323"},
        {"time.add_date", "[-440061088514620690, 1, 0, 0]", "-408438688514620690"},
        {"time.add_date", "[1818335825040874501, 0, 5, 0]", "1831555025040874501"},
        {"time.add_date", "[3762544688819519134, 0, 0, 0]", "3762544688819519134"},
        {"time.add_date", "[-1617337103014645275, 0, 1, 0]", "-1614658703014645275"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* A day is not 24 hours where clocks change: the time of the day stays. One that is skipped
 * becomes one an hour earlier, of one that comes twice it is the first: as Go does. */
static void dates_are_added_on_the_clock_of_the_zone(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.add_date", "[[1615654800000000000, \"America/New_York\"], 0, 0, 1]",
         "1615737600000000000"},
        {"time.add_date", "[[1636214400000000000, \"America/New_York\"], 0, 0, 1]",
         "1636304400000000000"},
        {"time.add_date", "[[1615620600000000000, \"America/New_York\"], 0, 0, 1]",
         "1615703400000000000"},
        {"time.add_date", "[[1636176600000000000, \"America/New_York\"], 0, 0, 1]",
         "1636263000000000000"},
        {"time.add_date", "[[1582886700000000000, \"Pacific/Chatham\"], 1, 0, 0]",
         "1614509100000000000"},
        {"time.add_date", "[[1612020600000000000, \"Asia/Tokyo\"], 0, 1, 0]",
         "1614699000000000000"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's datetime: both as seen in the zone of the first. */
static void differences_are_those_of_another_implementation(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.diff", "[[-823704316064769063, \"UTC\"], [-823490489164447342, \"Asia/Tokyo\"]]",
         "[0, 0, 2, 11, 23, 47]"},
        {"time.diff", "[[1457221609025775241, \"America/New_York\"], 1457221616743175702]",
         "[0, 0, 0, 0, 0, 7]"},
        {"time.diff",
         "[[3118058250702986795, \"Asia/Kolkata\"], [3210279842835694782, \"Asia/Tokyo\"]]",
         "[2, 11, 2, 9, 6, 32]"},
        {"time.diff", "[[2400501331707873054, \"Australia/Lord_Howe\"], 2400502234507170107]",
         "[0, 0, 0, 0, 15, 3]"},
        {"time.diff",
         "[[1361572685821177111, \"Europe/Zurich\"], [1361572686631906907, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 0, 1]"},
        {"time.diff", "[[3933106881668452611, \"Pacific/Chatham\"], 3933106917000814724]",
         "[0, 0, 0, 0, 0, 36]"},
        {"time.diff", "[[2188884345835308447, \"UTC\"], [2189775984691362379, \"Asia/Tokyo\"]]",
         "[0, 0, 10, 7, 40, 39]"},
        {"time.diff", "[[-195632863076482712, \"America/New_York\"], -196140082092229993]",
         "[0, 0, 5, 20, 53, 39]"},
        {"time.diff",
         "[[815867348123054613, \"Asia/Kolkata\"], [816507777353816609, \"Asia/Tokyo\"]]",
         "[0, 0, 7, 9, 53, 49]"},
        {"time.diff", "[[3276948913234460227, \"Australia/Lord_Howe\"], 3276948122535427858]",
         "[0, 0, 0, 0, 13, 11]"},
        {"time.diff",
         "[[967313734717974222, \"Europe/Zurich\"], [967412639141085234, \"Asia/Tokyo\"]]",
         "[0, 0, 1, 3, 28, 25]"},
        {"time.diff", "[[1857931986678590229, \"Pacific/Chatham\"], 1857931708125121292]",
         "[0, 0, 0, 0, 4, 38]"},
        {"time.diff", "[[3655213421820101104, \"UTC\"], [3655213422293515156, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 0, 1]"},
        {"time.diff", "[[3495909511084063405, \"America/New_York\"], 3495910468042033613]",
         "[0, 0, 0, 0, 15, 57]"},
        {"time.diff",
         "[[2956220648659224540, \"Asia/Kolkata\"], [2956220693898638918, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 0, 45]"},
        {"time.diff", "[[295885589547021057, \"Australia/Lord_Howe\"], 295885516533333358]",
         "[0, 0, 0, 0, 1, 13]"},
        {"time.diff",
         "[[3543260527392172645, \"Europe/Zurich\"], [3543261104805093844, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 9, 37]"},
        {"time.diff", "[[1676342885024784483, \"Pacific/Chatham\"], 1757043224174062776]",
         "[2, 6, 18, 23, 45, 39]"},
        {"time.diff", "[[1874902567600184460, \"UTC\"], [1523888672153775153, \"Asia/Tokyo\"]]",
         "[11, 1, 14, 15, 51, 35]"},
        {"time.diff", "[[301881969202439363, \"America/New_York\"], 70182530283884406]",
         "[7, 4, 3, 17, 57, 19]"},
        {"time.diff",
         "[[3942839019600659725, \"Asia/Kolkata\"], [4030061529001639436, \"Asia/Tokyo\"]]",
         "[2, 9, 4, 12, 28, 30]"},
        {"time.diff", "[[-744000525696955034, \"Australia/Lord_Howe\"], -686270294373384979]",
         "[1, 9, 28, 4, 10, 31]"},
        {"time.diff",
         "[[3529048760821931512, \"Europe/Zurich\"], [3529048823265238854, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 1, 3]"},
        {"time.diff", "[[2727712320435334046, \"Pacific/Chatham\"], 2727711777237241580]",
         "[0, 0, 0, 0, 9, 3]"},
        {"time.diff", "[[2133002454828905132, \"UTC\"], [2127288024356601311, \"Asia/Tokyo\"]]",
         "[0, 2, 5, 3, 20, 30]"},
        {"time.diff", "[[765830419297475227, \"America/New_York\"], 616571534320608601]",
         "[4, 8, 23, 12, 48, 5]"},
        {"time.diff",
         "[[-789836761994163459, \"Asia/Kolkata\"], [-789836512218068063, \"Asia/Tokyo\"]]",
         "[0, 0, 0, 0, 4, 9]"},
        {"time.diff", "[[1970684397163481258, \"Australia/Lord_Howe\"], 1970683849040758526]",
         "[0, 0, 0, 0, 9, 8]"},
        {"time.diff",
         "[[3608701407449171672, \"Europe/Zurich\"], [3644809994753616955, \"Asia/Tokyo\"]]",
         "[1, 1, 22, 22, 9, 47]"},
        {"time.diff", "[[823726684142760102, \"Pacific/Chatham\"], 823726683739316437]",
         "[0, 0, 0, 0, 0, 1]"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void the_moment_is_that_of_the_evaluation(void **state)
{
    static const struct builtin_caller then = {.world = {.now_ns = 1670006453141828752}};
    static const struct builtin_caller never = {.world = {.now_ns = UINT64_MAX}};
    static const struct builtin_example now = {"time.now_ns", "[]", "1670006453141828752"};
    static const struct builtin_example too_late = {
        "time.now_ns", "[]", "eval_builtin_error: time.now_ns: time outside of valid range"};
    builtin_check(&then, &now, 1);
    builtin_check(&never, &too_late, 1);
    assert_int_equal(builtin_find("time.now_ns", 11, false)->flags, BUILTIN_VARIES);
}

static void long_texts_cost_steps(void **state)
{
    static const struct builtin_caller poor = {.steps = 4096};
    static const char *const names[] = {"time.parse_rfc3339_ns", "time.parse_duration_ns"};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    for (int i = 0; i < 10000; i++)
        buffer_byte(&operands, '1');
    buffer_text(&operands, "\"]");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        builtin_call_text(&poor, names[i], operands.bytes, &out);
        assert_string_equal(out.bytes, "limit");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_of_other_kinds_are_type_errors),
        cmocka_unit_test(moments_are_whole_and_of_64_bits),
        cmocka_unit_test(dates_that_64_bits_do_not_reach_are_refused),
        cmocka_unit_test(parts_of_a_date_may_be_far_away),
        cmocka_unit_test(zones_that_are_none_are_refused),
        cmocka_unit_test(durations_that_are_none_are_refused),
        cmocka_unit_test(durations_are_sums_of_numbers_with_units),
        cmocka_unit_test(the_calendar_goes_both_ways_from_1970),
        cmocka_unit_test(dates_and_clocks_are_those_of_another_implementation),
        cmocka_unit_test(added_dates_are_those_of_another_implementation),
        cmocka_unit_test(dates_are_added_on_the_clock_of_the_zone),
        cmocka_unit_test(differences_are_those_of_another_implementation),
        cmocka_unit_test(the_moment_is_that_of_the_evaluation),
        cmocka_unit_test(long_texts_cost_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
