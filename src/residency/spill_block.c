#include "residency/spill_block.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

struct spill_key {
    struct aead_key *aead;
    uint8_t space[16];
};

lethe_result spill_key_create(struct spill_key **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *bytes = NULL;
    CLEANUP(spill_key_free) struct spill_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session's spill key");
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &bytes, err));
    if (random_fill(&random_system, lethe_secret_bytes(bytes), AEAD_KEY_BYTES) != LETHE_OK ||
        random_fill(&random_system, key->space, sizeof key->space) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    TRY(aead_key_create(lethe_secret_bytes(bytes), AEAD_KEY_BYTES, AEAD_BACKEND_BEST, &key->aead,
                        err));
    *out = MOVE(key);
    return LETHE_OK;
}

void spill_key_free(struct spill_key *key)
{
    if (key == NULL)
        return;
    aead_key_free(key->aead);
    free(key);
}

struct lethe_spill_id spill_id(const struct spill_key *key, uint64_t block)
{
    struct lethe_spill_id id = {.block = block};
    memcpy(id.space, key->space, sizeof id.space);
    return id;
}

static void put_le(uint8_t *out, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* What binds a text to its place. */
struct binding {
    uint8_t nonce[AEAD_NONCE_BYTES];
    uint8_t aad[56];
};

static struct binding bind(const struct spill_key *key, const struct spill_place *place,
                           size_t size_bytes)
{
    struct binding binding;
    REQUIRE(place->block < SPILL_BLOCKS_MAX);
    put_le(binding.nonce, place->block, 4);
    put_le(binding.nonce + 4, place->version, 8);
    memcpy(binding.aad, "lethe-kv-spill/1", 16);
    memcpy(binding.aad + 16, key->space, 16);
    put_le(binding.aad + 32, place->block, 8);
    put_le(binding.aad + 40, place->version, 8);
    put_le(binding.aad + 48, size_bytes, 8);
    return binding;
}

static struct aead_message message_of(const struct binding *binding, const void *in, void *out,
                                      size_t size_bytes)
{
    return (struct aead_message){.nonce = binding->nonce,
                                 .aad = binding->aad,
                                 .aad_bytes = sizeof binding->aad,
                                 .in = in,
                                 .out = out,
                                 .size_bytes = size_bytes};
}

lethe_result spill_block_seal(const struct spill_key *key, const struct spill_place *place,
                              const void *bytes, size_t size_bytes, uint8_t *out)
{
    const struct binding binding = bind(key, place, size_bytes);
    const struct aead_message message = message_of(&binding, bytes, out, size_bytes);
    return aead_seal(key->aead, &message, out + size_bytes);
}

lethe_result spill_block_open(const struct spill_key *key, const struct spill_place *place,
                              const uint8_t *sealed, size_t size_bytes, void *out)
{
    const struct binding binding = bind(key, place, size_bytes);
    const struct aead_message message = message_of(&binding, sealed, out, size_bytes);
    return aead_open(key->aead, &message, sealed + size_bytes);
}
