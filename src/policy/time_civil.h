/* policy/time_civil.h -- moments, and what calendar and clock say of them (proleptic Gregorian, no
 * leap seconds).
 *
 * Whatever comes from outside is computed with checks for overflow. Thread rule: pure functions. */
#ifndef POLICY_TIME_CIVIL_H
#define POLICY_TIME_CIVIL_H

#include "base/base.h"

#define NS_PER_SECOND 1000000000
#define SECONDS_PER_DAY 86400

struct instant {
    int64_t seconds;     /* since 1970-01-01 UTC */
    int32_t nanoseconds; /* 0 .. NS_PER_SECOND-1, always forward */
};
struct instant instant_from_ns(int64_t unix_ns);
/* false: before 1677-09-21 or after 2262-04-11, where 64 bits end. */
bool instant_to_ns(struct instant instant, int64_t *unix_ns);
int instant_compare(struct instant a, struct instant b); /* <0, 0, >0 */

struct civil {
    int64_t year;
    int32_t month; /* 1 .. 12 */
    int32_t day;   /* 1 .. 31 */
    int32_t hour, minute, second;
    int32_t nanosecond;
    int32_t weekday;  /* 0: Sunday */
    int32_t year_day; /* 1 .. 366 */
};
/* What is shown where clocks are `offset_s` ahead of UTC. */
struct civil civil_of(struct instant instant, int32_t offset_s);

/* Seconds since 1970-01-01 of a date, at 00:00. Months and days may be anything: month 13 is
 * January of the next year, day 0 the last one of the month before. false: overflow. */
bool civil_date_seconds(int64_t year, int64_t month, int64_t day, int64_t *seconds);

bool is_leap_year(int64_t year);
int32_t days_in_month(int64_t year, int32_t month);

extern const char *const month_names[12], *const weekday_names[7];

#endif
