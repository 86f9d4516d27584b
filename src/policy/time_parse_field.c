#include "policy/time_parse.h"

#include <string.h>

#define FRACTION_DIGITS 9

static struct span skip(struct span span, size_t length)
{
    return (struct span){span.at + length, span.length - length};
}

static bool digit_at(struct span span, size_t index)
{
    return index < span.length && span.at[index] >= '0' && span.at[index] <= '9';
}

static size_t digits_at(struct span span, size_t index)
{
    size_t count = 0;
    while (digit_at(span, index + count))
        count++;
    return count;
}

static bool small_equal(char a, char b)
{
    bool letter = (a >= 'a' && a <= 'z') || (a >= 'A' && a <= 'Z');
    return a == b || (letter && (a ^ b) == 0x20);
}

static bool starts_with(struct span span, const char *text, size_t length)
{
    if (span.length < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!small_equal(span.at[i], text[i]))
            return false;
    return true;
}

typedef enum reading (*field_reader)(struct time_reader *reader, const struct layout_item *item);

/* 1 to `most` digits, or just `most`. */
static bool read_digits(struct span *left, size_t most, bool exact, int32_t *out)
{
    size_t count = MIN(digits_at(*left, 0), most);
    if (count == 0 || (exact && count < most))
        return false;
    *out = 0;
    for (size_t i = 0; i < count; i++)
        *out = *out * 10 + (left->at[i] - '0');
    *left = skip(*left, count);
    return true;
}

/* Up to two digits, in a range that is looked at here (days are looked at with their month). */
struct number_field {
    size_t offset; /* in struct civil */
    int32_t min, max;
    const char *name;
};
static const struct number_field number_fields[LAYOUT_FIELD_COUNT] = {
    [LAYOUT_MONTH] = {offsetof(struct civil, month), 1, 12, "month"},
    [LAYOUT_DAY] = {offsetof(struct civil, day), 0, 99, "day"},
    [LAYOUT_HOUR] = {offsetof(struct civil, hour), 0, 23, "hour"},
    [LAYOUT_HOUR_12] = {offsetof(struct civil, hour), 0, 12, "hour"},
    [LAYOUT_MINUTE] = {offsetof(struct civil, minute), 0, 59, "minute"},
    [LAYOUT_SECOND] = {offsetof(struct civil, second), 0, 59, "second"},
};

static enum reading read_number(struct time_reader *reader, const struct layout_item *item)
{
    const struct number_field *field = &number_fields[item->token->field];
    int32_t number;
    bool spaces = (item->token->flags & LAYOUT_SPACES) != 0;
    if (spaces && reader->left.length > 0 && reader->left.at[0] == ' ')
        reader->left = skip(reader->left, 1);
    if (!read_digits(&reader->left, 2, (item->token->flags & LAYOUT_EXACT) != 0, &number))
        return NOT_READ;
    reader->range_of = field->name;
    memcpy((char *)&reader->civil + field->offset, &number, sizeof number);
    return number < field->min || number > field->max ? OUT_OF_RANGE : READ;
}

static enum reading read_year(struct time_reader *reader, const struct layout_item *item)
{
    int32_t year;
    if (!read_digits(&reader->left, item->token->width, true, &year))
        return NOT_READ;
    if (item->token->field == LAYOUT_YEAR_OF_CENTURY)
        year += year >= 69 ? 1900 : 2000;
    reader->civil.year = year;
    return READ;
}

static enum reading read_year_day(struct time_reader *reader, const struct layout_item *item)
{
    bool exact = (item->token->flags & LAYOUT_EXACT) != 0;
    for (int i = 0; i < 2 && !exact && reader->left.length > 0 && reader->left.at[0] == ' '; i++)
        reader->left = skip(reader->left, 1);
    return read_digits(&reader->left, 3, exact, &reader->civil.year_day) ? READ : NOT_READ;
}

/* Capitals do not matter. */
static int32_t read_name(struct span *left, const char *const *names, size_t count, bool whole)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = whole ? strlen(names[i]) : 3;
        if (starts_with(*left, names[i], length)) {
            *left = skip(*left, length);
            return (int32_t)i;
        }
    }
    return TIME_ABSENT;
}

static enum reading read_month_name(struct time_reader *reader, const struct layout_item *item)
{
    bool whole = (item->token->flags & LAYOUT_LONG) != 0;
    int32_t month = read_name(&reader->left, month_names, ARRAY_LEN(month_names), whole);
    reader->civil.month = month + 1;
    return month == TIME_ABSENT ? NOT_READ : READ;
}

/* Whether the day was one is not looked at. */
static enum reading read_weekday_name(struct time_reader *reader, const struct layout_item *item)
{
    bool whole = (item->token->flags & LAYOUT_LONG) != 0;
    int32_t day = read_name(&reader->left, weekday_names, ARRAY_LEN(weekday_names), whole);
    return day == TIME_ABSENT ? NOT_READ : READ;
}

static enum reading read_half_day(struct time_reader *reader, const struct layout_item *item)
{
    bool small = (item->token->flags & LAYOUT_SMALL) != 0;
    if (reader->left.length < 2)
        return NOT_READ;
    struct span two = {reader->left.at, 2};
    reader->after_noon = span_is(two, small ? "pm" : "PM");
    reader->before_noon = span_is(two, small ? "am" : "AM");
    reader->left = skip(reader->left, 2);
    return reader->after_noon || reader->before_noon ? READ : NOT_READ;
}

