/* pool/pool_rows.h -- what the control plane keeps: rows of the home's store.
 *
 *     pool/providers/SHA256(id)   a provider that joined once
 *     pool/leases/LEASE           a lease that has not ended, or whose provider is gone
 *     pool/quotas/TENANT          how much a tenant may hold
 *     pool/revoked/SHA256(id)     an identity that gets nothing any more
 *
 * Formats: docs/pool.md, "Rows". Nothing that changes with a renewal is here. A text is le32
 * length and bytes. Pure, but for pool_rows_load(). Thread rule: none. */
#ifndef POOL_POOL_ROWS_H
#define POOL_POOL_ROWS_H

#include "base/buffer.h"
#include "pool/wire.h"
#include "store/store.h"

#define POOL_ROWS_PREFIX "pool/"
#define POOL_PATH_SIZE 96u /* "pool/providers/" and 64 hex digits, or a tenant */

struct lease_row {
    struct lease_id lease;
    struct lease_id group; /* random; copies of one allocation have the same */
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t generation;
    uint64_t bytes;
    uint32_t block_bytes;
    uint64_t ttl_ms;
    uint64_t granted_ms;    /* wall clock, for people */
    enum lease_state state; /* GRANTED, for what is running in whichever state; or LOST */
    enum lease_cause cause; /* NONE, or why its provider was told to end it */
    char consumer[SPIFFE_ID_MAX + 1];
    char tenant[65];
    char provider[SPIFFE_ID_MAX + 1];
};
/* What operators want of a provider, by their numbers in rows. */
enum provider_wish {
    PROVIDER_OPEN,
    PROVIDER_DRAINING, /* nothing new is placed there, no token given */
    PROVIDER_STOPPED,  /* and every lease on it is ended, whenever it joins */
};
struct provider_row {
    char id[SPIFFE_ID_MAX + 1];
    char address[WIRE_ADDRESS_MAX + 1];
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t capacity_bytes;
    uint64_t joined_ms; /* wall clock, for people */
    enum provider_wish wish;
    bool lost; /* it was given up; its leases are LOST */
};
struct revoked_row {
    char id[SPIFFE_ID_MAX + 1];
    char reason[WIRE_REASON_MAX + 1];
    uint64_t revoked_ms; /* wall clock, for people */
};
struct quota_row {
    char tenant[65];
    uint64_t bytes;
};

void lease_row_path(const struct lease_id *lease, char out[POOL_PATH_SIZE]);
void provider_row_path(const char *id, char out[POOL_PATH_SIZE]);
void revoked_row_path(const char *id, char out[POOL_PATH_SIZE]);
void quota_row_path(const char *tenant, char out[POOL_PATH_SIZE]);

void lease_row_format(const struct lease_row *row, struct buffer *out);
void provider_row_format(const struct provider_row *row, struct buffer *out);
void revoked_row_format(const struct revoked_row *row, struct buffer *out);
void quota_row_format(const struct quota_row *row, struct buffer *out);
/* LETHE_MALFORMED: not exactly such a row. */
LETHE_MUST_CHECK lethe_result lease_row_parse(struct cursor cursor, struct lease_row *out);
LETHE_MUST_CHECK lethe_result provider_row_parse(struct cursor cursor, struct provider_row *out);
LETHE_MUST_CHECK lethe_result revoked_row_parse(struct cursor cursor, struct revoked_row *out);
LETHE_MUST_CHECK lethe_result quota_row_parse(struct cursor cursor, struct quota_row *out);

/* One row, by the family that its path says. What a callback gives but LETHE_OK ends the reading.
 */
struct pool_rows_visit {
    lethe_result (*provider)(void *context, const struct provider_row *row,
                             struct lethe_error *err);
    lethe_result (*lease)(void *context, const struct lease_row *row, struct lethe_error *err);
    lethe_result (*quota)(void *context, const struct quota_row *row, struct lethe_error *err);
    lethe_result (*revoked)(void *context, const struct revoked_row *row, struct lethe_error *err);
    void *context;
};
/* Every row: providers before leases. LETHE_INTEGRITY names a row that is none of these, or lies at
 * a path that is not its own. */
LETHE_MUST_CHECK lethe_result pool_rows_load(struct store *store,
                                             const struct pool_rows_visit *visit,
                                             struct lethe_error *err);

#endif
