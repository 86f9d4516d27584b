/* Z-6: no key is left on the stack below the calls of this room. OpenSSL's own frames are the
 * danger: its PBKDF2, and with it scrypt, leaves there what it derived. Each case runs on a stack
 * of its own, which is searched from outside, so that the search does not overwrite what it looks
 * for.
 */
#include <pthread.h>
#include <sys/mman.h>

#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/sign.h"
#include "crypto_check.h"
#include "memory_search.h"

#define STACK_BYTES ((size_t)1 << 20)

static struct lethe_secret *key; /* 32 bytes */
static struct lethe_secret *derived;
static struct lethe_secret *both; /* 64 bytes */

struct run {
    void (*act)(void);
    pthread_barrier_t barrier; /* passed after the act, and again after the search */
};

static void *run_and_stay(void *context)
{
    struct run *run = context;
    run->act();
    pthread_barrier_wait(&run->barrier);
    pthread_barrier_wait(&run->barrier);
    return NULL;
}

/* How often the bytes lie on a stack that only `act` has used. */
static size_t count_on_stack_after(void (*act)(void), const void *bytes, size_t size_bytes)
{
    struct run run = {.act = act};
    uint8_t *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(stack, MAP_FAILED);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    pthread_barrier_init(&run.barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, &attributes, run_and_stay, &run), 0);

    pthread_barrier_wait(&run.barrier);
    struct needle needle = needle_of(bytes, size_bytes);
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    size_t found =
        count_in_mapping(&needle, mem, (uintptr_t)stack, (uintptr_t)stack + STACK_BYTES, false);
    close(mem);
    pthread_barrier_wait(&run.barrier);

    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    pthread_barrier_destroy(&run.barrier);
    munmap(stack, STACK_BYTES);
    return found;
}

static size_t count_key_after(void (*act)(void))
{
    return count_on_stack_after(act, lethe_secret_bytes(key), lethe_secret_size(key));
}

/* ---- what is done ---------------------------------------------------------------------------- */

/* Deep enough that what follows does not overwrite it by chance. */
__attribute__((noinline, no_sanitize("address"))) static void forget_to_wipe(void)
{
    uint8_t frame[8192];
    memcpy(frame, lethe_secret_bytes(key), lethe_secret_size(key));
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it is used, as far as compilers know */
}

static void forget_in_scope(void)
{
    OPENSSL_SECRETS_IN_SCOPE();
    forget_to_wipe();
}

static void derive_slowly(void)
{
    const struct scrypt_input input = {
        .passphrase = key, .salt = "salt", .salt_bytes = 4, .log2_n = 4, .r = 8, .p = 1};
    assert_result(LETHE_OK, scrypt(&input, derived, NULL));
}

static void derive_quickly(void)
{
    const struct hkdf_input input = {
        .key = lethe_secret_bytes(key), .key_bytes = 32, .info = "test", .info_bytes = 4};
    assert_result(LETHE_OK, hkdf(&input, lethe_secret_bytes(derived), 32, NULL));
}

static void encrypt(enum aead_backend backend)
{
    static const uint8_t nonce[AEAD_NONCE_BYTES];
    uint8_t text[64] = "text";
    uint8_t tag[AEAD_TAG_BYTES];
    CLEANUP(aead_key_free) struct aead_key *aead = NULL;
    assert_result(LETHE_OK, aead_key_create(lethe_secret_bytes(key), 32, backend, &aead, NULL));
    const struct aead_message message = {
        .nonce = nonce, .in = text, .out = text, .size_bytes = sizeof text};
    assert_result(LETHE_OK, aead_seal(aead, &message, tag));
    assert_result(LETHE_OK, aead_open(aead, &message, tag));
}

static void encrypt_with_ipsec(void)
{
    encrypt(AEAD_BACKEND_IPSEC);
}

static void encrypt_with_openssl(void)
{
    encrypt(AEAD_BACKEND_OPENSSL);
}

static void sign(enum signature_kind kind)
{
    struct signature signature;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    assert_result(LETHE_OK, sign_pair_create(kind, key, &pair, NULL));
    assert_result(LETHE_OK, sign_message(pair, "text", 4, &signature, NULL));
}

static void sign_for_the_log(void)
{
    sign(SIGNATURE_ED25519);
}

