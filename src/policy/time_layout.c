#include "policy/time_layout.h"

#include <string.h>

#define QUOTED_BYTES_MAX 96

/* Of two that begin alike the longer one comes first. */
static const struct layout_token tokens[] = {
    {"January", LAYOUT_MONTH_NAME, 0, LAYOUT_LONG},
    {"Jan", LAYOUT_MONTH_NAME, 0, LAYOUT_WORD},
    {"Monday", LAYOUT_WEEKDAY_NAME, 0, LAYOUT_LONG},
    {"Mon", LAYOUT_WEEKDAY_NAME, 0, LAYOUT_WORD},
    {"MST", LAYOUT_ZONE_NAME, 0, 0},
    {"01", LAYOUT_MONTH, 2, LAYOUT_EXACT},
    {"02", LAYOUT_DAY, 2, LAYOUT_EXACT},
    {"03", LAYOUT_HOUR_12, 2, LAYOUT_EXACT},
    {"04", LAYOUT_MINUTE, 2, LAYOUT_EXACT},
    {"05", LAYOUT_SECOND, 2, LAYOUT_EXACT},
    {"06", LAYOUT_YEAR_OF_CENTURY, 2, LAYOUT_EXACT},
    {"002", LAYOUT_YEAR_DAY, 3, LAYOUT_EXACT},
    {"15", LAYOUT_HOUR, 2, 0},
    {"1", LAYOUT_MONTH, 1, 0},
    {"2006", LAYOUT_YEAR, 4, LAYOUT_EXACT},
    {"2", LAYOUT_DAY, 1, 0},
    {"_2006", LAYOUT_LITERAL, 0, 0}, /* an underscore and a year */
    {"_2", LAYOUT_DAY, 2, LAYOUT_SPACES},
    {"__2", LAYOUT_YEAR_DAY, 3, LAYOUT_SPACES},
    {"3", LAYOUT_HOUR_12, 1, 0},
    {"4", LAYOUT_MINUTE, 1, 0},
    {"5", LAYOUT_SECOND, 1, 0},
    {"PM", LAYOUT_HALF_DAY, 0, 0},
    {"pm", LAYOUT_HALF_DAY, 0, LAYOUT_SMALL},
    {"-070000", LAYOUT_ZONE, 0, LAYOUT_MINUTES | LAYOUT_SECONDS},
    {"-07:00:00", LAYOUT_ZONE, 0, LAYOUT_MINUTES | LAYOUT_SECONDS | LAYOUT_COLONS},
    {"-0700", LAYOUT_ZONE, 0, LAYOUT_MINUTES},
    {"-07:00", LAYOUT_ZONE, 0, LAYOUT_MINUTES | LAYOUT_COLONS},
    {"-07", LAYOUT_ZONE, 0, 0},
    {"Z070000", LAYOUT_ZONE, 0, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_SECONDS},
    {"Z07:00:00", LAYOUT_ZONE, 0, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_SECONDS | LAYOUT_COLONS},
    {"Z0700", LAYOUT_ZONE, 0, LAYOUT_Z | LAYOUT_MINUTES},
    {"Z07:00", LAYOUT_ZONE, 0, LAYOUT_Z | LAYOUT_MINUTES | LAYOUT_COLONS},
    {"Z07", LAYOUT_ZONE, 0, LAYOUT_Z},
};
static const struct layout_token fraction = {"", LAYOUT_FRACTION, 0, 0};

static const struct {
    const char *name, *layout;
} named[] = {
    {"ANSIC", "Mon Jan _2 15:04:05 2006"},
    {"UnixDate", "Mon Jan _2 15:04:05 MST 2006"},
    {"RubyDate", "Mon Jan 02 15:04:05 -0700 2006"},
    {"RFC822", "02 Jan 06 15:04 MST"},
    {"RFC822Z", "02 Jan 06 15:04 -0700"},
    {"RFC850", "Monday, 02-Jan-06 15:04:05 MST"},
    {"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"},
    {"RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"},
    {"RFC3339", "2006-01-02T15:04:05Z07:00"},
    {"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"},
};

bool span_is(struct span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.at, text, span.length) == 0;
}

void span_quote(struct span span, struct buffer *out)
{
    size_t shown = MIN(span.length, QUOTED_BYTES_MAX);
    buffer_byte(out, '"');
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = (unsigned char)span.at[i];
        if (byte < ' ' || byte >= 0x80)
            buffer_format(out, "\\x%02x", byte);
        else
            buffer_format(out, "%s%c", byte == '"' || byte == '\\' ? "\\" : "", byte);
    }
    buffer_text(out, shown < span.length ? "...\"" : "\"");
}

struct span layout_named(struct span layout)
{
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (span_is(layout, named[i].name))
            return (struct span){named[i].layout, strlen(named[i].layout)};
    return layout;
}

static bool begins_with(struct span span, const struct layout_token *token, size_t length)
{
    if (span.length < length || memcmp(span.at, token->text, length) != 0)
        return false;
    bool small_follows = span.length > length && span.at[length] >= 'a' && span.at[length] <= 'z';
    return (token->flags & LAYOUT_WORD) == 0 || !small_follows;
}

/* A point or comma, and zeros or nines, up to where digits end. 0: it is none. */
static size_t fraction_length(struct span span)
{
    size_t length = 1;
    if (span.length < 2 || (span.at[0] != '.' && span.at[0] != ',') ||
        (span.at[1] != '0' && span.at[1] != '9'))
        return 0;
    while (length < span.length && span.at[length] == span.at[1])
        length++;
    bool digit_follows = length < span.length && span.at[length] >= '0' && span.at[length] <= '9';
    return digit_follows ? 0 : length;
}

/* What the layout begins with, if that is something. */
static const struct layout_token *token_at(struct span layout, size_t *length)
{
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        *length = strlen(tokens[i].text);
        if (begins_with(layout, &tokens[i], *length))
            return tokens[i].field == LAYOUT_LITERAL ? NULL : &tokens[i];
    }
    *length = fraction_length(layout);
    return *length > 0 ? &fraction : NULL;
}

struct layout_item layout_next(struct span *layout)
{
    struct layout_item item = {.literal = {layout->at, 0}};
    while (layout->length > 0) {
        size_t length;
        item.token = token_at(*layout, &length);
        if (item.token == NULL)
            length = 1;
        else
            item.text = (struct span){layout->at, length};
        layout->at += length;
        layout->length -= length;
        if (item.token != NULL)
            break;
        item.literal.length++;
    }
    return item;
}
