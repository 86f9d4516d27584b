/* Reading YAML, from libyaml's events. The recursion is as deep as VALUE_DEPTH_MAX at most. */
#include <string.h>

#include "policy/value_make.h"
#include "policy/yaml_read.h"
#include "policy/yaml_scalar.h"

/* libyaml looks at every flow collection around a token. */
#define DEPTH_PER_STEP 16

static void reader_clear_at_scope_end(struct yaml_reader *reader)
{
    yaml_parser_delete(&reader->parser);
}

/* ---- what is wrong, and where ---- */

lethe_result yaml_reader_refuse_at(const struct yaml_reader *reader, yaml_mark_t mark,
                                   lethe_result result, const char *what)
{
    return error_set(reader->err, result, "line %zu, column %zu: %s", mark.line + 1,
                     mark.column + 1, what);
}

lethe_result yaml_reader_refuse(const struct yaml_reader *reader, const yaml_event_t *event,
                                const char *what)
{
    return yaml_reader_refuse_at(reader, event->start_mark, LETHE_MALFORMED, what);
}

/* A reader's error has an offset, the others have a line; what libyaml says are constant texts. */
static lethe_result refuse_as_parser_does(const struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set(reader->err, LETHE_NO_MEMORY, "no memory to read YAML");
    const char *problem = parser->problem != NULL ? parser->problem : "this is no YAML";
    if (parser->error == YAML_READER_ERROR)
        return error_set(reader->err, LETHE_MALFORMED, "byte %zu: %s", parser->problem_offset,
                         problem);
    return yaml_reader_refuse_at(reader, parser->problem_mark, LETHE_MALFORMED, problem);
}

lethe_result yaml_reader_give(const struct yaml_reader *reader, const struct value *made,
                              const struct value **out)
{
    *out = made;
    return made != NULL ? LETHE_OK : error_not_ok(arena_result(reader->arena, reader->err));
}

lethe_result yaml_reader_spend(const struct yaml_reader *reader, uint64_t steps)
{
    if (reader->meter == NULL || meter_spend(reader->meter, steps) == LETHE_OK)
        return LETHE_OK;
    return error_set(reader->err, LETHE_LIMIT, "no steps are left to read YAML with");
}

lethe_result yaml_reader_next(struct yaml_reader *reader, yaml_event_t *event)
{
    TRY(yaml_reader_spend(reader, 1 + reader->depth / DEPTH_PER_STEP));
    return yaml_parser_parse(&reader->parser, event) ? LETHE_OK : refuse_as_parser_does(reader);
}

/* ---- scalars ---- */

#define TAG(name) ("tag:yaml.org,2002:" name)

/* Which kinds a tag takes: a scalar of another is refused, as by go-yaml. */
static const struct {
    const char *tag;
    unsigned kinds;
} tags[] = {
    {TAG("null"), 1u << SCALAR_NULL},
    {TAG("bool"), 1u << SCALAR_FALSE | 1u << SCALAR_TRUE},
    {TAG("int"), 1u << SCALAR_INTEGER | 1u << SCALAR_DECIMAL},
    {TAG("float"), 1u << SCALAR_INTEGER | 1u << SCALAR_DECIMAL},
    {TAG("binary"), 0},
    {TAG("timestamp"), 0},
};

static const struct value *text_of(struct yaml_reader *reader, const yaml_event_t *event)
{
    return value_string(reader->arena, (const char *)event->data.scalar.value,
                        event->data.scalar.length);
}

static lethe_result resolve(struct yaml_reader *reader, const yaml_event_t *event,
                            enum scalar_kind kind, const struct value **out)
{
    static const struct value *const words[] = {
        [SCALAR_NULL] = &value_null, [SCALAR_FALSE] = &value_false, [SCALAR_TRUE] = &value_true};
    if (kind == SCALAR_NOT_FINITE)
        return yaml_reader_refuse(reader, event, "JSON has no number that is not finite");
    if (kind == SCALAR_TEXT)
        return yaml_reader_give(reader, text_of(reader, event), out);
    if (kind < ARRAY_LEN(words))
        return yaml_reader_give(reader, words[kind], out);
    return yaml_reader_give(reader,
                            yaml_scalar_number(reader->arena, kind,
                                               (const char *)event->data.scalar.value,
                                               event->data.scalar.length),
                            out);
}

static bool is_whole(const struct value *value)
{
    return value_is(value, VALUE_NUMBER) && number_is_integer(&value->number);
}

static lethe_result read_tagged(struct yaml_reader *reader, const yaml_event_t *event,
                                enum scalar_kind kind, const struct value **out)
{
    const char *tag = (const char *)event->data.scalar.tag;
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        if (strcmp(tag, tags[i].tag) != 0)
            continue;
        if (tags[i].kinds == 0)
            return yaml_reader_refuse(reader, event, "a scalar with this tag cannot become JSON");
        if ((tags[i].kinds & 1u << kind) == 0)
            return yaml_reader_refuse(reader, event, "the scalar is not what its tag says");
        TRY(resolve(reader, event, kind, out));
        if (strcmp(tag, TAG("int")) == 0 && !is_whole(*out))
            return yaml_reader_refuse(reader, event, "the scalar is not what its tag says");
        return LETHE_OK;
    }
    return yaml_reader_give(reader, text_of(reader, event),
                            out); /* !!str, and tags of the document's own */
}

