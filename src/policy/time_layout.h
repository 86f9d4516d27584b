/* policy/time_layout.h -- layouts of times: a text shows how 2006-01-02 15:04:05 -0700 would look.
 *
 * The language is that of Go's package time, which OPA's built-ins take. Thread rule: pure
 * functions. */
#ifndef POLICY_TIME_LAYOUT_H
#define POLICY_TIME_LAYOUT_H

#include "base/buffer.h"
#include "policy/time_civil.h"

struct span {
    const char *at;
    size_t length;
};
bool span_is(struct span span, const char *text);
/* In quotation marks, as in Go's errors: bytes that are not ASCII as \x; cut where it is long. */
void span_quote(struct span span, struct buffer *out);

enum layout_field {
    LAYOUT_LITERAL, /* stands in the table to keep what follows from being something else */
    LAYOUT_YEAR,
    LAYOUT_YEAR_OF_CENTURY,
    LAYOUT_MONTH,
    LAYOUT_MONTH_NAME,
    LAYOUT_WEEKDAY_NAME,
    LAYOUT_DAY,
    LAYOUT_YEAR_DAY,
    LAYOUT_HOUR,
    LAYOUT_HOUR_12,
    LAYOUT_MINUTE,
    LAYOUT_SECOND,
    LAYOUT_FRACTION, /* of a second */
    LAYOUT_HALF_DAY, /* AM, PM */
    LAYOUT_ZONE_NAME,
    LAYOUT_ZONE, /* hours and minutes ahead of UTC */
};
#define LAYOUT_FIELD_COUNT 16

enum layout_flag {
    LAYOUT_WORD = 1u << 0,    /* no small letter may follow: "Jan", but not in "Janus" */
    LAYOUT_LONG = 1u << 1,    /* the whole name */
    LAYOUT_EXACT = 1u << 2,   /* all digits are wanted when it is read */
    LAYOUT_SPACES = 1u << 3,  /* filled with spaces, not zeros */
    LAYOUT_SMALL = 1u << 4,   /* in small letters */
    LAYOUT_Z = 1u << 5,       /* UTC is "Z" */
    LAYOUT_COLONS = 1u << 6,  /* between hours, minutes and seconds */
    LAYOUT_MINUTES = 1u << 7, /* of a zone */
    LAYOUT_SECONDS = 1u << 8,
};

struct layout_token {
    const char *text;
    enum layout_field field;
    uint8_t width; /* of numbers: digits at least */
    uint16_t flags;
};

/* One thing after another in a layout: what is meant as it stands, then something of a time. */
struct layout_item {
    struct span literal;
    const struct layout_token *token; /* NULL: the layout is at its end */
    struct span text;                 /* of the token. Of a fraction: ".000", ",999" */
};
struct layout_item layout_next(struct span *layout);
/* The layout that a name stands for (RFC3339, ...), else the text itself. */
struct span layout_named(struct span layout);

/* A moment as seen in a zone. */
struct zoned_time {
    struct civil civil;
    int32_t offset_s;
    struct span zone_name; /* empty: it has none */
};
void time_format(const struct zoned_time *time, struct span layout, struct buffer *out);
/* A zone's name says nothing of its offset, as where the local zone is UTC in Go. false: `why` says
 * what could not be read as what. */
bool time_parse(struct span layout, struct span text, struct instant *out, struct buffer *why);
/* "1h30m", "-1.5h", "1d": ns, us, ms, s, m, h, d, w (7 d), y (365 d). Likewise. */
bool duration_parse(struct span text, int64_t *ns, struct buffer *why);

#endif
