#include "policy/builtin.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_work.h"
#include "policy/meter.h"

static const struct builtin_family *const families[] = {
#define FAMILY(name) &builtin_##name,
    BUILTIN_FAMILIES(FAMILY)
#undef FAMILY
};

const struct builtin *builtin_at(size_t index)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (index < families[i]->count)
            return &families[i]->table[index];
        index -= families[i]->count;
    }
    return NULL;
}

/* A walk through all: names are looked up when a policy is loaded, and never after. */
const struct builtin *builtin_find(const char *name, size_t length, bool v0)
{
    const struct builtin *builtin;
    for (size_t i = 0; (builtin = builtin_at(i)) != NULL; i++) {
        bool known = v0 || (builtin->flags & BUILTIN_V0) == 0;
        if (known && strlen(builtin->name) == length && memcmp(builtin->name, name, length) == 0)
            return builtin;
    }
    return NULL;
}

const char *builtin_error_code_name(enum builtin_error_code code)
{
    return code == BUILTIN_TYPE_ERROR ? "eval_type_error" : "eval_builtin_error";
}

/* Texts of operands are cut in errors where they are long, and a character may be cut with them. */
static void replace_parts_of_characters(char *text, size_t size_bytes)
{
    uint32_t character;
    size_t length;
    for (size_t at = 0; at < size_bytes; at += MAX(length, 1)) {
        length = utf8_decode(text + at, size_bytes - at, &character);
        if (length == 0)
            text[at] = '?';
    }
}

/* Errors name operators as they are called in policies' text: "div: divide by zero". */
bool builtin_prepare_spend(struct builtin_preparation *left, uint64_t steps, size_t bytes)
{
    if (steps > left->steps_left || bytes > left->bytes_left)
        return false;
    left->steps_left -= steps;
    left->bytes_left -= bytes;
    return true;
}

lethe_result builtin_fail(struct builtin_call *call, enum builtin_error_code code,
                          const char *format, ...)
{
    struct builtin_error *error = call->error;
    error->code = code;
    int prefix = snprintf(error->text, sizeof(error->text), "%s: ", call->builtin->name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text + prefix, sizeof(error->text) - (size_t)prefix, format, arguments);
    va_end(arguments);
    replace_parts_of_characters(error->text, strlen(error->text));
    return LETHE_INVALID;
}

lethe_result builtin_fail_operand(struct builtin_call *call, unsigned n, const char *expected,
                                  const struct value *operand)
{
    return builtin_fail(call, BUILTIN_TYPE_ERROR, "operand %u must be %s but got %s", n, expected,
                        value_kind_name(operand->kind));
}

lethe_result builtin_value(struct builtin_call *call, const struct value *value,
                           const struct value **out)
{
    *out = value;
    return value != NULL ? LETHE_OK : builtin_failed(call);
}

lethe_result builtin_spend(struct builtin_call *call, uint64_t steps)
{
    return meter_spend(call->meter, steps);
}

lethe_result builtin_integer(struct builtin_call *call, unsigned n, const struct value *operand,
                             int64_t *out)
{
    if (operand->kind != VALUE_NUMBER)
        return builtin_fail_operand(call, n, "integer number", operand);
    if (!number_is_integer(&operand->number))
        return builtin_fail(call, BUILTIN_TYPE_ERROR,
                            "operand %u must be integer number but got floating-point number", n);
    if (!number_to_int64(&operand->number, out))
        return builtin_fail(call, BUILTIN_ERROR, "operand %u is too large", n);
    return LETHE_OK;
}

/* In the order in which errors list the kinds that an operand may have. */
static const enum value_kind kinds_as_listed[] = {
    VALUE_NULL, VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING, VALUE_OBJECT, VALUE_SET, VALUE_ARRAY,
};

bool builtin_takes(const struct builtin *builtin, unsigned n, enum value_kind kind)
{
    unsigned kinds = builtin->operand_kinds[n - 1];
    return kinds == KIND_ANY || (kinds & (1u << kind)) != 0;
}

/* "string", or "one of {string, set, array}". */
void builtin_kinds_text(const struct builtin *builtin, unsigned n, struct buffer *out)
{
    unsigned kinds = builtin->operand_kinds[n - 1];
    bool many = (kinds & (kinds - 1)) != 0;
    buffer_text(out, many ? "one of {" : "");
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_LEN(kinds_as_listed); i++) {
        if ((kinds & (1u << kinds_as_listed[i])) == 0)
            continue;
        buffer_format(out, "%s%s", separator, value_kind_name(kinds_as_listed[i]));
        separator = ", ";
    }
    buffer_text(out, many ? "}" : "");
}

static lethe_result operand_check(struct builtin_call *call, unsigned n,
                                  const struct value *operand)
{
    if (builtin_takes(call->builtin, n, operand->kind))
        return LETHE_OK;
    CLEANUP(buffer_clear) struct buffer expected = {0};
    builtin_kinds_text(call->builtin, n, &expected);
    TRY(buffer_result(&expected, NULL));
    return builtin_fail_operand(call, n, expected.bytes, operand);
}

lethe_result builtin_invoke(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    *out = NULL;
    for (unsigned i = 0; i < call->builtin->arity; i++)
        TRY(operand_check(call, i + 1, operands[i]));
    return call->builtin->call(call, operands, out);
}
