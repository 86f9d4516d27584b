#include "service/json_writer.h"

#include <string.h>

/* Where nothing needs escaping, which is nearly always, the text is copied as a whole. */
static size_t plain_length(const uint8_t *text, size_t length)
{
    size_t plain = 0;
    while (plain < length && text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\')
        plain++;
    return plain;
}

static void put_escape(struct guarded *out, uint8_t byte)
{
    static const char named[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                 ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (byte < sizeof named && named[byte] != 0)
        guarded_format(out, "\\%c", named[byte]);
    else
        guarded_format(out, "\\u%04x", byte);
}

static void put_string(struct guarded *out, const void *bytes, size_t length)
{
    const uint8_t *text = bytes;
    guarded_append(out, "\"", 1);
    while (length > 0) {
        size_t plain = plain_length(text, length);
        guarded_append(out, text, plain);
        if (plain < length)
            put_escape(out, text[plain++]);
        text += plain;
        length -= plain;
    }
    guarded_append(out, "\"", 1);
}

static void begin_value(struct json_writer *writer, const char *name)
{
    if (writer->needs_comma)
        guarded_append(writer->out, ",", 1);
    writer->needs_comma = true;
    if (name == NULL)
        return;
    guarded_append(writer->out, "\"", 1);
    guarded_text(writer->out, name);
    guarded_append(writer->out, "\":", 2);
}

static void begin(struct json_writer *writer, const char *name, const char *bracket)
{
    begin_value(writer, name);
    guarded_append(writer->out, bracket, 1);
    writer->needs_comma = false;
}

static void end(struct json_writer *writer, const char *bracket)
{
    guarded_append(writer->out, bracket, 1);
    writer->needs_comma = true;
}

void json_begin_object(struct json_writer *writer, const char *name)
{
    begin(writer, name, "{");
}

void json_end_object(struct json_writer *writer)
{
    end(writer, "}");
}

void json_begin_array(struct json_writer *writer, const char *name)
{
    begin(writer, name, "[");
}

void json_end_array(struct json_writer *writer)
{
    end(writer, "]");
}

void json_put_text(struct json_writer *writer, const char *name, const char *text)
{
    json_put_bytes(writer, name, text, strlen(text));
}

void json_put_bytes(struct json_writer *writer, const char *name, const void *text, size_t length)
{
    begin_value(writer, name);
    put_string(writer->out, text, length);
}

void json_put_base64(struct json_writer *writer, const char *name, const void *bytes,
                     size_t size_bytes)
{
    json_open_text(writer, name);
    guarded_base64(writer->out, bytes, size_bytes);
    json_close_text(writer);
}

void json_put_integer(struct json_writer *writer, const char *name, int64_t integer)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    do
        digits[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    begin_value(writer, name);
    guarded_append(writer->out, "-", integer < 0 ? 1 : 0);
    guarded_append(writer->out, digits + at, sizeof digits - at);
}

void json_put_boolean(struct json_writer *writer, const char *name, bool boolean)
{
    begin_value(writer, name);
    guarded_text(writer->out, boolean ? "true" : "false");
}

void json_put_null(struct json_writer *writer, const char *name)
{
    begin_value(writer, name);
    guarded_text(writer->out, "null");
}

void json_open_text(struct json_writer *writer, const char *name)
{
    begin_value(writer, name);
    guarded_append(writer->out, "\"", 1);
}

void json_close_text(struct json_writer *writer)
{
    guarded_append(writer->out, "\"", 1);
}

void json_begin_named(struct json_writer *writer, const void *name, size_t name_bytes)
{
    begin_value(writer, NULL);
    put_string(writer->out, name, name_bytes);
    guarded_append(writer->out, ":", 1);
    writer->needs_comma = false;
}
