#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "check_child.h"
#include "crypto_check.h"
#include "memory_search.h"

#include "crypto/sign.h"
#include "mem/maps.h"

/* ---- what OpenSSL frees ---------------------------------------------------------------------- */

static struct needle fill_and_remember(uint8_t *block, size_t size_bytes)
{
    fill_random(block, size_bytes);
    return needle_of(block + size_bytes / 2, 32); /* malloc writes into the front of freed blocks */
}

/* Z-6. The positive control frees the same kind of block without us. */
static void freed_blocks_hold_nothing(void **state)
{
    uint8_t *block = malloc(400);
    struct needle needle = fill_and_remember(block, 400);
    free(block);
    assert_true(count_in_own_memory(&needle) >= 1);

    block = OPENSSL_malloc(400);
    needle = fill_and_remember(block, 400);
    assert_int_equal(count_in_own_memory(&needle), 1);
    OPENSSL_free(block);
    assert_int_equal(count_in_own_memory(&needle), 0);
    OPENSSL_free(NULL);
}

static void blocks_that_grow_or_shrink_leave_nothing_behind(void **state)
{
    static const size_t sizes[] = {300, 100, 100000, 101, 3000, 64};
    uint8_t *block = OPENSSL_realloc(NULL, 200);
    assert_non_null(block);
    size_t had = 200;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct needle needle = fill_and_remember(block, had);
        uint8_t first = block[0];
        block = OPENSSL_realloc(block, sizes[i]);
        assert_non_null(block);
        assert_int_equal(block[0], first);
        bool kept = sizes[i] >= had / 2 + 32;
        assert_int_equal(count_in_own_memory(&needle), kept ? 1 : 0);
        had = sizes[i];
    }
    assert_null(OPENSSL_realloc(block, 0)); /* as OpenSSL's own: frees */
    assert_null(OPENSSL_malloc(0));
}

static void a_block_that_cannot_grow_stays_whole(void **state)
{
    uint8_t *block = OPENSSL_malloc(100);
    fill_random(block, 100);
    uint8_t copy[100];
    memcpy(copy, block, sizeof copy);
    assert_null(OPENSSL_realloc(block, SIZE_MAX / 2));
    assert_memory_equal(block, copy, sizeof copy);
    OPENSSL_free(block);
}

/* ---- private keys ---------------------------------------------------------------------------- */

static void reverse(uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes / 2; i++) {
        uint8_t swapped = bytes[i];
        bytes[i] = bytes[size_bytes - 1 - i];
        bytes[size_bytes - 1 - i] = swapped;
    }
}

struct needles {
    struct needle big_endian; /* as the secret holds it                */
    struct needle numbers;    /* as OpenSSL's BIGNUM holds it on x86-64 */
};

static struct needles needles_of(struct lethe_secret *secret)
{
    uint8_t *bytes = lethe_secret_bytes(secret);
    size_t size_bytes = lethe_secret_size(secret);
    struct needles needles = {.big_endian = needle_of(bytes, size_bytes)};
    reverse(bytes, size_bytes);
    needles.numbers = needle_of(bytes, size_bytes);
    reverse(bytes, size_bytes);
    return needles;
}

static size_t count_both(const struct needles *needles)
{
    return count_in_own_memory(&needles->big_endian) + count_in_own_memory(&needles->numbers);
}

/* Z-6: a private key is in the secret it came from, once in OpenSSL's secure heap, and nowhere
 * else: not in the ordinary heap, not on the stack; and nowhere at all when both are freed. */
static void a_freed_pair_leaves_no_trace(void **state)
{
    static const enum signature_kind kinds[] = {SIGNATURE_ED25519, SIGNATURE_ECDSA_P256};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct lethe_error err = {0};
        struct lethe_secret *secret = NULL;
        assert_ok(sign_generate(kinds[i], &secret, &err), &err);
        struct needles needles = needles_of(secret);
        assert_int_equal(count_both(&needles), 1); /* the secret */

        struct sign_pair *pair = NULL;
        struct signature signature;
        assert_ok(sign_pair_create(kinds[i], secret, &pair, &err), &err);
        assert_int_equal(count_both(&needles), 2);
        assert_ok(sign_message(pair, "x", 1, &signature, &err), &err);
        assert_int_equal(count_both(&needles), 2);
        lethe_secret_free(secret);
        assert_int_equal(count_both(&needles), 1); /* OpenSSL's */
        sign_pair_free(pair);
        assert_int_equal(count_both(&needles), 0);
    }
}

