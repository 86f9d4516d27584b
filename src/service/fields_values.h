/* service/fields_values.h -- from a JSON value, or a text of the query, to a field's value. */
#ifndef SERVICE_FIELDS_VALUES_H
#define SERVICE_FIELDS_VALUES_H

#include "service/fields_scan.h"

/* The row of a name; NULL: none. */
const struct field *field_find(const struct field *table, const uint8_t *name, size_t length);
/* LETHE_INVALID: the value does not fit the field. */
LETHE_MUST_CHECK lethe_result field_convert(const struct field *field, struct scan *scan,
                                            const struct scan_value *raw, struct field_value *out);
/* Of a text that came without JSON around it. */
LETHE_MUST_CHECK lethe_result field_convert_text(const struct field *field, const char *text,
                                                 size_t length, struct field_value *out);
/* Says what was expected. */
lethe_result field_refuse(const struct field *field, struct lethe_error *err);
/* Members of the object at the scan into values. LETHE_INVALID: the first that does not fit, after
 * all were read. */
LETHE_MUST_CHECK lethe_result fields_members(const struct field *table, struct scan *scan,
                                             struct field_value *values, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result fields_query(const struct field *table, const uint8_t *query,
                                           size_t query_bytes, struct guarded *scratch,
                                           struct field_value *values, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result fields_required(const struct field *table,
                                              const struct field_value *values,
                                              struct lethe_error *err);
lethe_result fields_malformed(const struct scan *scan, const char *what, struct lethe_error *err);

#endif
