/* What GPUs compute, computed here: against published vectors, and against crypto/. */
#include "../crypto/crypto_check.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "device/arithmetic/kernels.h"

/* Ordinary memory, at its own address. */
uint8_t gpu_load1(uint64_t address)
{
    return *(const uint8_t *)(uintptr_t)address;
}

void gpu_store1(uint64_t address, uint8_t value)
{
    *(uint8_t *)(uintptr_t)address = value;
}

uint32_t gpu_load4(uint64_t address)
{
    uint32_t value;
    memcpy(&value, (const void *)(uintptr_t)address, sizeof value);
    return value;
}

void gpu_store4(uint64_t address, uint32_t value)
{
    memcpy((void *)(uintptr_t)address, &value, sizeof value);
}

struct words gpu_load16(uint64_t address)
{
    struct words value;
    memcpy(&value, (const void *)(uintptr_t)address, sizeof value);
    return value;
}

void gpu_store16(uint64_t address, struct words value)
{
    memcpy((void *)(uintptr_t)address, &value, sizeof value);
}

/* ---- AES ------------------------------------------------------------------------------------- */

static void assert_aes(const char *key_hex, const char *plain_hex, const char *cipher_hex)
{
    struct vector key = unhex(key_hex), plain = unhex(plain_hex);
    uint8_t schedule[AES_SCHEDULE_BYTES];
    struct words block, other;
    aes_expand((uintptr_t)key.bytes, (uintptr_t)schedule);
    for (unsigned place = 0; place < 2; place++) { /* beside another block, on either side */
        fill_random(&other, sizeof other);
        memcpy(&block, plain.bytes, sizeof block);
        if (place == 0)
            aes_encrypt((uintptr_t)schedule, &block, &other);
        else
            aes_encrypt((uintptr_t)schedule, &other, &block);
        assert_hex(cipher_hex, &block, sizeof block);
    }
}

/* FIPS 197, C.3, and SP 800-38A, F.1.5. */
static void aes_gives_the_published_answers(void **state)
{
    static const char key[] = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    assert_aes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
               "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089");
    assert_aes(key, "6bc1bee22e409f96e93d7e117393172a", "f3eed1bdb5d2a03c064b5a7e3db181f8");
    assert_aes(key, "ae2d8a571e03ac9c9eb76fac45af8e51", "591ccb10d410ed26dc5ba74a31362870");
    assert_aes(key, "30c81c46a35ce411e5fbc1191a0a52ef", "b6ed21b99ca6f4f9f153e7b1beafed1d");
    assert_aes(key, "f69f2445df4f9b17ad2b417be66c3710", "23304b7a39f9f3ff067d8d8f9e24ecc7");
}

/* FIPS 197, 4.2 and 5.1.1: from the definition, by trying. */
static uint8_t multiply_bytes(uint8_t a, uint8_t b)
{
    uint8_t product = 0;
    for (; b != 0; b >>= 1, a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0)))
        if (b & 1)
            product ^= a;
    return product;
}

static uint8_t s_box(uint8_t x)
{
    uint8_t inverse = 0, out = 0x63;
    for (unsigned y = 1; y < 256; y++)
        if (multiply_bytes(x, (uint8_t)y) == 1)
            inverse = (uint8_t)y;
    for (unsigned turn = 0; turn < 5; turn++)
        out ^= (uint8_t)(inverse << turn | inverse >> (8 - turn));
    return out;
}

static void the_circuit_is_the_s_box(void **state)
{
    assert_int_equal(s_box(0x53), 0xed); /* FIPS 197, 5.1.1 */
    for (unsigned x = 0; x < 256; x++) {
        const uint32_t word = x | (x ^ 0x5a) << 8 | (x ^ 0xff) << 16 | (255 - x) << 24;
        const uint32_t got = aes_substitute_word(word);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(got >> 8 * i & 0xff, s_box((uint8_t)(word >> 8 * i)));
    }
}

/* ---- SHA-256 --------------------------------------------------------------------------------- */