/* A point or comma, and `count` digits: those after the ninth do not count. */
static enum reading take_fraction(struct time_reader *reader, size_t count)
{
    struct span left = reader->left;
    if (left.length == 0 || (left.at[0] != '.' && left.at[0] != ',') || digits_at(left, 1) < count)
        return NOT_READ;
    reader->civil.nanosecond = 0;
    for (size_t i = 0; i < FRACTION_DIGITS; i++)
        reader->civil.nanosecond =
            reader->civil.nanosecond * 10 + (i < count ? left.at[1 + i] - '0' : 0);
    reader->left = skip(left, 1 + count);
    return READ;
}

static bool fraction_follows(struct span left)
{
    return left.length > 0 && (left.at[0] == '.' || left.at[0] == ',') && digit_at(left, 1);
}

/* Zeros want as many digits as they are; nines take what is there, which may be nothing. */
static enum reading read_fraction(struct time_reader *reader, const struct layout_item *item)
{
    if (item->text.at[1] == '0')
        return take_fraction(reader, item->text.length - 1);
    if (!fraction_follows(reader->left))
        return READ;
    return take_fraction(reader, digits_at(reader->left, 1));
}

/* Abbreviations of zones are only recognized, except that UTC is UTC: of many there are several. A
 * GMT may have hours behind it, and a zone without a name is hours. */
static size_t zone_name_length(struct span left)
{
    size_t capitals = 0;
    bool gmt = left.length >= 3 && memcmp(left.at, "GMT", 3) == 0;
    size_t sign = gmt ? 3 : 0;
    if (left.length >= 4 && (memcmp(left.at, "ChST", 4) == 0 || memcmp(left.at, "MeST", 4) == 0))
        return 4;
    if (left.length > sign && (left.at[sign] == '+' || left.at[sign] == '-')) {
        size_t digits = digits_at(left, sign + 1);
        struct span hours = skip(left, sign + 1);
        int32_t number = 0;
        bool good = digits > 0 && read_digits(&hours, 3, false, &number) && number <= 23 &&
                    !digit_at(hours, 0);
        return good ? sign + 1 + digits : sign;
    }
    while (capitals < 6 && capitals < left.length && left.at[capitals] >= 'A' &&
           left.at[capitals] <= 'Z')
        capitals++;
    bool ends_in_t = capitals > 0 && left.at[capitals - 1] == 'T';
    if (gmt || capitals == 3)
        return 3;
    if (capitals == 4 && memcmp(left.at, "WITA", 4) == 0)
        return 4;
    return (capitals == 4 || capitals == 5) && ends_in_t ? capitals : 0;
}

static enum reading read_zone_name(struct time_reader *reader, const struct layout_item *item)
{
    size_t length = zone_name_length(reader->left);
    reader->left = skip(reader->left, length);
    return length > 0 ? READ : NOT_READ;
}

/* Two digits, behind a colon where there is one. Up to and including `max`: some write 24:00. */
static enum reading read_zone_part(struct time_reader *reader, bool colon, int32_t max,
                                   const char *name, int32_t *out)
{
    struct span left = reader->left;
    if (colon && (left.length == 0 || left.at[0] != ':'))
        return NOT_READ;
    left = skip(left, colon ? 1 : 0);
    if (!read_digits(&left, 2, true, out))
        return NOT_READ;
    reader->left = left;
    reader->range_of = name;
    return *out > max ? OUT_OF_RANGE : READ;
}

static enum reading read_zone(struct time_reader *reader, const struct layout_item *item)
{
    unsigned flags = item->token->flags;
    bool colons = (flags & LAYOUT_COLONS) != 0;
    int32_t hours, minutes = 0, seconds = 0;
    if (reader->left.length == 0)
        return NOT_READ;
    char sign = reader->left.at[0];
    bool utc = (flags & LAYOUT_Z) != 0 && sign == 'Z';
    if (!utc && sign != '+' && sign != '-')
        return NOT_READ;
    reader->offset_s = 0;
    reader->left = skip(reader->left, 1);
    if (utc)
        return READ;
    enum reading reading = read_zone_part(reader, false, 24, "time zone offset hour", &hours);
    if (reading == READ && (flags & LAYOUT_MINUTES) != 0)
        reading = read_zone_part(reader, colons, 60, "time zone offset minute", &minutes);
    if (reading == READ && (flags & LAYOUT_SECONDS) != 0)
        reading = read_zone_part(reader, colons, 60, "time zone offset second", &seconds);
    if (reading == READ)
        reader->offset_s = (sign == '-' ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds);
    return reading;
}

static const field_reader readers[LAYOUT_FIELD_COUNT] = {
    [LAYOUT_YEAR] = read_year,
    [LAYOUT_YEAR_OF_CENTURY] = read_year,
    [LAYOUT_MONTH] = read_number,
    [LAYOUT_MONTH_NAME] = read_month_name,
    [LAYOUT_WEEKDAY_NAME] = read_weekday_name,
    [LAYOUT_DAY] = read_number,
    [LAYOUT_YEAR_DAY] = read_year_day,
    [LAYOUT_HOUR] = read_number,
    [LAYOUT_HOUR_12] = read_number,
    [LAYOUT_MINUTE] = read_number,
    [LAYOUT_SECOND] = read_number,
    [LAYOUT_FRACTION] = read_fraction,
    [LAYOUT_HALF_DAY] = read_half_day,
    [LAYOUT_ZONE_NAME] = read_zone_name,
    [LAYOUT_ZONE] = read_zone,
};

/* A fraction may follow seconds also where the layout has none. */
enum reading time_read_field(struct time_reader *reader, const struct layout_item *item,
                             struct span layout)
{
    enum reading reading = readers[item->token->field](reader, item);
    if (reading != READ || item->token->field != LAYOUT_SECOND || !fraction_follows(reader->left))
        return reading;
    const struct layout_item next = layout_next(&layout);
    if (next.token != NULL && next.token->field == LAYOUT_FRACTION)
        return READ;
    return take_fraction(reader, digits_at(reader->left, 1));
}
