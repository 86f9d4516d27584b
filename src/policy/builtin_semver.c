/* policy/builtin_semver.c -- semver.*
 *
 * Versions by semver.org 2.0.0, as OPA reads them: a "v" may stand in front, and numbers may begin
 * with zeros. */
#include <string.h>

#include "policy/builtin_text.h"

struct slice {
    const char *at;
    size_t length;
};

struct version {
    struct slice numbers[3]; /* major, minor, patch: digits */
    struct slice pre_release;
};

/* Cuts what is before the first `separator` off `rest`; all of it when there is none. */
static struct slice cut(struct slice *rest, char separator, bool *found)
{
    const char *at = rest->length > 0 ? memchr(rest->at, separator, rest->length) : NULL;
    struct slice before = *rest;
    *found = at != NULL;
    if (*found)
        before.length = (size_t)(at - rest->at);
    size_t taken = before.length + *found;
    *rest = (struct slice){rest->at + taken, rest->length - taken};
    return before;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_byte(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool all(struct slice slice, bool (*is)(char))
{
    for (size_t i = 0; i < slice.length; i++)
        if (!is(slice.at[i]))
            return false;
    return slice.length > 0;
}

/* Identifiers with dots between them, none empty; or nothing at all. */
static bool are_identifiers(struct slice text)
{
    bool more = text.length > 0;
    while (more)
        if (!all(cut(&text, '.', &more), is_identifier_byte))
            return false;
    return true;
}

static struct slice without_zeros(struct slice digits)
{
    while (digits.length > 0 && *digits.at == '0')
        digits = (struct slice){digits.at + 1, digits.length - 1};
    return digits;
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t common = MIN(a.length, b.length);
    int order = common > 0 ? memcmp(a.at, b.at, common) : 0;
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

/* Of any size: no number is too large to compare. */
static int compare_numbers(struct slice a, struct slice b)
{
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.length != b.length)
        return a.length < b.length ? -1 : 1;
    return compare_bytes(a, b);
}

#define VERSION_NUMBER_MAX "9223372036854775807"

static bool is_number(struct slice text)
{
    static const struct slice largest = {VERSION_NUMBER_MAX, sizeof VERSION_NUMBER_MAX - 1};
    return all(text, is_digit) && compare_numbers(text, largest) <= 0;
}

static bool version_parse(const struct value *text, struct version *out)
{
    struct slice rest = {text->string, text->count};
    bool more;
    if (rest.length > 0 && *rest.at == 'v')
        rest = (struct slice){rest.at + 1, rest.length - 1};
    struct slice numbers = cut(&rest, '+', &more);
    bool good = are_identifiers(rest);
    out->pre_release = numbers;
    numbers = cut(&out->pre_release, '-', &more);
    good = good && are_identifiers(out->pre_release);
    for (size_t i = 0; i < ARRAY_LEN(out->numbers); i++) {
        out->numbers[i] = cut(&numbers, '.', &more);
        good = good && is_number(out->numbers[i]) && more == (i + 1 < ARRAY_LEN(out->numbers));
    }
    return good;
}

/* Numbers come before words. */
static int compare_identifiers(struct slice a, struct slice b)
{
    bool a_is_number = all(a, is_digit);
    bool b_is_number = all(b, is_digit);
    if (a_is_number != b_is_number)
        return a_is_number ? -1 : 1;
    return a_is_number ? compare_numbers(a, b) : compare_bytes(a, b);
}

/* A version without is later; of two that go on alike, the longer one is. */
static int compare_pre_releases(struct slice a, struct slice b)
{
    if (a.length == 0 || b.length == 0)
        return (a.length == 0) - (b.length == 0);
    bool more_a = true, more_b = true;
    while (more_a && more_b) {
        struct slice one = cut(&a, '.', &more_a);
        int order = compare_identifiers(one, cut(&b, '.', &more_b));
        if (order != 0)
            return order;
    }
    return more_a - more_b;
}

static int version_compare(const struct version *a, const struct version *b)
{
    for (size_t i = 0; i < ARRAY_LEN(a->numbers); i++) {
        int order = compare_numbers(a->numbers[i], b->numbers[i]);
        if (order != 0)
            return order;
    }
    return compare_pre_releases(a->pre_release, b->pre_release);
}

static lethe_result semver_compare(struct builtin_call *call, const struct value *const *operands,
                                   const struct value **out)
{
    struct version versions[2];
    for (unsigned i = 0; i < 2; i++) {
        TRY(text_spend(call, operands[i]->count));
        if (!version_parse(operands[i], &versions[i]))
            return builtin_fail(call, BUILTIN_ERROR, "operand %u: string %s is not a valid SemVer",
                                i + 1, text_quote(operands[i]).text);
    }
    int order = version_compare(&versions[0], &versions[1]);
    return builtin_value(call, value_small(call->arena, (order > 0) - (order < 0)), out);
}

static lethe_result semver_is_valid(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    struct version version;
    if (operands[0]->kind != VALUE_STRING)
        return builtin_value(call, &value_false, out);
    TRY(text_spend(call, operands[0]->count));
    return builtin_value(call, value_boolean(version_parse(operands[0], &version)), out);
}

static const struct builtin table[] = {
    {.name = "semver.compare",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(STRING)},
     .call = semver_compare},
    {.name = "semver.is_valid", .arity = 1, .call = semver_is_valid},
};
BUILTIN_FAMILY(semver, table);
