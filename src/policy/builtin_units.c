/* policy/builtin_units.c -- units.*: amounts with a unit behind
 *
 * An amount is taken apart into an integer and a power of ten, so that "1.1K" is exactly 1100 and
 * not what 1.1 is in binary, times 1000. */
#include "policy/builtin.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"

#define EXPONENT_DIGITS_MAX 6 /* written; as in OPA */
#define DECIMALS 10           /* of what units.parse() gives */

#define SHOWN_BYTES 32 /* of a unit that is none */

struct unit {
    const char *name;
    int8_t tens;  /* 10^tens */
    uint8_t kibi; /* 1024^kibi */
};
/* Small "m" is a thousandth to units.parse(): see there. */
static const struct unit units[] = {
    {"", 0, 0},   {"k", 3, 0},  {"m", 6, 0},  {"g", 9, 0},  {"t", 12, 0},
    {"p", 15, 0}, {"e", 18, 0}, {"ki", 0, 1}, {"mi", 0, 2}, {"gi", 0, 3},
    {"ti", 0, 4}, {"pi", 0, 5}, {"ei", 0, 6},
};

/* An amount as it was written. */
struct amount {
    const char *number;
    size_t number_length;
    const char *unit;
    size_t unit_length;
    bool exponent_too_long;
};

/* +-digits * 10^tens. The first digit is a zero. */
struct scaled {
    struct buffer digits;
    int64_t tens;
    bool minus;
};
static inline void scaled_clear_at_scope_end(struct scaled *scaled)
{
    buffer_clear(&scaled->digits);
}

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static bool is_sign(const char *at, const char *end)
{
    return at < end && (*at == '+' || *at == '-');
}

/* Behind the e of an exponent: its end, or NULL when there is none, and the e begins a unit. */
static const char *exponent_end(const char *at, const char *end, bool *too_long)
{
    if (!is_digit(at, end) && !is_sign(at, end))
        return NULL;
    at += is_sign(at, end) ? 1 : 0;
    const char *digits = at;
    while (is_digit(at, end))
        at++;
    *too_long = *too_long || at - digits > EXPONENT_DIGITS_MAX;
    return at;
}

/* A number is whatever is made of what numbers are made of; whether it is one is seen later. */
static void split(const struct buffer *text, struct amount *amount)
{
    const char *at = text->bytes, *end = text->bytes + text->size_bytes;
    *amount = (struct amount){.number = at};
    while (is_digit(at, end) || is_sign(at, end) ||
           (at < end && (*at == '.' || *at == 'e' || *at == 'E'))) {
        bool exponent = *at == 'e' || *at == 'E';
        const char *next =
            exponent ? exponent_end(at + 1, end, &amount->exponent_too_long) : at + 1;
        if (next == NULL)
            break;
        at = next;
    }
    amount->number_length = (size_t)(at - amount->number);
    amount->unit = at;
    amount->unit_length = (size_t)(end - at);
}

static const char *skip_digits(const char *at, const char *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

/* [e [sign] digits] up to the end. Of as many digits as split() lets through. */
static bool read_exponent(const char *at, const char *end, int64_t *tens)
{
    int64_t exponent = 0;
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    at++;
    bool minus = is_sign(at, end) && *at == '-';
    at += is_sign(at, end) ? 1 : 0;
    if (at == end || skip_digits(at, end) != end)
        return false;
    for (; at < end; at++)
        exponent = exponent * 10 + (*at - '0');
    *tens += minus ? -exponent : exponent;
    return true;
}

/* [sign] digits [. digits] [exponent], with a digit before or behind the point. */
static bool read_number(const struct amount *amount, struct scaled *scaled)
{
    const char *at = amount->number, *end = at + amount->number_length;
    scaled->minus = is_sign(at, end) && *at == '-';
    at += is_sign(at, end) ? 1 : 0;
    const char *point = skip_digits(at, end), *behind = point;
    buffer_text(&scaled->digits, "0");
    buffer_append(&scaled->digits, at, (size_t)(point - at));
    if (point < end && *point == '.') {
        behind = skip_digits(point + 1, end);
        buffer_append(&scaled->digits, point + 1, (size_t)(behind - point - 1));
        scaled->tens -= behind - point - 1;
    }
    return scaled->digits.size_bytes > 1 && read_exponent(behind, end, &scaled->tens);
}

/* Divides by 10^count: what is then behind the point is left out, or rounds half away from zero.
 * The zero in front takes what is carried. */
static void drop_digits(struct buffer *digits, uint64_t count, bool round)
{
    if (count == 0 || digits->size_bytes == 0)
        return;
    size_t kept = count < digits->size_bytes ? digits->size_bytes - count : 1;
    bool up = round && count < digits->size_bytes && digits->bytes[kept] >= '5';
    buffer_truncate(digits, kept);
    for (size_t i = kept; up && i > 0; i--) {
        up = digits->bytes[i - 1] == '9';
        digits->bytes[i - 1] = up ? '0' : (char)(digits->bytes[i - 1] + 1);
    }
}

/* LETHE_INVALID: it is over a limit of numbers. JSON has no zeros in front. */
static lethe_result to_number(struct arena *arena, const struct scaled *scaled, struct number *out)
{
    TRY(buffer_result(&scaled->digits, NULL));
    CLEANUP(buffer_clear) struct buffer text = {0};
    size_t zeros = 0;
    while (zeros + 1 < scaled->digits.size_bytes && scaled->digits.bytes[zeros] == '0')
        zeros++;
    buffer_text(&text, scaled->minus ? "-" : "");
    buffer_text(&text, scaled->digits.bytes + zeros);
    if (scaled->tens != 0)
        buffer_format(&text, "e%lld", (long long)scaled->tens);
    TRY(buffer_result(&text, NULL));
    if (number_parse(arena, text.bytes, text.size_bytes, out))
        return LETHE_OK;
    return arena->failure == LETHE_OK ? LETHE_INVALID : arena->failure;
}

/* Multiplies by 1024^kibi. */
static lethe_result scale_binary(struct arena *arena, struct scaled *scaled, unsigned kibi)
{
    struct scaled integer = {.digits = scaled->digits};
    struct number number, factor = number_small((int64_t)1 << 10 * kibi);
    if (kibi == 0)
        return LETHE_OK;
    TRY(to_number(arena, &integer, &number));
    if (!number_multiply(arena, &number, &factor, &number))
        return arena->failure == LETHE_OK ? LETHE_INVALID : arena->failure;
    buffer_truncate(&scaled->digits, 1);
    number_print_base(&number, 10, &scaled->digits);
    return LETHE_OK;
}

static lethe_result fail_number(struct builtin_call *call, lethe_result result, const char *word)
{
    if (result != LETHE_INVALID)
        return result;
    return builtin_fail(call, BUILTIN_ERROR, "could not parse %samount to a number", word);
}

/* `word`: what errors of units.parse_bytes() say, and those of units.parse() do not. */
static lethe_result give_amount(struct builtin_call *call, const struct amount *amount,
                                const struct unit *unit, const char *word, const struct value **out)
{
    CLEANUP(scaled_clear) struct scaled scaled = {.tens = unit->tens};
    struct number number;
    int64_t decimals = *word == '\0' ? DECIMALS : 0;
    bool read = read_number(amount, &scaled);
    TRY(buffer_result(&scaled.digits, NULL));
    if (!read)
        return fail_number(call, LETHE_INVALID, word);
    TRY(fail_number(call, scale_binary(call->arena, &scaled, unit->kibi), word));
    if (scaled.tens < -decimals) {
        drop_digits(&scaled.digits, (uint64_t)(-decimals - scaled.tens), decimals > 0);
        scaled.tens = -decimals;
    }
    TRY(fail_number(call, to_number(call->arena, &scaled, &number), word));
    return builtin_value(call, value_number(call->arena, &number), out);
}

static const struct unit *find_unit(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strlen(units[i].name) == length &&
            (length == 0 || strncasecmp(units[i].name, name, length) == 0))
            return &units[i];
    return NULL;
}

