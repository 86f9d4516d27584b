#include "base/error.h"
#include "crypto/hash.h"
#include "kms/engine_core.h"

#define HMAC "an HMAC"

static lethe_result compute(const struct kept_version *version, const struct engine_use *use,
                            uint8_t out[DIGEST_MAX_BYTES], struct lethe_error *err)
{
    lethe_result result =
        digest_hmac(use->how.digest, lethe_secret_bytes_const(version->hmac),
                    lethe_secret_size(version->hmac), use->input.at, use->input.size_bytes, out);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "no memory for an HMAC");
}

lethe_result engine_hmac(struct engine *engine, const struct engine_use *use, struct guarded *out,
                         struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    uint8_t made[DIGEST_MAX_BYTES];
    size_t before = out->size_bytes;
    TRY(kept_find(engine, use->name, &key, err));
    TRY(engine_pick(engine, key, use->version, ENGINE_MAKES, &kept, err));
    TRY(compute(kept, use, made, err));
    guarded_text(out, kept->prefix);
    guarded_base64(out, made, digest_bytes(use->how.digest));
    lethe_result result = guarded_result(out, err);
    if (result != LETHE_OK)
        guarded_truncate(out, before);
    return result;
}

/* The expected HMAC would let whoever reads it forge one. */
static lethe_result compare(const struct kept_version *version, const struct engine_use *use,
                            const struct buffer *given, bool *valid, struct lethe_error *err)
{
    uint8_t expected[DIGEST_MAX_BYTES];
    size_t size_bytes = digest_bytes(use->how.digest);
    TRY(compute(version, use, expected, err));
    *valid = given->size_bytes == size_bytes && bytes_equal(given->bytes, expected, size_bytes);
    lethe_wipe(expected, sizeof expected);
    return LETHE_OK;
}

lethe_result engine_verify_hmac(struct engine *engine, const struct engine_use *use, bool *valid,
                                struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    struct engine_text parsed;
    *valid = false;
    TRY(kept_find(engine, use->name, &key, err));
    TRY(engine_text_parse(use->proof, HMAC, &parsed, err));
    TRY(engine_pick(engine, key, parsed.version, ENGINE_READS, &kept, err));
    TRY(engine_text_decode(&parsed, HMAC, &engine->sealed, err));
    return compare(kept, use, &engine->sealed, valid, err);
}
