/* kms/keyring.h -- named, versioned keys in the store: what may be done with each, and how often.
 *
 * Names: [A-Za-z0-9_], and - and . inside. Some have a meaning: "<tenant>.<model>.<tier>" is what a
 * model is encrypted under (AES-256-GCM), "<tenant>.signer" signs manifests (ECDSA P-256),
 * "<node>.log" the log (Ed25519). Rows: docs/formats.md, "Keys". The keyring decides and computes;
 * it neither begins transactions nor writes records: the keeper does. LETHE_INTEGRITY everywhere
 * for a row that no keyring wrote. */
#ifndef KMS_KEYRING_H
#define KMS_KEYRING_H

#include "kms/key_type.h"
#include "store/store.h"

#define KEY_NAME_MAX (3 * 64 + 2)
/* A version refuses to encrypt before its random nonces could meet (NIST SP 800-38D, 8.3). Uses are
 * reserved in the store many at a time, so that a crash can only over-count. */
#define KEY_USES_MAX ((uint64_t)1 << 32)
#define KEY_USES_RESERVED ((uint64_t)4096)
#define KEY_HMAC_BYTES 32u

/* What a name makes of a key. */
enum key_kind { KEY_ENCRYPTION, KEY_MANIFEST_SIGNER, KEY_LOG_SIGNER, KEY_OTHER };

struct key_info {
    char name[KEY_NAME_MAX + 1];
    enum key_kind kind;
    enum engine_type type;
    uint64_t newest_version;
    uint64_t revoked_through; /* versions up to this one are revoked, for ever; 0: none */
    bool destroyed;           /* no material is left, and the name does not come back   */
    uint64_t created_s;       /* of the newest version */
    uint64_t uses;            /* of the newest version, reserved ones included */
    uint64_t rotate_every_s;  /* how old the newest version may become; 0: no matter */
    uint64_t min_available;   /* older versions are gone; 0: none is */
    uint64_t min_decryption;  /* older versions open and verify no more, until this is lowered */
    uint64_t min_encryption;  /* older versions encrypt and sign no more; 0: any that opens may */
    bool exportable, plaintext_backup, deletion_allowed, imported;
};

/* The kind that a name says, of those that Lethe itself uses; LETHE_INVALID for any other name. */
LETHE_MUST_CHECK lethe_result key_name_check(const char *name, enum key_kind *kind,
                                             struct lethe_error *err);
/* For any name that a key may have; LETHE_INVALID for what is none. */
LETHE_MUST_CHECK lethe_result key_name_check_any(const char *name, enum key_kind *kind,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keyring_info(struct store *store, const char *name,
                                           struct key_info *out, struct lethe_error *err);
/* Inside a transaction: a new key, version 1, of the type that its name asks for. LETHE_EXISTS;
 * LETHE_INVALID for a name that key_name_check() refuses. */
LETHE_MUST_CHECK lethe_result keyring_create(struct store *store, const char *name, uint64_t now_s,
                                             struct lethe_error *err);
/* The same for any name and type; LETHE_INVALID when they do not fit. */
struct key_options {
    enum engine_type type;
    uint64_t rotate_every_s;
    bool exportable, plaintext_backup;
};
LETHE_MUST_CHECK lethe_result keyring_create_with(struct store *store, const char *name,
                                                  const struct key_options *options, uint64_t now_s,
                                                  struct lethe_error *err);
/* Whether a version may be used. LETHE_REVOKED says what to do, for a destroyed key too. */
LETHE_MUST_CHECK lethe_result key_check_usable(const struct key_info *info, uint64_t version,
                                               struct lethe_error *err);
/* Whether a version was not put out of use by min_decryption, for renewing too. LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result key_check_opens(const struct key_info *info, uint64_t version,
                                              struct lethe_error *err);
/* Inside a transaction: one more version, the newest from now on. LETHE_INVALID for a log key: it
 * is what others know the log by. LETHE_REVOKED when destroyed. */
LETHE_MUST_CHECK lethe_result keyring_rotate(struct store *store, const char *name, uint64_t now_s,
                                             struct lethe_error *err);
/* Inside a transaction: how old a version may become before the next one takes over (K-7); 0: as
 * old as it will. LETHE_INVALID and LETHE_REVOKED as above. */
#define KEY_ROTATE_EVERY_S_MAX ((uint64_t)100 * 366 * 24 * 3600)
LETHE_MUST_CHECK lethe_result keyring_schedule(struct store *store, const char *name,
                                               uint64_t rotate_every_s, struct lethe_error *err);
/* Whether the newest version is that old. One whose time lies ahead, because a clock was set back,
 * is not. */
bool key_is_due(const struct key_info *info, uint64_t now_s);
/* Inside a transaction: revokes every version that there is. LETHE_INVALID as above. */
LETHE_MUST_CHECK lethe_result keyring_revoke(struct store *store, const char *name,
                                             struct lethe_error *err);

/* Inside a transaction: deletes the material of every version, and keeps the name, for ever.
 * LETHE_INVALID as above; LETHE_REVOKED when it was destroyed before. */
LETHE_MUST_CHECK lethe_result keyring_destroy(struct store *store, const char *name,
                                              struct lethe_error *err);
/* Inside a transaction: writes what may be configured of a key: the minimums, the schedule and the
 * flags of *info, which the caller has checked. Versions below min_available go for good.
 * LETHE_INVALID and LETHE_REVOKED as above. */
LETHE_MUST_CHECK lethe_result keyring_configure(struct store *store, const struct key_info *info,
                                                struct lethe_error *err);
/* Inside a transaction: removes a key with everything that it has; the name may come back.
 * LETHE_INVALID and LETHE_REVOKED as above. */
LETHE_MUST_CHECK lethe_result keyring_delete(struct store *store, const char *name,
                                             struct lethe_error *err);

/* The smallest release number that is given keys (E-8), of "<tenant>.<model>"; 0 when none was set.
 * Inside a transaction it can be raised; LETHE_INVALID when it is not more than before. */
#define RELEASE_NAME_MAX (2 * 64 + 1)
LETHE_MUST_CHECK lethe_result release_minimum(struct store *store, const char *model,
                                              uint64_t *minimum, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result release_raise_minimum(struct store *store, const char *model,
                                                    uint64_t minimum, struct lethe_error *err);

/* Inside a transaction: counts so many more uses of a version. LETHE_NOT_FOUND; LETHE_LIMIT: rotate
 * the key. */
LETHE_MUST_CHECK lethe_result keyring_reserve_many(struct store *store, const char *name,
                                                   uint64_t version, uint64_t uses,
                                                   struct lethe_error *err);
/* The bytes of a version, the caller's. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result keyring_material(struct store *store, const char *name,
                                               uint64_t version, struct lethe_secret **out,
                                               struct lethe_error *err);
/* All of a version. struct key_version v = {0}; is empty. */
struct key_version {
    uint64_t created_s;
    uint64_t uses;
    struct lethe_secret *material;
    struct lethe_secret *hmac; /* KEY_HMAC_BYTES; of an old row: derived from the material */
};
void key_version_clear(struct key_version *version);
static inline void key_version_clear_at_scope_end(struct key_version *version)
{
    key_version_clear(version);
}
LETHE_MUST_CHECK lethe_result keyring_version(struct store *store, const char *name,
                                              uint64_t version, struct key_version *out,
                                              struct lethe_error *err);
/* Every key in byte order of the names, until `visit` gives something else than LETHE_OK. */
typedef lethe_result key_visit(void *context, const struct key_info *info, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keyring_list(struct store *store, key_visit *visit, void *context,
                                           struct lethe_error *err);

#endif
