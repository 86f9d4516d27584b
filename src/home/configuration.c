#include "home/configuration.h"

#define KIB ((uint64_t)1 << 10)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define HOUR 3600u
#define YEAR ((uint64_t)366 * 86400)

#define AUDIT(member) offsetof(struct configuration, audit.member)

/* A row here is a key of lethe.conf; docs/configuration.md says what each means. */
static const struct conf_row rows[] = {
    {"audit", "rotate_bytes", CONF_BYTES, 4 * KIB, TIB, false, 0, AUDIT(rotate_bytes)},
    {"audit", "rotate_after", CONF_SECONDS, 60, YEAR, true, AUDIT_NO_LIMIT, AUDIT(rotate_s)},
    {"audit", "keep_bytes", CONF_BYTES, 4 * KIB, TIB, true, 0, AUDIT(keep_bytes)},
    {"audit", "keep_for", CONF_SECONDS, HOUR, 100 * YEAR, true, 0, AUDIT(keep_s)},
    {"audit", "flush_records", CONF_COUNT, 1, 100000, false, 0, AUDIT(flush_records)},
    {"audit", "flush_after", CONF_MILLISECONDS, 1, HOUR * 1000, false, 0, AUDIT(flush_ms)},
    {"audit", "queue_bytes", CONF_BYTES, 64 * KIB, GIB, false, 0, AUDIT(queue_bytes)},
    {"audit", "free_floor", CONF_BYTES, 64 * KIB, TIB, true, AUDIT_NO_LIMIT,
     AUDIT(free_floor_bytes)},
    {"audit", "identity_bytes", CONF_BYTES, 64 * KIB, TIB, true, AUDIT_NO_LIMIT,
     AUDIT(identity_bytes)},
    {"audit", "identity_interval", CONF_SECONDS, 1, YEAR, false, 0, AUDIT(identity_interval_s)},
};
const struct conf_table configuration_table = {rows, ARRAY_LEN(rows)};

lethe_result configuration_read(const char *path, struct configuration *out,
                                struct lethe_error *err)
{
    struct lethe_error why = {0};
    *out = (struct configuration){0};
    lethe_result result = conf_read(path, &configuration_table, out, &out->set, &why);
    if (result == LETHE_NOT_FOUND) /* a home needs none, and the caller's error stays as it was */
        return LETHE_OK;
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}
