#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto_check.h"
#include "memory_search.h"

#include "base/sandbox.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/sign_kind.h"
#include "crypto/x509.h"
#include "mem/fakes.h"
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

/* ---- where OpenSSL keeps secrets ------------------------------------------------------------- */

static bool is_secure(void *block)
{
    return CRYPTO_secure_allocated(block) == 1;
}

static void in_scope_blocks_come_from_the_secure_heap(void **state)
{
    uint8_t *before = OPENSSL_malloc(100), *small, *large;
    assert_false(is_secure(before));
    {
        OPENSSL_SECRETS_IN_SCOPE();
        unsigned inner = openssl_secrets_enter();
        small = OPENSSL_malloc(100);
        openssl_secrets_leave(inner);
        large = OPENSSL_malloc(OPENSSL_SECRET_BLOCK_MAX + 1);
        before = OPENSSL_realloc(before, 1000);
        assert_true(is_secure(small));
        assert_true(is_secure(before)); /* it moved */
        assert_false(is_secure(large)); /* scrypt's tables have no room there */
    }
    uint8_t *after = OPENSSL_malloc(100);
    assert_false(is_secure(after));
    struct needle needle = fill_and_remember(small, 100);
    small = OPENSSL_realloc(small, 5000); /* out of scope: wherever it goes, it is wiped behind */
    assert_int_equal(count_in_own_memory(&needle), 1);
    void *blocks[] = {before, small, large, after};
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        OPENSSL_free(blocks[i]);
    assert_int_equal(count_in_own_memory(&needle), 0);
}

