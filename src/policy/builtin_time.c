/* policy/builtin_time.c -- time.* */
#include "policy/builtin.h"
#include "policy/time_zone.h"

#define FILE_BYTES_PER_STEP 16 /* of a zone: read and checked in about the time of a step */
#define ZONE_STEPS 64          /* to open it */

/* Moments are given as nanoseconds, [ns, zone] or [ns, zone, layout]. */
struct moment {
    struct instant instant;
    struct zone zone;
    bool in_zone; /* else UTC */
    struct buffer file;
    struct span layout; /* empty: none was given */
};
static inline void moment_clear_at_scope_end(struct moment *moment)
{
    buffer_clear(&moment->file);
}

static struct span span_of(const struct value *text)
{
    return (struct span){text->string, text->count};
}

static const struct zone *zone_of(const struct moment *moment)
{
    return moment->in_zone ? &moment->zone : NULL;
}

/* `why` has the whole text, which the contract of builtin_fail cuts. */
static lethe_result fail_with(struct builtin_call *call, const struct buffer *why)
{
    TRY(buffer_result(why, NULL));
    return builtin_fail(call, BUILTIN_ERROR, "%s", why->bytes);
}

static lethe_result read_ns(struct builtin_call *call, unsigned n, const struct value *value,
                            struct moment *moment)
{
    int64_t ns;
    if (!value_is(value, VALUE_NUMBER))
        return builtin_fail_operand(call, n, "number", value);
    if (!number_to_int64(&value->number, &ns))
        return builtin_fail(call, BUILTIN_ERROR, "timestamp too big");
    moment->instant = instant_from_ns(ns);
    return LETHE_OK;
}

static lethe_result read_zone(struct builtin_call *call, unsigned n, const struct value *value,
                              struct moment *moment)
{
    if (!value_is(value, VALUE_STRING))
        return builtin_fail_operand(call, n, "string", value);
    moment->in_zone = value->count > 0 && !value_is_text(value, "UTC");
    if (!moment->in_zone)
        return LETHE_OK;
    CLEANUP(buffer_clear) struct buffer why = {0};
    TRY(builtin_spend(call, ZONE_STEPS));
    lethe_result result = zone_load(span_of(value), &moment->file, &moment->zone, &why);
    if (result == LETHE_INVALID)
        return fail_with(call, &why);
    TRY(result);
    return builtin_spend(call, moment->file.size_bytes / FILE_BYTES_PER_STEP);
}

static lethe_result read_layout(struct builtin_call *call, unsigned n, const struct value *value,
                                struct moment *moment)
{
    if (!value_is(value, VALUE_STRING))
        return builtin_fail_operand(call, n, "string", value);
    moment->layout = span_of(value);
    return LETHE_OK;
}

static lethe_result read_moment(struct builtin_call *call, unsigned n, const struct value *value,
                                struct moment *moment)
{
    bool list = value_is(value, VALUE_ARRAY);
    if (list ? value->count == 0 : !value_is(value, VALUE_NUMBER))
        return builtin_fail_operand(call, n, "either number (ns) or [number (ns), string (tz)]",
                                    value);
    TRY(read_ns(call, n, list ? value->items[0] : value, moment));
    if (list && value->count > 1)
        TRY(read_zone(call, n, value->items[1], moment));
    if (list && value->count > 2)
        TRY(read_layout(call, n, value->items[2], moment));
    return LETHE_OK;
}

static struct zoned_time zoned(struct instant instant, const struct zone *zone)
{
    struct zone_period period = zone_find(zone, instant.seconds);
    return (struct zoned_time){.civil = civil_of(instant, period.offset_s),
                               .offset_s = period.offset_s,
                               .zone_name = period.name};
}

static lethe_result give_ns(struct builtin_call *call, struct instant instant,
                            const struct value **out)
{
    int64_t ns;
    if (!instant_to_ns(instant, &ns))
        return builtin_fail(call, BUILTIN_ERROR, "time outside of valid range");
    return builtin_value(call, value_small(call->arena, ns), out);
}

