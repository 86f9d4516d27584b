/* policy/time_parse.h -- reading one field of a time: what policy/time_parse.c is made of. */
#ifndef POLICY_TIME_PARSE_H
#define POLICY_TIME_PARSE_H

#include "policy/time_layout.h"

#define TIME_ABSENT (-1)

enum reading { READ, NOT_READ, OUT_OF_RANGE };

struct time_reader {
    struct span left;     /* of the text */
    const char *range_of; /* what OUT_OF_RANGE was about */
    struct civil civil;   /* month, day and year_day are TIME_ABSENT until they are read */
    bool after_noon, before_noon;
    int32_t offset_s;
};

/* What a token stands for, at the beginning of what is left. `layout` is what comes after it. */
enum reading time_read_field(struct time_reader *reader, const struct layout_item *item,
                             struct span layout);

#endif
