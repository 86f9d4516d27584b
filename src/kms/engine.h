/* kms/engine.h -- what is done with named keys: encrypt, decrypt, sign, verify, HMAC, export,
 * backup, and how keys are configured. Semantics follow HashiCorp Vault's transit engine.
 *
 * One keyring holds all keys: those that models are encrypted under ("acme.llama.hot"), signers of
 * manifests ("acme.signer"), and any other that clients create. A log's key ("NODE.log") is not
 * reachable from here: what it signs is the log's.
 *
 * The engine decides about keys (versions, what each may do) and computes. It asks no policy and
 * writes no records of uses: whoever calls does both. Changes (create, rotate, ...) write theirs.
 * Keys that are in use stay expanded in guarded memory (ENGINE_KEPT_KEYS of them), checked against
 * the store's state before each use; engine_forget() wipes them.
 * Plaintexts come in and go out in guarded memory of the caller.
 * Thread rule: as kms/keeper.h. */
#ifndef KMS_ENGINE_H
#define KMS_ENGINE_H

#include "crypto/digest.h"
#include "kms/keeper.h"
#include "mem/guarded.h"

#define ENGINE_NAME_MAX KEY_NAME_MAX /* [A-Za-z0-9_], and - and . inside */
#define ENGINE_KEPT_KEYS 256u

struct engine_key {
    char name[ENGINE_NAME_MAX + 1];
    enum engine_type type;
    uint64_t latest_version;
    uint64_t min_available_version; /* 0: all are there */
    uint64_t min_decryption_version;
    uint64_t min_encryption_version; /* 0: the latest */
    uint64_t revoked_through;        /* 0: none */
    uint64_t auto_rotate_s;          /* 0: never by itself */
    bool destroyed;
    bool exportable, plaintext_backup, deletion_allowed, imported;
};

struct engine; /* over a keeper, which it borrows */
LETHE_MUST_CHECK lethe_result engine_open(struct keeper *keeper, struct engine **out,
                                          struct lethe_error *err);
void engine_close(struct engine *engine); /* wipes; NULL is fine */
DEFINE_CLEANUP(engine_close, struct engine *);
/* Wipes what is kept of every key, or of one. */
void engine_forget(struct engine *engine, const char *name);

/* ---- keys ------------------------------------------------------------------------------------ */

struct engine_create_options {
    enum engine_type type;
    bool exportable, plaintext_backup;
    uint64_t auto_rotate_s;
};
/* *existed: there was one, and nothing has changed. LETHE_INVALID: the name. */
LETHE_MUST_CHECK lethe_result engine_create_key(struct engine *engine, const char *name,
                                                const struct engine_create_options *options,
                                                bool *existed, struct lethe_error *err);
/* LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result engine_get(struct engine *engine, const char *name,
                                         struct engine_key *out, struct lethe_error *err);
typedef lethe_result engine_visit(void *context, const struct engine_key *key,
                                  struct lethe_error *err);
LETHE_MUST_CHECK lethe_result engine_list(struct engine *engine, engine_visit *visit, void *context,
                                          struct lethe_error *err);
struct engine_version {
    uint64_t created_s;
    uint64_t uses; /* how often it encrypted, at most */
};
LETHE_MUST_CHECK lethe_result engine_version(struct engine *engine, const char *name,
                                             uint64_t version, struct engine_version *out,
                                             struct lethe_error *err);
/* As PEM, or for Ed25519 base64 of the 32 bytes; empty for a key that has none. */
LETHE_MUST_CHECK lethe_result engine_public(struct engine *engine, const char *name,
                                            uint64_t version, struct buffer *out,
                                            struct lethe_error *err);
LETHE_MUST_CHECK lethe_result engine_rotate(struct engine *engine, const char *name,
                                            struct lethe_error *err);
/* Of every key whose time has come; *rotated counts them. */
LETHE_MUST_CHECK lethe_result engine_rotate_due(struct engine *engine, uint64_t *rotated,
                                                struct lethe_error *err);
struct engine_config { /* NULL: stays as it is */
    const uint64_t *min_decryption_version, *min_encryption_version, *auto_rotate_s;
    const bool *deletion_allowed, *exportable, *plaintext_backup;
};
/* All of it or nothing. LETHE_INVALID says which value does not fit. */
LETHE_MUST_CHECK lethe_result engine_configure(struct engine *engine, const char *name,
                                               const struct engine_config *config,
                                               struct lethe_error *err);
/* Destroys versions below it for good. */
LETHE_MUST_CHECK lethe_result engine_trim(struct engine *engine, const char *name,
                                          uint64_t min_available_version, struct lethe_error *err);
/* LETHE_INVALID unless deletion was allowed; the name may come back. */
LETHE_MUST_CHECK lethe_result engine_delete(struct engine *engine, const char *name,
                                            struct lethe_error *err);

/* ---- using them ------------------------------------------------------------------------------ */

