#include "kms/fingerprint.h"

#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "kms/keyring.h"

#define DOMAIN "lethe-fingerprint/1"
#define KEY_BYTES 32u
#define SHOWN_BYTES ((FINGERPRINT_SIZE - 1) / 2)

static lethe_result derive_key(struct store *store, const char *log_key, struct lethe_secret *out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *seed = NULL;
    TRY(keyring_material(store, log_key, 1, &seed, err)); /* it is never rotated */
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = lethe_secret_bytes_const(seed),
        .key_bytes = lethe_secret_size(seed),
        .info = DOMAIN,
        .info_bytes = strlen(DOMAIN),
    };
    return hkdf(&input, lethe_secret_bytes(out), KEY_BYTES, err);
}

lethe_result key_fingerprint(struct store *store, const char *log_key, const struct key_info *info,
                             char out[FINGERPRINT_SIZE], struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    uint8_t digest[SHA256_BYTES];
    TRY(lethe_secret_create(KEY_BYTES, &key, err));
    TRY(derive_key(store, log_key, key, err));
    TRY(keyring_material(store, info->name, info->newest_version, &material, err));
    TRY(hmac_sha256(lethe_secret_bytes_const(key), KEY_BYTES, lethe_secret_bytes_const(material),
                    lethe_secret_size(material), digest));
    hex_encode(digest, SHOWN_BYTES, out);
    return LETHE_OK;
}
