/* Reading YAML's mappings: on the stack of open elements are keys and values in turns; `merge_mark`
 * instead of a key says that the mapping behind it is merged here. */
#include <string.h>

#include "policy/value_sort.h"
#include "policy/yaml_read.h"

static const struct value merge_mark;

static bool is_merge_key(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
           event->data.scalar.length == 2 && memcmp(event->data.scalar.value, "<<", 2) == 0;
}

static lethe_result push_merged(struct yaml_reader *reader, const yaml_event_t *event,
                                const struct value *mapping)
{
    if (!value_is(mapping, VALUE_OBJECT))
        return yaml_reader_refuse(reader, event,
                                  "what is merged must be a mapping, or a list of mappings");
    for (uint32_t i = 0; i < mapping->count; i++)
        reader->merged += value_weight(mapping->pairs[i].key);
    TRY(yaml_reader_spend(reader, mapping->count));
    if (reader->merged > YAML_MERGED_MAX)
        return yaml_reader_refuse_at(reader, event->start_mark, LETHE_LIMIT, "too much is merged");
    TRY(yaml_reader_push(reader, &merge_mark));
    return yaml_reader_push(reader, mapping);
}

/* Of a list, the first that has a key is the one that counts. */
static lethe_result read_merged(struct yaml_reader *reader)
{
    EVENT event = {0};
    const struct value *merged = NULL;
    TRY(yaml_reader_next(reader, &event));
    TRY(yaml_reader_node(reader, &event, &merged));
    if (event.type != YAML_SEQUENCE_START_EVENT)
        return push_merged(reader, &event, merged);
    for (uint32_t i = merged->count; i > 0; i--)
        TRY(push_merged(reader, &event, merged->items[i - 1]));
    return LETHE_OK;
}

/* JSON's keys are strings. */
static lethe_result read_key(struct yaml_reader *reader, const yaml_event_t *event,
                             const struct value **out)
{
    const struct value *key = NULL;
    TRY(yaml_reader_node(reader, event, &key));
    if (value_is(key, VALUE_STRING))
        return yaml_reader_give(reader, key, out);
    if (!value_is(key, VALUE_NUMBER) && !value_is(key, VALUE_BOOLEAN))
        return yaml_reader_refuse(reader, event,
                                  "a key is neither a text nor a number nor a boolean");
    CLEANUP(buffer_clear) struct buffer text = {0};
    value_print_json(key, &text);
    return yaml_reader_give(reader, value_buffer(reader->arena, &text), out);
}

static lethe_result read_pair(struct yaml_reader *reader, const yaml_event_t *event)
{
    const struct value *key = NULL, *value = NULL;
    EVENT second = {0};
    TRY(read_key(reader, event, &key));
    TRY(yaml_reader_push(reader, key));
    TRY(yaml_reader_next(reader, &second));
    TRY(yaml_reader_node(reader, &second, &value));
    return yaml_reader_push(reader, value);
}

static lethe_result read_pairs(struct yaml_reader *reader)
{
    for (;;) {
        EVENT event = {0};
        TRY(yaml_reader_next(reader, &event));
        if (event.type == YAML_MAPPING_END_EVENT)
            return LETHE_OK;
        TRY(is_merge_key(&event) ? read_merged(reader) : read_pair(reader, &event));
    }
}

/* The pairs since `mark`, in order; with those of merged mappings where they are merged, or without
 * them. */
static bool take_pairs(struct yaml_reader *reader, size_t mark, bool with_merged,
                       struct value_pairs *out)
{
    for (size_t i = mark; i < reader->open.count; i += 2) {
        const struct value *key = reader->open.items[i], *value = reader->open.items[i + 1];
        if (key != &merge_mark && !value_pairs_append(reader->arena, out, key, value))
            return false;
        for (uint32_t j = 0; key == &merge_mark && with_merged && j < value->count; j++)
            if (!value_pairs_append(reader->arena, out, value->pairs[j].key, value->pairs[j].value))
                return false;
    }
    return true;
}

/* Sorts, and keeps of equal keys the last. Values are not compared: each may be an alias of what
 * is very large. */
static bool keep_last_of_each(struct arena *arena, struct value_pairs *pairs)
{
    if (!value_sort_pairs(arena, pairs->items, pairs->count))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        bool again = kept > 0 && value_equal(pairs->items[kept - 1].key, pairs->items[i].key);
        kept -= again;
        pairs->items[kept++] = pairs->items[i];
    }
    pairs->count = kept;
    return true;
}

static bool has_merged(const struct yaml_reader *reader, size_t mark)
{
    for (size_t i = mark; i < reader->open.count; i += 2)
        if (reader->open.items[i] == &merge_mark)
            return true;
    return false;
}

static lethe_result make_object(struct yaml_reader *reader, size_t mark, const yaml_event_t *event,
                                const struct value **out)
{
    struct value_pairs pairs = {0};
    if (!take_pairs(reader, mark, false, &pairs))
        return arena_result(reader->arena, reader->err);
    size_t count = pairs.count;
    if (!keep_last_of_each(reader->arena, &pairs))
        return arena_result(reader->arena, reader->err);
    if (pairs.count < count)
        return yaml_reader_refuse(reader, event, "the mapping that begins here has a key twice");
    if (has_merged(reader, mark)) {
        pairs.count = 0;
        if (!take_pairs(reader, mark, true, &pairs) || !keep_last_of_each(reader->arena, &pairs))
            return arena_result(reader->arena, reader->err);
    }
    return yaml_reader_give(reader, value_object(reader->arena, &pairs, NULL), out);
}

lethe_result yaml_reader_mapping(struct yaml_reader *reader, const yaml_event_t *event,
                                 const struct value **out)
{
    size_t mark = reader->open.count;
    TRY(read_pairs(reader));
    if (reader->open.count == mark)
        return yaml_reader_give(reader, &value_empty_object, out);
    TRY(make_object(reader, mark, event, out));
    reader->open.count = mark;
    return LETHE_OK;
}