/* FIPS 180-4's examples: two blocks, and a million times "a". */
static void sha_256_gives_the_published_answers(void **state)
{
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    uint8_t digest[32], *many = malloc(1000000);
    struct hash_stream_task task = {.threads = 1,
                                    .address = (uintptr_t)text,
                                    .size_bytes = 56,
                                    .total_bytes = 56,
                                    .state = (uintptr_t)digest,
                                    .is_first = 1};
    hash_stream_thread(&task, 0);
    assert_hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", digest, 32);
    memset(many, 'a', 1000000);
    for (size_t done = 0; done < 1000000; done += 64 * 1000) { /* in steps */
        task.address = (uintptr_t)(many + done);
        task.size_bytes = MIN(64 * 1000, 1000000 - done);
        task.total_bytes = done + task.size_bytes == 1000000 ? 1000000 : 0;
        task.is_first = done == 0;
        hash_stream_thread(&task, 0);
    }
    assert_hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", digest, 32);
    free(many);
}

/* ---- GHASH ----------------------------------------------------------------------------------- */

/* SP 800-38D, 6.3, algorithm 1: a bit at a time. */
static struct field multiply_slowly(struct field x, struct field y)
{
    struct field z = {0, 0};
    for (unsigned i = 0; i < 128; i++) {
        if ((i < 64 ? x.high >> (63 - i) : x.low >> (127 - i)) & 1)
            z = field_add(z, y);
        const uint64_t out = y.low & 1;
        y.low = y.low >> 1 | y.high << 63;
        y.high = y.high >> 1 ^ (out != 0 ? 0xe100000000000000u : 0);
    }
    return z;
}

static void assert_product(struct field a, struct field b)
{
    const struct field expected = multiply_slowly(a, b), got = field_multiply(a, b);
    assert_true(got.high == expected.high && got.low == expected.low);
}

/* Every pair of bits, all ones (where most is carried), and at random. */
static void the_field_multiplies_as_defined(void **state)
{
    const struct field ones = {UINT64_MAX, UINT64_MAX};
    for (unsigned i = 0; i < 128; i++)
        for (unsigned j = 0; j < 128; j++) {
            struct field a = {i < 64 ? 1ull << i : 0, i < 64 ? 0 : 1ull << (i - 64)};
            struct field b = {j < 64 ? 1ull << j : 0, j < 64 ? 0 : 1ull << (j - 64)};
            assert_product(a, b);
            assert_product(field_add(a, ones), b);
            assert_product(field_add(a, ones), field_add(b, ones));
        }
    assert_product(ones, ones);
    for (unsigned i = 0; i < 20000; i++) {
        struct field a = {next_random(), next_random()}, b = {next_random(), next_random()};
        assert_product(a, b);
    }
}

/* ---- GCM and GMAC as the kernels do it ------------------------------------------------------- */

struct gcm_run {
    uint8_t key[32] __attribute__((aligned(64)));
    uint8_t prepared[PREPARED_BYTES] __attribute__((aligned(64)));
    uint8_t partials[MAX(16 * KERNEL_LANES, TEXT_TILES *TILE_SUM_BYTES)]
        __attribute__((aligned(64)));
    uint8_t sums[16 * MAX(ADD_LANES_THREADS, TEXT_TILES)] __attribute__((aligned(64)));
    uint8_t tag[16] __attribute__((aligned(64)));
    struct kernel_text text;
};

static void run_prepare(struct gcm_run *run)
{
    const struct prepare_key_task key = {1, (uintptr_t)run->key, (uintptr_t)run->prepared};
    const struct prepare_powers_task powers = {PREPARE_POWERS_THREADS, (uintptr_t)run->prepared};
    const struct prepare_matrices_task matrices = {MATRICES_WORDS, (uintptr_t)run->prepared};
    prepare_key_thread(&key, 0);
    for (uint64_t i = 0; i < powers.threads; i++)
        prepare_powers_thread(&powers, i);
    for (uint64_t i = 0; i < matrices.threads; i++)
        prepare_matrices_thread(&matrices, i);
}

static void run_gmac(struct gcm_run *run)
{
    const struct gmac_task tiles = {TEXT_TILES * WARP_LANES, (uintptr_t)&run->text,
                                    (uintptr_t)run->prepared, (uintptr_t)run->partials};
    const struct add_columns_task columns = {TEXT_TILES, (uintptr_t)&run->text,
                                             (uintptr_t)run->prepared, (uintptr_t)run->partials,
                                             (uintptr_t)run->sums};
    for (uint64_t i = 0; i < tiles.threads; i++)
        gmac_thread(&tiles, i);
    for (uint64_t i = 0; i < columns.threads; i++)
        add_columns_thread(&columns, i);
}

