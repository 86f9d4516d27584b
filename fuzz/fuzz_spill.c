/* A block of a KV cache as it comes back from a spill store. The input says what the store does
 * with two blocks that it was given; what is opened must be what was sealed at that very place.
 *
 * Input: a byte each for which block is asked for, which is given, what is added to the block's
 * number, to its version and to its size; then bytes that are laid over the sealed block by XOR. */
#include <string.h>

#include "crypto/block_seal.h"
#include "fuzz.h"

#define BLOCK_BYTES 96u
#define SEALED_BYTES (BLOCK_BYTES + AEAD_TAG_BYTES)
#define ROOM_BYTES (SEALED_BYTES + 256)

struct sealed {
    struct block_key *key;
    struct block_place place;
    uint8_t plain[BLOCK_BYTES];
    uint8_t bytes[ROOM_BYTES];
};

/* Two of one session's, at other places; the third is another session's, at the place of the first.
 */
static const struct block_place places[] = {
    {5, 9, BLOCK_BYTES}, {6, 10, BLOCK_BYTES}, {5, 9, BLOCK_BYTES}};
#define BLOCKS ARRAY_LEN(places)

static void make(struct sealed *blocks)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        struct sealed *block = &blocks[i];
        *block = (struct sealed){.place = places[i], .key = i == 1 ? blocks[0].key : NULL};
        if (block->key == NULL)
            REQUIRE(block_key_create("lethe-kv-spill/1", &block->key, NULL) == LETHE_OK);
        memset(block->plain, 'a' + (int)i, BLOCK_BYTES);
        REQUIRE(block_seal(block->key, &block->place, block->plain, block->bytes,
                           block->bytes + BLOCK_BYTES) == LETHE_OK);
    }
}

static uint8_t next_byte(const uint8_t **data, size_t *size_bytes)
{
    if (*size_bytes == 0)
        return 0;
    --*size_bytes;
    return *(*data)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct sealed blocks[BLOCKS];
    uint8_t out[ROOM_BYTES], bytes[ROOM_BYTES];
    make(blocks);
    const struct sealed *wanted = &blocks[next_byte(&data, &size_bytes) % BLOCKS];
    const struct sealed *given = &blocks[next_byte(&data, &size_bytes) % BLOCKS];
    struct block_place place = wanted->place;
    place.block += (int8_t)next_byte(&data, &size_bytes) & 3;
    place.version += (uint64_t)(int64_t)(int8_t)next_byte(&data, &size_bytes);
    place.size_bytes = BLOCK_BYTES + (size_t)next_byte(&data, &size_bytes) % 128;

    memcpy(bytes, given->bytes, ROOM_BYTES);
    for (size_t i = 0; i < MIN(size_bytes, ROOM_BYTES); i++)
        bytes[i] ^= data[i];
    memset(out, 1, sizeof out);
    bool is_same = given->key == wanted->key && place.block == given->place.block &&
                   place.version == given->place.version && place.size_bytes == BLOCK_BYTES &&
                   memcmp(bytes, given->bytes, SEALED_BYTES) == 0;
    lethe_result result = block_open(wanted->key, &place, bytes, bytes + place.size_bytes, out);
    FUZZ_PROPERTY(result == (is_same ? LETHE_OK : LETHE_INTEGRITY));
    if (is_same)
        FUZZ_PROPERTY(memcmp(out, given->plain, BLOCK_BYTES) == 0);
    else
        FUZZ_PROPERTY(lethe_is_zero(out, place.size_bytes));
    block_key_free(blocks[0].key);
    block_key_free(blocks[2].key);
    return 0;
}