static void private_keys_are_in_the_secure_heap(void **state)
{
    struct lethe_error err = {0};
    size_t before = CRYPTO_secure_used();
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    assert_ok(sign_generate(SIGNATURE_ECDSA_P256, &secret, &err), &err);
    size_t idle = CRYPTO_secure_used();
    assert_true(idle >= before); /* a thread's generators stay */
    struct sign_pair *pair = NULL;
    assert_ok(sign_pair_create(SIGNATURE_ECDSA_P256, secret, &pair, &err), &err);
    assert_true(CRYPTO_secure_used() >= idle + SIGNATURE_PRIVATE_BYTES);
    sign_pair_free(pair);
    assert_int_equal(CRYPTO_secure_used(), idle);
}

/* Z-7 */
static void the_secure_heap_is_not_in_core_files(void **state)
{
    struct lethe_error err = {0};
    unsigned flags;
    void *block = OPENSSL_secure_malloc(64);
    assert_int_equal(CRYPTO_secure_allocated(block), 1);
    assert_ok(maps_flags(block, 64, &flags, &err), &err);
    assert_true(flags & MAP_FLAG_UNDUMPABLE);
    OPENSSL_secure_free(block);
}

/* A full heap must refuse, and not keep the key elsewhere. */
static void a_full_secure_heap_refuses_keys(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    assert_ok(sign_generate(SIGNATURE_ED25519, &secret, &err), &err);
    static void *blocks[1 << 15];
    size_t count = 0;
    for (size_t size = 1 << 16; size >= 32; size /= 2)
        while (count < ARRAY_LEN(blocks) && (blocks[count] = OPENSSL_secure_malloc(size)) != NULL)
            count++;
    struct sign_pair *pair = NULL;
    lethe_result result = sign_pair_create(SIGNATURE_ED25519, secret, &pair, &err);
    while (count > 0)
        OPENSSL_secure_free(blocks[--count]);
    assert_result(LETHE_NO_MEMORY, result);
    assert_null(pair);
    assert_ok(sign_pair_create(SIGNATURE_ED25519, secret, &pair, &err), &err);
    sign_pair_free(pair);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void starting_twice_is_fine(void **state)
{
    struct lethe_error err = {0};
    assert_ok(crypto_start(&err), &err);
    assert_ok(crypto_start(NULL), &err);
}

static const char *self;

static int in_new_process(const char *what, char *output, size_t size_bytes)
{
    char command[512];
    snprintf(command, sizeof command, "'%s' %s 2>&1", self, what);
    return run_tool(command, output, size_bytes);
}

static void use_before_start_is_an_error_and_not_silence(void **state)
{
    char output[512];
    assert_int_equal(in_new_process("late", output, sizeof output), 0);
    assert_non_null(strstr(output, "UNPROTECTED"));
    assert_non_null(strstr(output, "before crypto_start()"));
    assert_int_equal(in_new_process("timely", output, sizeof output), 0);
    assert_string_equal(output, "OK: \n");
}

static int start_in_this_process(bool late)
{
    struct lethe_error err = {0};
    void *block = late ? OPENSSL_malloc(1) : NULL;
    lethe_result result = crypto_start(&err);
    OPENSSL_free(block);
    printf("%s: %s\n", lethe_result_name(result), err.text);
    return 0;
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 2)
        return start_in_this_process(strcmp(argv[1], "late") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_blocks_hold_nothing),
        cmocka_unit_test(blocks_that_grow_or_shrink_leave_nothing_behind),
        cmocka_unit_test(a_block_that_cannot_grow_stays_whole),
        cmocka_unit_test(a_freed_pair_leaves_no_trace),
        cmocka_unit_test(private_keys_are_in_the_secure_heap),
        cmocka_unit_test(the_secure_heap_is_not_in_core_files),
        cmocka_unit_test(a_full_secure_heap_refuses_keys),
        cmocka_unit_test(starting_twice_is_fine),
        cmocka_unit_test(use_before_start_is_an_error_and_not_silence),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