/* Without quotation marks, which are allowed anywhere. */
static lethe_result amount_text(struct builtin_call *call, const struct value *operand,
                                struct buffer *text)
{
    TRY(builtin_spend(call, operand->count));
    if (memchr(operand->string, ' ', operand->count) != NULL)
        return builtin_fail(call, BUILTIN_ERROR, "spaces not allowed in resource strings");
    for (uint32_t i = 0; i < operand->count; i++)
        if (operand->string[i] != '"')
            buffer_byte(text, (uint8_t)operand->string[i]);
    return buffer_result(text, NULL);
}

static lethe_result read_amount(struct builtin_call *call, const struct buffer *text,
                                const char *word, struct amount *amount)
{
    if (text->size_bytes == 0)
        return builtin_fail(call, BUILTIN_ERROR, "no %samount provided", word);
    split(text, amount);
    if (amount->exponent_too_long)
        return builtin_fail(call, BUILTIN_ERROR, "exponent too large");
    if (amount->number_length == 0)
        return builtin_fail(call, BUILTIN_ERROR, "no %samount provided", word);
    return LETHE_OK;
}

/* Cut at the end of a character. */
static lethe_result fail_unit(struct builtin_call *call, const struct amount *amount,
                              const char *word)
{
    size_t shown = 0, length;
    uint32_t character;
    while (shown < SHOWN_BYTES &&
           (length = utf8_decode(amount->unit + shown, amount->unit_length - shown, &character)) !=
               0)
        shown += length;
    return builtin_fail(call, BUILTIN_ERROR, "%sunit %.*s not recognized", word, (int)shown,
                        amount->unit);
}

/* Case matters where it tells a thousandth from a million. */
static lethe_result units_parse(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    static const struct unit thousandth = {"m", -3, 0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct amount amount = {0};
    TRY(amount_text(call, operands[0], &text));
    TRY(read_amount(call, &text, "", &amount));
    const struct unit *unit = find_unit(amount.unit, amount.unit_length);
    if (amount.unit_length == 1 && *amount.unit == 'm')
        unit = &thousandth;
    if (unit == NULL)
        return fail_unit(call, &amount, "");
    return give_amount(call, &amount, unit, "", out);
}

/* A unit may have a b behind it, and what is less than a byte is left out. */
static lethe_result units_parse_bytes(struct builtin_call *call,
                                      const struct value *const *operands, const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct amount amount = {0};
    TRY(amount_text(call, operands[0], &text));
    TRY(read_amount(call, &text, "byte ", &amount));
    size_t length = amount.unit_length;
    bool has_b = length > 1 && (amount.unit[length - 1] | 0x20) == 'b';
    const struct unit *unit = find_unit(amount.unit, length - (has_b ? 1 : 0));
    if (unit == NULL)
        return fail_unit(call, &amount, "byte ");
    return give_amount(call, &amount, unit, "byte ", out);
}

static const struct builtin table[] = {
    {.name = "units.parse", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = units_parse},
    {.name = "units.parse_bytes",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = units_parse_bytes},
};
BUILTIN_FAMILY(units, table);
