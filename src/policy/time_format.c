#include "policy/time_layout.h"

#include <stdio.h>
#include <stdlib.h>

#define FRACTION_DIGITS 9

static void format_name(const char *name, const struct layout_token *token, struct buffer *out)
{
    buffer_format(out, "%.*s", (token->flags & LAYOUT_LONG) != 0 ? 16 : 3, name);
}

static int64_t number_of(const struct civil *civil, enum layout_field field)
{
    switch (field) {
    case LAYOUT_YEAR:
        return civil->year;
    case LAYOUT_YEAR_OF_CENTURY:
        return llabs(civil->year) % 100;
    case LAYOUT_MONTH:
        return civil->month;
    case LAYOUT_DAY:
        return civil->day;
    case LAYOUT_YEAR_DAY:
        return civil->year_day;
    case LAYOUT_HOUR:
        return civil->hour;
    case LAYOUT_HOUR_12:
        return (civil->hour + 11) % 12 + 1;
    case LAYOUT_MINUTE:
        return civil->minute;
    default:
        return civil->second;
    }
}

static void format_number(const struct civil *civil, const struct layout_token *token,
                          struct buffer *out)
{
    long long number = number_of(civil, token->field);
    if ((token->flags & LAYOUT_SPACES) != 0)
        buffer_format(out, "%*lld", token->width, number);
    else
        buffer_format(out, "%0*lld", token->width, number);
}

/* As many digits as there are zeros; or as nines, less zeros at the end. */
static void format_fraction(int32_t nanosecond, struct span text, struct buffer *out)
{
    char digits[16];
    size_t count = MIN(text.length - 1, FRACTION_DIGITS);
    snprintf(digits, sizeof digits, "%09d", nanosecond);
    if (text.at[1] == '9')
        while (count > 0 && digits[count - 1] == '0')
            count--;
    if (count > 0)
        buffer_format(out, "%c%.*s", text.at[0], (int)count, digits);
}

static void format_zone(int32_t offset_s, unsigned flags, struct buffer *out)
{
    const char *colon = (flags & LAYOUT_COLONS) != 0 ? ":" : "";
    int32_t seconds = abs(offset_s);
    if (offset_s == 0 && (flags & LAYOUT_Z) != 0) {
        buffer_text(out, "Z");
        return;
    }
    buffer_format(out, "%c%02d", offset_s < 0 ? '-' : '+', seconds / 3600);
    if ((flags & LAYOUT_MINUTES) != 0)
        buffer_format(out, "%s%02d", colon, seconds / 60 % 60);
    if ((flags & LAYOUT_SECONDS) != 0)
        buffer_format(out, "%s%02d", colon, seconds % 60);
}

static void format_zone_name(const struct zoned_time *time, struct buffer *out)
{
    if (time->zone_name.length > 0)
        buffer_append(out, time->zone_name.at, time->zone_name.length);
    else
        format_zone(time->offset_s, LAYOUT_MINUTES, out);
}

static void format_item(const struct zoned_time *time, const struct layout_item *item,
                        struct buffer *out)
{
    const struct civil *civil = &time->civil;
    bool small = (item->token->flags & LAYOUT_SMALL) != 0;
    switch (item->token->field) {
    case LAYOUT_MONTH_NAME:
        format_name(month_names[civil->month - 1], item->token, out);
        break;
    case LAYOUT_WEEKDAY_NAME:
        format_name(weekday_names[civil->weekday], item->token, out);
        break;
    case LAYOUT_FRACTION:
        format_fraction(civil->nanosecond, item->text, out);
        break;
    case LAYOUT_HALF_DAY:
        buffer_format(out, "%c%c", (small ? "ap" : "AP")[civil->hour >= 12], small ? 'm' : 'M');
        break;
    case LAYOUT_ZONE_NAME:
        format_zone_name(time, out);
        break;
    case LAYOUT_ZONE:
        format_zone(time->offset_s, item->token->flags, out);
        break;
    default:
        format_number(civil, item->token, out);
    }
}

void time_format(const struct zoned_time *time, struct span layout, struct buffer *out)
{
    struct layout_item item;
    do {
        item = layout_next(&layout);
        buffer_append(out, item.literal.at, item.literal.length);
        if (item.token != NULL)
            format_item(time, &item, out);
    } while (item.token != NULL);
}
