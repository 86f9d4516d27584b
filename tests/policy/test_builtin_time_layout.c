#include "check.h"

#include <unistd.h>

#include "builtin_call.h"

static const struct builtin_caller plain;

#define SKIP_WITHOUT_ZONES()                                                                       \
    do {                                                                                           \
        if (access("/usr/share/zoneinfo/UTC", R_OK) != 0)                                          \
            skip();                                                                                \
    } while (0)

/* The words are those of Go's package time. */
static void what_does_not_fit_the_layout_is_said_where(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.parse_ns", "[\"RFC3339\", \"x\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": "
         "cannot parse \"x\" as \"2006\""},
        {"time.parse_ns", "[\"2006-01-02\", \"2020-1-02\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2020-1-02\" as \"2006-01-02\": cannot "
         "parse \"1-02\" as \"01\""},
        {"time.parse_ns", "[\"2006-01-02\", \"20x0-01-02\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"20x0-01-02\" as \"2006-01-02\": cannot "
         "parse \"20x0-01-02\" as \"2006\""},
        {"time.parse_ns", "[\"2006-01-02\", \"2020/01/02\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2020/01/02\" as \"2006-01-02\": cannot "
         "parse \"/01/02\" as \"-\""},
        {"time.parse_ns", "[\"06\", \"5\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"5\" as \"06\": cannot parse \"5\" as "
         "\"06\""},
        {"time.parse_ns", "[\"06\", \"+5\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"+5\" as \"06\": cannot parse \"+5\" as "
         "\"06\""},
        {"time.parse_ns", "[\"Jan 2\", \"Foo 2\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"Foo 2\" as \"Jan 2\": cannot parse "
         "\"Foo 2\" as \"Jan\""},
        {"time.parse_ns", "[\"January\", \"Janua\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"Janua\" as \"January\": cannot parse "
         "\"Janua\" as \"January\""},
        {"time.parse_ns", "[\"Monday\", \"Mon\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"Mon\" as \"Monday\": cannot parse "
         "\"Mon\" as \"Monday\""},
        {"time.parse_ns", "[\"Mon\", \"Xyz\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"Xyz\" as \"Mon\": cannot parse \"Xyz\" "
         "as \"Mon\""},
        {"time.parse_ns", "[\"3PM\", \"3pm\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"3pm\" as \"3PM\": cannot parse \"pm\" "
         "as \"PM\""},
        {"time.parse_ns", "[\"3pm\", \"3PM\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"3PM\" as \"3pm\": cannot parse \"PM\" "
         "as \"pm\""},
        {"time.parse_ns", "[\"3PM\", \"3P\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"3P\" as \"3PM\": cannot parse \"P\" as "
         "\"PM\""},
        {"time.parse_ns", "[\"002\", \"12\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"12\" as \"002\": cannot parse \"12\" "
         "as \"002\""},
        {"time.parse_ns", "[\"03\", \"3\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"3\" as \"03\": cannot parse \"3\" as "
         "\"03\""},
        {"time.parse_ns", "[\"-0700\", \"0700\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"0700\" as \"-0700\": cannot parse "
         "\"0700\" as \"-0700\""},
        {"time.parse_ns", "[\"-07:00\", \"-0700\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"-0700\" as \"-07:00\": cannot parse "
         "\"-0700\" as \"-07:00\""},
        {"time.parse_ns", "[\"Z0700\", \"z\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"z\" as \"Z0700\": cannot parse \"z\" "
         "as \"Z0700\""},
        {"time.parse_ns", "[\"-07\", \"-7\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"-7\" as \"-07\": cannot parse \"-7\" "
         "as \"-07\""},
        {"time.parse_ns", "[\"-0700\", \"\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"\" as \"-0700\": cannot parse \"\" as "
         "\"-0700\""},
        {"time.parse_ns", "[\"-0700\", \"-\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"-\" as \"-0700\": cannot parse \"-\" "
         "as \"-0700\""},
        {"time.parse_ns", "[\"-07:00:00\", \"-07:00\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"-07:00\" as \"-07:00:00\": cannot "
         "parse \"-07:00\" as \"-07:00:00\""},
        {"time.parse_ns", "[\"MST\", \"mst\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"mst\" as \"MST\": cannot parse \"mst\" "
         "as \"MST\""},
        {"time.parse_ns", "[\"MST\", \"ABCDEF\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"ABCDEF\" as \"MST\": cannot parse "
         "\"ABCDEF\" as \"MST\""},
        {"time.parse_ns", "[\"MST\", \"ABCD\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"ABCD\" as \"MST\": cannot parse "
         "\"ABCD\" as \"MST\""},
        {"time.parse_ns", "[\"MST\", \"A\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"A\" as \"MST\": cannot parse \"A\" as "
         "\"MST\""},
        {"time.parse_ns", "[\"MST\", \"+24\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"+24\" as \"MST\": cannot parse \"+24\" "
         "as \"MST\""},
        {"time.parse_ns", "[\".000\", \".12\"]",
         "eval_builtin_error: time.parse_ns: parsing time \".12\" as \".000\": cannot parse "
         "\".12\" as \".000\""},
        {"time.parse_ns", "[\".000\", \"123\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"123\" as \".000\": cannot parse "
         "\"123\" as \".000\""},
        {"time.parse_ns", "[\"05.000\", \"01\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"01\" as \"05.000\": cannot parse \"\" "
         "as \".000\""},
        {"time.parse_ns", "[\"2006\", \"20201\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"20201\": extra text: \"1\""},
        {"time.parse_ns", "[\"2\", \"1 \"]",
         "eval_builtin_error: time.parse_ns: parsing time \"1 \": extra text: \" \""},
        {"time.parse_ns", "[\"01\", \"13\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"13\": month out of range"},
        {"time.parse_ns", "[\"1\", \"0\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"0\": month out of range"},
        {"time.parse_ns", "[\"15\", \"24\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"24\": hour out of range"},
        {"time.parse_ns", "[\"3\", \"13\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"13\": hour out of range"},
        {"time.parse_ns", "[\"4\", \"60\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"60\": minute out of range"},
        {"time.parse_ns", "[\"05\", \"60\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"60\": second out of range"},
        {"time.parse_ns", "[\"-0700\", \"+2500\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"+2500\": time zone offset hour out of "
         "range"},
        {"time.parse_ns", "[\"-0700\", \"+0061\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"+0061\": time zone offset minute out "
         "of range"},
        {"time.parse_ns", "[\"-070000\", \"+000061\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"+000061\": time zone offset second out "
         "of range"},
        {"time.parse_ns", "[\"2006-01-02\", \"2021-02-29\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2021-02-29\": day out of range"},
        {"time.parse_ns", "[\"2006-01-02\", \"1900-02-29\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"1900-02-29\": day out of range"},
        {"time.parse_ns", "[\"2\", \"0\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"0\": day out of range"},
        {"time.parse_ns", "[\"2\", \"32\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"32\": day out of range"},
        {"time.parse_ns", "[\"2006 002\", \"2021 366\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2021 366\": day-of-year out of range"},
        {"time.parse_ns", "[\"002\", \"000\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"000\": day-of-year out of range"},
        {"time.parse_ns", "[\"2006 002 01\", \"2021 060 02\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2021 060 02\": day-of-year does not "
         "match month"},
        {"time.parse_ns", "[\"2006 002 02\", \"2021 060 02\"]",
         "eval_builtin_error: time.parse_ns: parsing time \"2021 060 02\": day-of-year does not "
         "match day"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* The error shows the beginning of each text, so that the end of the sentence is not lost. */
static void long_texts_are_cut_in_errors(void **state)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&operands, "[\"RFC3339\", \"");
    for (int i = 0; i < 1000; i++)
        buffer_text(&operands, "x");
    buffer_text(&operands, "\"]");
    builtin_call_text(&plain, "time.parse_ns", operands.bytes, &out);
    assert_non_null(strstr(out.bytes, "xxx...\" as \"2006\""));
}

