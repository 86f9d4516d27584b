/* Whatever value_parse_json() takes is printed as JSON that reads back as an equal value, and as
 * the same text again; no collection has anything twice or out of order. */
#include <string.h>

#include "policy/value.h"

#include "fuzz.h"

#define ARENA_BYTES ((size_t)256 << 20)

static void check_order(const struct value *value)
{
    unsigned depth = 0;
    for (size_t i = 0; value->kind == VALUE_ARRAY && i < value->count; i++) {
        check_order(value->items[i]);
        depth = MAX(depth, value->items[i]->depth);
    }
    for (size_t i = 0; value->kind == VALUE_OBJECT && i < value->count; i++) {
        const struct value_pair *pair = &value->pairs[i];
        FUZZ_PROPERTY(i == 0 || value_compare(pair[-1].key, pair->key) < 0);
        FUZZ_PROPERTY(value_get(value, pair->key) == pair->value);
        check_order(pair->value);
        depth = MAX(depth, pair->value->depth);
    }
    bool nests = value->kind == VALUE_ARRAY || value->kind == VALUE_OBJECT;
    FUZZ_PROPERTY(value->depth == depth + nests && value->depth <= VALUE_DEPTH_MAX);
}

static const struct value *read_back(struct arena *arena, const struct buffer *text)
{
    struct lethe_error err = {0};
    const struct value *value = NULL;
    FUZZ_PROPERTY(text->failure == LETHE_OK);
    FUZZ_PROPERTY(value_parse_json(arena, text->bytes, text->size_bytes, &value, &err) == LETHE_OK);
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_BYTES};
    CLEANUP(buffer_clear) struct buffer once = {0};
    CLEANUP(buffer_clear) struct buffer twice = {0};
    CLEANUP(buffer_clear) struct buffer pretty = {0};
    CLEANUP(buffer_clear) struct buffer term = {0};
    struct lethe_error err = {0};
    const struct value *first;

    if (value_parse_json(&arena, (const char *)data, size, &first, &err) != LETHE_OK)
        return 0;
    check_order(first);
    value_print_json(first, &once);
    const struct value *second = read_back(&arena, &once);
    FUZZ_PROPERTY(value_equal(first, second));
    value_print_json(second, &twice);
    FUZZ_PROPERTY(once.size_bytes == twice.size_bytes);
    FUZZ_PROPERTY(memcmp(once.bytes, twice.bytes, once.size_bytes) == 0);

    /* Without sets, a term is JSON too. */
    value_print_json_pretty(first, "  ", &pretty);
    FUZZ_PROPERTY(value_equal(first, read_back(&arena, &pretty)));
    value_print_term(first, &term);
    FUZZ_PROPERTY(value_equal(first, read_back(&arena, &term)));
    return 0;
}
