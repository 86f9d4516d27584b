/* policy/builtin_print.c -- print(): each operand is the set of what it can be. */
#include "policy/builtin_work.h"

#define PRINT_OPERANDS_MAX 64 /* of one print(): each uses some of the thread's stack */

/* One line is printed for each choice of an element of every set; an empty set is "undefined". */
struct line {
    struct buffer text;
    const struct value *operands;
};

static lethe_result print_from(struct builtin_call *call, struct line *line, uint32_t operand);

static lethe_result print_with(struct builtin_call *call, struct line *line, uint32_t operand,
                               const struct value *choice)
{
    if (operand > 0)
        TRY(builtin_append(call, &line->text, " ", 1));
    if (choice != NULL)
        TRY(builtin_append_term(call, &line->text, choice, true));
    else
        TRY(builtin_append(call, &line->text, "<undefined>", 11));
    return print_from(call, line, operand + 1);
}

/* Recurses once for each operand of the print() in the policy's text. */
static lethe_result print_from(struct builtin_call *call, struct line *line, uint32_t operand)
{
    const struct builtin_world *world = call->world;
    if (operand == line->operands->count) {
        world->print(world->print_context, line->text.size_bytes > 0 ? line->text.bytes : "",
                     line->text.size_bytes);
        return LETHE_OK;
    }
    const struct value *choices = line->operands->items[operand];
    size_t size_bytes = line->text.size_bytes;
    if (choices->kind != VALUE_SET)
        return print_with(call, line, operand, choices);
    if (choices->count == 0)
        return print_with(call, line, operand, NULL);
    for (uint32_t i = 0; i < choices->count; i++) {
        buffer_truncate(&line->text, size_bytes);
        TRY(print_with(call, line, operand, choices->items[i]));
    }
    return LETHE_OK;
}

static lethe_result print(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    if (call->world->print == NULL)
        return builtin_value(call, &value_true, out);
    if (operands[0]->count > PRINT_OPERANDS_MAX)
        return builtin_fail(call, BUILTIN_ERROR, "more than %d operands", PRINT_OPERANDS_MAX);
    struct line line = {.operands = operands[0]};
    lethe_result result = print_from(call, &line, 0);
    buffer_clear(&line.text);
    return result == LETHE_OK ? builtin_value(call, &value_true, out) : result;
}

static const struct builtin table[] = {
    {.name = "internal.print", .arity = 1, .operand_kinds = {KIND(ARRAY)}, .call = print},
};

BUILTIN_FAMILY(print, table);