static void an_aes_schedule_is_in_the_secure_heap_while_it_lives(void **state)
{
    uint8_t bytes[32];
    fill_random(bytes, sizeof bytes);
    struct needle key = needle_of(bytes, sizeof bytes); /* AES-256's schedule begins with the key */
    EVP_CIPHER_CTX *context;
    {
        OPENSSL_SECRETS_IN_SCOPE();
        context = EVP_CIPHER_CTX_new();
        assert_int_equal(EVP_CipherInit_ex2(context, openssl()->aes_256_gcm, bytes, bytes, 1, NULL),
                         1);
    }
    lethe_wipe(bytes, sizeof bytes);
    void *inside = OPENSSL_secure_malloc(32);
    assert_int_equal(count_in_own_memory(&key), 1);
    assert_int_equal(count_except(&key, inside), 0);
    OPENSSL_secure_free(inside);
    EVP_CIPHER_CTX_free(context);
    assert_int_equal(count_in_own_memory(&key), 0);
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

static size_t count_both_except(const struct needles *needles, const void *except)
{
    return count_except(&needles->big_endian, except) + count_except(&needles->numbers, except);
}

static size_t count_both(const struct needles *needles)
{
    return count_both_except(needles, NULL);
}

/* Z-6: a private key is in the secret it came from, once in what its pair keeps, and nowhere else:
 * not in the ordinary heap, not on the stack; and nowhere at all when both are freed. */
static void check_traces(enum signature_kind kind)
{
    struct lethe_error err = {0};
    struct lethe_secret *secret = NULL;
    assert_ok(sign_generate(kind, &secret, &err), &err);
    struct needles needles = needles_of(secret);
    assert_int_equal(count_both(&needles), 1); /* the secret */

    struct sign_pair *pair = NULL;
    struct signature signature;
    assert_ok(sign_pair_create(kind, secret, &pair, &err), &err);
    assert_int_equal(count_both(&needles), 2);
    assert_ok(sign_message(pair, "x", 1, &signature, &err), &err);
    assert_int_equal(count_both(&needles), 2);
    lethe_secret_free(secret);
    assert_int_equal(count_both(&needles), 1); /* the pair's */
    bool is_openssl = kind != SIGNATURE_ED25519;
    void *inside = is_openssl ? OPENSSL_secure_malloc(32) : lethe_secret_bytes(pair->ed25519);
    assert_int_equal(count_both_except(&needles, inside), 0);
    if (is_openssl)
        OPENSSL_secure_free(inside);
    sign_pair_free(pair);
    assert_int_equal(count_both(&needles), 0);
}

static void a_freed_pair_leaves_no_trace(void **state)
{
    check_traces(SIGNATURE_ED25519);
    check_traces(SIGNATURE_ECDSA_P256);
}

/* As PEM, and in a certificate, it is OpenSSL's for a moment. */
static void openssl_keeps_no_ed25519_key(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *pem = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    assert_ok(sign_generate(SIGNATURE_ED25519, &secret, &err), &err);
    assert_ok(sign_pair_create(SIGNATURE_ED25519, secret, &pair, &err), &err);
    struct needles needles = needles_of(secret);
    assert_int_equal(count_both(&needles), 2);
    assert_ok(x509_private_pem(pair, false, &pem, &err), &err);
    assert_int_equal(count_both(&needles), 2);
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

/* Takes all of the secure heap; gives the number of blocks. */
static size_t fill_secure_heap(void **blocks, size_t count_max)
{
    size_t count = 0;
    for (size_t size = 1 << 16; size >= 32; size /= 2)
        while (count < count_max && (blocks[count] = OPENSSL_secure_malloc(size)) != NULL)
            count++;
    assert_true(count < count_max);
    return count;
}

/* A full heap must refuse, and not keep the key elsewhere. */
static void a_full_secure_heap_refuses_keys(void **state)
{
    static void *blocks[1 << 15];
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    assert_ok(sign_generate(SIGNATURE_ECDSA_P256, &secret, &err), &err);
    size_t count = fill_secure_heap(blocks, ARRAY_LEN(blocks));
    lethe_result result = sign_pair_create(SIGNATURE_ECDSA_P256, secret, &pair, &err);
    while (count > 0)
        OPENSSL_secure_free(blocks[--count]);
    assert_result(LETHE_NO_MEMORY, result);
    assert_null(pair);
    assert_ok(sign_pair_create(SIGNATURE_ECDSA_P256, secret, &pair, &err), &err);
}

static void a_full_secure_heap_fails_a_call_and_no_more(void **state)
{
    static void *blocks[1 << 15];
    uint8_t key[32] = {1}, nonce[12] = {2}, text[100] = {3}, tag[16], mac[32];
    struct lethe_error err = {0};
    CLEANUP(aead_key_free) struct aead_key *k = NULL;
    assert_ok(aead_key_create(key, sizeof key, AEAD_BACKEND_OPENSSL, &k, &err), &err);
    const struct hkdf_input input = {.key = key, .key_bytes = sizeof key};
    const struct aead_message m = {
        .nonce = nonce, .in = text, .out = text, .size_bytes = sizeof text};
    uint8_t *block = OPENSSL_malloc(100);
    block[99] = 0x77;

    size_t count = fill_secure_heap(blocks, ARRAY_LEN(blocks));
    unsigned scope = openssl_secrets_enter();
    void *grown = OPENSSL_realloc(block, 8000);
    openssl_secrets_leave(scope);
    lethe_result results[] = {
        aead_seal(k, &m, tag),
        aead_open(k, &m, tag),
        hmac_sha256(key, sizeof key, text, sizeof text, mac),
        hkdf(&input, mac, sizeof mac, &err),
    };
    while (count > 0)
        OPENSSL_secure_free(blocks[--count]);

    assert_null(grown);
    assert_int_equal(block[99], 0x77); /* what cannot grow stays whole */
    OPENSSL_free(block);
    for (size_t i = 0; i < ARRAY_LEN(results); i++)
        assert_result(LETHE_NO_MEMORY, results[i]);
    assert_result(LETHE_OK, aead_seal(k, &m, tag));
    assert_result(LETHE_OK, aead_open(k, &m, tag));
}

/* ---- starting -------------------------------------------------------------------------------- */

static void starting_twice_is_fine(void **state)
{
    struct lethe_error err = {0};
    assert_ok(crypto_start(&err), &err);
    assert_ok(crypto_start(NULL), &err);
}

/* Each way to start needs a process of its own: this program, called with the way's name. */
static const char *self;

static void use_openssl_first(void)
{
    OPENSSL_free(OPENSSL_malloc(1));
}

static void forbid_locking(void)
{
    struct lethe_error err = {0};
    REQUIRE(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0}) == 0);
    REQUIRE(geteuid() != 0 || sandbox_drop_capability(CAP_IPC_LOCK, &err) == LETHE_OK);
}

