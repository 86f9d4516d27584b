#include "policy/builtin_work.h"

lethe_result builtin_spend_value(struct builtin_call *call, const struct value *value)
{
    return builtin_spend(call, value_weight(value));
}

lethe_result builtin_failed(const struct builtin_call *call)
{
    return call->arena->failure != LETHE_OK ? call->arena->failure : LETHE_NO_MEMORY;
}

static size_t arena_room_bytes(const struct arena *arena)
{
    if (arena->limit_bytes == 0)
        return BUFFER_LIMIT_BYTES;
    return arena->limit_bytes > arena->used_bytes ? arena->limit_bytes - arena->used_bytes : 0;
}

lethe_result builtin_room(struct builtin_call *call, size_t size_bytes)
{
    if (size_bytes <= arena_room_bytes(call->arena))
        return LETHE_OK;
    call->arena->failure = LETHE_LIMIT;
    return LETHE_LIMIT;
}

lethe_result builtin_append(struct builtin_call *call, struct buffer *text, const void *bytes,
                            size_t size_bytes)
{
    TRY(builtin_spend(call, 1 + size_bytes / WORK_BYTES_PER_STEP));
    size_t total_bytes;
    if (__builtin_add_overflow(text->size_bytes, size_bytes, &total_bytes))
        return LETHE_LIMIT;
    TRY(builtin_room(call, total_bytes));
    buffer_append(text, bytes, size_bytes);
    return text->failure;
}

lethe_result builtin_append_term(struct builtin_call *call, struct buffer *text,
                                 const struct value *value, bool bare)
{
    if (bare && value->kind == VALUE_STRING)
        return builtin_append(call, text, value->string, value->count);
    TRY(builtin_spend_value(call, value));
    value_print_term(value, text);
    TRY(text->failure);
    return builtin_room(call, text->size_bytes);
}

lethe_result builtin_text(struct builtin_call *call, const struct buffer *text,
                          const struct value **out)
{
    if (text->size_bytes == 0 && text->failure == LETHE_OK)
        return builtin_value(call, &value_empty_string, out);
    return builtin_value(call, value_buffer(call->arena, text), out);
}

lethe_result builtin_number(struct builtin_call *call, bool done, const struct number *number,
                            const struct value **out)
{
    if (done)
        return builtin_value(call, value_number(call->arena, number), out);
    if (call->arena->failure != LETHE_OK)
        return call->arena->failure;
    return builtin_fail(call, BUILTIN_ERROR,
                        "the result has more than %d digits, or an exponent over %d",
                        NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX);
}

bool builtin_list(struct builtin_call *call, size_t count, struct value_list *list)
{
    size_t size_bytes =
        count * sizeof(*list->items); /* a count of values that exist: no overflow */
    *list = (struct value_list){.items = arena_alloc(call->arena, size_bytes), .capacity = count};
    return list->items != NULL;
}

static lethe_result fail_element(struct builtin_call *call, unsigned n,
                                 const struct value *collection, const struct value *element,
                                 enum value_kind expected)
{
    const char *kind = value_kind_name(collection->kind);
    return builtin_fail(call, BUILTIN_TYPE_ERROR,
                        "operand %u must be %s of %ss but got %s containing %s", n, kind,
                        value_kind_name(expected), kind, value_kind_name(element->kind));
}

lethe_result builtin_elements(struct builtin_call *call, unsigned n, const struct value *collection,
                              enum value_kind expected)
{
    TRY(builtin_spend(call, collection->count));
    for (uint32_t i = 0; i < collection->count; i++)
        if (collection->items[i]->kind != expected)
            return fail_element(call, n, collection, collection->items[i], expected);
    return LETHE_OK;
}

lethe_result builtin_whole(struct builtin_call *call, unsigned n, const struct value *operand)
{
    if (number_is_integer(&operand->number))
        return LETHE_OK;
    return builtin_fail(call, BUILTIN_TYPE_ERROR,
                        "operand %u must be integer number but got floating-point number", n);
}
