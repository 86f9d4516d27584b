/* Values of a file of settings: read from a text, and shown as one. */
#include "base/conf_value.h"

#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: how a value is written. */
static const struct unit bytes_units[] = {{"TiB", (uint64_t)1 << 40},
                                          {"GiB", (uint64_t)1 << 30},
                                          {"MiB", (uint64_t)1 << 20},
                                          {"KiB", (uint64_t)1 << 10},
                                          {"", 1},
                                          {NULL, 0}};
static const struct unit seconds_units[] = {
    {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {NULL, 0}};
static const struct unit milliseconds_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                                 {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

/* Those with units are numbers. */
static const struct {
    const struct unit *units;
    const char *like;
} types[] = {
    [CONF_BYTES] = {bytes_units, "a size such as 64KiB, 16MiB or 1GiB"},
    [CONF_SECONDS] = {seconds_units, "a time such as 90s, 15m, 1h or 30d"},
    [CONF_MILLISECONDS] = {milliseconds_units, "a time such as 500ms, 10s or 1h"},
    [CONF_COUNT] = {count_units, "a number"},
    [CONF_YES_NO] = {NULL, "yes or no"},
    [CONF_CHOICE] = {NULL, "one of"},
    [CONF_TEXT] = {NULL, "a text without spaces"},
    [CONF_PATH] = {NULL, "a path that begins with / and has no . or .. in it"},
    [CONF_LIST] = {NULL, "texts without spaces, with a comma between two of them"},
};
static const char *const yes_no[] = {"no", "yes", NULL};

static const char *const *words_of(const struct conf_row *row)
{
    return row->type == CONF_YES_NO ? yes_no : row->type == CONF_CHOICE ? row->words : NULL;
}

/* ---- numbers and words ----------------------------------------------------------------------- */

void conf_value_text(const struct conf_row *row, uint64_t value, char out[CONF_VALUE_SIZE])
{
    const struct unit *unit = types[row->type].units;
    if (words_of(row) != NULL) {
        snprintf(out, CONF_VALUE_SIZE, "%s", words_of(row)[value]);
        return;
    }
    REQUIRE(unit != NULL);
    if (row->has_off && value == row->off) {
        snprintf(out, CONF_VALUE_SIZE, "off");
        return;
    }
    while (unit[1].name != NULL && (value == 0 || value % unit->factor != 0))
        unit++;
    snprintf(out, CONF_VALUE_SIZE, "%llu%s", (unsigned long long)(value / unit->factor),
             unit->name);
}

/* Digits in their one plain spelling, and a unit. */
static bool read_number(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || (digits > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return false;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(text + digits, units->name) == 0)
            return !__builtin_mul_overflow(number, units->factor, out);
    }
    return false;
}

static bool read_word(const char *text, const char *const *words, uint64_t *out)
{
    for (*out = 0; words[*out] != NULL; ++*out) {
        if (strcmp(text, words[*out]) == 0)
            return true;
    }
    return false;
}

static bool read_value(const struct conf_row *row, const char *text, uint64_t *out)
{
    if (words_of(row) != NULL)
        return read_word(text, words_of(row), out);
    if (row->has_off && strcmp(text, "off") == 0) {
        *out = row->off;
        return true;
    }
    return read_number(text, types[row->type].units, out) && *out >= row->min && *out <= row->max;
}

/* ---- texts ----------------------------------------------------------------------------------- */

static bool is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == ',')
            return false;
    }
    return length >= 1 && length < CONF_TEXT_SIZE;
}

/* What a path leads to does not depend on where the reader stands, and no name in it is a step
 * elsewhere. */
static bool is_path(const char *text)
{
    if (text[0] != '/')
        return false;
    for (const char *at = text; at != NULL; at = strchr(at + 1, '/')) {
        size_t length = strcspn(at + 1, "/");
        if ((length == 1 && at[1] == '.') || (length == 2 && at[1] == '.' && at[2] == '.'))
            return false;
    }
    return true;
}

static bool read_list(const char *text, struct conf_list *out)
{
    out->count = 0;
    for (;;) {
        text += strspn(text, " \t");
        size_t length = strcspn(text, ", \t");
        const char *behind = text + length + strspn(text + length, " \t");
        if (out->count == CONF_LIST_MAX || !is_plain(text, length))
            return false;
        memcpy(out->at[out->count], text, length);
        out->at[out->count++][length] = '\0';
        if (*behind == '\0')
            return true;
        if (*behind != ',')
            return false;
        text = behind + 1;
    }
}

static bool read_text(const struct conf_row *row, const char *text, char *out)
{
    size_t length = strlen(text);
    if (!is_plain(text, length) || (row->type == CONF_PATH && !is_path(text)))
        return false;
    memcpy(out, text, length + 1);
    return true;
}

bool conf_value_read(const struct conf_row *row, const char *text, union conf_value *value,
                     size_t *size_bytes)
{
    switch (row->type) {
    case CONF_TEXT:
    case CONF_PATH:
        *size_bytes = sizeof value->text;
        return read_text(row, text, value->text);
    case CONF_LIST:
        *size_bytes = sizeof value->list;
        return read_list(text, &value->list);
    default:
        *size_bytes = sizeof value->number;
        return read_value(row, text, &value->number);
    }
}

/* ---- what is shown --------------------------------------------------------------------------- */

static void describe_words(const struct conf_row *row, struct buffer *out)
{
    for (size_t i = 0; row->type == CONF_CHOICE && row->words[i] != NULL; i++)
        buffer_format(out, "%s%s", i == 0 ? " " : ", ", row->words[i]);
}

void conf_describe(const struct conf_row *row, struct buffer *out)
{
    char least[CONF_VALUE_SIZE];
    char most[CONF_VALUE_SIZE];
    struct conf_row plain = *row;
    buffer_text(out, types[row->type].like);
    if (types[row->type].units == NULL) {
        describe_words(row, out);
        return;
    }
    plain.has_off = false;
    conf_value_text(&plain, row->min, least);
    conf_value_text(&plain, row->max, most);
    buffer_format(out, "%s, from %s to %s", row->has_off ? ", or off" : "", least, most);
}

void conf_row_text(const struct conf_row *row, const void *settings, struct buffer *out)
{
    const char *at = (const char *)settings + row->offset;
    if (row->type == CONF_TEXT || row->type == CONF_PATH) {
        buffer_text(out, at);
    } else if (row->type == CONF_LIST) {
        const struct conf_list *list = (const void *)at;
        for (size_t i = 0; i < list->count; i++)
            buffer_format(out, "%s%s", i == 0 ? "" : ", ", list->at[i]);
    } else {
        char text[CONF_VALUE_SIZE];
        conf_value_text(row, *(const uint64_t *)(const void *)at, text);
        buffer_text(out, text);
    }
}
