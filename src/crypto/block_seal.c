#include "crypto/block_seal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

struct block_key {
    struct aead_key *aead;
    size_t label_bytes;
    char label[BLOCK_LABEL_MAX];
    uint8_t space[BLOCK_SPACE_BYTES];
};

lethe_result block_key_create(const char *label, struct block_key **out, struct lethe_error *err)
{
    *out = NULL;
    uint8_t space[BLOCK_SPACE_BYTES];
    CLEANUP(lethe_secret_free) struct lethe_secret *bytes = NULL;
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &bytes, err));
    if (random_fill(&random_system, lethe_secret_bytes(bytes), AEAD_KEY_BYTES) != LETHE_OK ||
        random_fill(&random_system, space, sizeof space) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    return block_key_restore(label, bytes, space, out, err);
}

lethe_result block_key_restore(const char *label, const struct lethe_secret *bytes,
                               const uint8_t space[BLOCK_SPACE_BYTES], struct block_key **out,
                               struct lethe_error *err)
{
    *out = NULL;
    size_t label_bytes = strlen(label);
    REQUIRE(label_bytes <= BLOCK_LABEL_MAX);
    CLEANUP(block_key_free) struct block_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key of blocks");
    memcpy(key->label, label, label_bytes);
    key->label_bytes = label_bytes;
    memcpy(key->space, space, BLOCK_SPACE_BYTES);
    TRY(aead_key_create(lethe_secret_bytes_const(bytes), lethe_secret_size(bytes),
                        AEAD_BACKEND_BEST, &key->aead, err));
    *out = MOVE(key);
    return LETHE_OK;
}

void block_key_free(struct block_key *key)
{
    if (key == NULL)
        return;
    aead_key_free(key->aead);
    free(key);
}

const uint8_t *block_key_space(const struct block_key *key)
{
    return key->space;
}

static void put_le(uint8_t *out, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* What binds a text to its place. */
struct binding {
    uint8_t nonce[AEAD_NONCE_BYTES];
    size_t aad_bytes;
    uint8_t aad[BLOCK_LABEL_MAX + BLOCK_SPACE_BYTES + 24];
};

static struct binding bind(const struct block_key *key, const struct block_place *place)
{
    struct binding binding;
    REQUIRE(place->block < BLOCK_COUNT_MAX);
    uint8_t *at = binding.aad + key->label_bytes;
    memcpy(binding.aad, key->label, key->label_bytes);
    memcpy(at, key->space, BLOCK_SPACE_BYTES);
    put_le(at + 16, place->block, 8);
    put_le(binding.nonce, place->block, 4);
    put_le(at + 24, place->version, 8);
    put_le(binding.nonce + 4, place->version, 8);
    put_le(at + 32, place->size_bytes, 8);
    binding.aad_bytes = key->label_bytes + BLOCK_SPACE_BYTES + 24;
    return binding;
}

static struct aead_message message_of(const struct binding *binding, const void *in, void *out,
                                      size_t size_bytes)
{
    return (struct aead_message){.nonce = binding->nonce,
                                 .aad = binding->aad,
                                 .aad_bytes = binding->aad_bytes,
                                 .in = in,
                                 .out = out,
                                 .size_bytes = size_bytes};
}

lethe_result block_seal(const struct block_key *key, const struct block_place *place,
                        const void *in, uint8_t *out, uint8_t tag[AEAD_TAG_BYTES])
{
    const struct binding binding = bind(key, place);
    const struct aead_message message = message_of(&binding, in, out, place->size_bytes);
    return aead_seal(key->aead, &message, tag);
}

lethe_result block_open(const struct block_key *key, const struct block_place *place,
                        const uint8_t *in, const uint8_t tag[AEAD_TAG_BYTES], void *out)
{
    const struct binding binding = bind(key, place);
    const struct aead_message message = message_of(&binding, in, out, place->size_bytes);
    return aead_open(key->aead, &message, tag);
}
