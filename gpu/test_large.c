/* More than one launch holds, of each kind: for GPUs only, where it takes a second. */
#include "../tests/device/device_check.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/tree.h"

#define SIZE (((size_t)600 << 20) + 4099)
#define STEP ((size_t)16 << 20)

static uint8_t *bytes;
static struct device_memory *memory;

static void fill_fast(uint8_t *out, size_t size_bytes)
{
    for (size_t i = 0; i + 8 <= size_bytes; i += 8) {
        const uint64_t word = next_random();
        memcpy(out + i, &word, sizeof word);
    }
}

static void large_memory_is_had_and_filled(void **state)
{
    struct device_info info;
    bool is_zero;
    assert_ok(device_info(under_test.device, &info, &err), &err);
    bytes = calloc(1, SIZE);
    if (bytes == NULL || info.free_bytes < 2 * SIZE) {
        printf("# less than %zu MiB free on the GPU or the host\n", 2 * SIZE >> 20);
        free(bytes);
        bytes = NULL;
        skip();
    }
    memory = memory_of(SIZE);
    assert_ok(device_is_zero(memory, 0, SIZE, &is_zero, &err), &err);
    assert_true(is_zero);
    fill_fast(bytes, SIZE);
    for (size_t at = 0; at < SIZE; at += STEP)
        put(memory, at, bytes + at, MIN(STEP, SIZE - at));
}

static void need_memory(void)
{
    if (bytes == NULL)
        skip();
}

static void a_large_digest_is_that_of_the_host(void **state)
{
    uint8_t expected[32], digest[32], one = 0;
    need_memory();
    assert_ok(tree_digest(bytes, SIZE, 4, expected, &err), &err);
    assert_ok(device_digest(memory, DEVICE_FSVERITY, 1, digest, &err), &err);
    assert_memory_equal(digest, expected, 32);
    one = bytes[SIZE - 1] ^ 1;
    put(memory, SIZE - 1, &one, 1);
    assert_ok(device_digest(memory, DEVICE_FSVERITY, 1, digest, &err), &err);
    assert_memory_not_equal(digest, expected, 32);
    put(memory, SIZE - 1, &bytes[SIZE - 1], 1);
}

static void large_tags_are_those_of_the_host(void **state)
{
    const uint8_t key_bytes[32] = {42};
    uint8_t *tags = calloc(device_chunk_count(SIZE), DEVICE_TAG_BYTES), flipped;
    struct aead_key *host_key;
    need_memory();
    struct device_key *key = key_of(key_bytes);
    assert_ok(aead_key_create(key_bytes, 32, AEAD_BACKEND_BEST, &host_key, &err), &err);
    assert_ok(device_tags(memory, key, 1, tags, &err), &err);
    for (uint64_t i = 0; i < device_chunk_count(SIZE); i++) {
        uint8_t nonce[12] = {0}, expected[16];
        const uint64_t at = i * DEVICE_CHUNK_BYTES;
        nonce[10] = (uint8_t)(i >> 8);
        nonce[11] = (uint8_t)i;
        assert_result(LETHE_OK, aead_gmac(host_key, nonce, bytes + at,
                                          MIN(DEVICE_CHUNK_BYTES, SIZE - at), expected));
        assert_memory_equal(tags + i * DEVICE_TAG_BYTES, expected, 16);
    }
    assert_ok(device_check_tags(memory, key, 1, tags, &err), &err);
    const uint64_t place = (uint64_t)300 << 20 | 5; /* not in the first launch */
    flipped = bytes[place] ^ 8;
    put(memory, place, &flipped, 1);
    assert_result(LETHE_INTEGRITY, device_check_tags(memory, key, 1, tags, &err));
    assert_non_null(strstr(err.text, "bytes 314572800 to 315621376 "));
    aead_key_free(host_key);
    device_key_free(key);
    free(tags);
}

/* What was written before is not there for the next one. */
static void large_memory_is_wiped_and_freed(void **state)
{
    bool is_zero;
    need_memory();
    assert_ok(device_is_zero(memory, 0, SIZE, &is_zero, &err), &err);
    assert_false(is_zero);
    assert_ok(device_wipe(memory, 0, SIZE, &err), &err);
    assert_ok(device_is_zero(memory, 0, SIZE, &is_zero, &err), &err);
    assert_true(is_zero);
    free_ok(memory);
    free(bytes);
    bytes = NULL;
}

DEVICE_TESTS(large, cmocka_unit_test(large_memory_is_had_and_filled),
             cmocka_unit_test(a_large_digest_is_that_of_the_host),
             cmocka_unit_test(large_tags_are_those_of_the_host),
             cmocka_unit_test(large_memory_is_wiped_and_freed));
