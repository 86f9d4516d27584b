/* pool/wire_core.h -- what the files of pool/wire.h and pool/token.h share: how fields stand in
 * frames. */
#ifndef POOL_WIRE_CORE_H
#define POOL_WIRE_CORE_H

#include "pool/wire.h"

#define WIRE_PROTOCOL "lethe-pool/1"

void put_text(struct buffer *out, const char *text);

/* Readers of fields give LETHE_MALFORMED and say nothing; `wire_done` says it for all of them: that
 * an index is not in the form of its type, or that something stands behind it. */
LETHE_MUST_CHECK lethe_result get_raw(struct cursor *cursor, void *out, size_t size_bytes);
LETHE_MUST_CHECK lethe_result get_bool(struct cursor *cursor, bool *out);
/* UTF-8 without NUL, shorter than `capacity` bytes. */
LETHE_MUST_CHECK lethe_result get_text(struct cursor *cursor, char *out, size_t capacity);
LETHE_MUST_CHECK lethe_result get_lease(struct cursor *cursor, struct lease_id *out);
/* "host:port": printable, and not empty. Whether it can be dialled shows when it is. */
LETHE_MUST_CHECK lethe_result get_address(struct cursor *cursor, char out[WIRE_ADDRESS_MAX + 1]);
LETHE_MUST_CHECK lethe_result get_spiffe(struct cursor *cursor, char out[SPIFFE_ID_MAX + 1]);

/* `fields` is how reading them went. */
LETHE_MUST_CHECK lethe_result wire_done(const struct cursor *cursor, lethe_result fields,
                                        const char *what, struct lethe_error *err);

/* Sizes and times that a lease may have: 4 KiB to 1 MiB, a power of two; ... */
bool pool_block_bytes_fit(uint64_t block_bytes);
bool pool_ttl_fits(uint64_t ttl_ms);
bool lease_id_is_zero(const struct lease_id *id);

#endif
