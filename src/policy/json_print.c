/* Printing values as JSON, as OPA does, and as terms of Rego. */
#include <string.h>

#include "policy/value.h"

#define KEY_TEXT_MAX_BYTES ((size_t)1 << 20)  /* each object within a key doubles backslashes */
#define KEY_TEXTS_MAX_BYTES ((size_t)1 << 28) /* of one object */

enum style { STYLE_JSON, STYLE_PRETTY, STYLE_TERM };

struct printer {
    struct buffer *out;
    const char *indent; /* of STYLE_PRETTY */
    enum style style;
    unsigned depth;
};

static void print(struct printer *printer, const struct value *value);

/* ---- strings ---- */

/* Beside the escapes that JSON demands, JSON has those that make it safe within HTML. */
static bool is_plain(unsigned char byte, enum style style)
{
    if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\')
        return byte == 0x7f && style != STYLE_TERM;
    return style == STYLE_TERM || (byte != '<' && byte != '>' && byte != '&' && byte != 0xe2);
}

static void print_escape(unsigned char byte, struct buffer *out)
{
    static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = memchr(special, byte, sizeof special - 1);
    if (found == NULL) {
        buffer_format(out, "\\u%04x", byte);
        return;
    }
    buffer_byte(out, '\\');
    buffer_byte(out, (uint8_t)letters[found - special]);
}

/* What begins with the byte e2: U+2028 and U+2029, ends of lines in JavaScript, are escaped. */
static size_t print_from_e2(const char *at, struct buffer *out)
{
    unsigned char last = (unsigned char)at[2];
    if ((unsigned char)at[1] == 0x80 && (last == 0xa8 || last == 0xa9))
        buffer_format(out, "\\u20%02x", last - 0x80);
    else
        buffer_append(out, at, 3);
    return 3;
}

static void print_string(const struct printer *printer, const char *bytes, size_t size_bytes)
{
    buffer_byte(printer->out, '"');
    for (size_t at = 0; at < size_bytes;) {
        size_t plain = at;
        while (plain < size_bytes && is_plain((unsigned char)bytes[plain], printer->style))
            plain++;
        buffer_append(printer->out, bytes + at, plain - at);
        at = plain;
        if (at == size_bytes)
            break;
        if ((unsigned char)bytes[at] == 0xe2) {
            at += print_from_e2(bytes + at, printer->out);
        } else {
            print_escape((unsigned char)bytes[at], printer->out);
            at++;
        }
    }
    buffer_byte(printer->out, '"');
}

/* ---- collections ---- */

static void new_line(const struct printer *printer)
{
    if (printer->style != STYLE_PRETTY)
        return;
    buffer_byte(printer->out, '\n');
    for (unsigned i = 0; i < printer->depth; i++)
        buffer_text(printer->out, printer->indent);
}

/* What is in front of an element. */
static void separate(const struct printer *printer, size_t element)
{
    if (element > 0)
        buffer_text(printer->out, printer->style == STYLE_TERM ? ", " : ",");
    new_line(printer);
}

static void print_items(struct printer *printer, const struct value *list)
{
    for (size_t i = 0; i < list->count; i++) {
        separate(printer, i);
        print(printer, list->items[i]);
    }
}

static void print_pairs(struct printer *printer, const struct value *object)
{
    for (size_t i = 0; i < object->count; i++) {
        separate(printer, i);
        print(printer, object->pairs[i].key);
        buffer_text(printer->out, printer->style == STYLE_JSON ? ":" : ": ");
        print(printer, object->pairs[i].value);
    }
}

/* Keys are sorted, with all strings beside each other. */
static bool has_only_text_keys(const struct value *object)
{
    return object->count == 0 || (object->pairs[0].key->kind == VALUE_STRING &&
                                  object->pairs[object->count - 1].key->kind == VALUE_STRING);
}

static const struct value *text_of_key(struct arena *arena, const struct value *key)
{
    if (key->kind == VALUE_STRING)
        return key;
    CLEANUP(buffer_clear) struct buffer text = {0};
    value_print_json(key, &text);
    if (text.failure == LETHE_OK && text.size_bytes > KEY_TEXT_MAX_BYTES)
        text.failure = LETHE_LIMIT;
    return value_buffer(arena, &text);
}

/* JSON's keys are strings: of any other the JSON is the key's text. Of two keys with one text the
 * later has its value in the object. */
static void print_with_text_keys(struct printer *printer, const struct value *object)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = KEY_TEXTS_MAX_BYTES};
    struct value_pairs pairs = {0};
    for (size_t i = 0; i < object->count; i++)
        value_pairs_append(&arena, &pairs, text_of_key(&arena, object->pairs[i].key),
                           object->pairs[i].value);
    const struct value *with_texts = value_object(&arena, &pairs, NULL);
    if (with_texts == NULL)
        printer->out->failure = arena.failure;
    else
        print_pairs(printer, with_texts);
}

static void print_collection(struct printer *printer, const struct value *value)
{
    bool is_set_term = value->kind == VALUE_SET && printer->style == STYLE_TERM;
    if (is_set_term && value->count == 0) {
        buffer_text(printer->out, "set()");
        return;
    }
    bool has_braces = value->kind == VALUE_OBJECT || is_set_term;
    buffer_byte(printer->out, has_braces ? '{' : '[');
    printer->depth++;
    if (value->kind != VALUE_OBJECT)
        print_items(printer, value);
    else if (printer->style == STYLE_TERM || has_only_text_keys(value))
        print_pairs(printer, value);
    else
        print_with_text_keys(printer, value);
    printer->depth--;
    if (value->count > 0)
        new_line(printer);
    buffer_byte(printer->out, has_braces ? '}' : ']');
}

static void print(struct printer *printer, const struct value *value)
{
    if (printer->out->failure != LETHE_OK)
        return;
    switch ((enum value_kind)value->kind) {
    case VALUE_NULL:
        buffer_text(printer->out, "null");
        break;
    case VALUE_BOOLEAN:
        buffer_text(printer->out, value->boolean ? "true" : "false");
        break;
    case VALUE_NUMBER:
        number_print(&value->number, printer->out);
        break;
    case VALUE_STRING:
        print_string(printer, value->string, value->count);
        break;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
    case VALUE_SET:
        print_collection(printer, value);
        break;
    }
}

void value_print_json(const struct value *value, struct buffer *out)
{
    struct printer printer = {.out = out, .style = STYLE_JSON};
    print(&printer, value);
}

void value_print_json_pretty(const struct value *value, const char *indent, struct buffer *out)
{
    struct printer printer = {.out = out, .indent = indent, .style = STYLE_PRETTY};
    print(&printer, value);
}

void value_print_term(const struct value *value, struct buffer *out)
{
    struct printer printer = {.out = out, .style = STYLE_TERM};
    print(&printer, value);
}