static lethe_result give_numbers(struct builtin_call *call, const int64_t *numbers, size_t count,
                                 const struct value **out)
{
    struct value_list list = {0};
    for (size_t i = 0; i < count; i++)
        if (!value_list_append(call->arena, &list, value_small(call->arena, numbers[i])))
            return builtin_value(call, NULL, out);
    return builtin_value(call, value_array(call->arena, &list), out);
}

/* ---- texts ---- */

static lethe_result time_now_ns(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    if (call->world->now_ns > INT64_MAX)
        return builtin_fail(call, BUILTIN_ERROR, "time outside of valid range");
    return builtin_value(call, value_small(call->arena, (int64_t)call->world->now_ns), out);
}

static lethe_result parse(struct builtin_call *call, struct span layout, struct span text,
                          const struct value **out)
{
    struct instant instant;
    CLEANUP(buffer_clear) struct buffer why = {0};
    TRY(builtin_spend(call, (uint64_t)layout.length + text.length));
    if (!time_parse(layout_named(layout), text, &instant, &why))
        return fail_with(call, &why);
    return give_ns(call, instant, out);
}

static lethe_result time_parse_ns(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    return parse(call, span_of(operands[0]), span_of(operands[1]), out);
}

static const struct span rfc3339 = {"RFC3339", 7}, rfc3339_nano = {"RFC3339Nano", 11};

static lethe_result time_parse_rfc3339_ns(struct builtin_call *call,
                                          const struct value *const *operands,
                                          const struct value **out)
{
    return parse(call, rfc3339, span_of(operands[0]), out);
}

static lethe_result time_parse_duration_ns(struct builtin_call *call,
                                           const struct value *const *operands,
                                           const struct value **out)
{
    int64_t ns;
    CLEANUP(buffer_clear) struct buffer why = {0};
    TRY(builtin_spend(call, operands[0]->count));
    if (!duration_parse(span_of(operands[0]), &ns, &why))
        return fail_with(call, &why);
    return builtin_value(call, value_small(call->arena, ns), out);
}

static lethe_result format(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    CLEANUP(moment_clear) struct moment moment = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(read_moment(call, 1, operands[0], &moment));
    TRY(builtin_spend(call, moment.layout.length));
    const struct zoned_time time = zoned(moment.instant, zone_of(&moment));
    time_format(&time, layout_named(moment.layout.length > 0 ? moment.layout : rfc3339_nano),
                &text);
    return builtin_value(call, value_buffer(call->arena, &text), out);
}

/* ---- calendar and clock ---- */

static lethe_result time_date(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    CLEANUP(moment_clear) struct moment moment = {0};
    TRY(read_moment(call, 1, operands[0], &moment));
    const struct civil civil = zoned(moment.instant, zone_of(&moment)).civil;
    const int64_t numbers[] = {civil.year, civil.month, civil.day};
    return give_numbers(call, numbers, ARRAY_LEN(numbers), out);
}

static lethe_result time_clock(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    CLEANUP(moment_clear) struct moment moment = {0};
    TRY(read_moment(call, 1, operands[0], &moment));
    const struct civil civil = zoned(moment.instant, zone_of(&moment)).civil;
    const int64_t numbers[] = {civil.hour, civil.minute, civil.second};
    return give_numbers(call, numbers, ARRAY_LEN(numbers), out);
}

static lethe_result time_weekday(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    CLEANUP(moment_clear) struct moment moment = {0};
    TRY(read_moment(call, 1, operands[0], &moment));
    const struct civil civil = zoned(moment.instant, zone_of(&moment)).civil;
    return builtin_value(call, value_text(call->arena, weekday_names[civil.weekday]), out);
}

/* ---- computing with dates ---- */

/* Of seconds that are in reach of 64 bits of nanoseconds, whatever the zone. */
#define LOCAL_SECONDS_MAX (INT64_MAX / NS_PER_SECOND + 2 * (int64_t)SECONDS_PER_DAY)

/* The same time of the day on another date: years, months and days are added to what the calendar
 * shows, and a date that is none is the one so many days later. false: out of range. */
