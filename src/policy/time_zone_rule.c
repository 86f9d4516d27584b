/* policy/time_zone_rule.c -- POSIX's TZ, with the extensions of RFC 8536 section 3.3.1 */
#include "policy/time_zone.h"

#define HOUR_S 3600
#define NAME_LENGTH_MIN 3

static void step(struct span *span, size_t length)
{
    span->at += length;
    span->length -= length;
}

static bool take(struct span *left, char c)
{
    bool there = left->length > 0 && *left->at == c;
    if (there)
        step(left, 1);
    return there;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_quoted_character(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-';
}

/* Letters, or with digits and signs between < and >. */
static bool read_name(struct span *left, struct span *name)
{
    bool quoted = take(left, '<');
    *name = (struct span){left->at, 0};
    while (left->length > 0 && (quoted ? is_quoted_character(*left->at) : is_letter(*left->at))) {
        name->length++;
        step(left, 1);
    }
    return name->length >= NAME_LENGTH_MIN && (!quoted || take(left, '>'));
}

static bool read_number(struct span *left, int32_t min, int32_t max, int32_t *out)
{
    bool some = false;
    for (*out = 0; left->length > 0 && *left->at >= '0' && *left->at <= '9'; step(left, 1)) {
        some = true;
        *out = *out * 10 + (*left->at - '0');
        if (*out > max)
            return false;
    }
    return some && *out >= min;
}

/* [sign] hours [: minutes [: seconds]] */
static bool read_time(struct span *left, int32_t hours_max, int32_t *seconds)
{
    int32_t hours, minutes = 0, rest = 0;
    int32_t sign = take(left, '-') ? -1 : 1;
    if (sign == 1)
        (void)take(left, '+');
    if (!read_number(left, 0, hours_max, &hours))
        return false;
    if (take(left, ':')) {
        if (!read_number(left, 0, 59, &minutes))
            return false;
        if (take(left, ':') && !read_number(left, 0, 59, &rest))
            return false;
    }
    *seconds = sign * (hours * HOUR_S + minutes * 60 + rest);
    return true;
}

/* What is subtracted from UTC there is added here. */
static bool read_offset(struct span *left, int32_t *offset_s)
{
    if (!read_time(left, 24, offset_s))
        return false;
    *offset_s = -*offset_s;
    return true;
}

static bool read_day(struct span *left, struct rule_day *day)
{
    if (take(left, 'M')) {
        day->kind = RULE_DAY_WEEKDAY;
        return read_number(left, 1, 12, &day->month) && take(left, '.') &&
               read_number(left, 1, 5, &day->week) && take(left, '.') &&
               read_number(left, 0, 6, &day->day);
    }
    bool julian = take(left, 'J');
    day->kind = julian ? RULE_DAY_JULIAN : RULE_DAY_NUMBER;
    return read_number(left, julian ? 1 : 0, 365, &day->day);
}

/* ", day [/ time]", at two o'clock if nothing else is said. */
static bool read_change(struct span *left, struct rule_day *day)
{
    day->time_s = 2 * HOUR_S;
    return take(left, ',') && read_day(left, day) &&
           (!take(left, '/') || read_time(left, 7 * 24 - 1, &day->time_s));
}

bool zone_rule_read(struct span text, struct zone_rule *out)
{
    struct span left = text;
    *out = (struct zone_rule){0};
    if (!read_name(&left, &out->standard_name) || !read_offset(&left, &out->standard_offset_s))
        return false;
    if (left.length == 0)
        return true;
    out->has_daylight = true;
    out->daylight_offset_s = out->standard_offset_s + HOUR_S;
    if (!read_name(&left, &out->daylight_name))
        return false;
    if (left.length > 0 && *left.at != ',' && !read_offset(&left, &out->daylight_offset_s))
        return false;
    return read_change(&left, &out->start) && read_change(&left, &out->end) && left.length == 0;
}

/* The day of the month of the first, second, ... or (fifth) last such weekday. */
static int32_t weekday_in_month(int64_t year, const struct rule_day *day, int32_t first_weekday)
{
    int32_t in_month = 1 + (day->day - first_weekday + 7) % 7 + (day->week - 1) * 7;
    while (in_month > days_in_month(year, day->month))
        in_month -= 7;
    return in_month;
}

/* Seconds since 1970 that a clock shows at which a change comes, as if it were UTC. */
static int64_t change_seconds(int64_t year, const struct rule_day *day)
{
    int64_t month = 1, in_month = day->day, seconds;
    if (day->kind == RULE_DAY_WEEKDAY) {
        month = day->month;
        REQUIRE(civil_date_seconds(year, month, 1, &seconds));
        const struct instant first = {.seconds = seconds};
        in_month = weekday_in_month(year, day, civil_of(first, 0).weekday);
    } else if (day->kind == RULE_DAY_NUMBER || (is_leap_year(year) && day->day >= 60)) {
        in_month++; /* counted from 0, or not counting February 29 */
    }
    REQUIRE(civil_date_seconds(year, month, in_month, &seconds));
    return seconds + day->time_s;
}

/* Where daylight time begins in one year and ends in the next, standard time is between. */
struct zone_period zone_rule_find(const struct zone_rule *rule, int64_t seconds)
{
    const struct instant instant = {.seconds = seconds};
    int64_t year = civil_of(instant, rule->standard_offset_s).year;
    bool daylight = false;
    if (rule->has_daylight) {
        int64_t start = change_seconds(year, &rule->start) - rule->standard_offset_s;
        int64_t end = change_seconds(year, &rule->end) - rule->daylight_offset_s;
        daylight =
            start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end;
    }
    if (daylight)
        return (struct zone_period){rule->daylight_offset_s, rule->daylight_name};
    return (struct zone_period){rule->standard_offset_s, rule->standard_name};
}
