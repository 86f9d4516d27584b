#include "device_check.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/tree.h"

#define MEBIBYTE ((size_t)1 << 20)

static uint8_t *random_bytes(size_t size_bytes)
{
    uint8_t *bytes = malloc(size_bytes + 1);
    assert_non_null(bytes);
    fill_random(bytes, size_bytes);
    return bytes;
}

static struct device_memory *memory_with(const uint8_t *bytes, size_t size_bytes)
{
    struct device_memory *memory = memory_of(size_bytes);
    put(memory, 0, bytes, size_bytes);
    return memory;
}

static void flip(struct device_memory *memory, uint64_t at)
{
    uint8_t byte;
    assert_ok(device_read(memory, at, &byte, 1, &err), &err);
    byte ^= 1;
    put(memory, at, &byte, 1);
}

/* ---- digests --------------------------------------------------------------------------------- */

static const size_t sizes[] = {1,
                               2,
                               55,
                               56,
                               57,
                               63,
                               64,
                               65,
                               119,
                               120,
                               127,
                               128,
                               4095,
                               4096,
                               4097,
                               8192,
                               9000,
                               128 * 4096,
                               524287,
                               524289,
                               1 << 20,
                               (1 << 20) + 4096 + 1,
                               3 * (1 << 20) + 17};

static void digests_are_those_of_the_host(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t expected[32], digest[32];
        uint8_t *bytes = random_bytes(sizes[i]);
        struct device_memory *memory = memory_with(bytes, sizes[i]);
        assert_ok(tree_digest(bytes, sizes[i], 1, expected, &err), &err);
        assert_ok(device_digest(memory, DEVICE_FSVERITY, 2, digest, &err), &err);
        assert_memory_equal(digest, expected, sizeof digest);
        sha256(bytes, sizes[i], expected);
        assert_ok(device_digest(memory, DEVICE_SHA256, 1, digest, &err), &err);
        assert_memory_equal(digest, expected, sizeof digest);
        free_ok(memory);
        free(bytes);
    }
}

/* FIPS 180-4's "abc". */
static void a_published_digest_comes_out(void **state)
{
    uint8_t digest[32];
    struct device_memory *memory = memory_with((const uint8_t *)"abc", 3);
    assert_ok(device_digest(memory, DEVICE_SHA256, 1, digest, &err), &err);
    assert_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest, 32);
    free_ok(memory);
}

static void one_flipped_bit_changes_a_digest(void **state)
{
    const size_t size = 600001;
    uint8_t *bytes = random_bytes(size), before[2][32], after[32];
    struct device_memory *memory = memory_with(bytes, size);
    const enum device_digest kinds[] = {DEVICE_FSVERITY, DEVICE_SHA256};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        assert_ok(device_digest(memory, kinds[k], 1, before[k], &err), &err);
    for (size_t at = 0; at < size; at += 99991)
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            flip(memory, at);
            assert_ok(device_digest(memory, kinds[k], 1, after, &err), &err);
            assert_memory_not_equal(after, before[k], 32);
            flip(memory, at);
            assert_ok(device_digest(memory, kinds[k], 1, after, &err), &err);
            assert_memory_equal(after, before[k], 32);
        }
    free_ok(memory);
    free(bytes);
}

/* ---- tags ------------------------------------------------------------------------------------ */

static const size_t tagged_sizes[] = {1,        15,           16,           17,
                                      16384,    16385,        16400,        100000,
                                      MEBIBYTE, MEBIBYTE + 1, MEBIBYTE - 1, 2 * MEBIBYTE + 777};

static void expect_tags(const uint8_t *key_bytes, const uint8_t *bytes, size_t size_bytes,
                        uint8_t *tags)
{
    struct aead_key *key;
    assert_ok(aead_key_create(key_bytes, 32, AEAD_BACKEND_OPENSSL, &key, &err), &err);
    for (size_t i = 0; i * MEBIBYTE < size_bytes; i++) {
        uint8_t nonce[12] = {0};
        nonce[11] = (uint8_t)i;
        nonce[10] = (uint8_t)(i >> 8);
        assert_result(LETHE_OK, aead_gmac(key, nonce, bytes + i * MEBIBYTE,
                                          MIN(MEBIBYTE, size_bytes - i * MEBIBYTE), tags + 16 * i));
    }
    aead_key_free(key);
}

