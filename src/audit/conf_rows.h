/* audit/conf_rows.h -- the keys of section [audit], for every file of settings that has one. */
#ifndef AUDIT_CONF_ROWS_H
#define AUDIT_CONF_ROWS_H

#include "audit/log.h"
#include "base/conf.h"

#define AUDIT_KIB ((uint64_t)1 << 10)
#define AUDIT_GIB ((uint64_t)1 << 30)
#define AUDIT_TIB ((uint64_t)1 << 40)
#define AUDIT_HOUR ((uint64_t)3600)
#define AUDIT_YEAR ((uint64_t)366 * 86400)

/* AT(member): where that member of struct audit_limits lies in what the file fills. */
/* clang-format off */
#define AUDIT_CONF_ROWS(AT)                                                                        \
    {"audit", "rotate_bytes", CONF_BYTES, 4 * AUDIT_KIB, AUDIT_TIB, false, 0, AT(rotate_bytes)},   \
    {"audit", "rotate_after", CONF_SECONDS, 60, AUDIT_YEAR, true, AUDIT_NO_LIMIT, AT(rotate_s)},   \
    {"audit", "keep_bytes", CONF_BYTES, 4 * AUDIT_KIB, AUDIT_TIB, true, 0, AT(keep_bytes)},        \
    {"audit", "keep_for", CONF_SECONDS, AUDIT_HOUR, 100 * AUDIT_YEAR, true, 0, AT(keep_s)},        \
    {"audit", "flush_records", CONF_COUNT, 1, 100000, false, 0, AT(flush_records)},                \
    {"audit", "flush_after", CONF_MILLISECONDS, 1, AUDIT_HOUR * 1000, false, 0, AT(flush_ms)},     \
    {"audit", "queue_bytes", CONF_BYTES, 64 * AUDIT_KIB, AUDIT_GIB, false, 0, AT(queue_bytes)},    \
    {"audit", "free_floor", CONF_BYTES, 64 * AUDIT_KIB, AUDIT_TIB, true, AUDIT_NO_LIMIT,           \
     AT(free_floor_bytes)},                                                                        \
    {"audit", "identity_bytes", CONF_BYTES, 64 * AUDIT_KIB, AUDIT_TIB, true, AUDIT_NO_LIMIT,       \
     AT(identity_bytes)},                                                                          \
    {"audit", "identity_interval", CONF_SECONDS, 1, AUDIT_YEAR, false, 0, AT(identity_interval_s)}
/* clang-format on */

#endif
