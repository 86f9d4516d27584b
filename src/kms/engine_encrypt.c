#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "kms/engine_core.h"

#define CIPHERTEXT "a ciphertext"
#define OVERHEAD_BYTES (AEAD_NONCE_BYTES + AEAD_TAG_BYTES)
#define KEEP_BYTES ((size_t)1 << 20) /* a larger buffer is given back after its message */

static lethe_result find_encrypting(struct engine *engine, const char *name, struct kept_key **out,
                                    struct lethe_error *err)
{
    TRY(kept_find(engine, name, out, err));
    return engine_type_encrypts((*out)->info.type)
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "a key of type %s does not encrypt",
                           engine_type_name((*out)->info.type));
}

static void give_back(struct engine *engine)
{
    if (engine->sealed.capacity_bytes > KEEP_BYTES)
        buffer_clear(&engine->sealed);
    guarded_wipe(&engine->plain);
    if (engine->plain.capacity_bytes > KEEP_BYTES)
        guarded_clear(&engine->plain);
}

/* ---- encrypting ------------------------------------------------------------------------------ */

static lethe_result seal(struct engine *engine, const struct kept_version *version,
                         const struct engine_use *use, struct lethe_error *err)
{
    const struct engine_bytes *plain = &use->input;
    uint8_t *payload = NULL;
    TRY(engine_room(&engine->sealed, plain->size_bytes + OVERHEAD_BYTES, &payload, err));
    if (random_fill(engine->keeper->random, payload, AEAD_NONCE_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a nonce");
    const struct aead_message message = {
        .nonce = payload,
        .aad = use->aad.at,
        .aad_bytes = use->aad.size_bytes,
        .in = plain->at,
        .out = payload + AEAD_NONCE_BYTES,
        .size_bytes = plain->size_bytes,
    };
    lethe_result result =
        aead_seal(version->aead, &message, payload + AEAD_NONCE_BYTES + plain->size_bytes);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "encrypting");
}

static lethe_result append_sealed(struct engine *engine, const struct kept_version *version,
                                  struct guarded *out, struct lethe_error *err)
{
    size_t before = out->size_bytes;
    guarded_text(out, version->prefix);
    guarded_base64(out, engine->sealed.bytes, engine->sealed.size_bytes);
    lethe_result result = guarded_result(out, err);
    if (result != LETHE_OK)
        guarded_truncate(out, before);
    return result;
}

static lethe_result encrypt(struct engine *engine, const struct engine_use *use,
                            struct guarded *out, uint64_t *version, struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    TRY(find_encrypting(engine, use->name, &key, err));
    TRY(engine_pick(engine, key, use->version, ENGINE_MAKES, &kept, err));
    TRY(kept_take_use(engine, key, kept, err));
    TRY(seal(engine, kept, use, err));
    TRY(append_sealed(engine, kept, out, err));
    *version = kept->version;
    return LETHE_OK;
}

lethe_result engine_encrypt(struct engine *engine, const struct engine_use *use,
                            struct guarded *out, uint64_t *version, struct lethe_error *err)
{
    lethe_result result = encrypt(engine, use, out, version, err);
    give_back(engine);
    return result;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* One text for all of it: what an attacker changed is not for them to learn. */
static lethe_result does_not_open(lethe_result result, struct lethe_error *err)
{
    if (result == LETHE_NO_MEMORY)
        return error_set(err, result, "no memory to decrypt");
    return error_set(err, LETHE_INTEGRITY,
                     "the ciphertext does not open: it was changed, or belongs to something else");
}

/* Appends to `out`. */
static lethe_result open(struct engine *engine, const struct kept_version *version,
                         const struct engine_use *use, struct guarded *out, struct lethe_error *err)
{
    const uint8_t *payload = (const uint8_t *)engine->sealed.bytes;
    size_t before = out->size_bytes;
    if (engine->sealed.size_bytes < OVERHEAD_BYTES)
        return does_not_open(LETHE_INTEGRITY, err);
    size_t plain_bytes = engine->sealed.size_bytes - OVERHEAD_BYTES;
    uint8_t *plain = guarded_extend(out, plain_bytes);
    TRY(guarded_result(out, err));
    const struct aead_message message = {
        .nonce = payload,
        .aad = use->aad.at,
        .aad_bytes = use->aad.size_bytes,
        .in = payload + AEAD_NONCE_BYTES,
        .out = plain,
        .size_bytes = plain_bytes,
    };
    lethe_result result =
        aead_open(version->aead, &message, payload + AEAD_NONCE_BYTES + plain_bytes);
    if (result == LETHE_OK)
        return LETHE_OK;
    guarded_truncate(out, before);
    return does_not_open(result, err);
}

static lethe_result decrypt(struct engine *engine, const struct engine_use *use,
                            struct guarded *out, uint64_t *version, struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    struct engine_text parsed;
    TRY(find_encrypting(engine, use->name, &key, err));
    TRY(engine_text_parse(use->input, CIPHERTEXT, &parsed, err));
    TRY(engine_pick(engine, key, parsed.version, use->renew ? ENGINE_RENEWS : ENGINE_READS, &kept,
                    err));
    TRY(engine_text_decode(&parsed, CIPHERTEXT, &engine->sealed, err));
    *version = kept->version;
    return open(engine, kept, use, out, err);
}

static lethe_result append_plain(struct engine *engine, struct guarded *out,
                                 struct lethe_error *err)
{
    guarded_base64(out, engine->plain.bytes, engine->plain.size_bytes);
    return guarded_result(out, err);
}

lethe_result engine_decrypt(struct engine *engine, const struct engine_use *use,
                            struct guarded *out, uint64_t *version, struct lethe_error *err)
{
    lethe_result result = decrypt(engine, use, use->as_base64 ? &engine->plain : out, version, err);
    if (result == LETHE_OK && use->as_base64)
        result = append_plain(engine, out, err);
    give_back(engine);
    return result;
}

lethe_result engine_rewrap(struct engine *engine, const struct engine_use *use, struct guarded *out,
                           uint64_t *version, struct lethe_error *err)
{
    struct engine_use anew = *use;
    lethe_result result = decrypt(engine, use, &engine->plain, version, err);
    anew.input = (struct engine_bytes){engine->plain.bytes, engine->plain.size_bytes};
    if (result == LETHE_OK)
        result = encrypt(engine, &anew, out, version, err);
    give_back(engine);
    return result;
}
