/* A pool handle from a file. What is read says what can be, and is written and read as the same;
 * what a key is bound to is then the same, too. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pool/handle.h"

static void check_possible(const struct pool_handle *handle)
{
    uint64_t blocks = handle->bytes / handle->block_bytes;
    FUZZ_PROPERTY(handle->copies >= 1 && handle->copies <= WIRE_COPIES_MAX);
    FUZZ_PROPERTY(blocks >= 1 && blocks <= POOL_BLOCKS_MAX);
    FUZZ_PROPERTY(handle->size_bytes <= handle->bytes && handle->versions.written <= blocks);
    for (size_t i = 0; i < handle->versions.count; i++)
        FUZZ_PROPERTY(handle->entries[i].block < handle->versions.written);
}

static void check_same(const struct pool_handle *a, const struct pool_handle *b)
{
    struct buffer aad_a = {0}, aad_b = {0};
    pool_handle_aad(a, &aad_a);
    pool_handle_aad(b, &aad_b);
    FUZZ_PROPERTY(aad_a.size_bytes == aad_b.size_bytes &&
                  memcmp(aad_a.bytes, aad_b.bytes, aad_a.size_bytes) == 0);
    FUZZ_PROPERTY(strcmp(a->key, b->key) == 0);
    buffer_clear(&aad_a);
    buffer_clear(&aad_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static struct pool_handle handle, again;
    struct buffer text = {0};
    if (pool_handle_read((const char *)data, size_bytes, &handle, NULL) != LETHE_OK)
        return 0;
    check_possible(&handle);
    FUZZ_PROPERTY(pool_handle_write(&handle, &text, NULL) == LETHE_OK);
    FUZZ_PROPERTY(pool_handle_read(text.bytes, text.size_bytes, &again, NULL) == LETHE_OK);
    check_same(&handle, &again);
    buffer_clear(&text);
    return 0;
}