static void sign_a_manifest(void)
{
    sign(SIGNATURE_ECDSA_P256);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void the_search_finds_what_is_left(void **state)
{
    assert_int_equal(count_key_after(forget_to_wipe), 1);
}

static void a_scope_of_secrets_wipes_the_stack_below(void **state)
{
    assert_int_equal(count_key_after(forget_in_scope), 0);
}

static void deriving_leaves_nothing_on_the_stack(void **state)
{
    static void (*const acts[])(void) = {derive_slowly, derive_quickly};
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        acts[i](); /* elsewhere, so that it is known what to look for */
        assert_int_equal(count_on_stack_after(acts[i], lethe_secret_bytes(derived), 32), 0);
        assert_int_equal(count_key_after(acts[i]), 0);
    }
}

static void encrypting_leaves_nothing_on_the_stack(void **state)
{
    if (HAS_SANITIZER) {
        printf("a sanitizer's frames are deeper than what is wiped below a call\n");
        skip();
    }
    assert_int_equal(count_key_after(encrypt_with_openssl), 0);
    if (!aead_backend_available(AEAD_BACKEND_IPSEC)) {
        printf("this CPU cannot run intel-ipsec-mb\n");
        skip();
    }
    assert_int_equal(count_key_after(encrypt_with_ipsec), 0);
}

/* The scalar of a seed's hash as libsodium has it on its stack, in digits of base 16 from -8 to 7.
 */
static void digits_of(const uint8_t hash[32], uint8_t digits[64])
{
    uint8_t scalar[32];
    int carry = 0;
    memcpy(scalar, hash, sizeof scalar);
    scalar[0] &= 248;
    scalar[31] = (uint8_t)((scalar[31] & 63) | 64);
    for (size_t i = 0; i < 64; i++) {
        int digit = (scalar[i / 2] >> (i % 2 == 0 ? 0 : 4) & 15) + carry;
        carry = i < 63 && digit >= 8 ? 1 : 0;
        digits[i] = (uint8_t)(digit - (carry << 4));
    }
}

/* As sign.h, without the wiping. */
static void make_a_careless_pair(void)
{
    uint8_t public_key[32];
    crypto_sign_seed_keypair(public_key, lethe_secret_bytes(both), lethe_secret_bytes(key));
}

/* In pieces: what comes later overwrites some. */
static size_t count_digits_after(void (*act)(void))
{
    uint8_t hash[64], digits[64];
    size_t found = 0;
    assert_int_equal(EVP_Q_digest(NULL, "SHA512", NULL, lethe_secret_bytes(key), 32, hash, NULL),
                     1);
    digits_of(hash, digits);
    for (size_t at = 0; at < sizeof digits; at += 8)
        found += count_on_stack_after(act, digits + at, 8);
    return found;
}

static void digits_of_the_scalar_are_wiped(void **state)
{
    assert_true(count_digits_after(make_a_careless_pair) > 0);
    assert_int_equal(count_digits_after(sign_for_the_log), 0);
}

/* RFC 8032 5.1.5: the seed's hash is the scalar and the prefix, as secret as the seed. */
static void signing_leaves_nothing_on_the_stack(void **state)
{
    uint8_t hash[64];
    assert_int_equal(EVP_Q_digest(NULL, "SHA512", NULL, lethe_secret_bytes(key), 32, hash, NULL),
                     1);
    assert_int_equal(count_on_stack_after(sign_for_the_log, hash + 32, 32), 0);
    assert_int_equal(count_on_stack_after(sign_for_the_log, hash + 1, 30), 0);
    assert_int_equal(count_key_after(sign_for_the_log), 0);

    uint8_t words[32]; /* as OpenSSL's numbers are in memory */
    for (size_t i = 0; i < sizeof words; i++)
        words[i] = lethe_secret_bytes(key)[sizeof words - 1 - i];
    assert_int_equal(count_on_stack_after(sign_a_manifest, words, sizeof words), 0);
    assert_int_equal(count_key_after(sign_a_manifest), 0);
}

static int make_keys(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    uint8_t bytes[32];
    fill_random(bytes, sizeof bytes);
    bytes[0] = 0x7f; /* below the order of P-256 */
    key = secret_of(bytes, sizeof bytes);
    derived = secret_of(bytes, sizeof bytes);
    both = secret_of((uint8_t[64]){0}, 64);
    return 0;
}

static int free_keys(void **state)
{
    lethe_secret_free(key);
    lethe_secret_free(derived);
    lethe_secret_free(both);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_is_left),
        cmocka_unit_test(a_scope_of_secrets_wipes_the_stack_below),
        cmocka_unit_test(deriving_leaves_nothing_on_the_stack),
        cmocka_unit_test(encrypting_leaves_nothing_on_the_stack),
        cmocka_unit_test(digits_of_the_scalar_are_wiped),
        cmocka_unit_test(signing_leaves_nothing_on_the_stack),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
