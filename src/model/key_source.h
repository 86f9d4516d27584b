/* model/key_source.h -- what a model needs of whoever keeps the keys: a table that the key service
 * fills in (the local keeper, or a client of a remote one). Calls may come from one thread at a
 * time. */
#ifndef MODEL_KEY_SOURCE_H
#define MODEL_KEY_SOURCE_H

#include "crypto/sign.h"

#define KEY_PURPOSE_REENCRYPT "reencrypt"

/* Which key, for what: goes into the decision and into the log. */
struct key_use {
    const char *key;     /* "<tenant>.<model>.<tier>" */
    const char *shard;   /* id of the shard whose data key it is */
    const char *purpose; /* "encrypt", "load", "decrypt", "verify", "export": for the record; and
                            KEY_PURPOSE_REENCRYPT, which opens what was revoked, too */
    uint64_t release;    /* of the manifest: below the minimum that was set it is refused (E-8) */
    const void *aad;     /* the shard's associated data; binds the wrapped key to the shard */
    size_t aad_bytes;
};

/* A data key that is wrapped together with others. */
struct key_wrap {
    struct key_use use;
    const struct lethe_secret *data_key;
    struct buffer *wrapped; /* empty before; gets "vault:v<newest>:<base64>" */
};

/* A data key to be wrapped anew; the bytes of it never leave the key service. */
struct key_rewrap {
    struct key_use use;
    const char *wrapped;      /* as it is now */
    struct buffer *rewrapped; /* empty before; gets "vault:v<newest>:<base64>" */
};

/* A data key that is asked for together with others. */
struct key_unwrap {
    struct key_use use;
    const char *wrapped;
    struct lethe_secret **data_key; /* NULL before; the caller's to free */
};

struct key_source {
    /* Makes sure that the key can wrap, creating it when it is new. */
    lethe_result (*ensure)(void *context, const char *key, struct lethe_error *err);
    /* Wraps under the newest version; `wrapped` (empty before) gets "vault:v<N>:<base64>". */
    lethe_result (*wrap)(void *context, const struct key_use *use,
                         const struct lethe_secret *data_key, struct buffer *wrapped,
                         struct lethe_error *err);
    /* Many of one model, on record in one durable group for each key: all of them, or none (the
     * buffers are then empty). NULL: not offered. */
    lethe_result (*wrap_all)(void *context, const struct key_wrap *items, size_t count,
                             struct lethe_error *err);
    /* LETHE_INTEGRITY when it does not open; LETHE_NOT_FOUND, LETHE_DENIED, LETHE_REVOKED for the
     * key. The caller frees *data_key as soon as the shard is open (Z-2). */
    lethe_result (*unwrap)(void *context, const struct key_use *use, const char *wrapped,
                           struct lethe_secret **data_key, struct lethe_error *err);
    /* Many of one model, with their records in one durable group: all of them, or none. What is
     * refused is not on record here: whoever then asks for one after another learns which it is,
     * and so does the log. NULL: not offered. */
    lethe_result (*unwrap_all)(void *context, const struct key_unwrap *items, size_t count,
                               struct lethe_error *err);
    /* Wraps many anew under the newest version, on record in one durable group: all of them, or
     * none (the buffers are then empty). Allowed for revoked versions, never for destroyed keys. */
    lethe_result (*rewrap)(void *context, const struct key_rewrap *items, size_t count,
                           struct lethe_error *err);
    /* The newest version of a key, for seeing how far a rotation is. LETHE_NOT_FOUND. */
    lethe_result (*newest)(void *context, const char *key, uint64_t *version,
                           struct lethe_error *err);
    /* ECDSA P-256 over SHA-256, with the tenant's manifest signer, which `sign` creates when new.
     */
    lethe_result (*sign)(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err);
    /* A public key of the tenant, borrowed until the source is closed: the one whose hint (hex
     * SHA-256 of its PEM, as in model.sig) is `hint`, or the newest when that is NULL. Older ones
     * go on verifying (K-8) until they are revoked. LETHE_NOT_FOUND, LETHE_REVOKED. */
    lethe_result (*signer)(void *context, const char *tenant, const char *hint,
                           const struct sign_public **out, struct lethe_error *err);
    void *context;
};

#endif