static void tags_are_those_of_the_host(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(tagged_sizes); i++) {
        const size_t size = tagged_sizes[i];
        uint8_t key_bytes[32], expected[3 * 16], tags[3 * 16];
        uint8_t *bytes = random_bytes(size);
        fill_random(key_bytes, sizeof key_bytes);
        struct device_memory *memory = memory_with(bytes, size);
        struct device_key *key = key_of(key_bytes);
        expect_tags(key_bytes, bytes, size, expected);
        assert_ok(device_tags(memory, key, 2, tags, &err), &err);
        assert_memory_equal(tags, expected, 16 * device_chunk_count(size));
        assert_ok(device_check_tags(memory, key, 2, expected, &err), &err);
        device_key_free(key);
        free_ok(memory);
        free(bytes);
    }
}

static void any_change_is_found_and_its_chunk_named(void **state)
{
    const size_t size = MEBIBYTE + 777;
    const uint64_t places[] = {0, 15, 4096, MEBIBYTE - 1, MEBIBYTE, size - 1};
    uint8_t key_bytes[32] = {9}, tags[2 * 16];
    uint8_t *bytes = random_bytes(size);
    struct device_memory *memory = memory_with(bytes, size);
    struct device_key *key = key_of(key_bytes);
    assert_ok(device_tags(memory, key, 1, tags, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char expected[64];
        uint64_t first = places[i] / MEBIBYTE * MEBIBYTE;
        flip(memory, places[i]);
        assert_refused(LETHE_INTEGRITY, device_check_tags(memory, key, 1, tags, &err), memory);
        snprintf(expected, sizeof expected, "bytes %" PRIu64 " to %" PRIu64 " ", first,
                 MIN(first + MEBIBYTE, size));
        assert_non_null(strstr(err.text, expected));
        flip(memory, places[i]);
        assert_ok(device_check_tags(memory, key, 1, tags, &err), &err);
    }
    for (size_t bit = 0; bit < 8 * sizeof tags; bit += 51) {
        tags[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_refused(LETHE_INTEGRITY, device_check_tags(memory, key, 1, tags, &err), memory);
        tags[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    key_bytes[31] ^= 1;
    struct device_key *other = key_of(key_bytes);
    assert_refused(LETHE_INTEGRITY, device_check_tags(memory, other, 1, tags, &err), memory);
    device_key_free(other);
    device_key_free(key);
    free_ok(memory);
    free(bytes);
}

/* ---- segments -------------------------------------------------------------------------------- */

#define SEGMENTS 24u

/* Segments of many sizes, one behind the other from an odd place. */
struct sealed {
    uint8_t key_bytes[32], nonces[SEGMENTS][12];
    uint8_t *plain, *cipher[SEGMENTS];
    struct device_segment segments[SEGMENTS];
    size_t first, size;
};

static size_t segment_size(size_t i)
{
    static const size_t all[] = {0,     1,     15,    16,    17,    31, 32,   33,
                                 47,    48,    255,   256,   64,    80, 99,   1000,
                                 16384, 16400, 32768, 32769, 40000, 5,  4096, 70001};
    return all[i % ARRAY_LEN(all)];
}

static void seal_all(struct sealed *s, size_t first)
{
    struct aead_key *key;
    fill_random(s->key_bytes, sizeof s->key_bytes);
    fill_random(s->nonces, sizeof s->nonces);
    assert_ok(aead_key_create(s->key_bytes, 32, AEAD_BACKEND_OPENSSL, &key, &err), &err);
    s->first = s->size = first;
    for (size_t i = 0; i < SEGMENTS; i++)
        s->size += segment_size(i);
    s->plain = random_bytes(s->size);
    size_t at = first;
    for (size_t i = 0; i < SEGMENTS; i++) {
        const size_t size = segment_size(i);
        s->cipher[i] = malloc(size + 16);
        const struct aead_message message = {
            .nonce = s->nonces[i], .in = s->plain + at, .out = s->cipher[i], .size_bytes = size};
        assert_result(LETHE_OK, aead_seal(key, &message, s->cipher[i] + size));
        s->segments[i] = (struct device_segment){
            .nonce = s->nonces[i], .cipher = s->cipher[i], .plain_bytes = size, .offset_bytes = at};
        at += size;
    }
    aead_key_free(key);
}

static void forget(struct sealed *s)
{
    for (size_t i = 0; i < SEGMENTS; i++)
        free(s->cipher[i]);
    free(s->plain);
}

static void segments_open_into_place(void **state)
{
    static const size_t firsts[] = {0, 1, 3, 4, 8, 15, 16, 19};
    for (size_t f = 0; f < ARRAY_LEN(firsts); f++) {
        const size_t first = firsts[f];
        struct sealed s;
        seal_all(&s, first);
        struct device_memory *memory = memory_of(s.size + 64);
        struct device_key *key = key_of(s.key_bytes);
        uint8_t *after = random_bytes(s.size + 64), edge[64];
        memset(edge, 0xe1, sizeof edge);
        put(memory, 0, edge, first);
        put(memory, s.size, edge, sizeof edge);
        assert_ok(device_open_segments(memory, key, s.segments, SEGMENTS, NULL, &err), &err);
        assert_ok(device_read(memory, 0, after, s.size + 64, &err), &err);
        assert_memory_equal(after + first, s.plain + first, s.size - first);
        assert_memory_equal(after, edge, first);
        assert_memory_equal(after + s.size, edge, sizeof edge);
        assert_ok(device_open_segments(memory, key, s.segments, 0, NULL, &err), &err);
        device_key_free(key);
        free_ok(memory);
        free(after);
        forget(&s);
    }
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, case 15. */
static void a_published_ciphertext_opens(void **state)
{
    struct vector key_bytes =
                      unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
                  nonce = unhex("cafebabefacedbaddecaf888"),
                  cipher = unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
                                 "b094dac5d93471bdec1a502270e3cc6c");
    uint8_t plain[64];
    struct device_memory *memory = memory_of(100);
    struct device_key *key = key_of(key_bytes.bytes);
    const struct device_segment segment = {
        .nonce = nonce.bytes, .cipher = cipher.bytes, .plain_bytes = 64, .offset_bytes = 11};
    assert_ok(device_open_segments(memory, key, &segment, 1, NULL, &err), &err);
    assert_ok(device_read(memory, 11, plain, sizeof plain, &err), &err);
    assert_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
               "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
               plain, sizeof plain);
    device_key_free(key);
    free_ok(memory);
}

static void assert_all_wiped(struct device_memory *memory, const struct sealed *s)
{
    bool is_zero;
    assert_ok(device_is_zero(memory, s->first, s->size - s->first, &is_zero, &err), &err);
    assert_true(is_zero);
}

/* Nothing of what was decrypted is left when any of it is forged. */
static void a_changed_segment_is_named_and_all_are_wiped(void **state)
{
    struct sealed s;
    seal_all(&s, 3);
    struct device_memory *memory = memory_of(s.size);
    struct device_key *key = key_of(s.key_bytes);
    for (size_t i = 0; i < SEGMENTS; i += i < 4 ? 1 : 5) {
        size_t size = segment_size(i), failed = 999;
        for (size_t at = 0; at < size + 16; at += size / 2 + 7) {
            s.cipher[i][at] ^= 0x10;
            assert_refused(LETHE_INTEGRITY,
                           device_open_segments(memory, key, s.segments, SEGMENTS, &failed, &err),
                           memory);
            assert_int_equal(failed, i);
            if (!on_host()) /* the host opens one after the other, and has not begun with the rest
                             */
                assert_all_wiped(memory, &s);
            s.cipher[i][at] ^= 0x10;
        }
        s.nonces[i][11] ^= 1;
        assert_result(LETHE_INTEGRITY,
                      device_open_segments(memory, key, s.segments, SEGMENTS, &failed, &err));
        assert_all_wiped(memory, &s);
        s.nonces[i][11] ^= 1;
    }
    device_key_free(key);
    s.key_bytes[0] ^= 0x80;
    key = key_of(s.key_bytes);
    assert_result(LETHE_INTEGRITY,
                  device_open_segments(memory, key, s.segments, SEGMENTS, NULL, &err));
    assert_all_wiped(memory, &s);
    device_key_free(key);
    free_ok(memory);
    forget(&s);
}

/* More than one launch holds. */
static void many_segments_open_in_one_call(void **state)
{
    enum { COUNT = 600, EACH = 48 };
    static uint8_t plain[COUNT * EACH], cipher[COUNT][EACH + 16], nonces[COUNT][12],
        after[COUNT * EACH];
    static struct device_segment segments[COUNT];
    const uint8_t key_bytes[32] = {3};
    struct aead_key *host_key;
    size_t failed;
    assert_ok(aead_key_create(key_bytes, 32, AEAD_BACKEND_OPENSSL, &host_key, &err), &err);
    fill_random(plain, sizeof plain);
    for (size_t i = 0; i < COUNT; i++) {
        nonces[i][0] = (uint8_t)i;
        nonces[i][1] = (uint8_t)(i >> 8);
        const struct aead_message m = {
            .nonce = nonces[i], .in = plain + i * EACH, .out = cipher[i], .size_bytes = EACH};
        assert_result(LETHE_OK, aead_seal(host_key, &m, cipher[i] + EACH));
        segments[i] = (struct device_segment){
            .nonce = nonces[i], .cipher = cipher[i], .plain_bytes = EACH, .offset_bytes = i * EACH};
    }
    struct device_memory *memory = memory_of(sizeof plain);
    struct device_key *key = key_of(key_bytes);
    assert_ok(device_open_segments(memory, key, segments, COUNT, NULL, &err), &err);
    assert_ok(device_read(memory, 0, after, sizeof after, &err), &err);
    assert_memory_equal(after, plain, sizeof plain);
    cipher[590][5] ^= 1;
    cipher[599][5] ^= 1;
    assert_result(LETHE_INTEGRITY,
                  device_open_segments(memory, key, segments, COUNT, &failed, &err));
    assert_int_equal(failed, 590);
    bool is_zero;
    assert_ok(device_is_zero(memory, 0, 591 * EACH, &is_zero, &err), &err);
    assert_true(is_zero);
    device_key_free(key);
    free_ok(memory);
    aead_key_free(host_key);
}

static void only_whole_keys_are_taken(void **state)
{
    const uint8_t bytes[33] = {1};
    for (size_t size = 1; size <= sizeof bytes; size++) {
        if (size == 32 || (on_host() && size == 16)) /* AES-128, for other people's streams */
            continue;
        struct lethe_secret *secret = secret_of(bytes, size);
        struct device_key *key = (struct device_key *)1;
        assert_refused(LETHE_INVALID, device_key_create(under_test.device, secret, &key, &err),
                       NULL);
        assert_null(key);
        lethe_secret_free(secret);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

struct part {
    struct device_memory *memory;
    struct device_key *key;
    const struct sealed *sealed;
    size_t first;
};

static void *open_a_part(void *context)
{
    const struct part *part = context;
    struct lethe_error own = {0};
    for (unsigned i = 0; i < 3; i++)
        if (device_open_segments(part->memory, part->key, part->sealed->segments + part->first,
                                 SEGMENTS / 2, NULL, &own) != LETHE_OK)
            return context;
    return NULL;
}

static void threads_decrypt_into_one_memory(void **state)
{
    struct sealed s;
    seal_all(&s, 0);
    uint8_t *after = random_bytes(s.size);
    struct part parts[2] = {{memory_of(s.size), key_of(s.key_bytes), &s, 0}};
    parts[1] = parts[0];
    parts[1].first = SEGMENTS / 2;
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_a_part, &parts[i]), 0);
    assert_joined(threads, ARRAY_LEN(threads));
    assert_ok(device_read(parts[0].memory, 0, after, s.size, &err), &err);
    assert_memory_equal(after, s.plain, s.size);
    device_key_free(parts[0].key);
    free_ok(parts[0].memory);
    free(after);
    forget(&s);
}

DEVICE_TESTS(compute, cmocka_unit_test(digests_are_those_of_the_host),
             cmocka_unit_test(a_published_digest_comes_out),
             cmocka_unit_test(one_flipped_bit_changes_a_digest),
             cmocka_unit_test(tags_are_those_of_the_host),
             cmocka_unit_test(any_change_is_found_and_its_chunk_named),
             cmocka_unit_test(a_published_ciphertext_opens),
             cmocka_unit_test(segments_open_into_place),
             cmocka_unit_test(a_changed_segment_is_named_and_all_are_wiped),
             cmocka_unit_test(many_segments_open_in_one_call),
             cmocka_unit_test(only_whole_keys_are_taken),
             cmocka_unit_test(threads_decrypt_into_one_memory));
