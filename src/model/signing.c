#include "model/signing.h"

#include "base/error.h"
#include "base/file.h"

/* A manifest that we would not read ourselves is never signed. */
static lethe_result write_manifest(const struct signing *signing, struct buffer *text,
                                   struct lethe_error *err)
{
    CLEANUP(manifest_free) struct manifest *read_back = NULL;
    TRY(manifest_write(signing->manifest, text, err));
    TRY(error_context(err, manifest_parse(text->bytes, text->size_bytes, &read_back, err),
                      "these sources cannot be described"));
    TRY(file_write_atomic(signing->dir_fd, MANIFEST_FILE, text->bytes, text->size_bytes, 0644,
                          false, err));
    for (uint64_t start = 0; start < text->size_bytes; start += OMS_SHARD_BYTES) {
        uint8_t digest[SHA256_BYTES];
        const struct oms_range range = {
            .path = MANIFEST_FILE,
            .start = start,
            .end = MIN(text->size_bytes, start + OMS_SHARD_BYTES),
        };
        sha256(text->bytes + start, range.end - start, digest);
        TRY(oms_list_add(signing->signed_list, &range, digest, err));
    }
    return LETHE_OK;
}

static lethe_result sign(const struct signing *signing, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer payload = {0};
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    const struct sign_public *signer = NULL;
    const char *tenant = signing->manifest->tenant;
    struct signature signature;
    TRY(oms_statement(signing->signed_list, &payload, err));
    oms_pae(payload.bytes, payload.size_bytes, &encoded);
    TRY(buffer_result(&encoded, err));
    TRY(signing->keys->sign(signing->keys->context, tenant, encoded.bytes, encoded.size_bytes,
                            &signature, err));
    TRY(signing->keys->signer(signing->keys->context, tenant, NULL, &signer, err));
    TRY(oms_bundle(&payload, &signature, signer, &bundle, err));
    if (bundle.size_bytes > OMS_BUNDLE_MAX)
        return error_set(err, LETHE_LIMIT, "the model is too large for a signature");
    return file_write_atomic(signing->dir_fd, SIGNATURE_FILE, bundle.bytes, bundle.size_bytes, 0644,
                             false, err);
}

lethe_result signing_finish(const struct signing *signing, struct buffer *text,
                            struct lethe_error *err)
{
    TRY(write_manifest(signing, text, err));
    return sign(signing, err);
}
