#include "audit_check.h"

#include "audit/record.h"
#include "base/json.h"
#include "base/validate.h"

static const uint8_t prev[32] = {0xab, 0xcd};

static struct buffer line_of(const struct audit_who *who, const struct audit_event *event)
{
    struct lethe_error err = {0};
    struct buffer line = {0};
    const struct record_place place = {"alpha", 7, 1795176000000000042, prev};
    record_append(&line, &place, who, event);
    assert_ok(buffer_result(&line, &err), &err);
    return line;
}

static lethe_result parse(const char *line, size_t length)
{
    struct record_line parsed;
    return record_parse(line, length, &parsed, NULL);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* the bytes of a record, written down. */
static void a_record_is_these_bytes(void **state)
{
    const struct audit_who who = {"uid:1000", "default", "s-1"};
    const struct audit_event event =
        audit_key_created("default.vad.hot", "aes256-gcm96", 1, "0123456789ab", 12);
    struct buffer line = line_of(&who, &event);
    assert_string_equal(
        line.bytes, "{\"actor\":\"uid:1000\",\"epoch\":12,\"event\":\"key_created\","
                    "\"fingerprint\":\"0123456789ab\","
                    "\"key\":\"default.vad.hot\",\"kind\":\"aes256-gcm96\",\"node\":\"alpha\","
                    "\"prev\":\"abcd000000000000000000000000000000000000000000000000000000000000\","
                    "\"seq\":7,\"session\":\"s-1\",\"severity\":\"notice\",\"tenant\":\"default\","
                    "\"time\":\"2026-11-20T12:00:00.000000042Z\",\"version\":1}");
    buffer_clear(&line);
}

static void what_is_empty_is_absent(void **state)
{
    const struct audit_event event =
        audit_key_released("k", 1, "decrypt", "uid:1000", NULL, "sha256:00", "0000");
    const struct audit_who nobody = {"", NULL, ""};
    struct buffer line = line_of(&nobody, &event);
    assert_null(strstr(line.bytes, "actor"));
    assert_null(strstr(line.bytes, "tenant"));
    assert_null(strstr(line.bytes, "session"));
    assert_null(strstr(line.bytes, "evidence_digest"));
    assert_non_null(strstr(line.bytes, "\"policy_digest\":\"sha256:00\""));
    assert_result(LETHE_OK, parse(line.bytes, line.size_bytes));
    buffer_clear(&line);
}

/* RFC 8785: a number beyond 2^53 - 1 would lose digits in a double, so it is a string. */
static void numbers_lose_no_digits(void **state)
{
    static const struct {
        uint64_t number;
        const char *text;
    } numbers[] = {
        {0, "\"epoch\":0,"},
        {JSON_INTEGER_MAX, "\"epoch\":9007199254740991,"},
        {JSON_INTEGER_MAX + 1, "\"epoch\":\"9007199254740992\","},
        {UINT64_MAX, "\"epoch\":\"18446744073709551615\","},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct audit_event event = audit_home_created("file", numbers[i].number);
        struct buffer line = line_of(&someone, &event);
        struct record_line parsed;
        assert_non_null(strstr(line.bytes, numbers[i].text));
        assert_result(LETHE_OK, record_parse(line.bytes, line.size_bytes, &parsed, NULL));
        assert_true(parsed.epoch == numbers[i].number);
        assert_true(audit_event_epoch(&event) == numbers[i].number);
        buffer_clear(&line);
    }
}

/* An event of any kind, all its texts the same. */
static struct audit_event event_of(enum audit_kind kind, const char *text)
{
    const struct audit_kind_row *row = audit_kind_row(kind);
    struct audit_event event = {.kind = kind};
    for (size_t i = 0; i < row->field_count; i++) {
        bool is_text = row->fields[i].type == AUDIT_FIELD_TEXT ||
                       row->fields[i].type == AUDIT_FIELD_OPTIONAL_TEXT;
        event.values[i] =
            is_text ? (struct audit_value){.text = text} : (struct audit_value){.number = i};
    }
    return event;
}

/* A tree made of the line, written by the general writer, must give the same bytes. */
static void assert_canonical(const struct buffer *line)
{
    struct lethe_error err = {0};
    struct buffer again = {0};
    json_t *tree = NULL;
    assert_ok(json_parse(line->bytes, line->size_bytes, &tree, &err), &err);
    assert_ok(json_canonical(tree, &again, &err), &err);
    assert_string_equal(line->bytes, again.bytes);
    json_decref(tree);
    buffer_clear(&again);
}

static void every_kind_is_canonical_and_read_back(void **state)
{
    for (enum audit_kind kind = 0; kind < AUDIT_KINDS; kind++) {
        const struct audit_event event = event_of(kind, "a \"quoted\" \\ text, \u00fc \U0001F600");
        struct buffer line = line_of(&someone, &event);
        struct record_line parsed;
        assert_canonical(&line);
        assert_result(LETHE_OK, record_parse(line.bytes, line.size_bytes, &parsed, NULL));
        assert_int_equal(parsed.seq, 7);
        assert_memory_equal(parsed.prev, prev, sizeof prev);
        assert_int_equal(parsed.node_length, 5);
        assert_memory_equal(parsed.node, "alpha", 5);
        buffer_clear(&line);
    }
}

/* ---- hostile text ---------------------------------------------------------------------------- */

static const char *const hostile[] = {
    "\x1b[2J\x1b]0;title\x07",
    "line\nbreak\r\n{\"event\":\"forged\"}",
    "\",\"seq\":999,\"x\":\"",
    "\\\",\\\"seq\\\":1",
    "\\u0022",
    "\xe2\x80\xae rtl \xe2\x81\xa6 isolate \xe2\x80\x8b zero width",
    "\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80",
    "8-bit CSI: \xc2\x9bm, and cut: \xe2\x80",
    "\u2028line\u2029separators",
    "\x7f\x01\x02\x1f",
    "",
};

static void assert_harmless(const struct audit_who *who, const struct audit_event *event)
{
    struct buffer line = line_of(who, event);
    struct record_line parsed;
    assert_result(LETHE_OK, record_parse(line.bytes, line.size_bytes, &parsed, NULL));
    assert_int_equal(parsed.seq, 7);
    assert_true(line.size_bytes <= RECORD_LINE_MAX);
    assert_canonical(&line);
    char *clean = malloc(line.size_bytes + 1);
    assert_non_null(clean);
    text_sanitise(line.bytes, line.size_bytes, clean, line.size_bytes + 1);
    assert_string_equal(clean, line.bytes); /* nothing is left to sanitise */
    free(clean);
    buffer_clear(&line);
}

/* no text, in no field of any event, can break out of its string, its line, or the terminal.
 */
static void hostile_text_stays_a_value(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        const struct audit_who who = {hostile[i], hostile[i], hostile[i]};
        for (enum audit_kind kind = 0; kind < AUDIT_KINDS; kind++) {
            const struct audit_event event = event_of(kind, hostile[i]);
            assert_harmless(&who, &event);
        }
    }
}

