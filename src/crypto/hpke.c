#include "crypto/hpke.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/hpke_core.h"

/* What one message needs, in guarded memory. */
struct work {
    uint8_t shared[HPKE_SECRET_BYTES];
    struct hpke_schedule schedule;
};

lethe_result hpke_generate(struct lethe_secret **private_key, uint8_t public_key[HPKE_PUBLIC_BYTES],
                           struct lethe_error *err)
{
    *private_key = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(lethe_secret_create(HPKE_SECRET_BYTES, &key, err));
    if (random_fill(&random_system, lethe_secret_bytes(key), HPKE_SECRET_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness to give");
    TRY(hpke_public_of(key, public_key, err));
    *private_key = MOVE(key);
    return LETHE_OK;
}

static lethe_result make_key(struct work *work, const struct hpke_context *context,
                             struct aead_key **out, struct lethe_error *err)
{
    TRY(hpke_key_schedule(HPKE_AES_256_GCM, work->shared, context, &work->schedule, err));
    return hpke_aead_key(HPKE_AES_256_GCM, &work->schedule, out, err);
}

static lethe_result seal_with(const struct aead_key *key, const struct aead_message *message,
                              uint8_t *tag, struct lethe_error *err)
{
    lethe_result result = aead_seal(key, message, tag);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "encrypting with HPKE");
}

lethe_result hpke_seal(const uint8_t public_key[HPKE_PUBLIC_BYTES],
                       const struct hpke_context *context, const struct guarded *plain,
                       uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES], struct buffer *cipher,
                       struct lethe_error *err)
{
    uint8_t own_public[HPKE_PUBLIC_BYTES];
    size_t before = cipher->size_bytes;
    CLEANUP(lethe_secret_free) struct lethe_secret *ephemeral = NULL;
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(hpke_generate(&ephemeral, own_public, err));
    TRY(slab_alloc(sizeof(struct work), &guarded, err));
    struct work *work = guarded;
    TRY(hpke_encapsulate(ephemeral, public_key, encapsulated, work->shared, err));
    TRY(make_key(work, context, &key, err));
    uint8_t *out = (uint8_t *)buffer_extend(cipher, plain->size_bytes + HPKE_TAG_BYTES);
    TRY(buffer_result(cipher, err));
    const struct aead_message message = {.nonce = work->schedule.nonce,
                                         .aad = context->aad,
                                         .aad_bytes = context->aad_bytes,
                                         .in = plain->bytes,
                                         .out = out,
                                         .size_bytes = plain->size_bytes};
    lethe_result result = seal_with(key, &message, out + plain->size_bytes, err);
    if (result != LETHE_OK)
        buffer_truncate(cipher, before);
    return result;
}

static lethe_result refuse(struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY,
                     "this was encrypted to another key or for another purpose, or was changed");
}

/* *opened has room for the text. */
static lethe_result open_with(const struct aead_key *key, const struct work *work,
                              const struct hpke_context *context, const uint8_t *cipher,
                              struct guarded *opened)
{
    const struct aead_message message = {.nonce = work->schedule.nonce,
                                         .aad = context->aad,
                                         .aad_bytes = context->aad_bytes,
                                         .in = cipher,
                                         .out = opened->bytes,
                                         .size_bytes = opened->size_bytes};
    return aead_open(key, &message, cipher + opened->size_bytes);
}

lethe_result hpke_open(const struct lethe_secret *private_key, const struct hpke_context *context,
                       const uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES], const void *cipher,
                       size_t cipher_bytes, struct guarded *plain, struct lethe_error *err)
{
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    CLEANUP(slab_free) void *guarded = NULL;
    CLEANUP(guarded_clear) struct guarded opened = {0};
    if (cipher_bytes < HPKE_TAG_BYTES)
        return refuse(err);
    TRY(slab_alloc(sizeof(struct work), &guarded, err));
    struct work *work = guarded;
    lethe_result result = hpke_decapsulate(private_key, encapsulated, work->shared, err);
    if (result == LETHE_INVALID)
        return refuse(err);
    TRY(result);
    TRY(make_key(work, context, &key, err));
    (void)guarded_extend(&opened, cipher_bytes - HPKE_TAG_BYTES);
    TRY(guarded_result(&opened, err));
    result = open_with(key, work, context, cipher, &opened);
    if (result == LETHE_INTEGRITY)
        return refuse(err);
    if (result != LETHE_OK)
        return error_set(err, result, "decrypting with HPKE");
    guarded_append(plain, opened.bytes, opened.size_bytes);
    return guarded_result(plain, err);
}
