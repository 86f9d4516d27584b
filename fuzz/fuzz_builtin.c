/* Any built-in function with any operands: a name, a newline, and a JSON array of the operands, in
 * which an array that begins with "$set" is a set of the others. The result is well-formed, and
 * the same when the built-in is called again, or with what it prepared. */
#include <string.h>

#include "base/validate.h"
#include "policy/builtin.h"
#include "policy/meter.h"

#include "fuzz.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define STEPS 200000u
#define NAME_MAX_BYTES 64

static lethe_result fill_same(void *context, void *out, size_t size_bytes)
{
    (void)context;
    memset(out, 0x42, size_bytes);
    return LETHE_OK;
}

static void print_nowhere(void *context, const char *text, size_t size_bytes)
{
    (void)context;
    FUZZ_PROPERTY(text_is_utf8(text, size_bytes));
}

static const struct random_source random_same = {.fill = fill_same};
static const struct builtin_world world = {
    .now_ns = 1234567890123456789, .random = &random_same, .print = print_nowhere};

static const struct value *decode(struct arena *arena, const struct value *value)
{
    struct value_list list = {0};
    if (value->kind != VALUE_ARRAY)
        return value;
    bool set = value->count > 0 && value_is_text(value->items[0], "$set");
    for (uint32_t i = set; i < value->count; i++)
        if (!value_list_append(arena, &list, decode(arena, value->items[i])))
            return NULL;
    return set ? value_set(arena, &list) : value_array(arena, &list);
}

static const struct builtin *find(const char *text, size_t size_bytes)
{
    const char *newline = memchr(text, '\n', MIN(size_bytes, NAME_MAX_BYTES));
    return newline != NULL ? builtin_find(text, (size_t)(newline - text), true) : NULL;
}

static lethe_result call(const struct builtin *builtin, struct arena *arena, const void *prepared,
                         const struct value *operands, struct buffer *printed)
{
    struct builtin_error error = {0};
    struct builtin_meter meter = {
        .steps_left = STEPS, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_call call = {.builtin = builtin,
                                .prepared = prepared,
                                .arena = arena,
                                .world = &world,
                                .meter = &meter,
                                .error = &error};
    const struct value *out = NULL;
    lethe_result result = builtin_invoke(&call, operands->items, &out);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID || result == LETHE_LIMIT ||
                  result == LETHE_NO_MEMORY);
    if (result == LETHE_OK && out != NULL)
        value_print_term(out, printed);
    if (result == LETHE_INVALID)
        buffer_text(printed, error.text);
    return result;
}

static void call_again(const struct builtin *builtin, struct arena *arena,
                       const struct value *operands, const struct buffer *printed)
{
    CLEANUP(buffer_clear) struct buffer again = {0};
    struct builtin_preparation left = {PREPARATION_STEPS_MAX, PREPARATION_BYTES_MAX};
    void *prepared = builtin->prepare != NULL && operands->count > 0
                         ? builtin->prepare(operands->items[0], &left)
                         : NULL;
    lethe_result result = call(builtin, arena, prepared, operands, &again);
    if (prepared != NULL)
        builtin->release(prepared);
    if (result != LETHE_OK && result != LETHE_INVALID)
        return;
    FUZZ_PROPERTY(again.size_bytes == printed->size_bytes);
    FUZZ_PROPERTY(again.size_bytes == 0 ||
                  memcmp(again.bytes, printed->bytes, again.size_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_BYTES};
    CLEANUP(buffer_clear) struct buffer printed = {0};
    const struct builtin *builtin = find((const char *)data, size);
    const struct value *operands = NULL;
    if (builtin == NULL)
        return 0;
    size_t name_bytes = strlen(builtin->name) + 1;
    if (value_parse_json(&arena, (const char *)data + name_bytes, size - name_bytes, &operands,
                         NULL) != LETHE_OK)
        return 0;
    operands = decode(&arena, operands);
    if (operands == NULL || operands->kind != VALUE_ARRAY || operands->count != builtin->arity)
        return 0;
    lethe_result result = call(builtin, &arena, NULL, operands, &printed);
    FUZZ_PROPERTY(printed.failure != LETHE_OK || printed.size_bytes == 0 ||
                  text_is_utf8(printed.bytes, printed.size_bytes));
    if (result == LETHE_OK || result == LETHE_INVALID)
        call_again(builtin, &arena, operands, &printed);
    return 0;
}