static bool add_to_date(const struct moment *moment, const int64_t numbers[3], struct instant *out)
{
    const struct zone *zone = zone_of(moment);
    const struct civil civil = zoned(moment->instant, zone).civil;
    int64_t year, month, day, seconds;
    if (__builtin_add_overflow(civil.year, numbers[0], &year) ||
        __builtin_add_overflow(civil.month, numbers[1], &month) ||
        __builtin_add_overflow(civil.day, numbers[2], &day) ||
        !civil_date_seconds(year, month, day, &seconds) || seconds > LOCAL_SECONDS_MAX ||
        seconds < -LOCAL_SECONDS_MAX)
        return false;
    seconds += (civil.hour * 60 + civil.minute) * 60 + civil.second;
    *out = (struct instant){zone_to_utc(zone, seconds), civil.nanosecond};
    return true;
}

static lethe_result time_add_date(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    CLEANUP(moment_clear) struct moment moment = {0};
    struct instant sum;
    int64_t numbers[3];
    TRY(read_moment(call, 1, operands[0], &moment));
    for (unsigned i = 0; i < 3; i++)
        TRY(builtin_integer(call, i + 2, operands[i + 1], &numbers[i]));
    if (!add_to_date(&moment, numbers, &sum))
        return builtin_fail(call, BUILTIN_ERROR, "time outside of valid range");
    return give_ns(call, sum, out);
}

/* Years, months, days, hours, minutes and seconds from a to b: what is negative borrows from what
 * stands before it; days from the month of a. */
static void subtract(const struct civil *a, const struct civil *b, int64_t numbers[6])
{
    const int64_t units[6] = {0, 12, days_in_month(a->year, a->month), 24, 60, 60};
    const int64_t differences[6] = {b->year - a->year,     b->month - a->month,
                                    b->day - a->day,       b->hour - a->hour,
                                    b->minute - a->minute, b->second - a->second};
    int64_t borrowed = 0;
    for (unsigned i = 6; i-- > 0;) {
        numbers[i] = differences[i] - borrowed;
        borrowed = i > 0 && numbers[i] < 0 ? 1 : 0;
        numbers[i] += borrowed * units[i];
    }
}

/* As clocks in the zone of the first moment show them. Which of the two is earlier does not matter.
 */
static lethe_result time_diff(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    CLEANUP(moment_clear) struct moment first = {0};
    CLEANUP(moment_clear) struct moment second = {0};
    int64_t numbers[6];
    TRY(read_moment(call, 1, operands[0], &first));
    TRY(read_moment(call, 2, operands[1], &second));
    struct civil earlier = zoned(first.instant, zone_of(&first)).civil;
    struct civil later = zoned(second.instant, zone_of(&first)).civil;
    if (instant_compare(first.instant, second.instant) > 0) {
        const struct civil swapped = earlier;
        earlier = later;
        later = swapped;
    }
    subtract(&earlier, &later, numbers);
    return give_numbers(call, numbers, ARRAY_LEN(numbers), out);
}

#define MOMENT .arity = 1
#define TEXT .arity = 1, .operand_kinds = {KIND(STRING)}
static const struct builtin table[] = {
    {.name = "time.add_date",
     .arity = 4,
     .operand_kinds = {KIND_ANY, KIND(NUMBER), KIND(NUMBER), KIND(NUMBER)},
     .call = time_add_date},
    {.name = "time.clock", MOMENT, .call = time_clock},
    {.name = "time.date", MOMENT, .call = time_date},
    {.name = "time.diff", .arity = 2, .call = time_diff},
    {.name = "time.format", MOMENT, .call = format},
    {.name = "time.now_ns", .arity = 0, .flags = BUILTIN_VARIES, .call = time_now_ns},
    {.name = "time.parse_duration_ns", TEXT, .call = time_parse_duration_ns},
    {.name = "time.parse_ns",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(STRING)},
     .call = time_parse_ns},
    {.name = "time.parse_rfc3339_ns", TEXT, .call = time_parse_rfc3339_ns},
    {.name = "time.weekday", MOMENT, .call = time_weekday},
};
BUILTIN_FAMILY(time, table);
