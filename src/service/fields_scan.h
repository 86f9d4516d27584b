/* service/fields_scan.h -- JSON, value after value, without a tree: the inside of fields.
 *
 * Strict (RFC 8259): UTF-8 without surrogates, no duplicate names, a bounded depth and number of
 * elements. A value is read as a whole, and is then a piece of the text. Nothing is allocated;
 * texts with escapes are unescaped into guarded memory, for which room is made once, so that what
 * lies there stays where it is. Every function gives LETHE_MALFORMED and says why in `fault`. */
#ifndef SERVICE_FIELDS_SCAN_H
#define SERVICE_FIELDS_SCAN_H

#include "mem/guarded.h"
#include "service/fields.h"

/* Names of all objects that are open at one moment: a map of FIELD_LIST_MAX, and what is around. */
#define SCAN_NAMES_MAX (FIELD_LIST_MAX + 256u)

/* Not initialised: only what `name_count` says is there. */
struct scan_names {
    uint32_t mark[SCAN_NAMES_MAX];
    uint32_t length[SCAN_NAMES_MAX];
    const uint8_t *at[SCAN_NAMES_MAX];
};

struct scan {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *begin;
    const char *fault;
    struct scan_names
        *names; /* NULL: of a text that was read before, duplicates are not looked for */
    size_t name_count;
    unsigned depth;
    struct guarded *scratch;
    size_t room_bytes; /* what is to be reserved in the scratch when it is first needed */
};

enum scan_kind {
    SCAN_NULL,
    SCAN_TRUE,
    SCAN_FALSE,
    SCAN_NUMBER,
    SCAN_TEXT,
    SCAN_OBJECT,
    SCAN_ARRAY
};
struct scan_value {
    enum scan_kind kind;
    bool escaped;      /* of a text */
    const uint8_t *at; /* of a text: what is between the quotes */
    size_t length;
    size_t count; /* elements of an array, members of an object */
};

/* `room_bytes` as in struct scan; at least the text's own length. */
struct scan scan_over(const void *text, size_t length, struct guarded *scratch, size_t room_bytes);
LETHE_MUST_CHECK lethe_result scan_fault(struct scan *scan, const char *fault);
/* The next value, whatever it is. */
LETHE_MUST_CHECK lethe_result scan_value(struct scan *scan, struct scan_value *out);
/* Nothing but white space is left. */
LETHE_MUST_CHECK lethe_result scan_end(struct scan *scan);

/* An object's members, or an array's elements: open, then as long as there is *more, the value is
 * to be read. */
struct scan_list {
    size_t first_name;
    size_t count;
    bool begun;
};
LETHE_MUST_CHECK lethe_result scan_open(struct scan *scan, uint8_t bracket, struct scan_list *list);
LETHE_MUST_CHECK lethe_result scan_element(struct scan *scan, struct scan_list *list, bool *more);
/* Also reads the name, unescaped. */
LETHE_MUST_CHECK lethe_result scan_member(struct scan *scan, struct scan_list *list,
                                          struct scan_value *name, bool *more);

/* Makes a text's slice one without escapes. LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result scan_unescape(struct scan *scan, struct scan_value *text);

#endif
