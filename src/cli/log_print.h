/* cli/log_print.h -- records of a log on stdout, for people or as JSON. */
#ifndef CLI_LOG_PRINT_H
#define CLI_LOG_PRINT_H

#include "audit/verify.h"

struct log_print {
    bool as_json;           /* the line as it is stored */
    const char *event;      /* only these; NULL: all */
    uint64_t since_seq;     /* from this record on */
    const char *since_time; /* and from this time on, RFC 3339 or its beginning; NULL: any */
};
/* "17" is a record, "2026-11-20" or "2026-11-20T12:00:00Z" a time. LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result log_print_since(struct log_print *print, const char *text,
                                              struct lethe_error *err);

/* An audit_record_visit; `context` is a struct log_print. Whatever stands in a record, a terminal
 * gets no control character of it: as text they become '?', as JSON \u escapes (only there: into a
 * file or a pipe goes the line, byte for byte). */
lethe_result log_print_record(void *context, const struct audit_record *record,
                              struct lethe_error *err);

/* Says on stderr that records which were asked for are not there any more. */
void log_print_trimmed(uint64_t wanted, uint64_t first);

#endif
