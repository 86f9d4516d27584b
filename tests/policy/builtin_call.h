/* policy/builtin_call.h -- calls built-ins by name, for tests: operands and results are texts.
 *
 * Operands are one JSON array. JSON has no sets, and no keys but strings: {"$set": [1, 2]} is the
 * set {1, 2}, {"$object": [[1, "a"]]} is the object {1: "a"}. A result is a Rego term, "undefined",
 * "eval_type_error: name: ...", "eval_builtin_error: name: ..." or "limit". */
#ifndef TESTS_POLICY_BUILTIN_CALL_H
#define TESTS_POLICY_BUILTIN_CALL_H

#include <string.h>

#include "policy/builtin.h"
#include "policy/meter.h"

/* Zero is fine: the limits of an evaluation, no world. `v0`: built-ins of the older syntax too. */
struct builtin_caller {
    struct builtin_world world;
    uint64_t steps;
    size_t memory_bytes;
    bool v0;
};
#define CALLER_STEPS_DEFAULT 10000000u
#define CALLER_MEMORY_DEFAULT ((size_t)64 << 20)

static inline const struct value *call_decode(struct arena *arena, const struct value *value);

static inline struct value_list call_decode_items(struct arena *arena, const struct value *array)
{
    struct value_list list = {0};
    for (uint32_t i = 0; i < array->count; i++)
        assert_true(value_list_append(arena, &list, call_decode(arena, array->items[i])));
    return list;
}

static inline const struct value *call_decode_object(struct arena *arena,
                                                     const struct value *object)
{
    struct value_pairs pairs = {0};
    const struct value *set = value_get_text(object, "$set");
    const struct value *entries = value_get_text(object, "$object");
    if (set != NULL) {
        struct value_list list = call_decode_items(arena, set);
        return value_set(arena, &list);
    }
    for (uint32_t i = 0; entries != NULL && i < entries->count; i++) {
        const struct value *const *entry = entries->items[i]->items;
        assert_true(value_pairs_append(arena, &pairs, call_decode(arena, entry[0]),
                                       call_decode(arena, entry[1])));
    }
    for (uint32_t i = 0; entries == NULL && i < object->count; i++)
        assert_true(value_pairs_append(arena, &pairs, object->pairs[i].key,
                                       call_decode(arena, object->pairs[i].value)));
    return value_object(arena, &pairs, NULL);
}

/* The value that a JSON document of operands stands for. */
static inline const struct value *call_decode(struct arena *arena, const struct value *value)
{
    if (value->kind == VALUE_OBJECT)
        return call_decode_object(arena, value);
    if (value->kind != VALUE_ARRAY)
        return value;
    struct value_list list = call_decode_items(arena, value);
    return value_array(arena, &list);
}

static inline void call_describe(lethe_result result, const struct value *value,
                                 const struct builtin_error *error, struct buffer *out)
{
    if (result == LETHE_INVALID)
        buffer_format(out, "%s: %s", builtin_error_code_name(error->code), error->text);
    else if (result == LETHE_LIMIT)
        buffer_text(out, "limit");
    else if (result != LETHE_OK)
        buffer_text(out, lethe_result_name(result));
    else if (value == NULL)
        buffer_text(out, "undefined");
    else
        value_print_term(value, out);
}

static inline void call_once(const struct builtin_caller *caller, struct builtin_call *call,
                             const struct value *operands, struct buffer *out)
{
    struct builtin_error error = {0};
    uint64_t steps = caller->steps != 0 ? caller->steps : CALLER_STEPS_DEFAULT;
    struct builtin_meter meter = {
        .steps_left = steps, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    call->meter = &meter;
    call->error = &error;
    call->world = &caller->world;
    const struct value *value = NULL;
    lethe_result result = builtin_invoke(call, operands->items, &value);
    call_describe(result, value, &error, out);
}

/* With what the built-in prepares from its first operand, when it can, the result is the same. */
static inline void call_prepared(const struct builtin_caller *caller, struct builtin_call *call,
                                 const struct value *operands, const struct buffer *want)
{
    struct builtin_preparation left = {PREPARATION_STEPS_MAX, PREPARATION_BYTES_MAX};
    void *prepared = call->builtin->prepare(operands->items[0], &left);
    if (prepared == NULL)
        return;
    CLEANUP(buffer_clear) struct buffer out = {0};
    call->prepared = prepared;
    call_once(caller, call, operands, &out);
    call->builtin->release(prepared);
    assert_string_equal(out.bytes, want->bytes);
}

/* Appends the result of one call to `out`. */
static inline void builtin_call_text(const struct builtin_caller *caller, const char *name,
                                     const char *operands, struct buffer *out)
{
    CLEANUP(arena_clear)
    struct arena arena = {.limit_bytes = caller->memory_bytes != 0 ? caller->memory_bytes
                                                                   : CALLER_MEMORY_DEFAULT};
    struct builtin_call call = {.arena = &arena};
    call.builtin = builtin_find(name, strlen(name), caller->v0);
    if (call.builtin == NULL)
        fail_msg("there is no built-in %s", name);
    const struct value *list = NULL;
    assert_result(LETHE_OK, value_parse_json(&arena, operands, strlen(operands), &list, NULL));
    list = call_decode(&arena, list);
    assert_int_equal(list->count, call.builtin->arity);
    call_once(caller, &call, list, out);
    if (call.builtin->prepare != NULL && list->count > 0)
        call_prepared(caller, &call, list, out);
}

struct builtin_example {
    const char *name, *operands, *want;
};

static inline void builtin_check(const struct builtin_caller *caller,
                                 const struct builtin_example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        builtin_call_text(caller, examples[i].name, examples[i].operands, &out);
        assert_result(LETHE_OK, buffer_result(&out, NULL));
        if (strcmp(out.bytes, examples[i].want) != 0)
            fail_msg("%s%s\n  gives     %s\n  should be %s", examples[i].name, examples[i].operands,
                     out.bytes, examples[i].want);
    }
}
#define BUILTIN_CHECK(caller, examples) builtin_check((caller), (examples), ARRAY_LEN(examples))

#endif
