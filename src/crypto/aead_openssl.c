#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "crypto/aead_backend.h"
#include "crypto/openssl.h"

#define PIECE_BYTES ((size_t)1 << 30) /* EVP counts in int; whole AES blocks, so pieces add up */

/* The bare key: a context, which holds the expanded schedule (in the secure heap), lives for one
 * call only, and any number of threads can use one key. Costs about a microsecond a call. */
struct openssl_state {
    const EVP_CIPHER *cipher;
    uint8_t key[AEAD_KEY_BYTES];
};

static const char *name(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

static bool available(void)
{
    return true;
}

static void expand(void *memory, const void *key, size_t key_bytes)
{
    struct openssl_state *state = memory;
    state->cipher = key_bytes == AEAD_KEY_BYTES ? openssl()->aes_256_gcm : openssl()->aes_128_gcm;
    memcpy(state->key, key, key_bytes);
}

static void expand_chacha20(void *memory, const void *key, size_t key_bytes)
{
    struct openssl_state *state = memory;
    REQUIRE(key_bytes == AEAD_KEY_BYTES);
    state->cipher = openssl()->chacha20_poly1305;
    memcpy(state->key, key, key_bytes);
}

static EVP_CIPHER_CTX *context_for(const struct openssl_state *state, const uint8_t *nonce,
                                   int encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context != NULL &&
        EVP_CipherInit_ex2(context, state->cipher, state->key, nonce, encrypt, NULL) == 1)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

/* `out` NULL: associated data. */
static bool update(EVP_CIPHER_CTX *context, const uint8_t *in, uint8_t *out, size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        size_t piece = MIN(size_bytes - done, PIECE_BYTES);
        int written;
        if (EVP_CipherUpdate(context, out == NULL ? NULL : out + done, &written, in + done,
                             (int)piece) != 1)
            return false;
        done += piece;
    }
    return true;
}

static bool update_all(EVP_CIPHER_CTX *context, const struct aead_message *message)
{
    return update(context, message->aad, NULL, message->aad_bytes) &&
           update(context, message->in, message->out, message->size_bytes);
}

static lethe_result seal(const void *memory, const struct aead_message *message, uint8_t *tag)
{
    uint8_t nothing[1];
    int written;
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(EVP_CIPHER_CTX_free)
    EVP_CIPHER_CTX *context = context_for(memory, message->nonce, 1);
    if (context != NULL && update_all(context, message) &&
        EVP_CipherFinal_ex(context, nothing, &written) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, tag) == 1)
        return LETHE_OK;
    ERR_clear_error();
    return LETHE_NO_MEMORY;
}

static lethe_result open(const void *memory, const struct aead_message *message, const uint8_t *tag)
{
    uint8_t expected[AEAD_TAG_BYTES], nothing[1];
    int written;
    memcpy(expected, tag, sizeof expected); /* the call below takes no const */
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(EVP_CIPHER_CTX_free)
    EVP_CIPHER_CTX *context = context_for(memory, message->nonce, 0);
    if (context == NULL || !update_all(context, message) ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof expected, expected) != 1) {
        ERR_clear_error();
        return LETHE_NO_MEMORY;
    }
    bool fits = EVP_CipherFinal_ex(context, nothing, &written) == 1;
    ERR_clear_error();
    return fits ? LETHE_OK : LETHE_INTEGRITY;
}

const struct aead_ops aead_openssl = {
    .name = name,
    .available = available,
    .state_bytes = sizeof(struct openssl_state),
    .expand = expand,
    .seal = seal,
    .open = open,
};

const struct aead_ops aead_chacha20 = {
    .name = name,
    .available = available,
    .state_bytes = sizeof(struct openssl_state),
    .expand = expand_chacha20,
    .seal = seal,
    .open = open,
};
