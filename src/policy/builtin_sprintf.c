/* policy/builtin_sprintf.c -- sprintf: reads the format, and picks the operands. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/runes.h"
#include "policy/sprintf.h"

/* Where reading stands. `reordered`: operands were picked by number, so that none is left over. */
struct reader {
    struct sprintf to;
    const char *at, *end;
    const struct value *operands;
    size_t next; /* operand */
    bool index_is_good, after_index, reordered;
};

static lethe_result append_text(struct sprintf *to, const char *text)
{
    return builtin_append(to->call, &to->out, text, strlen(text));
}

/* ---- operands ---- */

static const char *const type_names[] = {
    [FORMAT_INTEGER] = "int",
    [FORMAT_BIG] = "*big.Int",
    [FORMAT_REAL] = "float64",
    [FORMAT_TEXT] = "string",
};

static enum format_type type_of(const struct value *operand)
{
    if (operand->kind != VALUE_NUMBER)
        return FORMAT_TEXT;
    switch (operand->number.form) {
    case NUMBER_SMALL:
        return FORMAT_INTEGER;
    case NUMBER_BIG:
        return FORMAT_BIG;
    default:
        return isinf(number_to_double(&operand->number)) ? FORMAT_TEXT : FORMAT_REAL;
    }
}

static lethe_result print_as_text(struct sprintf *to, const struct value *operand)
{
    if (operand->kind == VALUE_STRING)
        return sprintf_text(to, operand->string, operand->count);
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(builtin_append_term(to->call, &text, operand, false));
    return sprintf_text(to, text.bytes, text.size_bytes);
}

static lethe_result print_typed(struct sprintf *to, enum format_type type,
                                const struct value *operand)
{
    switch (type) {
    case FORMAT_INTEGER:
        return sprintf_integer(to, &operand->number);
    case FORMAT_BIG:
        return sprintf_big(to, &operand->number);
    case FORMAT_REAL:
        return sprintf_real(to, number_to_double(&operand->number));
    default:
        return print_as_text(to, operand);
    }
}

static lethe_result print_bad_prefix(struct sprintf *to, const char *behind)
{
    char verb[RUNE_BYTES_MAX];
    TRY(append_text(to, "%!"));
    TRY(builtin_append(to->call, &to->out, verb, rune_encode(to->format.verb, verb)));
    return append_text(to, behind);
}

/* "%!d(string=text)": a verb that the operand's type has not. */
static lethe_result print_bad_verb(struct sprintf *to, enum format_type type,
                                   const struct value *operand)
{
    TRY(print_bad_prefix(to, "("));
    TRY(append_text(to, type == FORMAT_BIG ? "big.Int" : type_names[type]));
    TRY(append_text(to, "="));
    if (type == FORMAT_BIG)
        to->format = (struct format_verb){0};
    to->format.verb = 'v';
    TRY(print_typed(to, type, operand));
    return append_text(to, ")");
}

static lethe_result print_operand(struct sprintf *to, const struct value *operand)
{
    enum format_type type = type_of(operand);
    if (to->format.verb == 'T')
        return sprintf_text(to, type_names[type], strlen(type_names[type]));
    if (!sprintf_takes(type, to->format.verb))
        return print_bad_verb(to, type, operand);
    return print_typed(to, type, operand);
}

/* ---- the format ---- */

static bool at_byte(const struct reader *reader, char byte)
{
    return reader->at < reader->end && *reader->at == byte;
}

static bool *flag_of(struct format_verb *format, char byte)
{
    switch (byte) {
    case '+':
        return &format->plus;
    case '-':
        return &format->minus;
    case '#':
        return &format->sharp;
    case ' ':
        return &format->space;
    case '0':
        return &format->zero;
    default:
        return NULL;
    }
}

static void read_flags(struct reader *reader)
{
    bool *flag;
    while (reader->at < reader->end && (flag = flag_of(&reader->to.format, *reader->at)) != NULL) {
        *flag = true;
        reader->at++;
    }
}

/* false: there are no digits, or one behind a number that is over the limit already: with it the
 * format ends. */
static bool read_number(struct reader *reader, const char *end, int *number)
{
    const char *start = reader->at;
    *number = 0;
    for (; reader->at < end && *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        if (*number > SPRINTF_WIDTH_MAX) {
            *number = 0;
            reader->at = reader->end;
            return false;
        }
        *number = *number * 10 + (*reader->at - '0');
    }
    return reader->at > start;
}

/* "[3]": the operand that is next, counted from 1. */
static void read_index(struct reader *reader)
{
    reader->after_index = false;
    if (!at_byte(reader, '['))
        return;
    reader->reordered = true;
    const char *close = memchr(reader->at, ']', (size_t)(reader->end - reader->at));
    int index = 0;
    reader->at++;
    bool good = close != NULL && read_number(reader, close, &index) && reader->at == close;
    if (close != NULL)
        reader->at = close + 1;
    reader->after_index = good;
    if (good && index >= 1 && (size_t)index <= reader->operands->count)
        reader->next = (size_t)index - 1;
    else
        reader->index_is_good = false;
}

