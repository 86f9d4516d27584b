/* kms/engine_core.h -- the inside of an engine, for its own files:
 *
 *     engine.c          making one, and looking at keys
 *     engine_keys.c     creating, rotating, deleting keys      engine_config.c   configuring them
 *     engine_kept.c     keys in use, and their uses            engine_text.c     "vault:v<N>:..."
 *     engine_encrypt.c  engine_sign.c  engine_hmac.c           what is done with them
 *     engine_export.c   engine_backup.c                        taking them out, and in */
#ifndef KMS_ENGINE_CORE_H
#define KMS_ENGINE_CORE_H

#include "base/buffer.h"
#include "crypto/aead.h"
#include "kms/change.h"
#include "kms/engine.h"
#include "kms/keeper_core.h"

/* ---- keys in use ----------------------------------------------------------------------------- */

#define KEPT_BUCKETS 4096u
#define KEPT_ENTRIES_MAX                                                                           \
    8192u                     /* keys whose reserved uses are remembered, most without material    \
                               */
#define KEPT_PAIRS_MAX 64u    /* each takes 2 KiB of OpenSSL's locked heap */
#define KEPT_VERSIONS_MAX 64u /* of one key */
#define KEPT_RESERVED_MAX ((uint64_t)1 << 18)

struct kept_version {
    struct kept_version *next;
    uint64_t version;
    uint64_t created_s;
    struct lethe_secret *hmac; /* NULL: no material is kept, but the uses below may be */
    struct aead_key *aead;     /* of a type that encrypts */
    struct sign_pair *pair;    /* of a type that signs    */
    uint64_t identity;         /* tells a version from another that has its name and number */
    uint64_t uses_left;        /* reserved, not taken yet */
    uint64_t block;            /* how many were reserved last, and when */
    uint64_t reserved_ns;
    char prefix[32]; /* "vault:v<N>:" */
};

struct kept_key {
    struct kept_key *next;          /* in its bucket */
    struct kept_key *older, *newer; /* among those with `info` */
    struct key_info info;
    bool has_info; /* `info` is more than a name, and what there is of versions is valid */
    struct kept_version *versions;
};

struct engine {
    struct keeper *keeper;
    struct kept_key *buckets[KEPT_BUCKETS];
    struct kept_key *newest, *oldest; /* of those with `info` */
    size_t entries, with_info, pairs;
    struct buffer sealed; /* ciphertexts on their way */
    struct guarded plain; /* plaintexts on theirs */
};

void kept_clear(struct engine *engine);
void kept_forget(struct engine *engine, const char *name);
/* The key, as the store had it when it was first asked for since the last kept_forget(). The log's
 * key is LETHE_NOT_FOUND. Valid until another is asked for. */
LETHE_MUST_CHECK lethe_result kept_find(struct engine *engine, const char *name,
                                        struct kept_key **out, struct lethe_error *err);
/* One version of it, with its material. Valid as long. */
LETHE_MUST_CHECK lethe_result kept_version(struct engine *engine, struct kept_key *key,
                                           uint64_t version, struct kept_version **out,
                                           struct lethe_error *err);
/* One use of it, counted before it happens. LETHE_LIMIT. */
LETHE_MUST_CHECK lethe_result kept_take_use(struct engine *engine, const struct kept_key *key,
                                            struct kept_version *version, struct lethe_error *err);

/* ---- which version may do what --------------------------------------------------------------- */

enum engine_work { ENGINE_MAKES, ENGINE_READS, ENGINE_RENEWS };
/* Finds the version that `wanted` means (0: the newest) for encrypting, signing and HMACs, or for
 * opening and verifying. LETHE_REVOKED, LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result engine_pick(struct engine *engine, struct kept_key *key,
                                          uint64_t wanted, enum engine_work work,
                                          struct kept_version **out, struct lethe_error *err);

/* ---- texts ----------------------------------------------------------------------------------- */

struct engine_text { /* borrowed */
    uint64_t version;
    const char *payload;
    size_t payload_length;
};
/* LETHE_MALFORMED says that `what` ("a ciphertext") has another form. */
LETHE_MUST_CHECK lethe_result engine_text_parse(struct engine_bytes text, const char *what,
                                                struct engine_text *out, struct lethe_error *err);
/* Empties a buffer and makes room for so many bytes in it; one that cannot grow is as new again. */
LETHE_MUST_CHECK lethe_result engine_room(struct buffer *buffer, size_t size_bytes, uint8_t **room,
                                          struct lethe_error *err);
/* Standard base64, replacing what `out` held. */
LETHE_MUST_CHECK lethe_result engine_text_decode(const struct engine_text *text, const char *what,
                                                 struct buffer *out, struct lethe_error *err);
/* URL-safe base64 without padding, of at most SIGNATURE_MAX_BYTES; and back. */
void engine_url_append(struct guarded *out, const void *bytes, size_t size_bytes);
LETHE_MUST_CHECK lethe_result engine_url_decode(const struct engine_text *text, const char *what,
                                                struct buffer *out, struct lethe_error *err);

/* ---- changes --------------------------------------------------------------------------------- */

/* Makes a change of the key with its record, for the tenant that its name begins with, and forgets
 * what was kept of it. */
LETHE_MUST_CHECK lethe_result engine_change(struct engine *engine, const char *name,
                                            keeper_edit *change, void *context,
                                            struct lethe_error *err);
/* Puts on record that a key leaves the service. */
LETHE_MUST_CHECK lethe_result engine_record_release(struct engine *engine, const char *name,
                                                    uint64_t version, const char *purpose,
                                                    struct lethe_error *err);
/* LETHE_INVALID: a new key may not be called so. */
LETHE_MUST_CHECK lethe_result engine_check_new_name(const char *name, struct lethe_error *err);
/* LETHE_NOT_FOUND: no key of this name can be used from here. */
LETHE_MUST_CHECK lethe_result engine_check_name(const char *name, struct lethe_error *err);
/* LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result engine_check_auto_rotate(uint64_t auto_rotate_s,
                                                       struct lethe_error *err);

#endif
