/* policy/time_zone.h -- time zones, from the files of the IANA database that the system has.
 *
 * A file is TZif (RFC 8536): bytes from outside. Reading one checks all of it; looking up cannot
 * fail after that. Nothing is copied: the bytes must live as long as the zone. Thread rule: pure
 * functions; zone_load reads a file. */
#ifndef POLICY_TIME_ZONE_H
#define POLICY_TIME_ZONE_H

#include "policy/time_layout.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define ZONE_FILE_MAX_BYTES 65536 /* the largest has 4 KiB */
#define ZONE_NAME_MAX 64

/* A day in every year: "J60" is March 1, "59" the 60th day, "M3.2.0" the second Sunday of March. */
struct rule_day {
    enum { RULE_DAY_JULIAN, RULE_DAY_NUMBER, RULE_DAY_WEEKDAY } kind;
    int32_t month, week, day;
    int32_t time_s; /* since midnight; a week back or forth */
};
/* What goes on for ever after the last transition in a file: POSIX's TZ. */
struct zone_rule {
    struct span standard_name, daylight_name;
    int32_t standard_offset_s, daylight_offset_s;
    bool has_daylight;
    struct rule_day start, end; /* of daylight time */
};
/* The whole text, or it is none. */
bool zone_rule_read(struct span text, struct zone_rule *out);

struct zone {
    const uint8_t *times, *time_types; /* transitions: when, to which type */
    const uint8_t *types;              /* offset, daylight, abbreviation */
    const char *names;
    uint32_t time_count, type_count;
    uint32_t time_bytes; /* 4 or 8 */
    bool has_rule;
    struct zone_rule rule;
};

struct zone_period {
    int32_t offset_s; /* ahead of UTC */
    struct span name; /* "CEST" */
};

/* false: `why` says what is wrong with the bytes. */
bool zone_read(const void *bytes, size_t size_bytes, struct zone *out, struct buffer *why);
/* A zone of NULL is UTC. */
struct zone_period zone_find(const struct zone *zone, int64_t seconds);
struct zone_period zone_rule_find(const struct zone_rule *rule, int64_t seconds);
/* The moment at which clocks in a zone show a time, given as if it were UTC. Of a time that they
 * show twice one of the two, of one that they skip one near it: as Go does. */
int64_t zone_to_utc(const struct zone *zone, int64_t local_seconds);

/* "Europe/Zurich", or "Local": that of the system. `bytes` gets the file; {0} before.
 * LETHE_INVALID: `why` says that the zone is not known. */
LETHE_MUST_CHECK lethe_result zone_load(struct span name, struct buffer *bytes, struct zone *out,
                                        struct buffer *why);

#endif
