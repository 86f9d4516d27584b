#include "base/error.h"
#include "base/text.h"
#include "kms/engine_core.h"

#define SIGNATURE "a signature"

static lethe_result find_signing(struct engine *engine, const char *name, struct kept_key **out,
                                 struct lethe_error *err)
{
    TRY(kept_find(engine, name, out, err));
    return engine_type_signs((*out)->info.type)
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "a key of type %s does not sign",
                           engine_type_name((*out)->info.type));
}

/* Ed25519 signs the input, ECDSA a digest of it, which may have been made elsewhere. */
struct signed_input {
    bool is_digest;
    const void *bytes;
    size_t size_bytes;
    uint8_t digest[DIGEST_MAX_BYTES];
};

static lethe_result take_input(enum engine_type type, const struct engine_use *use,
                               struct signed_input *out, struct lethe_error *err)
{
    const struct engine_signing *how = &use->how;
    size_t input_bytes = use->input.size_bytes;
    out->is_digest = type != ENGINE_ED25519;
    out->bytes = use->input.at;
    out->size_bytes = input_bytes;
    if (!out->is_digest)
        return LETHE_OK;
    size_t size_bytes = digest_bytes(how->digest);
    if (how->prehashed)
        return input_bytes == size_bytes
                   ? LETHE_OK
                   : error_set(err, LETHE_INVALID, "a digest of %s has %zu bytes, not %zu",
                               digest_kind_name(how->digest), size_bytes, input_bytes);
    out->bytes = out->digest;
    out->size_bytes = size_bytes;
    lethe_result result = digest_compute(how->digest, use->input.at, input_bytes, out->digest);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "no memory to hash");
}

/* ---- signing --------------------------------------------------------------------------------- */

static lethe_result make(const struct sign_pair *pair, const struct signed_input *input,
                         struct signature *out, struct lethe_error *err)
{
    return input->is_digest ? sign_digest(pair, input->bytes, input->size_bytes, out, err)
                            : sign_message(pair, input->bytes, input->size_bytes, out, err);
}

static lethe_result append(const struct kept_version *version, const struct signature *signature,
                           bool jws, struct guarded *out, struct lethe_error *err)
{
    struct signature fixed;
    size_t before = out->size_bytes;
    enum signature_kind kind = sign_public_kind(sign_pair_public(version->pair));
    if (jws)
        TRY(signature_to_fixed(kind, signature, &fixed, err));
    guarded_text(out, version->prefix);
    if (jws)
        engine_url_append(out, fixed.bytes, fixed.size_bytes);
    else
        guarded_base64(out, signature->bytes, signature->size_bytes);
    lethe_result result = guarded_result(out, err);
    if (result != LETHE_OK)
        guarded_truncate(out, before);
    return result;
}

lethe_result engine_sign(struct engine *engine, const struct engine_use *use, struct guarded *out,
                         uint64_t *version, struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    struct signed_input input;
    struct signature signature;
    TRY(find_signing(engine, use->name, &key, err));
    TRY(engine_pick(engine, key, use->version, ENGINE_MAKES, &kept, err));
    TRY(take_input(key->info.type, use, &input, err));
    TRY(make(kept->pair, &input, &signature, err));
    TRY(append(kept, &signature, use->how.jws, out, err));
    *version = kept->version;
    return LETHE_OK;
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* An Ed25519 signature of another length has no form that could be wrong: it is not valid. */
static lethe_result read_signature(struct engine *engine, const struct engine_text *text, bool jws,
                                   enum signature_kind kind, struct signature *out,
                                   struct lethe_error *err)
{
    struct buffer *bytes = &engine->sealed;
    struct signature fixed;
    *out = (struct signature){0};
    if (text->payload_length > BASE64_LENGTH(SIGNATURE_MAX_BYTES))
        return error_set(err, LETHE_MALFORMED, "a signature has at most %u bytes",
                         SIGNATURE_MAX_BYTES);
    TRY(jws ? engine_url_decode(text, SIGNATURE, bytes, err)
            : engine_text_decode(text, SIGNATURE, bytes, err));
    if (kind == SIGNATURE_ED25519)
        return bytes->size_bytes == 64 ? signature_from_bytes(bytes->bytes, 64, out, err)
                                       : LETHE_OK;
    if (jws)
        return signature_from_fixed(kind, bytes->bytes, bytes->size_bytes, out, err);
    if (signature_from_bytes(bytes->bytes, bytes->size_bytes, out, err) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "a signature has 1 to %u bytes",
                         SIGNATURE_MAX_BYTES);
    return signature_to_fixed(kind, out, &fixed, err); /* whether it has the form */
}

static lethe_result check(const struct sign_public *key, const struct signed_input *input,
                          const struct signature *signature, bool *valid, struct lethe_error *err)
{
    lethe_result result =
        input->is_digest ? sign_verify_digest(key, input->bytes, input->size_bytes, signature, err)
                         : sign_verify(key, input->bytes, input->size_bytes, signature, err);
    *valid = result == LETHE_OK;
    return result == LETHE_INTEGRITY ? LETHE_OK : result;
}

lethe_result engine_verify(struct engine *engine, const struct engine_use *use, bool *valid,
                           struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    struct engine_text parsed;
    struct signed_input input;
    struct signature signature;
    *valid = false;
    TRY(find_signing(engine, use->name, &key, err));
    TRY(engine_text_parse(use->proof, SIGNATURE, &parsed, err));
    TRY(engine_pick(engine, key, parsed.version, ENGINE_READS, &kept, err));
    TRY(take_input(key->info.type, use, &input, err));
    TRY(read_signature(engine, &parsed, use->how.jws, engine_type_signature(key->info.type),
                       &signature, err));
    if (signature.size_bytes == 0)
        return LETHE_OK;
    return check(sign_pair_public(kept->pair), &input, &signature, valid, err);
}