/* and none can fill the disk. */
static void long_text_is_cut(void **state)
{
    size_t size_bytes = 10 << 20;
    char *text = malloc(size_bytes + 1);
    assert_non_null(text);
    static const char *const fillings[] = {"x", "\"", "\n", "\xff", "\u00fc", "\U0001F600"};
    for (size_t i = 0; i < ARRAY_LEN(fillings); i++) {
        size_t step = strlen(fillings[i]);
        for (size_t at = 0; at + step <= size_bytes; at += step)
            memcpy(text + at, fillings[i], step);
        text[size_bytes - size_bytes % step] = '\0';
        const struct audit_who who = {text, text, text};
        const struct audit_event event = event_of(AUDIT_KIND_key_denied, text);
        char value[AUDIT_TEXT_MAX + 1];
        size_t length = record_text(text, value);
        assert_true(length <= AUDIT_TEXT_MAX && length > AUDIT_TEXT_MAX - 8);
        assert_string_equal(value + length - 3, "...");
        assert_harmless(&who, &event);
    }
    free(text);
}

/* ---- reading --------------------------------------------------------------------------------- */

#define HASH "abcd000000000000000000000000000000000000000000000000000000000000"
#define TIME "2026-11-20T12:00:00.000000042Z"

static void only_canonical_lines_are_read(void **state)
{
#define HEAD                                                                                       \
    "{\"event\":\"e\",\"node\":\"n\",\"prev\":\"" HASH "\",\"seq\":7,\"severity\":\"info\","
    static const struct {
        lethe_result expected;
        const char *line;
    } lines[] = {
        {LETHE_OK, HEAD "\"time\":\"" TIME "\"}"},
        {LETHE_OK, HEAD "\"time\":\"" TIME "\",\"x\":true,\"y\":false,\"z\":\"\\\\\\\"\"}"},
        {LETHE_OK, HEAD "\"time\":\"" TIME "\",\"z\":\"\u00fc\u2028/\x7f\"}"},
        {LETHE_MALFORMED, ""},
        {LETHE_MALFORMED, "{}"},
        {LETHE_MALFORMED, "[]"},
        {LETHE_MALFORMED, " " HEAD "\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\"} "},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\"}{}"},
        {LETHE_MALFORMED, HEAD "\"time\": \"" TIME "\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"2026-11-20T12:00:00Z\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"2026-11-20 12:00:00.000000042Z\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":7}"},
        {LETHE_MALFORMED, HEAD "\"tenant\":\"\",\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":null}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":{}}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":[]}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":1.5}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":-1}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":01}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":9007199254740992}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"x\":99999999999999999999}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"X\":1}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"\":1}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"actor\":\"a\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\/\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\n\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\u000a\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\u001B\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\u0041\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\\u00\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\t\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"\xff\"}"},
        {LETHE_MALFORMED, HEAD "\"time\":\"" TIME "\",\"z\":\"unclosed}"},
        {LETHE_MALFORMED, "{\"event\":\"e\",\"node\":\"n\",\"prev\":\"" HASH
                          "\",\"seq\":\"7\",\"severity\":\"info\",\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, "{\"event\":\"e\",\"node\":\"n\",\"prev\":\"ABCD\",\"seq\":7,"
                          "\"severity\":\"info\",\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, "{\"event\":\"e\",\"node\":\"n\",\"prev\":\"" HASH
                          "\",\"seq\":7,\"severity\":\"loud\",\"time\":\"" TIME "\"}"},
        {LETHE_MALFORMED, "{\"epoch\":true,\"event\":\"e\",\"node\":\"n\",\"prev\":\"" HASH
                          "\",\"seq\":7,\"severity\":\"info\",\"time\":\"" TIME "\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        lethe_result got = parse(lines[i].line, strlen(lines[i].line));
        if (got != lines[i].expected)
            fail_msg("%s: %s", lines[i].line, lethe_result_name(got));
    }
}

/* The line with one of its members taken out, comma and all. */
static struct buffer without_member(const json_t *tree, const char *name)
{
    struct lethe_error err = {0};
    struct buffer line = {0};
    json_t *fewer = json_copy((json_t *)tree);
    assert_int_equal(json_object_del(fewer, name), 0);
    assert_ok(json_canonical(fewer, &line, &err), &err);
    json_decref(fewer);
    return line;
}

static void a_missing_member_is_seen(void **state)
{
    struct lethe_error err = {0};
    const struct audit_event event = audit_home_created("file", 12);
    struct buffer whole = line_of(&someone, &event);
    json_t *tree = NULL;
    assert_ok(json_parse(whole.bytes, whole.size_bytes, &tree, &err), &err);
    static const struct {
        const char *name;
        lethe_result expected;
    } members[] = {
        {"actor", LETHE_OK},       {"tenant", LETHE_OK},       {"epoch", LETHE_OK},
        {"root", LETHE_OK},        {"event", LETHE_MALFORMED}, {"node", LETHE_MALFORMED},
        {"prev", LETHE_MALFORMED}, {"seq", LETHE_MALFORMED},   {"severity", LETHE_MALFORMED},
        {"time", LETHE_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct buffer line = without_member(tree, members[i].name);
        assert_result(members[i].expected, parse(line.bytes, line.size_bytes));
        buffer_clear(&line);
    }
    json_decref(tree);
    buffer_clear(&whole);
}

/* Whatever a flipped bit leaves is refused, or still canonical JSON: never a line that two readers
 * could understand differently. */
static void a_flipped_bit_never_gives_an_ambiguous_line(void **state)
{
    const struct audit_event event = audit_log_repaired("a \"reason\" \u00fc", 12, 7);
    struct buffer line = line_of(&someone, &event);
    size_t refused = 0;
    for (size_t at = 0; at < line.size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            line.bytes[at] ^= (char)(1 << bit);
            if (parse(line.bytes, line.size_bytes) == LETHE_OK)
                assert_canonical(&line);
            else
                refused++;
            line.bytes[at] ^= (char)(1 << bit);
        }
        assert_result(LETHE_MALFORMED, parse(line.bytes, at));
    }
    assert_true(refused > line.size_bytes * 4);
    buffer_clear(&line);
}

/* ---- the table ------------------------------------------------------------------------------- */

static bool is_common(const char *name)
{
    static const char *const common[] = {"actor",   "event",    "node",   "prev", "seq",
                                         "session", "severity", "tenant", "time"};
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        if (strcmp(common[i], name) == 0)
            return true;
    }
    return false;
}