static void run_gcm(struct gcm_run *run)
{
    const struct gcm_task lanes = {KERNEL_LANES, (uintptr_t)&run->text, (uintptr_t)run->prepared,
                                   (uintptr_t)run->partials};
    const struct add_lanes_task sums = {ADD_LANES_THREADS, (uintptr_t)run->partials,
                                        (uintptr_t)run->sums};
    for (uint64_t i = 0; i < lanes.threads; i++)
        gcm_thread(&lanes, i);
    for (uint64_t i = 0; i < sums.threads; i++)
        add_lanes_thread(&sums, i);
}

static void run_kernels(struct gcm_run *run, bool is_gcm)
{
    const struct finish_tags_task finish = {1,
                                            (uintptr_t)&run->text,
                                            (uintptr_t)run->prepared,
                                            (uintptr_t)run->sums,
                                            is_gcm ? ADD_LANES_THREADS : TEXT_TILES,
                                            (uintptr_t)run->tag,
                                            is_gcm};
    run_prepare(run);
    memset(run->partials, 0xa5, sizeof run->partials); /* nothing relies on what was there */
    memset(run->sums, 0xa5, sizeof run->sums);
    (is_gcm ? run_gcm : run_gmac)(run);
    finish_tags_thread(&finish, 0);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B: cases 13 to 15. */
static const struct {
    const char *key, *nonce, *plain, *cipher, *tag;
} known[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b"
     "5"
     "25b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828"
     "8"
     "38c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
};

static void gcm_gives_the_published_answers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct vector key = unhex(known[i].key), nonce = unhex(known[i].nonce),
                      text = unhex(known[i].cipher);
        struct gcm_run *run = aligned_alloc(64, (sizeof *run + 63) / 64 * 64);
        memcpy(run->key, key.bytes, 32);
        run->text = (struct kernel_text){(uintptr_t)text.bytes, text.size_bytes, {0}, {0}};
        memcpy(run->text.nonce, nonce.bytes, 12);
        run_kernels(run, true);
        assert_hex(known[i].plain, text.bytes, text.size_bytes);
        assert_hex(known[i].tag, run->tag, 16);
        free(run);
    }
}

static void compare_once(struct gcm_run *run, uint8_t *plain, uint8_t *cipher, size_t size)
{
    struct lethe_error err = {0};
    struct aead_key *key;
    uint8_t tag[16];
    fill_random(run->key, sizeof run->key);
    fill_random(run->text.nonce, sizeof run->text.nonce);
    fill_random(plain, size);
    assert_ok(aead_key_create(run->key, 32, AEAD_BACKEND_BEST, &key, &err), &err);
    run->text.address = (uintptr_t)plain;
    run->text.size_bytes = size;
    assert_result(LETHE_OK, aead_gmac(key, run->text.nonce, plain, size, tag));
    run_kernels(run, false);
    assert_memory_equal(run->tag, tag, sizeof tag);

    const struct aead_message m = {
        .nonce = run->text.nonce, .in = plain, .out = cipher, .size_bytes = size};
    assert_result(LETHE_OK, aead_seal(key, &m, tag));
    run->text.address = (uintptr_t)cipher;
    run_kernels(run, true);
    assert_memory_equal(run->tag, tag, sizeof tag);
    assert_memory_equal(cipher, plain, size);
    aead_key_free(key);
}

/* At every alignment; sizes around where lanes begin a second and third round. */
static void gcm_and_gmac_agree_with_the_host(void **state)
{
    enum { MOST = 3 * 16 * KERNEL_LANES + 100 };
    struct gcm_run *run = aligned_alloc(64, (sizeof *run + 63) / 64 * 64);
    uint8_t *plain = malloc(MOST + 16), *cipher = malloc(MOST + 16);
    for (size_t size = 0; size < 70; size++)
        compare_once(run, plain + size % 16, cipher + size % 13, size);
    for (unsigned round = 1; round <= 3; round++)
        for (int beside = -17; beside <= 17; beside += 17)
            compare_once(run, plain, cipher + 4,
                         (size_t)(16 * (int)KERNEL_LANES * (int)round + beside));
    for (unsigned i = 0; i < 20; i++)
        compare_once(run, plain + random_up_to(16), cipher + random_up_to(16), random_up_to(MOST));
    free(run);
    free(plain);
    free(cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aes_gives_the_published_answers),
        cmocka_unit_test(the_circuit_is_the_s_box),
        cmocka_unit_test(sha_256_gives_the_published_answers),
        cmocka_unit_test(the_field_multiplies_as_defined),
        cmocka_unit_test(gcm_gives_the_published_answers),
        cmocka_unit_test(gcm_and_gmac_agree_with_the_host),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
