/* kms/root_core.h -- the inside of a root, for its own files: root.c (kinds, making),
 * root_open.c, root_wrap.c (a store key under what a root gives), root_change.c. */
#ifndef KMS_ROOT_CORE_H
#define KMS_ROOT_CORE_H

#include "kms/root.h"
#include "kms/root_file.h"
#include "kms/root_record.h"

struct root {
    struct root_record record; /* the last one that it opened, or that it was read for */
    bool has_opened;
    struct lethe_region *kept; /* the stretched passphrase, closed but for a use */
};

/* What the root gave, as it wraps: bytes in guarded memory. */
struct root_material {
    const uint8_t *bytes;
    size_t size_bytes;
};

static inline struct root_material root_material_of(const struct lethe_secret *secret)
{
    return (struct root_material){lethe_secret_bytes_const(secret), lethe_secret_size(secret)};
}

/* A passphrase, as the record says that it is stretched. LETHE_INTEGRITY: at a cost that no root
 * has. */
LETHE_MUST_CHECK lethe_result root_stretch(const struct root_record *record,
                                           const struct lethe_secret *passphrase,
                                           struct lethe_secret **out, struct lethe_error *err);
/* The store key. LETHE_DENIED, without a text, when this material does not open it. */
LETHE_MUST_CHECK lethe_result root_unseal(const struct root_record *record,
                                          struct root_material material, struct lethe_secret **out,
                                          struct lethe_error *err);
/* Draws a store key and wraps it: gives the bytes of the record, and the key. */
LETHE_MUST_CHECK lethe_result root_wrap_fresh(struct root_record *record,
                                              struct root_material material,
                                              const struct random_source *random,
                                              struct buffer *bytes, struct lethe_secret **store_key,
                                              struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_draw(const struct random_source *random, void *out,
                                        size_t size_bytes, struct lethe_error *err);

/* What a credential or a TPM gives. LETHE_INVALID: not enough to be a key. */
LETHE_MUST_CHECK lethe_result root_read_material(const struct root_record *record,
                                                 struct lethe_secret **out,
                                                 struct lethe_error *err);
/* Why older copies of the store go on being opened by a root that stays the same. */
const char *root_stays(enum root_kind kind);
/* *which is the line that opens it. LETHE_INTEGRITY: store or file is older than the other. */
LETHE_MUST_CHECK lethe_result root_unseal_with_file(const struct root_record *record,
                                                    struct root_lines *lines, size_t *which,
                                                    struct lethe_secret **store_key,
                                                    struct lethe_error *err);

/* ---- hardware ---------------------------------------------------------------------------------
 */

/* A key in a PKCS#11 token (root_pkcs11.c): AES-256-GCM inside the token, so that the key never is
 * anywhere else. LETHE_INVALID: the URI; LETHE_UNAVAILABLE: no such token or key; LETHE_DENIED:
 * wrong PIN, or it does not open. */
LETHE_MUST_CHECK lethe_result root_pkcs11_check(const char *uri, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_pkcs11_places(const char *uri, struct root_places *out,
                                                 struct lethe_error *err);
/* Makes the key in the token when there is none of its name. */
LETHE_MUST_CHECK lethe_result root_pkcs11_make(const char *uri, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_pkcs11_seal(const char *uri, const struct aead_message *message,
                                               uint8_t tag[AEAD_TAG_BYTES],
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_pkcs11_open(const char *uri, const struct aead_message *message,
                                               const uint8_t tag[AEAD_TAG_BYTES],
                                               struct lethe_error *err);

/* A secret of ROOT_KEY_BYTES sealed by a TPM 2.0 (root_tpm2.c), under its owner hierarchy, with the
 * PCRs (bank SHA-256) that `where` names as they are now. LETHE_UNAVAILABLE: no TPM; LETHE_DENIED:
 * another TPM, or PCRs in another state. */
LETHE_MUST_CHECK lethe_result root_tpm2_check(const char *where, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_tpm2_places(const char *where, struct root_places *out,
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_tpm2_seal(struct root_record *record,
                                             const struct lethe_secret *secret,
                                             struct lethe_error *err);
LETHE_MUST_CHECK lethe_result root_tpm2_unseal(const struct root_record *record,
                                               struct lethe_secret **out, struct lethe_error *err);

#endif
