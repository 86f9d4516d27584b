/* Ed25519 by libsodium, which is twice as fast as OpenSSL 3.0. It allocates nothing, and wipes what
 * it hashes; digits of the scalar it leaves on its stack. */
#include <pthread.h>

#include <sodium.h>

#include "base/error.h"
#include "crypto/dead_stack.h"
#include "crypto/sign_kind.h"

_Static_assert(crypto_sign_SEEDBYTES == ED25519_SEED_BYTES, "a pair begins with the seed");
_Static_assert(crypto_sign_PUBLICKEYBYTES == ED25519_PUBLIC_BYTES, "and ends with this");
_Static_assert(crypto_sign_SECRETKEYBYTES == ED25519_SEED_BYTES + ED25519_PUBLIC_BYTES, "a pair");
_Static_assert(crypto_sign_BYTES == ED25519_SIGNATURE_BYTES, "R and s");

static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool is_started;

static void start_once(void)
{
    is_started = sodium_init() >= 0;
}

lethe_result ed25519_start(struct lethe_error *err)
{
    REQUIRE(pthread_once(&started, start_once) == 0);
    return is_started ? LETHE_OK : error_set(err, LETHE_FAILED, "libsodium does not start");
}

lethe_result ed25519_pair(const uint8_t seed[ED25519_SEED_BYTES], struct lethe_secret **out,
                          struct lethe_error *err)
{
    uint8_t public_key[ED25519_PUBLIC_BYTES];
    *out = NULL;
    TRY(ed25519_start(err));
    TRY(lethe_secret_create(crypto_sign_SECRETKEYBYTES, out, err));
    int made = crypto_sign_seed_keypair(public_key, lethe_secret_bytes(*out), seed);
    dead_stack_wipe();
    REQUIRE(made == 0); /* there is no seed that it refuses */
    return LETHE_OK;
}

const uint8_t *ed25519_pair_public(const struct lethe_secret *pair)
{
    return lethe_secret_bytes_const(pair) + ED25519_SEED_BYTES;
}

void ed25519_sign(const struct lethe_secret *pair, const void *bytes, size_t size_bytes,
                  uint8_t out[ED25519_SIGNATURE_BYTES])
{
    int made = crypto_sign_detached(out, NULL, bytes, size_bytes, lethe_secret_bytes_const(pair));
    dead_stack_wipe();
    REQUIRE(made == 0);
}

bool ed25519_verifies(const uint8_t public_key[ED25519_PUBLIC_BYTES], const void *bytes,
                      size_t size_bytes, const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
    REQUIRE(ed25519_start(NULL) == LETHE_OK);
    return crypto_sign_verify_detached(signature, bytes, size_bytes, public_key) == 0;
}