/* Two members of one name would make a record that readers understand differently. */
static void no_event_has_two_members_of_one_name(void **state)
{
    for (enum audit_kind kind = 0; kind < AUDIT_KINDS; kind++) {
        const struct audit_kind_row *row = audit_kind_row(kind);
        for (size_t i = 0; i < row->field_count; i++) {
            assert_false(is_common(row->fields[i].name));
            assert_int_equal(strspn(row->fields[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                             strlen(row->fields[i].name));
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(row->fields[i].name, row->fields[j].name);
        }
    }
}

/* these kinds can only be committed. */
static void what_must_not_be_lost_is_critical(void **state)
{
    static const enum audit_kind critical[] = {
        AUDIT_KIND_key_released,  AUDIT_KIND_key_denied,          AUDIT_KIND_key_revoked,
        AUDIT_KIND_key_destroyed, AUDIT_KIND_integrity_violation, AUDIT_KIND_model_rejected,
        AUDIT_KIND_log_repaired,
    };
    for (size_t i = 0; i < ARRAY_LEN(critical); i++)
        assert_int_equal(audit_kind_severity(critical[i]), AUDIT_CRITICAL);
    assert_string_equal(audit_kind_name(AUDIT_KIND_key_used), "key_used");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_these_bytes),
        cmocka_unit_test(what_is_empty_is_absent),
        cmocka_unit_test(numbers_lose_no_digits),
        cmocka_unit_test(every_kind_is_canonical_and_read_back),
        cmocka_unit_test(hostile_text_stays_a_value),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(only_canonical_lines_are_read),
        cmocka_unit_test(a_missing_member_is_seen),
        cmocka_unit_test(a_flipped_bit_never_gives_an_ambiguous_line),
        cmocka_unit_test(no_event_has_two_members_of_one_name),
        cmocka_unit_test(what_must_not_be_lost_is_critical),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