static void forbid_locking_with_swap(void)
{
    forbid_locking();
    fakes_install(NULL);
    fake_read(swap_on_disk);
}

static void forbid_locking_without_swap(void)
{
    forbid_locking();
    fakes_install(NULL);
    fake_read(no_swap);
}

static void hide_smaps(void)
{
    static const struct fake_file nothing[] = {{"/proc/self/smaps", NULL}, {0}};
    fakes_install(NULL);
    fake_read(nothing);
}

static void show_smaps_without_flags(void)
{
    static const struct fake_file vague[] = {
        {"/proc/self/smaps", "00000000-7fffffffffff rw-p 0 00:00 0\nVmFlags: rd wr wf \n"}, {0}};
    fakes_install(NULL);
    fake_read(vague);
}

static void change_nothing(void)
{
}

static const struct {
    const char *name;
    void (*prepare)(void);
    const char *expected; /* how the output begins */
} ways[] = {
    {"plain", change_nothing, "OK: "},
    {"late", use_openssl_first, "UNPROTECTED: OpenSSL was used before crypto_start()"},
    {"swap", forbid_locking_with_swap,
     "UNPROTECTED: OpenSSL's heap for private keys is not locked, and this host has swap (raise "
     "the memory-lock limit from 0 KiB"},
    {"no-swap", forbid_locking_without_swap, "OK: "},
    {"no-smaps", hide_smaps, "NOT_FOUND: /proc/self/smaps"},
    {"no-flags", show_smaps_without_flags,
     "UNPROTECTED: OpenSSL's heap for private keys would be in core files"},
};

static void a_protection_that_is_missing_is_an_error_and_not_silence(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        char command[512], output[1024];
        snprintf(command, sizeof command, "'%s' %s 2>&1", self, ways[i].name);
        assert_int_equal(run_tool(command, output, sizeof output), 0);
        if (strncmp(output, ways[i].expected, strlen(ways[i].expected)) != 0)
            fail_msg("%s: %s", ways[i].name, output);
    }
}

static int start_in_this_process(const char *way)
{
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (strcmp(way, ways[i].name) == 0)
            ways[i].prepare();
    lethe_result result = crypto_start(&err);
    printf("%s: %s (%s)\n", lethe_result_name(result), err.text, err.hint);
    return crypto_start(NULL) == result ? 0 : 1;
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 2)
        return start_in_this_process(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_blocks_hold_nothing),
        cmocka_unit_test(blocks_that_grow_or_shrink_leave_nothing_behind),
        cmocka_unit_test(in_scope_blocks_come_from_the_secure_heap),
        cmocka_unit_test(an_aes_schedule_is_in_the_secure_heap_while_it_lives),
        cmocka_unit_test(a_freed_pair_leaves_no_trace),
        cmocka_unit_test(openssl_keeps_no_ed25519_key),
        cmocka_unit_test(private_keys_are_in_the_secure_heap),
        cmocka_unit_test(the_secure_heap_is_not_in_core_files),
        cmocka_unit_test(a_full_secure_heap_refuses_keys),
        cmocka_unit_test(a_full_secure_heap_fails_a_call_and_no_more),
        cmocka_unit_test(starting_twice_is_fine),
        cmocka_unit_test(a_protection_that_is_missing_is_an_error_and_not_silence),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
