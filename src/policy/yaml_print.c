/* Printing YAML, through libyaml's emitter. */
#include <string.h>

#include <yaml.h>

#include "policy/yaml_scalar.h"
#include "policy/yaml_value.h"

#define BYTES_PER_STEP 16 /* that libyaml looks at, indentation among them */

struct yaml_printer {
    yaml_emitter_t emitter;
    struct buffer *out;
    size_t room_bytes;
    struct builtin_meter *meter;
    lethe_result failure; /* why the text could not be taken */
};

static void printer_clear_at_scope_end(struct yaml_printer *printer)
{
    yaml_emitter_delete(&printer->emitter);
}

/* libyaml's: 1 when all was taken. */
static int take_text(void *context, unsigned char *text, size_t size_bytes)
{
    struct yaml_printer *printer = context;
    if (printer->meter != NULL)
        printer->failure = meter_spend(printer->meter, 1 + size_bytes / BYTES_PER_STEP);
    if (printer->failure == LETHE_OK && size_bytes > printer->room_bytes - printer->out->size_bytes)
        printer->failure = LETHE_LIMIT;
    if (printer->failure == LETHE_OK) {
        buffer_append(printer->out, text, size_bytes);
        printer->failure = printer->out->failure;
    }
    return printer->failure == LETHE_OK;
}

/* `made` is what initializing the event gave. The emitter frees it, whatever comes of it. */
static lethe_result emit(struct yaml_printer *printer, int made, yaml_event_t *event)
{
    if (!made)
        return LETHE_NO_MEMORY;
    if (yaml_emitter_emit(&printer->emitter, event))
        return LETHE_OK;
    if (printer->failure != LETHE_OK)
        return printer->failure;
    return LETHE_NO_MEMORY; /* its other errors are of events in no order */
}

/* ---- scalars ---- */

static const char *skip_digits(const char *at, const char *end, size_t max)
{
    for (size_t i = 0; i < max && at < end && *at >= '0' && *at <= '9'; i++)
        at++;
    return at;
}

/* 2001-2-3, with or without a time: go-yaml takes it for one. */
static bool looks_like_a_date(const char *text, size_t size_bytes)
{
    const char *end = text + size_bytes, *at = skip_digits(text, end, 4);
    if (at - text != 4 || at == end || *at++ != '-')
        return false;
    const char *month = at;
    at = skip_digits(at, end, 2);
    if (at == month || at == end || *at++ != '-')
        return false;
    const char *day = at;
    at = skip_digits(at, end, 2);
    return at > day && (at == end || strchr("Tt ", *at) != NULL);
}

/* 12:30:45, in YAML 1.1 a number to base 60. */
static bool looks_like_base_60(const char *text, size_t size_bytes)
{
    const char *end = text + size_bytes, *colon = memchr(text, ':', size_bytes);
    size_t signs = size_bytes > 0 && (text[0] == '+' || text[0] == '-');
    bool has_digit = size_bytes > signs && text[signs] >= '0' && text[signs] <= '9';
    for (const char *at = text + signs; at < end; at++)
        if (strchr("0123456789_:.", *at) == NULL || *at == '\0')
            return false;
    return colon != NULL && has_digit;
}

/* Without quotes it would be something else: to us, to go-yaml, or to readers of YAML 1.1. */
static bool needs_quotes(const char *text, size_t size_bytes)
{
    return yaml_scalar_kind(text, size_bytes) != SCALAR_TEXT ||
           (size_bytes == 2 && memcmp(text, "<<", 2) == 0) || looks_like_a_date(text, size_bytes) ||
           looks_like_base_60(text, size_bytes);
}

static yaml_scalar_style_t style_of_text(const char *text, size_t size_bytes)
{
    if (size_bytes > 0 && memchr(text, '\n', size_bytes) != NULL)
        return YAML_LITERAL_SCALAR_STYLE;
    return needs_quotes(text, size_bytes) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                                          : YAML_PLAIN_SCALAR_STYLE;
}

static lethe_result emit_scalar(struct yaml_printer *printer, const char *text, size_t size_bytes,
                                yaml_scalar_style_t style)
{
    yaml_event_t event;
    if (size_bytes > YAML_SIZE_MAX_BYTES)
        return LETHE_LIMIT;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const unsigned char *)text,
                                            (int)size_bytes, 1, 1, style);
    return emit(printer, made, &event);
}

static lethe_result print_text(struct yaml_printer *printer, const char *text, size_t size_bytes)
{
    return emit_scalar(printer, text, size_bytes, style_of_text(text, size_bytes));
}

/* As JSON has it: a number, null, true, false. */
static lethe_result print_word(struct yaml_printer *printer, const struct value *value)
{
    CLEANUP(buffer_clear) struct buffer word = {0};
    value_print_json(value, &word);
    TRY(buffer_result(&word, NULL));
    return emit_scalar(printer, word.bytes, word.size_bytes, YAML_PLAIN_SCALAR_STYLE);
}

/* ---- collections ---- */

static lethe_result print(struct yaml_printer *printer, const struct value *value);

static lethe_result print_items(struct yaml_printer *printer, const struct value *list)
{
    yaml_event_t event;
    TRY(emit(printer,
             yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE),
             &event));
    for (uint32_t i = 0; i < list->count; i++)
        TRY(print(printer, list->items[i]));
    return emit(printer, yaml_sequence_end_event_initialize(&event), &event);
}

static lethe_result print_pairs(struct yaml_printer *printer, const struct value *object)
{
    yaml_event_t event;
    TRY(emit(printer,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE),
             &event));
    for (uint32_t i = 0; i < object->count; i++) {
        TRY(print(printer, object->pairs[i].key));
        TRY(print(printer, object->pairs[i].value));
    }
    return emit(printer, yaml_mapping_end_event_initialize(&event), &event);
}

static lethe_result print(struct yaml_printer *printer, const struct value *value)
{
    switch ((enum value_kind)value->kind) {
    case VALUE_STRING:
        return print_text(printer, value->string, value->count);
    case VALUE_ARRAY:
    case VALUE_SET:
        return print_items(printer, value);
    case VALUE_OBJECT:
        return print_pairs(printer, value);
    default:
        return print_word(printer, value);
    }
}

/* ---- the document ---- */

/* The end of a document also writes all that is left. That of a stream would mark the end of some
 * texts with "...". */
static lethe_result print_document(struct yaml_printer *printer, const struct value *value)
{
    yaml_event_t event;
    TRY(emit(printer, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event));
    TRY(emit(printer, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event));
    TRY(print(printer, value));
    return emit(printer, yaml_document_end_event_initialize(&event, 1), &event);
}

lethe_result value_print_yaml(const struct value *value, size_t room_bytes,
                              struct builtin_meter *meter, struct buffer *out)
{
    CLEANUP(printer_clear)
    struct yaml_printer printer = {.out = out, .room_bytes = room_bytes, .meter = meter};
    if (!yaml_emitter_initialize(&printer.emitter))
        return LETHE_NO_MEMORY;
    yaml_emitter_set_output(&printer.emitter, take_text, &printer);
    yaml_emitter_set_unicode(&printer.emitter, 1);
    return print_document(&printer, value);
}