static lethe_result read_scalar(struct yaml_reader *reader, const yaml_event_t *event,
                                const struct value **out)
{
    const char *text = (const char *)event->data.scalar.value;
    enum scalar_kind kind = yaml_scalar_kind(text, event->data.scalar.length);
    if (event->data.scalar.tag != NULL)
        return read_tagged(reader, event, kind, out);
    if (!event->data.scalar.plain_implicit)
        return yaml_reader_give(reader, text_of(reader, event), out);
    return resolve(reader, event, kind, out);
}

/* ---- collections ---- */

lethe_result yaml_reader_push(struct yaml_reader *reader, const struct value *value)
{
    if (value_list_append(reader->arena, &reader->open, value))
        return LETHE_OK;
    return arena_result(reader->arena, reader->err);
}

static lethe_result read_items(struct yaml_reader *reader)
{
    for (;;) {
        EVENT event = {0};
        const struct value *item = NULL;
        TRY(yaml_reader_next(reader, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return LETHE_OK;
        TRY(yaml_reader_node(reader, &event, &item));
        TRY(yaml_reader_push(reader, item));
    }
}

static lethe_result read_sequence(struct yaml_reader *reader, const yaml_event_t *event,
                                  const struct value **out)
{
    size_t mark = reader->open.count;
    TRY(read_items(reader));
    size_t count = reader->open.count - mark;
    const struct value **items = arena_alloc(reader->arena, count * sizeof *items);
    if (items != NULL && count > 0)
        memcpy(items, reader->open.items + mark, count * sizeof *items);
    reader->open.count = mark;
    return yaml_reader_give(reader,
                            items == NULL ? NULL
                            : count == 0  ? &value_empty_array
                                          : value_array_of(reader->arena, items, count),
                            out);
}

static lethe_result read_collection(struct yaml_reader *reader, const yaml_event_t *event,
                                    const struct value **out)
{
    if (reader->depth == VALUE_DEPTH_MAX)
        return yaml_reader_refuse_at(reader, event->start_mark, LETHE_LIMIT,
                                     "sequences and mappings are nested too deeply");
    reader->depth++;
    bool is_sequence = event->type == YAML_SEQUENCE_START_EVENT;
    TRY(is_sequence ? read_sequence(reader, event, out) : yaml_reader_mapping(reader, event, out));
    reader->depth--;
    return LETHE_OK;
}

/* ---- nodes, and what they are called ---- */

static lethe_result read_alias(struct yaml_reader *reader, const yaml_event_t *event,
                               const struct value **out)
{
    const struct yaml_anchor *anchor =
        yaml_anchor_find(&reader->anchors, (const char *)event->data.alias.anchor);
    if (anchor == NULL)
        return yaml_reader_refuse(reader, event,
                                  "no anchor in front of it has the name of the alias");
    if (anchor->value == NULL)
        return yaml_reader_refuse(reader, event, "the alias stands for what it is a part of");
    *out = anchor->value;
    return LETHE_OK;
}

static const char *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static lethe_result read_content(struct yaml_reader *reader, const yaml_event_t *event,
                                 const struct value **out)
{
    return event->type == YAML_SCALAR_EVENT ? read_scalar(reader, event, out)
                                            : read_collection(reader, event, out);
}

lethe_result yaml_reader_node(struct yaml_reader *reader, const yaml_event_t *event,
                              const struct value **out)
{
    const char *name = anchor_of(event);
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(reader, event, out);
    if (name == NULL)
        return read_content(reader, event, out);
    struct yaml_anchor *anchor = yaml_anchor_begin(reader->arena, &reader->anchors, name);
    TRY(arena_result(reader->arena, reader->err));
    if (anchor == NULL)
        return yaml_reader_refuse_at(reader, event->start_mark, LETHE_LIMIT,
                                     "there are too many anchors");
    uint64_t definition = anchor->definition;
    TRY(read_content(reader, event, out));
    if (anchor->definition == definition) /* else something within has the name now */
        anchor->value = *out;
    return LETHE_OK;
}

/* ---- the document ---- */

/* Behind its end, bytes that are no further document are a mistake. */
static lethe_result read_end(struct yaml_reader *reader)
{
    EVENT end = {0};
    EVENT behind = {0};
    TRY(yaml_reader_next(reader, &end));
    return yaml_reader_next(reader, &behind);
}

static lethe_result read_document(struct yaml_reader *reader, const struct value **out)
{
    EVENT stream = {0};
    EVENT document = {0};
    EVENT root = {0};
    TRY(yaml_reader_next(reader, &stream));
    TRY(yaml_reader_next(reader, &document));
    if (document.type == YAML_STREAM_END_EVENT)
        return yaml_reader_give(reader, &value_null, out);
    TRY(yaml_reader_next(reader, &root));
    TRY(yaml_reader_node(reader, &root, out));
    return read_end(reader);
}

lethe_result value_parse_yaml(struct arena *arena, const struct yaml_source *source,
                              const struct value **out, struct lethe_error *err)
{
    CLEANUP(reader_clear)
    struct yaml_reader reader = {.arena = arena, .meter = source->meter, .err = err};
    const struct value *read = NULL;
    TRY(arena_result(arena, err));
    if (source->size_bytes > YAML_SIZE_MAX_BYTES)
        return error_set(err, LETHE_LIMIT, "more than %zu MiB of YAML", YAML_SIZE_MAX_BYTES >> 20);
    if (!yaml_parser_initialize(&reader.parser))
        return error_set(err, LETHE_NO_MEMORY, "no memory to read YAML");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)source->text,
                                 source->size_bytes);
    TRY(read_document(&reader, &read));
    *out = read;
    return LETHE_OK;
}
