#include "cli/log_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/validate.h"

#define SHOWN_MAX 1024 /* bytes of one value, as text */

/* ---- since ----------------------------------------------------------------------------------- */

/* The beginning of "2026-11-20T12:00:00.000000000Z", at least the day; times of that form are in
 * the order of their bytes. */
static bool is_time(const char *text)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";
    size_t length = strlen(text);
    if (length < strlen("dddd-dd-dd") || length >= sizeof pattern)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool end = text[i] == 'Z' && i + 1 == length && i >= strlen("dddd-dd-ddTdd:dd");
        if (!end && (pattern[i] == 'd' ? !digit : text[i] != pattern[i]))
            return false;
    }
    return true;
}

lethe_result log_print_since(struct log_print *print, const char *text, struct lethe_error *err)
{
    int64_t seq = 0;
    if (is_time(text)) {
        print->since_time = text;
        return LETHE_OK;
    }
    if (validate_integer("--since", text, 0, INT64_MAX, &seq, NULL) != LETHE_OK) {
        error_set(err, LETHE_INVALID, "--since %s is neither a time nor a record's number", text);
        error_hint(err, "for example --since 2026-11-20, 2026-11-20T12:00:00Z, or 17");
        return LETHE_INVALID;
    }
    print->since_seq = (uint64_t)seq;
    return LETHE_OK;
}

/* ---- for people ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    return text != NULL ? text : "";
}

static void print_text(const char *before, const char *text, int width)
{
    char safe[SHOWN_MAX];
    text_sanitise(text, strlen(text), safe, sizeof safe);
    printf("%s%-*s", before, width, safe);
}

static void print_field(const char *name, const json_t *value)
{
    print_text(" ", name, 0);
    putchar('=');
    if (json_is_string(value))
        print_text("", json_string_value(value), 0);
    else if (json_is_integer(value))
        printf("%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        printf("%s", json_is_true(value) ? "yes" : "no");
}

static void print_line(uint64_t seq, json_t *line)
{
    static const char *const apart[] = {"event", "time", "seq", "prev", "node", "severity"};
    printf("%6" PRIu64, seq);
    print_text("  ", text_of(line, "time"), 0);
    print_text("  ", text_of(line, "event"), 16);
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        bool skip = false;
        for (size_t i = 0; i < ARRAY_LEN(apart); i++)
            skip = skip || strcmp(name, apart[i]) == 0;
        if (!skip)
            print_field(name, value);
    }
    putchar('\n');
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* The same JSON in ASCII alone. A record has no control characters below 0x20. */
static void print_escaped(const char *line, size_t length)
{
    while (length > 0) {
        uint32_t character = 0;
        size_t taken = utf8_decode(line, length, &character);
        if (taken == 0)
            return; /* not for a line that was checked */
        if (character < 0x7f)
            putchar((int)character);
        else if (character < 0x10000)
            printf("\\u%04" PRIx32, character);
        else
            printf("\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((character - 0x10000) >> 10),
                   0xdc00 + (character & 0x3ff));
        line += taken;
        length -= taken;
    }
}

static void print_json(const struct audit_record *record)
{
    if (isatty(STDOUT_FILENO))
        print_escaped(record->line, record->length);
    else
        fwrite(record->line, 1, record->length, stdout);
    putchar('\n');
}

lethe_result log_print_record(void *context, const struct audit_record *record,
                              struct lethe_error *err)
{
    const struct log_print *print = context;
    CLEANUP(json_decref) json_t *line = NULL;
    if (record->seq < print->since_seq)
        return LETHE_OK;
    TRY(json_parse(record->line, record->length, &line, err));
    if (print->event != NULL && strcmp(text_of(line, "event"), print->event) != 0)
        return LETHE_OK;
    if (print->since_time != NULL &&
        strncmp(text_of(line, "time"), print->since_time, strcspn(print->since_time, "Z")) < 0)
        return LETHE_OK;
    if (print->as_json)
        print_json(record);
    else
        print_line(record->seq, line);
    return LETHE_OK;
}

void log_print_trimmed(uint64_t wanted, uint64_t first)
{
    if (wanted + 1 == first)
        fprintf(stderr, "lethe: record %" PRIu64 " was trimmed, on record\n", wanted);
    else
        fprintf(stderr, "lethe: records %" PRIu64 " to %" PRIu64 " were trimmed, on record\n",
                wanted, first - 1);
}
