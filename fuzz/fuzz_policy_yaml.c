/* Whatever value_parse_yaml() takes is printed as YAML that reads back as an equal value, and as
 * the same text again; what reading costs is counted, whatever a text makes libyaml do. */
#include <string.h>

#include "policy/yaml_value.h"

#include "fuzz.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define WEIGHT_MAX ((uint64_t)1 << 16) /* of values that are printed: aliases make large ones */
#define STEPS_PER_BYTE 64              /* each flow collection around it may be looked at */

static lethe_result read_yaml(struct arena *arena, const char *text, size_t size_bytes,
                              const struct value **out)
{
    struct lethe_error err = {0};
    struct builtin_meter meter = {.steps_left = 64 + (uint64_t)size_bytes * STEPS_PER_BYTE,
                                  .deadline_ns = UINT64_MAX,
                                  .clock = &clock_system};
    const struct yaml_source source = {text, size_bytes, &meter};
    lethe_result result = value_parse_yaml(arena, &source, out, &err);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_MALFORMED || result == LETHE_LIMIT);
    FUZZ_PROPERTY(result == LETHE_OK || err.text[0] != '\0');
    FUZZ_PROPERTY(result == LETHE_LIMIT || arena->failure == LETHE_OK);
    return result;
}

static void check_order(const struct value *value)
{
    for (size_t i = 0; value->kind == VALUE_ARRAY && i < value->count; i++)
        check_order(value->items[i]);
    for (size_t i = 0; value->kind == VALUE_OBJECT && i < value->count; i++) {
        const struct value_pair *pair = &value->pairs[i];
        FUZZ_PROPERTY(pair->key->kind == VALUE_STRING);
        FUZZ_PROPERTY(i == 0 || value_compare(pair[-1].key, pair->key) < 0);
        check_order(pair->value);
    }
    FUZZ_PROPERTY(value->depth <= VALUE_DEPTH_MAX && value->kind != VALUE_SET);
}

static void print_yaml(const struct value *value, struct buffer *out)
{
    FUZZ_PROPERTY(value_print_yaml(value, BUFFER_LIMIT_BYTES, NULL, out) == LETHE_OK);
    FUZZ_PROPERTY(out->size_bytes > 0 && out->bytes[out->size_bytes - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_BYTES};
    CLEANUP(buffer_clear) struct buffer once = {0};
    CLEANUP(buffer_clear) struct buffer twice = {0};
    const struct value *first, *second;
    if (read_yaml(&arena, (const char *)data, size, &first) != LETHE_OK ||
        value_weight(first) > WEIGHT_MAX)
        return 0;
    check_order(first);
    print_yaml(first, &once);
    FUZZ_PROPERTY(read_yaml(&arena, once.bytes, once.size_bytes, &second) == LETHE_OK);
    FUZZ_PROPERTY(value_equal(first, second));
    print_yaml(second, &twice);
    FUZZ_PROPERTY(once.size_bytes == twice.size_bytes);
    FUZZ_PROPERTY(memcmp(once.bytes, twice.bytes, once.size_bytes) == 0);
    return 0;
}
