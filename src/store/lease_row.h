/* store/lease_row.h -- what the store writes down of a lease, and what that means at a moment. */
#ifndef STORE_LEASE_ROW_H
#define STORE_LEASE_ROW_H

#include "store/lease.h"

#define LEASE_ROWS "~lease/" /* and the id, 16 hexadecimal digits */

struct lease_row {
    uint64_t id;
    uint32_t ttl_s;
    uint8_t boot[STORE_BOOT_BYTES]; /* what until_ms was read from */
    uint64_t until_ms;
};

#define LEASE_PATH_BYTES (sizeof LEASE_ROWS + 16)
void lease_path(uint64_t id, char out[LEASE_PATH_BYTES]);
#define LEASE_VALUE_BYTES (sizeof(uint32_t) + STORE_BOOT_BYTES + sizeof(uint64_t))
void lease_value(const struct lease_row *lease, uint8_t out[LEASE_VALUE_BYTES]);
/* LETHE_INTEGRITY: not what we write. */
LETHE_MUST_CHECK lethe_result lease_row_read(const char *path, const void *value, size_t size_bytes,
                                             struct lease_row *out, struct lethe_error *err);

/* Its whole time from now on. */
void lease_start(struct lease_row *lease, const struct store_clock *clock, uint64_t now_ms);
/* The clock began anew, or stepped back, since the lease was started: how much time went by is not
 * known. */
bool lease_is_adrift(const struct lease_row *lease, const struct store_clock *clock,
                     uint64_t now_ms);
/* 0 when it is overdue; its whole time when it is adrift. */
uint64_t lease_left_ms(const struct lease_row *lease, const struct store_clock *clock,
                       uint64_t now_ms);

#endif
