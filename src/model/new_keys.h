/* model/new_keys.h -- data keys of shards that are sealed soon, made and wrapped together: whoever
 * keeps the keys is asked once instead of once for each. No more are held than KEYS_AHEAD_MAX, and
 * each is wiped when its shard was begun (Z-2). One thread at a time. */
#ifndef MODEL_NEW_KEYS_H
#define MODEL_NEW_KEYS_H

#include "crypto/crypto.h"
#include "model/keys_ahead.h"

struct new_key {  /* struct new_key k = {0}; is none */
    size_t shard; /* place in the manifest */
    struct lethe_secret *data_key;
    struct buffer aad; /* the shard's, to which it is bound */
    struct buffer wrapped;
};
void new_key_clear(struct new_key *key);
static inline void new_key_clear_at_scope_end(struct new_key *key)
{
    new_key_clear(key);
}

struct new_keys { /* struct new_keys n = {0}; is empty */
    size_t count;
    size_t taken;
    struct new_key items[KEYS_AHEAD_MAX];
};
void new_keys_clear(struct new_keys *keys);

struct new_keys_for {
    const struct manifest *manifest;
    const struct key_source *keys;
    const char *purpose; /* as in struct key_use */
    const struct random_source *random;
};
/* Makes those of `shards`, or of the first only, when they cannot be wrapped together. On failure
 * there are none. */
LETHE_MUST_CHECK lethe_result new_keys_make(struct new_keys *keys, const struct new_keys_for *how,
                                            const size_t *shards, size_t count,
                                            struct lethe_error *err);
/* The caller's, for new_key_clear(); false when it was not made. They are taken in order. */
bool new_keys_take(struct new_keys *keys, size_t shard, struct new_key *out);

#endif