static void texts_are_read_by_their_layout(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.parse_ns", "[\"2006-01-02T15:04:05Z07:00\", \"2017-06-02T19:00:00-07:00\"]",
         "1496455200000000000"},
        {"time.parse_ns", "[\"01/02 03:04:05PM '06 -0700\", \"06/02 07:00:00PM '17 -0700\"]",
         "1496455200000000000"},
        {"time.parse_ns", "[\"02 Jan 06 15:04 -0700\", \"02 Jun 17 19:00 -0700\"]",
         "1496455200000000000"},
        {"time.parse_ns", "[\"RFC822Z\", \"02 Jun 17 19:00 -0700\"]", "1496455200000000000"},
        {"time.parse_ns", "[\"ANSIC\", \"Fri Jun  2 19:00:00 2017\"]", "1496430000000000000"},
        {"time.parse_ns", "[\"UnixDate\", \"Fri Jun  2 19:00:00 UTC 2017\"]",
         "1496430000000000000"},
        {"time.parse_ns", "[\"RubyDate\", \"Fri Jun 02 19:00:00 -0700 2017\"]",
         "1496455200000000000"},
        {"time.parse_ns", "[\"RFC822\", \"02 Jun 17 19:00 UTC\"]", "1496430000000000000"},
        {"time.parse_ns", "[\"RFC850\", \"Friday, 02-Jun-17 19:00:00 UTC\"]",
         "1496430000000000000"},
        {"time.parse_ns", "[\"RFC1123\", \"Fri, 02 Jun 2017 19:00:00 GMT\"]",
         "1496430000000000000"},
        {"time.parse_ns", "[\"RFC1123Z\", \"Fri, 02 Jun 2017 19:00:00 +0000\"]",
         "1496430000000000000"},
        {"time.parse_ns", "[\"RFC3339\", \"2017-06-02T19:00:00.5Z\"]", "1496430000500000000"},
        {"time.parse_ns", "[\"RFC3339Nano\", \"2017-06-02T19:00:00,123456789123Z\"]",
         "1496430000123456789"},
        {"time.parse_ns", "[\"RFC3339\", \"2017-06-02T9:00:00Z\"]", "1496394000000000000"},
        {"time.parse_ns", "[\"RFC3339\", \"2017-06-02T19:00:00+24:60\"]", "1496340000000000000"},
        {"time.parse_ns", "[\"Monday, January 2 2006\", \"SUNDAY, fEbRuArY 3 2004\"]",
         "1075766400000000000"},
        {"time.parse_ns", "[\"06-01-02\", \"69-01-01\"]", "-31536000000000000"},
        {"time.parse_ns", "[\"06-01-02\", \"68-01-01\"]", "3092601600000000000"},
        {"time.parse_ns", "[\"2006-01-02 3PM\", \"2020-01-01 12AM\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006-01-02 3PM\", \"2020-01-01 12PM\"]", "1577880000000000000"},
        {"time.parse_ns", "[\"2006-01-02 3PM\", \"2020-01-01 11PM\"]", "1577919600000000000"},
        {"time.parse_ns", "[\"2006-01-02 15PM\", \"2020-01-01 13AM\"]", "1577883600000000000"},
        {"time.parse_ns", "[\"2006-01-02 3pm\", \"2020-01-01 1pm\"]", "1577883600000000000"},
        {"time.parse_ns", "[\"2006 Jan _2\", \"2020 Jan  3\"]", "1578009600000000000"},
        {"time.parse_ns", "[\"2006 Jan _2\", \"2020 Jan 13\"]", "1578873600000000000"},
        {"time.parse_ns", "[\"2006  Jan 2\", \"2020 Jan     3\"]", "1578009600000000000"},
        {"time.parse_ns", "[\"2006 \", \"2020\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 __2\", \"2020   3\"]", "1578009600000000000"},
        {"time.parse_ns", "[\"2006__2\", \"2020 60\"]", "1582934400000000000"},
        {"time.parse_ns", "[\"2006-002\", \"2020-366\"]", "1609372800000000000"},
        {"time.parse_ns", "[\"2006-002\", \"2021-060\"]", "1614556800000000000"},
        {"time.parse_ns", "[\"2006-002 Jan 2\", \"2021-060 Mar 1\"]", "1614556800000000000"},
        {"time.parse_ns", "[\"2006 05.000\", \"2020 01.250\"]", "1577836801250000000"},
        {"time.parse_ns", "[\"2006 05.999\", \"2020 01\"]", "1577836801000000000"},
        {"time.parse_ns", "[\"2006 05.9\", \"2020 01.123456789123\"]", "1577836801123456789"},
        {"time.parse_ns", "[\"2006 05,000\", \"2020 01.250\"]", "1577836801250000000"},
        {"time.parse_ns", "[\"2006 5\", \"2020 1.75\"]", "1577836801750000000"},
        {"time.parse_ns", "[\"2006 -07\", \"2020 +05\"]", "1577818800000000000"},
        {"time.parse_ns", "[\"2006 -070000\", \"2020 -000130\"]", "1577836890000000000"},
        {"time.parse_ns", "[\"2006 -07:00:00\", \"2020 -00:00:01\"]", "1577836801000000000"},
        {"time.parse_ns", "[\"2006 Z07\", \"2020 Z\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 Z0700\", \"2020 +0100\"]", "1577833200000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 PST\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 CEST\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 AMST\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 GMT+3\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 ChST\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 WITA\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 -03\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 MST\", \"2020 WAKST\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"Janus 2006\", \"Janus 2020\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"_2006\", \"_2020\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"\\u00e92006\", \"\\u00e92020\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 007\", \"2020 007\"]", "1577836800000000000"},
        {"time.parse_ns", "[\"2006 .01\", \"2020 .12\"]", "1606780800000000000"},
        {"time.parse_ns", "[\"2006\\u0000\", \"2020\\u0000\"]", "1577836800000000000"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void moments_are_written_by_their_layout(void **state)
{
    static const struct builtin_example examples[] = {
        {"time.format", "[1670006453141828752]", "\"2022-12-02T18:40:53.141828752Z\""},
        {"time.format", "[0]", "\"1970-01-01T00:00:00Z\""},
        {"time.format", "[-1]", "\"1969-12-31T23:59:59.999999999Z\""},
        {"time.format", "[[100000000, \"UTC\", \"\"]]", "\"1970-01-01T00:00:00.1Z\""},
        {"time.format", "[[0, \"UTC\", \"RFC3339\"]]", "\"1970-01-01T00:00:00Z\""},
        {"time.format", "[[0, \"UTC\", \"RFC3339Nano\"]]", "\"1970-01-01T00:00:00Z\""},
        {"time.format", "[[0, \"UTC\", \"ANSIC\"]]", "\"Thu Jan  1 00:00:00 1970\""},
        {"time.format", "[[0, \"UTC\", \"UnixDate\"]]", "\"Thu Jan  1 00:00:00 UTC 1970\""},
        {"time.format", "[[0, \"UTC\", \"RubyDate\"]]", "\"Thu Jan 01 00:00:00 +0000 1970\""},
        {"time.format", "[[0, \"UTC\", \"RFC822\"]]", "\"01 Jan 70 00:00 UTC\""},
        {"time.format", "[[0, \"UTC\", \"RFC822Z\"]]", "\"01 Jan 70 00:00 +0000\""},
        {"time.format", "[[0, \"UTC\", \"RFC850\"]]", "\"Thursday, 01-Jan-70 00:00:00 UTC\""},
        {"time.format", "[[0, \"UTC\", \"RFC1123\"]]", "\"Thu, 01 Jan 1970 00:00:00 UTC\""},
        {"time.format", "[[0, \"UTC\", \"RFC1123Z\"]]", "\"Thu, 01 Jan 1970 00:00:00 +0000\""},
        {"time.format", "[[0, \"UTC\", \"Janus Month Mon\"]]", "\"Janus Month Thu\""},
        {"time.format", "[[0, \"UTC\", \"_2006 _2 __2 002 2 02\"]]", "\"_1970  1   1 001 1 01\""},
        {"time.format", "[[0, \"UTC\", \".0001 .9991 ,0\"]]", "\".0001 .9991 ,0\""},
        {"time.format", "[[0, \"UTC\", \".000 .999 ,000000000000\"]]", "\".000  ,000000000\""},
        {"time.format", "[[0, \"UTC\", \"3 03 15 PM pm\"]]", "\"12 12 00 AM am\""},
        {"time.format", "[[43200000000000, \"UTC\", \"3 03 15 PM pm\"]]", "\"12 12 12 PM pm\""},
        {"time.format", "[[0, \"UTC\", \"pM Pm 0 00 007 -7 Z7\"]]", "\"pM Pm 0 00 007 -7 Z7\""},
        {"time.format", "[[0, \"UTC\", \"\\u00e9 2006 \\u0000\"]]", "\"\u00e9 1970 \\u0000\""},
        {"time.format", "[[0, \"UTC\", \"200601021504\"]]", "\"197001010000\""},
        {"time.format", "[[0, \"UTC\", \"Z07:00Z0700Z07Z070000Z07:00:00\"]]", "\"ZZZZZ\""},
        {"time.format", "[[0, \"UTC\", \"-07:00-0700-07-070000-07:00:00\"]]",
         "\"+00:00+0000+00+000000+00:00:00\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void moments_are_written_as_clocks_of_a_zone_show_them(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.format", "[[1670006453141828752, \"Asia/Kolkata\"]]",
         "\"2022-12-03T00:10:53.141828752+05:30\""},
        {"time.format",
         "[[1670006453141828752, \"Asia/Kolkata\", \"Mon Jan 02 15:04:05 -0700 2006\"]]",
         "\"Sat Dec 03 00:10:53 +0530 2022\""},
        {"time.format", "[[1670006453141828752, \"Asia/Kolkata\", \"RFC1123Z\"]]",
         "\"Sat, 03 Dec 2022 00:10:53 +0530\""},
        {"time.format", "[[0, \"America/New_York\", \"MST -07\"]]", "\"EST -05\""},
        {"time.format", "[[-9223372036854775808, \"Europe/London\", \"-07:00:00 -07:00 MST Z07\"]]",
         "\"-00:01:15 -00:01 LMT -00\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's strftime, of random moments and layouts. */
static void texts_are_those_of_another_implementation(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const struct builtin_example examples[] = {
        {"time.format", "[[1621943513500000000, \"UTC\", \"; .000 of 2006 of 15x,000000|\"]]",
         "\"; .500 of 2021 of 11x,500000|\""},
        {"time.format", "[[7428089338550918680, \"America/New_York\", \"x__2; .999 06; PM|\"]]",
         "\"x142; .55 05; AM|\""},
        {"time.format",
         "[[1467647494500000000, \"Australia/Lord_Howe\", \"xJanuaryTMon 06 of -07|\"]]",
         "\"xJulyTTue 16 of +10|\""},
        {"time.format", "[[2484067753689473554, \"Europe/Zurich\", \" Z07:00:00 002xpm|01|\"]]",
         "\" +02:00:00 262xpm|09|\""},
        {"time.format", "[[273460499356251962, \"Pacific/Chatham\", \"; _2; Z07x1; .0|\"]]",
         "\";  1; +12x9; .3|\""},
        {"time.format", "[[1551985173000000000, \"UTC\", \"T.999999999/January/Mon/2|\"]]",
         "\"T/March/Thu/7|\""},
        {"time.format",
         "[[-2682706353497084041, \"America/New_York\", \"x-07:00:00; .999; Monday/15|\"]]",
         "\"x-05:00:00; .502; Friday/22|\""},
        {"time.format", "[[-2590511015281314373, \"Asia/Kolkata\", \"T002 -07x2x-0700|\"]]",
         "\"T333 +05x29x+0521|\""},
        {"time.format",
         "[[1617169607500000000, \"Australia/Lord_Howe\", \" of pm of _2xZ07:00:00; "
         ".999999999|\"]]",
         "\" of pm of 31x+11:00:00; .5|\""},
        {"time.format", "[[8002117578002657290, \"Europe/Zurich\", \"/pm; 02 of -07; 2|\"]]",
         "\"/am; 31 of +02; 31|\""},
        {"time.format", "[[5484826032756572234, \"Pacific/Chatham\", \" of 05|pm Z07; __2|\"]]",
         "\" of 12|am +13; 296|\""},
        {"time.format", "[[1546552618123000000, \"UTC\", \"/-07|002/15 of pm|\"]]",
         "\"/+00|003/21 of pm|\""},
        {"time.format", "[[3712420079737705727, \"America/New_York\", \" of Monday; -07T.0/15|\"]]",
         "\" of Friday; -04T.7/15|\""},
        {"time.format", "[[87830349761080814, \"Asia/Kolkata\", \"T002TJanuaryT-07:00|3|\"]]",
         "\"T287TOctoberT+05:30|6|\""},
        {"time.format", "[[1690172024000000007, \"Australia/Lord_Howe\", \"|.000|03 of .0xMon|\"]]",
         "\"|.000|02 of .0xMon|\""},
        {"time.format", "[[-8391172634833387487, \"Europe/Zurich\", \"/02/4/Z07T-07:00|\"]]",
         "\"/04/16/+00T+00:34|\""},
        {"time.format",
         "[[-1871095329939573549, \"Pacific/Chatham\", \"|04T-0700 of .999 of 05|\"]]",
         "\"|32T+1215 of .06 of 50|\""},
        {"time.format", "[[1558935532000000000, \"UTC\", \"/2006x.999999999 of 03/5|\"]]",
         "\"/2019x of 05/52|\""},
        {"time.format", "[[7333357696063197573, \"America/New_York\", \"/PM of January/05T-07|\"]]",
         "\"/PM of May/16T-04|\""},
        {"time.format", "[[4713128054012452594, \"Asia/Kolkata\", \"; .000x03; Jan|PM|\"]]",
         "\"; .012x07; May|AM|\""},
        {"time.format",
         "[[1461790227000000000, \"Australia/Lord_Howe\", \"T,99|-070000; Z07:00 pm|\"]]",
         "\"T|+103000; +10:30 am|\""},
        {"time.format",
         "[[-1053971085248761567, \"Europe/Zurich\", \"TMSTx2 of Z07:00|-070000|\"]]",
         "\"TCETx8 of +01:00|+010000|\""},
        {"time.format", "[[9179738039371567032, \"Pacific/Chatham\", \"x5|2|-0700x03|\"]]",
         "\"x59|23|+1345x12|\""},
        {"time.format", "[[1592835384123000000, \"UTC\", \"x-07:00; .0; ,99; 04|\"]]",
         "\"x+00:00; .1; ,12; 16|\""},
        {"time.format", "[[8849287897132723065, \"America/New_York\", \"/January Jan|002 -07|\"]]",
         "\"/June Jun|155 -04|\""},
        {"time.format",
         "[[-5117841555269286232, \"Asia/Kolkata\", \"|,000000; 01 of 04T-070000|\"]]",
         "\"|,730713; 10 of 14T+055328|\""},
        {"time.format",
         "[[1659850643000000007, \"Australia/Lord_Howe\", \"xpmx-07:00:00 MSTx15|\"]]",
         "\"xpmx+10:30:00 +1030x16|\""},
        {"time.format", "[[-971967043783882270, \"Europe/Zurich\", \"/Z0700x,99; 15TZ0700|\"]]",
         "\"/+0100x,21; 10T+0100|\""},
        {"time.format", "[[2834484152353368475, \"Pacific/Chatham\", \"|Z07:00 PM/5T.999|\"]]",
         "\"|+13:45 AM/32T.353|\""},
        {"time.format", "[[1442148456000000000, \"UTC\", \" .0TZ07; -07:00:00 of Z070000|\"]]",
         "\" .0TZ; +00:00:00 of Z|\""},
        {"time.format",
         "[[-7716108359866062897, \"America/New_York\", \"T05 of PM of Z070000TZ070000|\"]]",
         "\"T58 of PM of -045602T-045602|\""},
        {"time.format",
         "[[7494489502963047131, \"Asia/Kolkata\", \"/Z07:00:00TZ0700; Monday/PM|\"]]",
         "\"/+05:30:00T+0530; Tuesday/AM|\""},
        {"time.format", "[[1677114526500000000, \"Australia/Lord_Howe\", \"|.000/1x06; -0700|\"]]",
         "\"|.500/2x23; +1100|\""},
        {"time.format",
         "[[1176988852944483211, \"Europe/Zurich\", \"; ,000000 ,000000x-07:00/-0700|\"]]",
         "\"; ,944483 ,944483x+02:00/+0200|\""},
        {"time.format", "[[6543291958645235730, \"Pacific/Chatham\", \"|5T3 06 of .000000000|\"]]",
         "\"|58T1 77 of .645235730|\""},
        {"time.format", "[[1626959510000000000, \"UTC\", \"T,000000 of 05 .999999999T.0|\"]]",
         "\"T,000000 of 50 T.0|\""},
        {"time.format",
         "[[-8744497564832466771, \"America/New_York\", \"/-07:00:00x.999999999|MonT_2|\"]]",
         "\"/-04:56:02x.167533229|SunT23|\""},
        {"time.format", "[[-755023376695062232, \"Asia/Kolkata\", \"/-07/.999|pmxMST|\"]]",
         "\"/+05/.304|pmxIST|\""},
        {"time.format",
         "[[1438906236000000000, \"Australia/Lord_Howe\", \"|MST of -070000 ,99|2006|\"]]",
         "\"|+1030 of +103000 |2015|\""},
        {"time.format",
         "[[3875410236674478172, \"Europe/Zurich\", \" of 2006; Monday of 2006/-070000|\"]]",
         "\" of 2092; Tuesday of 2092/+020000|\""},
        {"time.format", "[[-6130674809164222926, \"Pacific/Chatham\", \"T06 PM/15T-07:00|\"]]",
         "\"T75 PM/15T+12:13|\""},
        {"time.format", "[[1461639605123000000, \"UTC\", \"x__2 _2TJan January|\"]]",
         "\"x117 26TApr April|\""},
        {"time.format",
         "[[-5819208296958192168, \"America/New_York\", \"|January|.999999999; 15/MST|\"]]",
         "\"|August|.041807832; 20/LMT|\""},
        {"time.format", "[[7277627807315845984, \"Asia/Kolkata\", \"x01T04/__2/-07|\"]]",
         "\"x08T46/227/+05|\""},
        {"time.format", "[[1583650107000000000, \"Australia/Lord_Howe\", \"xZ07x3/-07|1|\"]]",
         "\"x+11x5/+11|3|\""},
        {"time.format", "[[291796321112133955, \"Europe/Zurich\", \"/03xJanuary; 04 of Mon|\"]]",
         "\"/07xApril; 32 of Sun|\""},
        {"time.format",
         "[[1956705692762568386, \"Pacific/Chatham\", \" of -070000 of Monday|PMT02|\"]]",
         "\" of +134500 of Saturday|PMT03|\""},
        {"time.format", "[[1676991306000000000, \"UTC\", \"x_2; .0 __2T2|\"]]",
         "\"x21; .0  52T21|\""},
        {"time.format", "[[7687830160877462620, \"Asia/Kolkata\", \"|15/1; Z0700x02|\"]]",
         "\"|17/8; +0530x14|\""},
        {"time.format", "[[1567185996123000000, \"Australia/Lord_Howe\", \"T01 __2 of 05; -07|\"]]",
         "\"T08 243 of 36; +10|\""},
        {"time.format",
         "[[3092799037406454896, \"Europe/Zurich\", \" of Z07:00 of -07/002; Monday|\"]]",
         "\" of +01:00 of +01/003; Tuesday|\""},
        {"time.format",
         "[[1182729787787333861, \"Pacific/Chatham\", \"T2006 of 15/Z07:00|Monday|\"]]",
         "\"T2007 of 12/+12:45|Monday|\""},
        {"time.format", "[[1560098074123000000, \"UTC\", \"/-07 of 1 3T.000000000|\"]]",
         "\"/+00 of 6 4T.123000000|\""},
        {"time.format", "[[8209493036564941467, \"America/New_York\", \" 03 Z07; 04|.0|\"]]",
         "\" 01 -05; 43|.5|\""},
        {"time.format", "[[-6798745399652781778, \"Asia/Kolkata\", \" 002; -07 __2; 4|\"]]",
         "\" 204; +05 204; 30|\""},
        {"time.format",
         "[[1466630064000000007, \"Australia/Lord_Howe\", \" of -070000; 04x01; pm|\"]]",
         "\" of +103000; 44x06; am|\""},
        {"time.format", "[[3529246504632563096, \"Europe/Zurich\", \" of -07:00/5|Z07 of pm|\"]]",
         "\" of +01:00/4|+01 of pm|\""},
        {"time.format", "[[8890428301442190289, \"Pacific/Chatham\", \"; .000T.999T03 of 05|\"]]",
         "\"; .442T.442T12 of 01|\""},
        {"time.format", "[[1636885367000000000, \"UTC\", \"|15 of PM; .000000000T-07:00|\"]]",
         "\"|10 of AM; .000000000T+00:00|\""},
        {"time.format",
         "[[716436705299644717, \"America/New_York\", \"|05 of pm; 3|.000000000|\"]]",
         "\"|45 of pm; 10|.299644717|\""},
        {"time.format", "[[3973172254934179855, \"Asia/Kolkata\", \"; 06/.0|MST/002|\"]]",
         "\"; 95/.9|IST/331|\""},
        {"time.format",
         "[[1579088347123000000, \"Australia/Lord_Howe\", \" of -0700; 1; -0700|04|\"]]",
         "\" of +1100; 1; +1100|39|\""},
        {"time.format", "[[851307945975317676, \"Europe/Zurich\", \"|-07:00; 4 01x.000000000|\"]]",
         "\"|+01:00; 25 12x.975317676|\""},
        {"time.format", "[[-3900027153987761453, \"Pacific/Chatham\", \"|-0700|.0x-07 03|\"]]",
         "\"|+1213|.0x+12 07|\""},
        {"time.format", "[[1643927976000000000, \"UTC\", \"|-070000|-07 of 2x__2|\"]]",
         "\"|+000000|+00 of 3x 34|\""},
        {"time.format",
         "[[-8921783168967710626, \"America/New_York\", \"|02/002 -07:00:00|-070000|\"]]",
         "\"|12/102 -04:56:02|-045602|\""},
        {"time.format", "[[-6019387354407255283, \"Asia/Kolkata\", \" 2 of pmxZ0700 .000|\"]]",
         "\" 3 of amx+0553 .592|\""},
        {"time.format",
         "[[1477710585000000007, \"Australia/Lord_Howe\", \"|Z07:00 of .999|Z070000xMon|\"]]",
         "\"|+11:00 of |+110000xSat|\""},
        {"time.format", "[[4643336993389157112, \"Europe/Zurich\", \"|Z070000 Z07|5TZ07:00|\"]]",
         "\"|+010000 +01|53T+01:00|\""},
        {"time.format",
         "[[381417190611226052, \"Pacific/Chatham\", \" of 06|-07:00:00/Z070000 of -070000|\"]]",
         "\" of 82|+13:45:00/+134500 of +134500|\""},
        {"time.format", "[[1602124258123000000, \"UTC\", \"; .999999999|01xZ07:00:00/05|\"]]",
         "\"; .123|10xZ/58|\""},
        {"time.format",
         "[[-8264779336445421753, \"America/New_York\", \" of .000/.000; Mon Z07|\"]]",
         "\" of .554/.554; Mon -04|\""},
        {"time.format",
         "[[7587044534786600500, \"Asia/Kolkata\", \"|,000000 -070000 ,000000 -0700|\"]]",
         "\"|,786600 +053000 ,786600 +0530|\""},
        {"time.format",
         "[[1678980970500000000, \"Australia/Lord_Howe\", \"; ,000000 of MondayT.000000000 .0|\"]]",
         "\"; ,500000 of FridayT.500000000 .5|\""},
        {"time.format", "[[-6050295060403497780, \"Europe/Zurich\", \" of Z0700|01; .0 .000|\"]]",
         "\" of +0034|04; .5 .596|\""},
        {"time.format",
         "[[-8649093811817266507, \"Pacific/Chatham\", \"x05x.999999999/Z07:00; PM|\"]]",
         "\"x16x.182733493/+12:13; AM|\""},
        {"time.format", "[[1508820171123000000, \"UTC\", \"; PM of .999 of January|002|\"]]",
         "\"; AM of .123 of October|297|\""},
        {"time.format", "[[610529393540630335, \"America/New_York\", \"TJanuaryx002/03 of ,99|\"]]",
         "\"TMayx127/03 of ,54|\""},
        {"time.format",
         "[[-6735278681729870775, \"Asia/Kolkata\", \"xpmTZ0700 -070000 of 2006|\"]]",
         "\"xpmT+0553 +055328 of 1756|\""},
        {"time.format",
         "[[1505476433123000000, \"Australia/Lord_Howe\", \"x06 of Z07:00:00|__2 03|\"]]",
         "\"x17 of +10:30:00|258 10|\""},
        {"time.format", "[[293538444867095216, \"Europe/Zurich\", \" of 05 of Jan __2/3|\"]]",
         "\" of 24 of Apr 111/11|\""},
        {"time.format",
         "[[-7816719032297632557, \"Pacific/Chatham\", \"|.000TZ0700/01xJanuary|\"]]",
         "\"|.702T+1213/04xApril|\""},
        {"time.format", "[[1705244798000000000, \"UTC\", \" of 5|002 01; 02|\"]]",
         "\" of 38|014 01; 14|\""},
        {"time.format", "[[7323937203863353738, \"America/New_York\", \" 1/_2 Jan; ,99|\"]]",
         "\" 2/ 1 Feb; ,86|\""},
        {"time.format", "[[1033115932485592589, \"Asia/Kolkata\", \"|Z07x-0700xPM of Mon|\"]]",
         "\"|+05x+0530xPM of Fri|\""},
        {"time.format",
         "[[1679452864500000000, \"Australia/Lord_Howe\", \"|02x.999TMondayxMonday|\"]]",
         "\"|22x.5TWednesdayxWednesday|\""},
        {"time.format", "[[5370434499337825926, \"Europe/Zurich\", \"T2 Z070000; 4|03|\"]]",
         "\"T7 +010000; 21|08|\""},
        {"time.format", "[[3960876905907945008, \"Pacific/Chatham\", \"|.0 _2|Z0700/January|\"]]",
         "\"|.9  8|+1245/July|\""},
        {"time.format", "[[1633343625000000007, \"UTC\", \"|4; 06 01T02|\"]]",
         "\"|33; 21 10T04|\""},
        {"time.format", "[[-8442731112452983433, \"America/New_York\", \" __2 of PMx.000|,99|\"]]",
         "\" 168 of PMx.547|,54|\""},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Layouts that tell all of a moment. */
static void what_was_written_is_read_as_the_same_moment(void **state)
{
    SKIP_WITHOUT_ZONES();
    static const char *const layouts[] = {
        "RFC3339Nano",
        "Monday, 2 January 2006 3:4:5.000000000PM -070000",
        "002 2006 15 04 05,999999999 Z07:00:00",
        "Jan _2 2006 15:04:05.999999999 -07:00:00 Mon",
        "20060102150405.000000000-070000",
    };
    static const char *const zones[] = {"UTC", "Asia/Kathmandu", "America/St_Johns"};
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < 300; i++) {
        CLEANUP(buffer_clear) struct buffer operands = {0};
        CLEANUP(buffer_clear) struct buffer moment = {0};
        CLEANUP(buffer_clear) struct buffer again = {0};
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const char *layout = layouts[i % ARRAY_LEN(layouts)];
        buffer_format(&moment, "%lld", (long long)(random >> 1)); /* offsets had seconds before */
        buffer_format(&operands, "[[%s, \"%s\", \"%s\"]]", moment.bytes,
                      zones[i % ARRAY_LEN(zones)], layout);
        buffer_format(&again, "[\"%s\", ", layout);
        builtin_call_text(&plain, "time.format", operands.bytes, &again);
        buffer_text(&again, "]");
        const struct builtin_example example = {"time.parse_ns", again.bytes, moment.bytes};
        builtin_check(&plain, &example, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_the_layout_is_said_where),
        cmocka_unit_test(long_texts_are_cut_in_errors),
        cmocka_unit_test(texts_are_read_by_their_layout),
        cmocka_unit_test(moments_are_written_by_their_layout),
        cmocka_unit_test(moments_are_written_as_clocks_of_a_zone_show_them),
        cmocka_unit_test(texts_are_those_of_another_implementation),
        cmocka_unit_test(what_was_written_is_read_as_the_same_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
