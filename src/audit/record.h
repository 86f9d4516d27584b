/* audit/record.h -- one record as one line of canonical JSON: writing it, and reading it strictly.
 *
 * The line is a flat object in RFC 8785 form. Members that every record has: event, node, prev,
 * seq, severity, time; actor, session and tenant are absent when empty. Then the fields of the
 * event. Pure functions. */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include "audit/log.h"
#include "audit/merkle.h"

#define RECORD_LINE_MAX MERKLE_ENTRY_MAX
#define RECORD_NODE_MAX 64
#define RECORD_ORIGIN_PREFIX "lethe/" /* origin and key name of a log: "lethe/<node>" */

/* A record's place in the log. */
struct record_place {
    const char *node; /* [A-Za-z0-9_-]{1,64} */
    uint64_t seq;     /* index of its leaf: the first record is 0 */
    uint64_t time_ns;
    const uint8_t *prev; /* SHA-256 of the line before, 32 bytes */
};

/* Appends the line without its newline. Texts are sanitised and cut to AUDIT_TEXT_MAX bytes. */
void record_append(struct buffer *out, const struct record_place *place,
                   const struct audit_who *who, const struct audit_event *event);

/* Copies a value as the log will hold it; returns its length. NULL counts as "". */
size_t record_text(const char *text, char out[AUDIT_TEXT_MAX + 1]);

/* What the chain needs of a line. */
struct record_line {
    uint64_t seq;
    uint64_t epoch;   /* 0 when it carries none */
    uint64_t time_ns; /* of a time that cannot be: something */
    uint8_t prev[MERKLE_HASH_BYTES];
    const char *node; /* borrowed, not terminated */
    size_t node_length;
    /* Of a log_trimmed: the first file that is kept, and the first record in it. Otherwise 0. */
    bool is_trimming;
    unsigned kept_file;
    uint64_t kept_record;
};
/* Strict: one flat object in canonical form with the members above, values that are strings,
 * integers or booleans, and nothing else. Any event and fields will do, as a later version may know
 * more of them. LETHE_MALFORMED says what is wrong. */
LETHE_MUST_CHECK lethe_result record_parse(const char *line, size_t length, struct record_line *out,
                                           struct lethe_error *err);

#endif
