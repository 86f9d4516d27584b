/* Wrapping a store key by what a root gives. */
#include <string.h>

#include "base/error.h"
#include "crypto/hash.h"
#include "kms/root_core.h"

/* What a record may ask for: 1 GiB. */
#define COST_LOG2_N_MAX 20
#define COST_RP_MAX 16

#define WRAP_DOMAIN "lethe-root-wrap/1"

lethe_result root_stretch(const struct root_record *record, const struct lethe_secret *passphrase,
                          struct lethe_secret **out, struct lethe_error *err)
{
    if (record->log2_n > COST_LOG2_N_MAX || record->r > COST_RP_MAX || record->p > COST_RP_MAX)
        return error_set(err, LETHE_INTEGRITY,
                         "the store's record of its root asks for a cost that "
                         "no root has");
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    const struct scrypt_input input = {
        .passphrase = passphrase,
        .salt = record->salt,
        .salt_bytes = sizeof record->salt,
        .log2_n = record->log2_n,
        .r = record->r,
        .p = record->p,
    };
    return scrypt(&input, *out, err);
}

static lethe_result wrapping_key(const struct root_record *record, struct root_material material,
                                 struct aead_key **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &derived, err));
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = material.bytes,
        .key_bytes = material.size_bytes,
        .salt = record->salt,
        .salt_bytes = sizeof record->salt,
        .info = WRAP_DOMAIN,
        .info_bytes = strlen(WRAP_DOMAIN),
    };
    TRY(hkdf(&input, lethe_secret_bytes(derived), AEAD_KEY_BYTES, err));
    return aead_key_create(lethe_secret_bytes_const(derived), AEAD_KEY_BYTES, AEAD_BACKEND_BEST,
                           out, err);
}

/* By the token itself, or by the key that the root's material makes. */
static lethe_result seal_with(const struct root_record *record, struct root_material material,
                              const struct aead_message *message, uint8_t tag[AEAD_TAG_BYTES],
                              struct lethe_error *err)
{
    if (record->spec.kind == ROOT_PKCS11)
        return root_pkcs11_seal(record->spec.where, message, tag, err);
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    TRY(wrapping_key(record, material, &key, err));
    lethe_result result = aead_seal(key, message, tag);
    return result == LETHE_OK ? result
                              : error_set(err, result, "the store key could not be wrapped");
}

static lethe_result open_with(const struct root_record *record, struct root_material material,
                              const struct aead_message *message, const uint8_t tag[AEAD_TAG_BYTES],
                              struct lethe_error *err)
{
    if (record->spec.kind == ROOT_PKCS11)
        return root_pkcs11_open(record->spec.where, message, tag, err);
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    TRY(wrapping_key(record, material, &key, err));
    return aead_open(key, message, tag) == LETHE_OK ? LETHE_OK : LETHE_DENIED;
}

static lethe_result seal_store_key(struct root_record *record, struct root_material material,
                                   const struct lethe_secret *store_key, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer aad = {0};
    root_record_binding(record, &aad);
    TRY(buffer_result(&aad, err));
    const struct aead_message message = {
        .nonce = record->sealed,
        .aad = aad.bytes,
        .aad_bytes = aad.size_bytes,
        .in = lethe_secret_bytes_const(store_key),
        .out = record->sealed + AEAD_NONCE_BYTES,
        .size_bytes = ROOT_KEY_BYTES,
    };
    uint8_t *tag = record->sealed + AEAD_NONCE_BYTES + ROOT_KEY_BYTES;
    return seal_with(record, material, &message, tag, err);
}

lethe_result root_unseal(const struct root_record *record, struct root_material material,
                         struct lethe_secret **out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    root_record_binding(record, &aad);
    TRY(buffer_result(&aad, err));
    TRY(lethe_secret_create(ROOT_KEY_BYTES, &store_key, err));
    const struct aead_message message = {
        .nonce = record->sealed,
        .aad = aad.bytes,
        .aad_bytes = aad.size_bytes,
        .in = record->sealed + AEAD_NONCE_BYTES,
        .out = lethe_secret_bytes(store_key),
        .size_bytes = ROOT_KEY_BYTES,
    };
    const uint8_t *tag = record->sealed + AEAD_NONCE_BYTES + ROOT_KEY_BYTES;
    TRY(open_with(record, material, &message, tag, err));
    *out = MOVE(store_key);
    return LETHE_OK;
}

lethe_result root_draw(const struct random_source *random, void *out, size_t size_bytes,
                       struct lethe_error *err)
{
    return random_fill(random, out, size_bytes) == LETHE_OK
               ? LETHE_OK
               : error_set(err, LETHE_FAILED, "there is no randomness for a store key");
}

static lethe_result draw_store_key(const struct random_source *random, struct root_record *record,
                                   struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(ROOT_KEY_BYTES, out, err));
    TRY(root_draw(random, record->sealed, AEAD_NONCE_BYTES, err));
    return root_draw(random, lethe_secret_bytes(*out), ROOT_KEY_BYTES, err);
}

lethe_result root_wrap_fresh(struct root_record *record, struct root_material material,
                             const struct random_source *random, struct buffer *bytes,
                             struct lethe_secret **store_key, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *drawn = NULL;
    TRY(draw_store_key(random, record, &drawn, err));
    TRY(seal_store_key(record, material, drawn, err));
    root_record_append(record, bytes);
    TRY(buffer_result(bytes, err));
    *store_key = MOVE(drawn);
    return LETHE_OK;
}
