/* service/json_writer.h -- JSON into guarded memory, piece by piece; commas are its business. */
#ifndef SERVICE_JSON_WRITER_H
#define SERVICE_JSON_WRITER_H

#include "mem/guarded.h"

struct json_writer { /* struct json_writer w = {&guarded}; */
    struct guarded *out;
    bool needs_comma;
};

/* `name` NULL: an element of an array. Names are our own and need no escaping. */
void json_begin_object(struct json_writer *writer, const char *name);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer, const char *name);
void json_end_array(struct json_writer *writer);
void json_put_text(struct json_writer *writer, const char *name, const char *text);
void json_put_bytes(struct json_writer *writer, const char *name, const void *text, size_t length);
void json_put_base64(struct json_writer *writer, const char *name, const void *bytes,
                     size_t size_bytes);
void json_put_integer(struct json_writer *writer, const char *name, int64_t integer);
void json_put_boolean(struct json_writer *writer, const char *name, bool boolean);
void json_put_null(struct json_writer *writer, const char *name);
/* A text that the caller appends to `out` between the two; it needs no escaping. */
void json_open_text(struct json_writer *writer, const char *name);
void json_close_text(struct json_writer *writer);
/* The name of a member, from outside, and escaped: the value, an element without a name, is written
 * next. */
void json_begin_named(struct json_writer *writer, const void *name, size_t name_bytes);

#endif