/* Every use: LETHE_NOT_FOUND (no such key), LETHE_REVOKED (revoked or destroyed), LETHE_INVALID
 * (the key cannot do this, or not with this version), LETHE_LIMIT (the version has encrypted as
 * often as one may), LETHE_MALFORMED (a text is not what it should be), LETHE_INTEGRITY (it does
 * not open: one text, whatever the reason). */

struct engine_bytes { /* borrowed; what is secret lies in guarded memory of whoever asks */
    const void *at;
    size_t size_bytes;
};
struct engine_signing {
    enum digest_kind digest; /* of an HMAC too; not for Ed25519, which hashes for itself */
    bool prehashed;          /* the input is the digest */
    bool jws;                /* r and s of fixed width in unpadded URL-safe base64, not DER */
};
struct engine_use {
    const char *name;
    uint64_t version;          /* 0: the latest; of decryption and verification: that of the text */
    struct engine_bytes input; /* a plaintext, a ciphertext, or what is signed */
    struct engine_bytes proof; /* of verification: the signature or HMAC, as a text */
    struct engine_bytes aad;   /* of encryption and decryption: authenticated, and not encrypted */
    struct engine_signing how; /* of signatures and HMACs */
    bool as_base64;            /* of decryption: that is what comes out */
    bool renew; /* opens what was revoked, too (not what min_decryption_version puts out of use):
                 * for rewrapping and re-encrypting */
};
/* On failure nothing is appended, and *version is not said. */

/* Appends "vault:v<N>:<base64>"; *version is N. */
LETHE_MUST_CHECK lethe_result engine_encrypt(struct engine *engine, const struct engine_use *use,
                                             struct guarded *out, uint64_t *version,
                                             struct lethe_error *err);
/* Appends the plaintext; *version is that of the text. */
LETHE_MUST_CHECK lethe_result engine_decrypt(struct engine *engine, const struct engine_use *use,
                                             struct guarded *out, uint64_t *version,
                                             struct lethe_error *err);
/* Opens and encrypts anew under use->version, which *version is then; the plaintext stays inside.
 */
LETHE_MUST_CHECK lethe_result engine_rewrap(struct engine *engine, const struct engine_use *use,
                                            struct guarded *out, uint64_t *version,
                                            struct lethe_error *err);
/* Appends the "vault:v<N>:..." of HMAC (RFC 2104); every key has an HMAC key beside its own. */
LETHE_MUST_CHECK lethe_result engine_hmac(struct engine *engine, const struct engine_use *use,
                                          struct guarded *out, struct lethe_error *err);
/* LETHE_OK: *valid says whether it is right. */
LETHE_MUST_CHECK lethe_result engine_verify_hmac(struct engine *engine,
                                                 const struct engine_use *use, bool *valid,
                                                 struct lethe_error *err);
/* Appends the "vault:v<N>:..." of a signature; *version is N. */
LETHE_MUST_CHECK lethe_result engine_sign(struct engine *engine, const struct engine_use *use,
                                          struct guarded *out, uint64_t *version,
                                          struct lethe_error *err);
LETHE_MUST_CHECK lethe_result engine_verify(struct engine *engine, const struct engine_use *use,
                                            bool *valid, struct lethe_error *err);

/* ---- taking them out ------------------------------------------------------------------------- */

enum engine_export_kind { ENGINE_EXPORT_ENCRYPTION, ENGINE_EXPORT_SIGNING, ENGINE_EXPORT_HMAC };
struct engine_export {
    const char *name;
    enum engine_export_kind kind;
    uint64_t version; /* 0: the latest */
};
/* One version, as Vault's clients expect it: base64 of the bytes, of Ed25519 seed and public key,
 * of another pair PEM (PKCS#8). LETHE_INVALID: not exportable, or of another kind. On record
 * (key_released, purpose "export") before the bytes are there. */
LETHE_MUST_CHECK lethe_result engine_export(struct engine *engine, const struct engine_export *what,
                                            struct guarded *out, struct lethe_error *err);
/* A whole key, encrypted and authenticated under the service's backup key: opens in this service
 * and in those restored from its backup. LETHE_INVALID unless exportable and plaintext_backup. */
LETHE_MUST_CHECK lethe_result engine_backup(struct engine *engine, const char *name,
                                            struct guarded *out, struct lethe_error *err);
/* The name of the key that a backup holds. LETHE_MALFORMED: no base64; LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result engine_backup_name(struct engine *engine, struct engine_bytes backup,
                                                 char out[ENGINE_NAME_MAX + 1],
                                                 struct lethe_error *err);
struct engine_restore {
    const char *name; /* NULL: the one in the backup */
    struct engine_bytes backup;
    bool force; /* replaces a key of that name */
};
/* LETHE_EXISTS without `force`; LETHE_MALFORMED and LETHE_INTEGRITY as above. */
LETHE_MUST_CHECK lethe_result engine_restore(struct engine *engine,
                                             const struct engine_restore *what,
                                             struct lethe_error *err);

#endif
