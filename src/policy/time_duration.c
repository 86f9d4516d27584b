#include "policy/time_layout.h"

#include <string.h>

#define DURATION_MAX ((uint64_t)1 << 63) /* of what is below zero; one less above */
#define MINUTE_NS (60 * (uint64_t)NS_PER_SECOND)
#define DAY_NS (24 * 60 * MINUTE_NS)

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},           {"us", 1000},         {"\xc2\xb5s", 1000}, /* U+00B5 */
    {"\xce\xbcs", 1000},                                            /* U+03BC */
    {"ms", 1000000},     {"s", NS_PER_SECOND}, {"m", MINUTE_NS},    {"h", 60 * MINUTE_NS},
    {"d", DAY_NS},       {"w", 7 * DAY_NS},    {"y", 365 * DAY_NS},
};

static bool is_digit(struct span span)
{
    return span.length > 0 && *span.at >= '0' && *span.at <= '9';
}

static void step(struct span *span)
{
    span->at++;
    span->length--;
}

/* false: over DURATION_MAX. */
static bool read_whole(struct span *left, uint64_t *out)
{
    for (*out = 0; is_digit(*left); step(left)) {
        uint64_t digit = (uint64_t)(*left->at - '0');
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, digit, out) ||
            *out > DURATION_MAX)
            return false;
    }
    return true;
}

/* Digits that no longer fit are too small to matter. */
static uint64_t read_part(struct span *left, double *scale)
{
    uint64_t part = 0;
    for (*scale = 1; is_digit(*left); step(left)) {
        if (part > (DURATION_MAX - 1) / 10 - 1)
            continue;
        part = part * 10 + (uint64_t)(*left->at - '0');
        *scale *= 10;
    }
    return part;
}

static struct span read_name(struct span *left)
{
    struct span name = {left->at, 0};
    while (left->length > 0 && *left->at != '.' && !is_digit(*left)) {
        name.length++;
        step(left);
    }
    return name;
}

static uint64_t unit_ns(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (span_is(name, units[i].name))
            return units[i].ns;
    return 0;
}

/* One number with its unit is added. NULL, or what is wrong with the whole. */
static const char *read_segment(struct span *left, struct span *name, uint64_t *sum)
{
    const char *start = left->at;
    uint64_t whole, part = 0;
    double scale = 1;
    if (!read_whole(left, &whole))
        return "invalid";
    size_t digits = (size_t)(left->at - start);
    if (left->length > 0 && *left->at == '.') {
        step(left);
        start = left->at;
        part = read_part(left, &scale);
        digits += (size_t)(left->at - start);
    }
    if (digits == 0)
        return "invalid";
    *name = read_name(left);
    uint64_t unit = unit_ns(*name);
    if (unit == 0)
        return name->length == 0 ? "missing unit in" : "unknown unit";
    uint64_t part_ns = (uint64_t)((double)part * ((double)unit / scale));
    if (__builtin_mul_overflow(whole, unit, &whole) ||
        __builtin_add_overflow(whole, part_ns, &whole) ||
        __builtin_add_overflow(*sum, whole, sum) || *sum > DURATION_MAX)
        return "invalid";
    return NULL;
}

static bool fail(const char *wrong, struct span name, struct span text, struct buffer *why)
{
    buffer_format(why, "time: %s ", wrong);
    if (strcmp(wrong, "unknown unit") == 0) {
        span_quote(name, why);
        buffer_text(why, " in ");
    }
    buffer_text(why, "duration ");
    span_quote(text, why);
    return false;
}

bool duration_parse(struct span text, int64_t *ns, struct buffer *why)
{
    struct span left = text, name = {0};
    uint64_t sum = 0;
    bool minus = text.length > 0 && *text.at == '-';
    if (minus || (text.length > 0 && *text.at == '+'))
        step(&left);
    *ns = 0;
    if (span_is(left, "0"))
        return true;
    if (left.length == 0)
        return fail("invalid", name, text, why);
    while (left.length > 0) {
        const char *wrong = read_segment(&left, &name, &sum);
        if (wrong != NULL)
            return fail(wrong, name, text, why);
    }
    if (sum == DURATION_MAX && !minus)
        return fail("invalid", name, text, why);
    *ns = minus ? (int64_t)-sum : (int64_t)sum;
    return true;
}
