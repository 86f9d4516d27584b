/* base/json.h -- JSON in (strict) and canonical JSON out (RFC 8785).
 *
 * In: jansson's tree, after our own checks: size, depth (JSON_DEPTH_MAX, checked before parsing),
 * duplicate keys, lone surrogates and bad UTF-8 refused. Out: our own writer, because signatures
 * and chains are over bytes. Trees may be used by one thread at a time. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/buffer.h"

#define JSON_DEPTH_MAX 64                          /* our own documents use fewer than 10 levels */
#define JSON_SIZE_MAX ((size_t)256 << 20)          /* a safetensors header is at most 100 MB      */
#define JSON_VALUES_MAX ((size_t)1 << 22)          /* of jansson's about 130 bytes each           */
#define JSON_INTEGER_MAX (((uint64_t)1 << 53) - 1) /* RFC 8785: beyond it a double loses digits */

static inline void json_decref_at_scope_end(json_t **json)
{
    json_decref(*json);
}

/* Parses one document (any value) and nothing behind it. A NUL character in a string is refused: a
 * C string would end there. *out is owned by the caller (json_decref).
 * LETHE_MALFORMED with line and column otherwise. */
LETHE_MUST_CHECK lethe_result json_parse(const char *text, size_t size_bytes, json_t **out,
                                         struct lethe_error *err);

/* Appends the canonical form. LETHE_INVALID: a number that is not finite or an integer beyond
 * 2^53 - 1, a string that is not UTF-8, deeper than JSON_DEPTH_MAX; then `out` is as before. */
LETHE_MUST_CHECK lethe_result json_canonical(const json_t *json, struct buffer *out,
                                             struct lethe_error *err);
/* The pieces of the canonical form, for writers that need no tree. */
void json_append_string(struct buffer *out, const char *text, size_t size_bytes);
void json_append_double(struct buffer *out, double number); /* finite; ECMAScript's shortest form */

/* Reads the fields of an object by a table: a missing, unknown or wrongly typed field is refused,
 * so a reader's table is also the format's definition. */
enum json_field_kind {
    JSON_FIELD_TEXT,   /* const char **: borrowed from the tree                         */
    JSON_FIELD_UINT,   /* uint64_t *: integer 0 to 2^53 - 1                             */
    JSON_FIELD_ARRAY,  /* const json_t **: borrowed                                     */
    JSON_FIELD_OBJECT, /* const json_t **: borrowed                                     */
};
struct json_field {
    const char *name;
    enum json_field_kind kind;
    bool optional; /* when absent, the target is left as it was */
    void *target;
};
/* `what` names the object in errors. LETHE_MALFORMED names the field. */
LETHE_MUST_CHECK lethe_result json_read_fields(const json_t *object, const char *what,
                                               const struct json_field *fields, size_t count,
                                               struct lethe_error *err);

#endif
