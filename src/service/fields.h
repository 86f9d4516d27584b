/* service/fields.h -- the fields of a request, read by a table: strict JSON, lenient scalars.
 *
 * As Vault's clients send them: unknown fields are ignored, null is absent, integers may come as
 * text, booleans as "true" and "false", lists as comma-separated text, durations as seconds or
 * "10m". Values borrow of the body, which is guarded memory; texts without escapes (all base64) are
 * not copied. The same names in the query fill what the body leaves out. The table is also what the
 * OpenAPI document says. */
#ifndef SERVICE_FIELDS_H
#define SERVICE_FIELDS_H

#include "mem/guarded.h"

enum field_type {
    FIELD_TEXT,
    FIELD_BASE64,   /* text that is padded base64; `text` is still encoded */
    FIELD_INTEGER,  /* `integer` */
    FIELD_BOOLEAN,  /* `boolean` */
    FIELD_DURATION, /* `integer`, seconds */
    FIELD_LIST,     /* of texts: field_list_next() */
    FIELD_MAP,      /* of text to text: field_map_next() */
    FIELD_ITEMS,    /* a list of objects with fields of their own: field_item_next() */
};
struct field {
    const char *name;
    enum field_type type;
    bool required;
    const char *help;
    const struct field *items; /* of FIELD_ITEMS; ends with a row without name */
};
#define FIELDS_MAX 40u
#define FIELD_LIST_MAX 1024u
#define FIELD_ITEMS_MAX 10000u
#define FIELDS_DEPTH_MAX 16u

struct field_value {
    bool given;
    bool boolean; /* of a list: its text is comma-separated, not JSON */
    int64_t integer;
    const char *text; /* unescaped; not NUL-terminated; list, map, items: the JSON text */
    size_t length;
};

/* What a request brings: either may be empty. */
struct fields_input {
    const uint8_t *body; /* guarded */
    size_t body_bytes;
    const uint8_t *query; /* percent-encoded, without the '?' */
    size_t query_bytes;
};
/* Reads an object (or nothing at all) and a query into values[0..] by the table. Escaped texts are
 * unescaped into `scratch`, which belongs to the values until they are done with. LETHE_MALFORMED:
 * no JSON object (duplicate names, bad UTF-8, depth and count are checked over all of it), or no
 * query; LETHE_INVALID names the field. */
LETHE_MUST_CHECK lethe_result fields_read(const struct field *table,
                                          const struct fields_input *input, struct guarded *scratch,
                                          struct field_value *values, struct lethe_error *err);

/* Whether a query says "name=true" (1, t, true, True). */
bool fields_query_says(const uint8_t *query, size_t query_bytes, const char *name);

/* One element after another: *at starts NULL. LETHE_NOT_FOUND behind the last. What was given is
 * valid until the next call with the same scratch, which may not be that of fields_read(). */
LETHE_MUST_CHECK lethe_result field_list_next(const struct field_value *list, const char **at,
                                              struct guarded *scratch, struct field_value *out,
                                              struct lethe_error *err);
LETHE_MUST_CHECK lethe_result field_map_next(const struct field_value *map, const char **at,
                                             struct guarded *scratch, struct field_value *name,
                                             struct field_value *value, struct lethe_error *err);
/* The fields of the next object, by `items`. LETHE_INVALID for one that does not fit, whose other
 * values are there: the next call goes on behind it. */
LETHE_MUST_CHECK lethe_result field_item_next(const struct field *items,
                                              const struct field_value *list, const char **at,
                                              struct guarded *scratch, struct field_value *values,
                                              struct lethe_error *err);

/* Without the blanks around it. */
void field_trim(struct field_value *value);
/* Whether it is this text, to the letter. */
bool field_is(const struct field_value *value, const char *text);
/* Of FIELD_BASE64: appends what it says. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result field_decode(const struct field_value *value, struct guarded *out);
/* As a C string of at most capacity - 1 bytes; LETHE_INVALID when it is longer or has a NUL. */
LETHE_MUST_CHECK lethe_result field_copy(const struct field_value *value, const char *name,
                                         char *out, size_t capacity, struct lethe_error *err);

#endif
