/* model/key_source.h -- what a model needs of whoever keeps the keys: a table that the key service
 * fills in (the local keeper, or a client of a remote one). Calls may come from one thread at a
 * time. */
#ifndef MODEL_KEY_SOURCE_H
#define MODEL_KEY_SOURCE_H

#include "crypto/sign.h"

/* Which key, for what: goes into the decision and into the log. */
struct key_use {
    const char *key;     /* "<tenant>.<model>.<tier>" */
    const char *shard;   /* id of the shard whose data key it is */
    const char *purpose; /* "encrypt", "load", "decrypt", "verify", "export": for the record */
    const void *aad;     /* the shard's associated data; binds the wrapped key to the shard */
    size_t aad_bytes;
};

struct key_source {
    /* Makes sure that the key can wrap, creating it when it is new. */
    lethe_result (*ensure)(void *context, const char *key, struct lethe_error *err);
    /* Wraps under the newest version; `wrapped` (empty before) gets "vault:v<N>:<base64>". */
    lethe_result (*wrap)(void *context, const struct key_use *use,
                         const struct lethe_secret *data_key, struct buffer *wrapped,
                         struct lethe_error *err);
    /* LETHE_INTEGRITY when it does not open; LETHE_NOT_FOUND, LETHE_DENIED, LETHE_REVOKED for the
     * key. The caller frees *data_key as soon as the shard is open (Z-2). */
    lethe_result (*unwrap)(void *context, const struct key_use *use, const char *wrapped,
                           struct lethe_secret **data_key, struct lethe_error *err);
    /* ECDSA P-256 over SHA-256, with the tenant's manifest signer, which `sign` creates when new.
     */
    lethe_result (*sign)(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err);
    /* The tenant's public key, borrowed until the source is closed. LETHE_NOT_FOUND. */
    lethe_result (*signer)(void *context, const char *tenant, const struct sign_public **out,
                           struct lethe_error *err);
    void *context;
};

#endif
