#include "model/new_keys.h"

#include "base/error.h"

void new_key_clear(struct new_key *key)
{
    lethe_secret_free(key->data_key);
    buffer_clear(&key->aad);
    buffer_clear(&key->wrapped);
    *key = (struct new_key){0};
}

void new_keys_clear(struct new_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        new_key_clear(&keys->items[i]);
    keys->count = keys->taken = 0;
}

static lethe_result make_key(struct new_key *key, const struct new_keys_for *how, size_t shard,
                             struct lethe_error *err)
{
    *key = (struct new_key){.shard = shard};
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &key->data_key, err));
    if (random_fill(how->random, lethe_secret_bytes(key->data_key), AEAD_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    manifest_shard_aad(how->manifest, &how->manifest->shards[shard], &key->aad);
    return buffer_result(&key->aad, err);
}

static struct key_wrap wrap_of(struct new_key *key, const struct new_keys_for *how)
{
    const struct shard *shard = &how->manifest->shards[key->shard];
    return (struct key_wrap){.use = {.key = shard->key,
                                     .shard = shard->id,
                                     .purpose = how->purpose,
                                     .aad = key->aad.bytes,
                                     .aad_bytes = key->aad.size_bytes},
                             .data_key = key->data_key,
                             .wrapped = &key->wrapped};
}

static lethe_result wrap(struct new_keys *keys, const struct new_keys_for *how,
                         struct lethe_error *err)
{
    const struct key_source *source = how->keys;
    struct key_wrap items[KEYS_AHEAD_MAX];
    for (size_t i = 0; i < keys->count; i++)
        items[i] = wrap_of(&keys->items[i], how);
    if (keys->count > 1)
        return source->wrap_all(source->context, items, keys->count, err);
    return source->wrap(source->context, &items[0].use, items[0].data_key, items[0].wrapped, err);
}

static lethe_result make_all(struct new_keys *keys, const struct new_keys_for *how,
                             const size_t *shards, size_t count, struct lethe_error *err)
{
    while (keys->count < count) {
        size_t i = keys->count++;
        TRY(make_key(&keys->items[i], how, shards[i], err));
    }
    return wrap(keys, how, err);
}

lethe_result new_keys_make(struct new_keys *keys, const struct new_keys_for *how,
                           const size_t *shards, size_t count, struct lethe_error *err)
{
    REQUIRE(count > 0);
    new_keys_clear(keys);
    count = how->keys->wrap_all == NULL ? 1 : MIN(count, KEYS_AHEAD_MAX);
    lethe_result result = make_all(keys, how, shards, count, err);
    if (result != LETHE_OK)
        new_keys_clear(keys);
    return result;
}

bool new_keys_take(struct new_keys *keys, size_t shard, struct new_key *out)
{
    if (keys->taken == keys->count || keys->items[keys->taken].shard != shard)
        return false;
    struct new_key *key = &keys->items[keys->taken++];
    *out = *key;
    *key = (struct new_key){0}; /* moved */
    return true;
}
