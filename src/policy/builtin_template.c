/* policy/builtin_template.c -- $"...{x}...": the text of its parts. */
#include "policy/builtin_work.h"

/* A part that was computed is the set of what it can be: nothing, when it is undefined. */
static lethe_result append_part(struct builtin_call *call, struct buffer *text,
                                const struct value *part)
{
    if (part->kind != VALUE_SET)
        return builtin_append_term(call, text, part, true);
    if (part->count == 0)
        return builtin_append(call, text, "<undefined>", 11);
    if (part->count > 1)
        return builtin_fail(call, BUILTIN_ERROR,
                            "template-strings must not produce multiple outputs");
    return builtin_append_term(call, text, part->items[0], true);
}

static lethe_result template_string(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (uint32_t i = 0; i < operands[0]->count; i++)
        TRY(append_part(call, &text, operands[0]->items[i]));
    return builtin_text(call, &text, out);
}

static const struct builtin table[] = {
    {.name = "internal.template_string",
     .arity = 1,
     .operand_kinds = {KIND(ARRAY)},
     .call = template_string},
};

BUILTIN_FAMILY(template, table);