/* A width or precision that an operand gives: "*". */
static bool read_star(struct reader *reader, int *number)
{
    *number = 0;
    reader->at++;
    reader->after_index = false;
    if (reader->next >= reader->operands->count)
        return false;
    const struct value *operand = reader->operands->items[reader->next++];
    int64_t given;
    if (operand->kind != VALUE_NUMBER || !number_to_int64(&operand->number, &given) ||
        given > SPRINTF_WIDTH_MAX || given < -SPRINTF_WIDTH_MAX)
        return false;
    *number = (int)given;
    return true;
}

static lethe_result read_width(struct reader *reader)
{
    struct format_verb *format = &reader->to.format;
    if (!at_byte(reader, '*')) {
        format->has_width = read_number(reader, reader->end, &format->width);
        if (reader->after_index && format->has_width)
            reader->index_is_good = false;
        return LETHE_OK;
    }
    format->has_width = read_star(reader, &format->width);
    if (!format->has_width)
        return append_text(&reader->to, "%!(BADWIDTH)");
    format->minus = format->minus || format->width < 0;
    format->width = format->width < 0 ? -format->width : format->width;
    return LETHE_OK;
}

static lethe_result read_precision(struct reader *reader)
{
    struct format_verb *format = &reader->to.format;
    if (!at_byte(reader, '.'))
        return LETHE_OK;
    reader->at++;
    if (reader->after_index)
        reader->index_is_good = false;
    read_index(reader);
    if (!at_byte(reader, '*')) {
        read_number(reader, reader->end, &format->precision);
        format->has_precision = true;
        return LETHE_OK;
    }
    format->has_precision = read_star(reader, &format->precision) && format->precision >= 0;
    if (format->has_precision)
        return LETHE_OK;
    format->precision = 0;
    return append_text(&reader->to, "%!(BADPREC)");
}

static lethe_result print_verb(struct reader *reader)
{
    struct sprintf *to = &reader->to;
    if (to->format.verb == '%')
        return append_text(to, "%");
    if (!reader->index_is_good)
        return print_bad_prefix(to, "(BADINDEX)");
    if (reader->next >= reader->operands->count)
        return print_bad_prefix(to, "(MISSING)");
    if (to->format.verb == 'v') {
        to->format.go_syntax = to->format.sharp;
        to->format.plus_of_big = to->format.plus;
        to->format.sharp = to->format.plus = false;
    }
    return print_operand(to, reader->operands->items[reader->next++]);
}

/* Behind a "%". */
static lethe_result read_verb(struct reader *reader)
{
    reader->to.format = (struct format_verb){0};
    reader->index_is_good = true;
    read_flags(reader);
    read_index(reader);
    TRY(read_width(reader));
    TRY(read_precision(reader));
    if (!reader->after_index)
        read_index(reader);
    if (reader->at == reader->end)
        return append_text(&reader->to, "%!(NOVERB)");
    reader->at +=
        utf8_decode(reader->at, (size_t)(reader->end - reader->at), &reader->to.format.verb);
    return print_verb(reader);
}

static lethe_result read_format(struct reader *reader)
{
    while (reader->at < reader->end) {
        size_t left_bytes = (size_t)(reader->end - reader->at);
        const char *percent = memchr(reader->at, '%', left_bytes);
        size_t literal_bytes = percent != NULL ? (size_t)(percent - reader->at) : left_bytes;
        TRY(builtin_append(reader->to.call, &reader->to.out, reader->at, literal_bytes));
        reader->at += literal_bytes;
        if (percent == NULL)
            break;
        reader->at++;
        TRY(read_verb(reader));
    }
    return LETHE_OK;
}

/* "%!(EXTRA int=1, string=text)" */
static lethe_result print_extra(struct reader *reader)
{
    struct sprintf *to = &reader->to;
    if (reader->reordered || reader->next >= reader->operands->count)
        return LETHE_OK;
    const char *separator = "%!(EXTRA ";
    for (; reader->next < reader->operands->count; reader->next++, separator = ", ") {
        const struct value *operand = reader->operands->items[reader->next];
        TRY(append_text(to, separator));
        TRY(append_text(to, type_names[type_of(operand)]));
        TRY(append_text(to, "="));
        to->format = (struct format_verb){.verb = 'v'};
        TRY(print_operand(to, operand));
    }
    return append_text(to, ")");
}

static lethe_result print_all(struct reader *reader, const struct value **out)
{
    TRY(read_format(reader));
    TRY(print_extra(reader));
    return builtin_text(reader->to.call, &reader->to.out, out);
}

static lethe_result sprintf_call(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    const struct value *format = operands[0];
    struct reader reader = {
        .to = {.call = call},
        .at = format->string,
        .end = format->string + format->count,
        .operands = operands[1],
    };
    lethe_result result = print_all(&reader, out);
    buffer_clear(&reader.to.out);
    return result;
}

static const struct builtin table[] = {
    {.name = "sprintf",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(ARRAY)},
     .call = sprintf_call},
};

BUILTIN_FAMILY(sprintf, table);
