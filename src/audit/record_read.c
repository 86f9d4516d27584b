#include <string.h>

#include "audit/files.h"
#include "audit/record.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/validate.h"

#define NAME_MAX_LENGTH 64 /* of a member; ours have fewer than 20 characters */

/* A piece of the line, borrowed. */
struct slice {
    const char *at;
    size_t length;
};

enum value_type { VALUE_TEXT, VALUE_NUMBER, VALUE_FLAG };
struct value {
    enum value_type type;
    struct slice raw; /* a text without its quotes, escapes as they stand */
    uint64_t number;
};

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_MALFORMED, "%s", what);
}

static bool next_is(struct cursor *line, uint8_t byte)
{
    if (line->at == line->end || *line->at != byte)
        return false;
    line->at++;
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Control characters never get into a record (text_sanitise), so canonical form needs an escape for
 * two characters only. Steps over what follows the backslash. */
static bool escape_is_canonical(struct cursor *line)
{
    return next_is(line, '"') || next_is(line, '\\');
}

/* Behind the opening quote; steps over the closing one. */
static lethe_result read_text(struct cursor *line, struct slice *out, struct lethe_error *err)
{
    const uint8_t *start = line->at;
    bool ascii = true;
    while (line->at < line->end && *line->at != '"') {
        uint8_t byte = *line->at++;
        if (byte < 0x20)
            return malformed(err, "a control character in a string");
        if (byte == '\\' && !escape_is_canonical(line))
            return malformed(err, "an escape that is not canonical");
        ascii = ascii && byte < 0x80;
    }
    *out = (struct slice){(const char *)start, (size_t)(line->at - start)};
    if (!next_is(line, '"'))
        return malformed(err, "a string without an end");
    if (!ascii && !text_is_utf8(out->at, out->length))
        return malformed(err, "a string that is not UTF-8");
    return LETHE_OK;
}

static bool slice_is_digits(const struct slice *slice, uint64_t *number)
{
    uint64_t value = 0;
    if (slice->length == 0 || (slice->at[0] == '0' && slice->length > 1))
        return false;
    for (size_t i = 0; i < slice->length; i++) {
        unsigned digit = (unsigned)(unsigned char)slice->at[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *number = value;
    return true;
}

static lethe_result read_number(struct cursor *line, struct value *out, struct lethe_error *err)
{
    const uint8_t *start = line->at;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
        line->at++;
    out->raw = (struct slice){(const char *)start, (size_t)(line->at - start)};
    if (!slice_is_digits(&out->raw, &out->number) || out->number > JSON_INTEGER_MAX)
        return malformed(err, "a value that is no canonical string, integer or boolean");
    return LETHE_OK;
}

static bool read_word(struct cursor *line, const char *word)
{
    size_t length = strlen(word);
    if (cursor_left(line) < length || memcmp(line->at, word, length) != 0)
        return false;
    line->at += length;
    return true;
}

static lethe_result read_value(struct cursor *line, struct value *out, struct lethe_error *err)
{
    *out = (struct value){.type = VALUE_TEXT};
    if (next_is(line, '"'))
        return read_text(line, &out->raw, err);
    out->type = VALUE_FLAG;
    if (read_word(line, "true") || read_word(line, "false"))
        return LETHE_OK;
    out->type = VALUE_NUMBER;
    return read_number(line, out, err);
}

/* ---- the members that every record may have -------------------------------------------------- */

static bool value_is_number(const struct value *value, uint64_t *out)
{
    *out = value->number;
    return value->type == VALUE_NUMBER ||
           (value->type == VALUE_TEXT && slice_is_digits(&value->raw, out) &&
            *out > JSON_INTEGER_MAX);
}

static bool take_epoch(struct record_line *out, const struct value *value)
{
    return value_is_number(value, &out->epoch);
}

static bool take_seq(struct record_line *out, const struct value *value)
{
    return value_is_number(value, &out->seq);
}

static bool take_prev(struct record_line *out, const struct value *value)
{
    return value->type == VALUE_TEXT &&
           hex_decode(value->raw.at, value->raw.length, out->prev, sizeof out->prev) == LETHE_OK;
}

static bool take_node(struct record_line *out, const struct value *value)
{
    out->node = value->raw.at;
    out->node_length = value->raw.length;
    return value->type == VALUE_TEXT && value->raw.length > 0;
}

static bool take_text(struct record_line *out, const struct value *value)
{
    return value->type == VALUE_TEXT && value->raw.length > 0;
}

static bool take_event(struct record_line *out, const struct value *value)
{
    const char *trimmed = audit_kind_name(AUDIT_KIND_log_trimmed);
    out->is_trimming = value->raw.length == strlen(trimmed) &&
                       memcmp(value->raw.at, trimmed, value->raw.length) == 0;
    return take_text(out, value);
}

/* Other events may use the names as they like. */
static bool take_kept_file(struct record_line *out, const struct value *value)
{
    uint64_t number = 0;
    if (!out->is_trimming)
        return true;
    if (!value_is_number(value, &number))
        return false;
    out->kept_file = number <= FILES_NUMBER_MAX ? (unsigned)number : 0; /* there is no such file */
    return true;
}

static bool take_kept_record(struct record_line *out, const struct value *value)
{
    return !out->is_trimming || value_is_number(value, &out->kept_record);
}

static bool take_severity(struct record_line *out, const struct value *value)
{
    for (enum audit_severity severity = AUDIT_INFO; severity <= AUDIT_CRITICAL; severity++) {
        const char *name = audit_severity_name(severity);
        if (value->type == VALUE_TEXT && value->raw.length == strlen(name) &&
            memcmp(value->raw.at, name, value->raw.length) == 0)
            return true;
    }
    return false;
}

static bool take_time(struct record_line *out, const struct value *value)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";
    if (value->type != VALUE_TEXT || value->raw.length != sizeof pattern - 1)
        return false;
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        char c = value->raw.at[i];
        if (pattern[i] == 'd' ? c < '0' || c > '9' : c != pattern[i])
            return false;
    }
    out->time_ns = time_parse_ns(value->raw.at);
    return true;
}

/* In the order in which they stand on a line. */
static const struct common {
    const char *name;
    bool required;
    bool (*take)(struct record_line *out, const struct value *value);
} common[] = {
    {"actor", false, take_text},
    {"epoch", false, take_epoch},
    {"event", true, take_event},
    {"first_kept_file", false, take_kept_file},
    {"first_kept_record", false, take_kept_record},
    {"node", true, take_node},
    {"prev", true, take_prev},
    {"seq", true, take_seq},
    {"session", false, take_text},
    {"severity", true, take_severity},
    {"tenant", false, take_text},
    {"time", true, take_time},
};

/* ---- the line -------------------------------------------------------------------------------- */

static lethe_result read_name(struct cursor *line, char out[NAME_MAX_LENGTH + 1],
                              struct lethe_error *err)
{
    size_t length = 0;
    if (!next_is(line, '"'))
        return malformed(err, "a member without a name");
    while (line->at < line->end && *line->at != '"' && length < NAME_MAX_LENGTH) {
        char c = (char)*line->at++;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return malformed(err, "a member name outside [a-z0-9_]");
        out[length++] = c;
    }
    out[length] = '\0';
    if (length == 0 || !next_is(line, '"') || !next_is(line, ':'))
        return malformed(err, "a member name that is empty, too long, or without a value");
    return LETHE_OK;
}

/* Both lists are in order, so one pass over `common` sees what is there and what is missing. NULL
 * stands for the end of the line. */
static lethe_result step_to(const struct common **next, const char *name, struct lethe_error *err)
{
    for (; *next < common + ARRAY_LEN(common); (*next)++) {
        if (name != NULL && strcmp((*next)->name, name) >= 0)
            return LETHE_OK;
        if ((*next)->required)
            return error_set(err, LETHE_MALFORMED, "no member \"%s\"", (*next)->name);
    }
    return LETHE_OK;
}

static lethe_result take_member(const struct common **next, const char *name,
                                const struct value *value, struct record_line *out,
                                struct lethe_error *err)
{
    TRY(step_to(next, name, err));
    if (*next == common + ARRAY_LEN(common) || strcmp((*next)->name, name) != 0)
        return LETHE_OK;
    const struct common *member = (*next)++;
    if (!member->take(out, value))
        return error_set(err, LETHE_MALFORMED, "\"%s\" is not as it must be", member->name);
    return LETHE_OK;
}

lethe_result record_parse(const char *text, size_t length, struct record_line *out,
                          struct lethe_error *err)
{
    struct cursor line = cursor_over(text, length);
    const struct common *next = common;
    char name[NAME_MAX_LENGTH + 1] = "";
    *out = (struct record_line){0};

    if (length > RECORD_LINE_MAX)
        return malformed(err, "a line that is longer than any record");
    if (!next_is(&line, '{'))
        return malformed(err, "a line that is no JSON object");
    do {
        char before[NAME_MAX_LENGTH + 1];
        memcpy(before, name, sizeof before);
        struct value value;
        TRY(read_name(&line, name, err));
        if (strcmp(before, name) >= 0)
            return malformed(err, "members that are not in canonical order");
        TRY(read_value(&line, &value, err));
        TRY(take_member(&next, name, &value, out, err));
    } while (next_is(&line, ','));
    if (!next_is(&line, '}') || cursor_left(&line) != 0)
        return malformed(err, "something behind the last member");
    return step_to(&next, NULL, err);
}
