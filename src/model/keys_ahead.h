/* model/keys_ahead.h -- data keys of shards that are opened soon, asked for together: records of
 * releases then become durable together, where one by one each would wait for the disk. No more are
 * held than KEYS_AHEAD_MAX, and each is wiped when its shard is open (Z-2). One thread at a time.
 */
#ifndef MODEL_KEYS_AHEAD_H
#define MODEL_KEYS_AHEAD_H

#include "model/opened.h"

#define KEYS_AHEAD_MAX 256u
/* Of plaintext between the first shard and the last that keys are got for: seconds of work. */
#define KEYS_AHEAD_BYTES ((uint64_t)256 << 20)

struct keys_ahead { /* struct keys_ahead a = {0}; is empty */
    size_t count;
    size_t taken;
    size_t shards[KEYS_AHEAD_MAX]; /* places in the manifest */
    struct lethe_secret *keys[KEYS_AHEAD_MAX];
};
void keys_ahead_clear(struct keys_ahead *ahead);
static inline void keys_ahead_clear_at_scope_end(struct keys_ahead *ahead)
{
    keys_ahead_clear(ahead);
}

/* Gets the keys of `shards`, the first KEYS_AHEAD_MAX of them. Whoever keeps the keys may not be
 * able to, or refuse one of them: then there are none, and each shard asks for its own and says
 * what is wrong. */
void keys_ahead_fill(struct keys_ahead *ahead, const struct model *model,
                     const struct shard_access *access, const size_t *shards, size_t count);
/* The caller's; NULL when it was not got. */
struct lethe_secret *keys_ahead_take(struct keys_ahead *ahead, size_t shard);

/* The shard at `first`, and those behind it that are next unless `skip` (NULL: none) has them; as
 * many as keys may be held for. For those who take one shard after another. */
size_t keys_ahead_choose(const struct manifest *manifest, const bool *skip, size_t first,
                         size_t shards[KEYS_AHEAD_MAX]);

#endif
