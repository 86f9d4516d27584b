/* policy/json_read.h -- the reader of JSON, between its files. */
#ifndef POLICY_JSON_READ_H
#define POLICY_JSON_READ_H

#include "policy/value.h"

struct json_reader {
    struct arena *arena;
    const char *begin, *at, *end;
    /* The elements of all collections that are being read: those of the innermost are on top. */
    struct value_list open;
    unsigned depth;
    struct lethe_error *err;
};

/* LETHE_MALFORMED, with the place that was reached: what was expected there. */
lethe_result json_refuse(const struct json_reader *reader, const char *expected);
/* Likewise: what is wrong there. */
lethe_result json_refuse_as(const struct json_reader *reader, lethe_result result,
                            const char *what);
/* Why the arena gave none. */
lethe_result json_no_value(const struct json_reader *reader);

/* From behind the opening quote to behind the closing one. */
LETHE_MUST_CHECK lethe_result json_read_string(struct json_reader *reader,
                                               const struct value **out);

#endif
