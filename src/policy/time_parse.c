#include "policy/time_parse.h"

static void skip_byte(struct span *span)
{
    span->at++;
    span->length--;
}

/* The literal parts of a layout; some spaces are as good as others. */
static bool skip_literal(struct span *left, struct span literal)
{
    size_t at = 0;
    while (at < literal.length) {
        if (literal.at[at] == ' ') {
            if (left->length > 0 && left->at[0] != ' ')
                return false;
            while (at < literal.length && literal.at[at] == ' ')
                at++;
            while (left->length > 0 && left->at[0] == ' ')
                skip_byte(left);
        } else if (left->length > 0 && left->at[0] == literal.at[at]) {
            skip_byte(left);
            at++;
        } else {
            return false;
        }
    }
    return true;
}

static bool fail_range(struct span text, const char *what, struct buffer *why)
{
    buffer_text(why, "parsing time ");
    span_quote(text, why);
    buffer_format(why, ": %s", what);
    return false;
}

/* Day and month of a day of the year. What else was read of them must agree. */
static const char *use_year_day(struct civil *civil)
{
    int32_t month = 1, day = civil->year_day;
    if (day < 1 || day > (is_leap_year(civil->year) ? 366 : 365))
        return "day-of-year out of range";
    while (day > days_in_month(civil->year, month))
        day -= days_in_month(civil->year, month++);
    if (civil->month != TIME_ABSENT && civil->month != month)
        return "day-of-year does not match month";
    if (civil->day != TIME_ABSENT && civil->day != day)
        return "day-of-year does not match day";
    civil->month = month;
    civil->day = day;
    return NULL;
}

static const char *complete(struct time_reader *reader)
{
    struct civil *civil = &reader->civil;
    const char *wrong = civil->year_day != TIME_ABSENT ? use_year_day(civil) : NULL;
    if (wrong != NULL)
        return wrong;
    if (reader->after_noon && civil->hour < 12)
        civil->hour += 12;
    else if (reader->before_noon && civil->hour == 12)
        civil->hour = 0;
    civil->month = civil->month == TIME_ABSENT ? 1 : civil->month;
    civil->day = civil->day == TIME_ABSENT ? 1 : civil->day;
    bool exists = civil->day >= 1 && civil->day <= days_in_month(civil->year, civil->month);
    return exists ? NULL : "day out of range";
}

static bool fail_item(struct span layout, struct span text, struct span rest, struct span expected,
                      struct buffer *why)
{
    buffer_text(why, "parsing time ");
    span_quote(text, why);
    buffer_text(why, " as ");
    span_quote(layout, why);
    buffer_text(why, ": cannot parse ");
    span_quote(rest, why);
    buffer_text(why, " as ");
    span_quote(expected, why);
    return false;
}

static bool fail_extra(struct span text, struct span rest, struct buffer *why)
{
    (void)fail_range(text, "extra text: ", why);
    span_quote(rest, why);
    return false;
}

static bool read_all(struct time_reader *reader, struct span layout, struct span text,
                     struct buffer *why)
{
    const struct span whole = layout;
    struct layout_item item;
    do {
        item = layout_next(&layout);
        if (!skip_literal(&reader->left, item.literal))
            return fail_item(whole, text, reader->left, item.literal, why);
        if (item.token == NULL)
            break;
        struct span before = reader->left;
        enum reading reading = time_read_field(reader, &item, layout);
        if (reading == NOT_READ)
            return fail_item(whole, text, before, item.text, why);
        if (reading == OUT_OF_RANGE) {
            (void)fail_range(text, reader->range_of, why);
            buffer_text(why, " out of range");
            return false;
        }
    } while (item.token != NULL);
    return reader->left.length == 0 || fail_extra(text, reader->left, why);
}

bool time_parse(struct span layout, struct span text, struct instant *out, struct buffer *why)
{
    struct time_reader reader = {
        .left = text, .civil = {.month = TIME_ABSENT, .day = TIME_ABSENT, .year_day = TIME_ABSENT}};
    if (!read_all(&reader, layout, text, why))
        return false;
    const char *wrong = complete(&reader);
    if (wrong != NULL)
        return fail_range(text, wrong, why);
    const struct civil *civil = &reader.civil;
    int64_t date_s;
    /* Cannot overflow: a year has four digits. */
    REQUIRE(civil_date_seconds(civil->year, civil->month, civil->day, &date_s));
    out->seconds =
        date_s + (civil->hour * 60 + civil->minute) * 60 + civil->second - reader.offset_s;
    out->nanoseconds = civil->nanosecond;
    return true;
}
