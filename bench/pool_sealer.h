/* bench/pool_sealer.h -- blocks that leave sealed, for a client without a pool: in pieces as ours,
 * with a version of each block that was never used before. Ends the program where something fails.
 * Thread rule: one thread at a time. */
#ifndef BENCH_POOL_SEALER_H
#define BENCH_POOL_SEALER_H

#include "base/base.h"

struct pool_sealer;
/* `block_bytes` is a multiple of `piece_bytes`. */
struct pool_sealer *pool_sealer_open(uint32_t blocks, size_t block_bytes, size_t piece_bytes);
void pool_sealer_close(struct pool_sealer *sealer); /* NULL is fine */

void pool_sealer_seal(struct pool_sealer *sealer, uint32_t block, uint32_t version,
                      const uint8_t *in, uint8_t *out);
/* In place. */
void pool_sealer_unseal(const struct pool_sealer *sealer, uint32_t block, uint32_t version,
                        uint8_t *bytes);

#endif
