#include "crypto/aead.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crypto/aead_backend.h"

struct aead_key {
    const struct aead_ops *ops;
    alignas(64) uint8_t state[]; /* ops->state_bytes */
};

static const struct aead_ops *const backends[] = {
    [AEAD_BACKEND_IPSEC] = &aead_ipsec,
    [AEAD_BACKEND_OPENSSL] = &aead_openssl,
};

/* What LETHE_AEAD may say. */
static const struct {
    const char *word;
    const struct aead_ops *ops;
} choices[] = {
    {"ipsec", &aead_ipsec},
    {"openssl", &aead_openssl},
};

static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static const struct aead_ops *chosen;

static void choose(void)
{
    const char *wish = secure_getenv("LETHE_AEAD");
    if (wish == NULL) {
        chosen = aead_ipsec.available() ? &aead_ipsec : &aead_openssl;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        if (strcmp(wish, choices[i].word) == 0)
            chosen = choices[i].ops;
}

/* NULL when LETHE_AEAD made no sense. */
static const struct aead_ops *ops_of(enum aead_backend backend)
{
    REQUIRE((size_t)backend < ARRAY_LEN(backends));
    if (backend != AEAD_BACKEND_BEST)
        return backends[backend];
    REQUIRE(pthread_once(&chosen_once, choose) == 0);
    return chosen;
}

bool aead_backend_available(enum aead_backend backend)
{
    const struct aead_ops *ops = ops_of(backend);
    return ops != NULL && ops->available();
}

const char *aead_backend_name(enum aead_backend backend)
{
    const struct aead_ops *ops = ops_of(backend);
    return ops != NULL ? ops->name() : "none";
}

static lethe_result create(const struct aead_ops *ops, const void *key, size_t key_bytes,
                           struct aead_key **out, struct lethe_error *err)
{
    void *memory;
    TRY(slab_alloc(sizeof(struct aead_key) + ops->state_bytes, &memory, err));
    struct aead_key *created = memory;
    created->ops = ops;
    ops->expand(created->state, key, key_bytes);
    *out = created;
    return LETHE_OK;
}

lethe_result aead_chacha20_create(const void *key, struct aead_key **out, struct lethe_error *err)
{
    *out = NULL;
    return create(&aead_chacha20, key, AEAD_KEY_BYTES, out, err);
}

lethe_result aead_key_create(const void *key, size_t key_bytes, enum aead_backend backend,
                             struct aead_key **out, struct lethe_error *err)
{
    *out = NULL;
    if (key_bytes != AEAD_KEY_BYTES && key_bytes != AEAD_KEY_128_BYTES)
        return error_set(err, LETHE_INVALID, "an AES-GCM key of %zu bytes instead of %u or %u",
                         key_bytes, AEAD_KEY_BYTES, AEAD_KEY_128_BYTES);
    const struct aead_ops *ops = ops_of(backend);
    if (ops == NULL)
        return error_set(err, LETHE_INVALID, "LETHE_AEAD is neither \"ipsec\" nor \"openssl\"");
    if (!ops->available())
        return error_set(err, LETHE_UNAVAILABLE, "AES-GCM: %s", ops->name());
    return create(ops, key, key_bytes, out, err);
}

void aead_key_free(struct aead_key *key)
{
    slab_free(key);
}

static void require_sound(const struct aead_message *message)
{
    uintptr_t in = (uintptr_t)message->in, out = (uintptr_t)message->out;
    REQUIRE(message->nonce != NULL);
    REQUIRE(message->aad != NULL || message->aad_bytes == 0);
    REQUIRE((in != 0 && out != 0) || message->size_bytes == 0);
    REQUIRE(in == out || (in < out ? out - in : in - out) >= message->size_bytes);
}

lethe_result aead_seal(const struct aead_key *key, const struct aead_message *message,
                       uint8_t tag[AEAD_TAG_BYTES])
{
    require_sound(message);
    if (message->size_bytes > AEAD_TEXT_MAX)
        return LETHE_LIMIT;
    return key->ops->seal(key->state, message, tag);
}

lethe_result aead_open(const struct aead_key *key, const struct aead_message *message,
                       const uint8_t tag[AEAD_TAG_BYTES])
{
    require_sound(message);
    lethe_result result = message->size_bytes > AEAD_TEXT_MAX
                              ? LETHE_LIMIT
                              : key->ops->open(key->state, message, tag);
    if (result != LETHE_OK && message->size_bytes > 0)
        lethe_wipe(message->out, message->size_bytes);
    return result;
}

/* SP 800-38D 3: GMAC is GCM of an empty text, with the data as associated data. */
lethe_result aead_gmac(const struct aead_key *key, const uint8_t nonce[AEAD_NONCE_BYTES],
                       const void *in, size_t size_bytes, uint8_t tag[AEAD_TAG_BYTES])
{
    return aead_seal(
        key, &(struct aead_message){.nonce = nonce, .aad = in, .aad_bytes = size_bytes}, tag);
}
