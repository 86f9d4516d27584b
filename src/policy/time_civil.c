#include "policy/time_civil.h"

/* Years of the calendar repeat after 400, which begin on March 1, so that a leap day is the last.
 */
#define DAYS_PER_ERA 146097
#define DAYS_FROM_MARCH_0_TO_1970 719468
#define YEAR_MAX ((int64_t)1000000000000) /* of which days still fit well */

const char *const month_names[12] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
const char *const weekday_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static int64_t remainder_of(int64_t a, int64_t b)
{
    return a - divide_down(a, b) * b;
}

struct instant instant_from_ns(int64_t unix_ns)
{
    int64_t seconds = unix_ns / NS_PER_SECOND;
    int32_t nanoseconds = (int32_t)(unix_ns % NS_PER_SECOND);
    return nanoseconds < 0 ? (struct instant){seconds - 1, nanoseconds + NS_PER_SECOND}
                           : (struct instant){seconds, nanoseconds};
}

/* A negative second is taken one up first: the product of the earliest does not fit. */
bool instant_to_ns(struct instant instant, int64_t *unix_ns)
{
    int64_t seconds = instant.seconds, rest = instant.nanoseconds;
    if (seconds < 0 && rest > 0) {
        seconds++;
        rest -= NS_PER_SECOND;
    }
    return !__builtin_mul_overflow(seconds, NS_PER_SECOND, unix_ns) &&
           !__builtin_add_overflow(*unix_ns, rest, unix_ns);
}

int instant_compare(struct instant a, struct instant b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    return (a.nanoseconds > b.nanoseconds) - (a.nanoseconds < b.nanoseconds);
}

bool is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int32_t days_in_month(int64_t year, int32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year) ? 1 : 0);
}

/* Days from March 1 to the 1st of the month `march_month` months later, in a year that begins in
 * March: its months are 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31 days long. */
static int64_t days_before_month(int64_t march_month)
{
    return (153 * march_month + 2) / 5;
}

/* Of a date whose month is 1 .. 12 and whose day is the 1st. */
static int64_t days_of(int64_t year, int64_t month)
{
    int64_t march_year = year - (month <= 2 ? 1 : 0);
    int64_t era = divide_down(march_year, 400), year_of_era = march_year - era * 400;
    int64_t day_of_year = days_before_month((month + 9) % 12);
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - DAYS_FROM_MARCH_0_TO_1970;
}

bool civil_date_seconds(int64_t year, int64_t month, int64_t day, int64_t *seconds)
{
    int64_t months, days;
    if (__builtin_sub_overflow(month, 1, &months) ||
        __builtin_add_overflow(year, divide_down(months, 12), &year) || year > YEAR_MAX ||
        year < -YEAR_MAX)
        return false;
    return !__builtin_sub_overflow(day, 1, &days) &&
           !__builtin_add_overflow(days, days_of(year, 1 + remainder_of(months, 12)), &days) &&
           !__builtin_mul_overflow(days, SECONDS_PER_DAY, seconds);
}

static void set_date(struct civil *civil, int64_t days)
{
    int64_t day = days + DAYS_FROM_MARCH_0_TO_1970;
    int64_t era = divide_down(day, DAYS_PER_ERA), day_of_era = day - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    civil->month = (int32_t)(march_month < 10 ? march_month + 3 : march_month - 9);
    civil->day = (int32_t)(day_of_year - days_before_month(march_month) + 1);
    civil->year = era * 400 + year_of_era + (civil->month <= 2 ? 1 : 0);
    civil->weekday = (int32_t)remainder_of(days + 4, 7); /* 1970-01-01 was a Thursday */
    civil->year_day = (int32_t)(days - days_of(civil->year, 1)) + 1;
}

struct civil civil_of(struct instant instant, int32_t offset_s)
{
    struct civil civil = {.nanosecond = instant.nanoseconds};
    int64_t seconds = instant.seconds + offset_s;
    int32_t of_day = (int32_t)remainder_of(seconds, SECONDS_PER_DAY);
    civil.hour = of_day / 3600;
    civil.minute = of_day / 60 % 60;
    civil.second = of_day % 60;
    set_date(&civil, divide_down(seconds, SECONDS_PER_DAY));
    return civil;
}
