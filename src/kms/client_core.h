/* kms/client_core.h -- what the files of kms/client.h share. */
#ifndef KMS_CLIENT_CORE_H
#define KMS_CLIENT_CORE_H

#include <sys/stat.h>

#include "kms/client.h"
#include "kms/client_json.h"
#include "kms/keyring.h"
#include "net/identity.h"

#define CLIENT_OFFLINE_S 60u
#define CLIENT_ASK_AGAIN_MS 1000u
/* Whoever asks whether a key may still be used has an engine to look after meanwhile. */
#define CLIENT_CHECK_TIMEOUT_MS 1000u

/* A public key of a signer that somebody may have borrowed. */
struct client_signer {
    struct client_signer *next;
    char name[KEY_NAME_MAX + 1];
    uint64_t version;
    char hint[64 + 1];
    struct sign_public *key;
};

/* What the service last said about a version. */
struct client_usable {
    struct client_usable *next;
    char name[KEY_NAME_MAX + 1];
    uint64_t version;
    uint64_t asked_ns; /* monotonic */
    lethe_result result;
};

/* What proves this node, by its files: client_proof.c. Paths are owned. */
struct client_proof {
    char *ca_path;
    char *certificate_path;
    char *key_path;
    char *token_path;
    struct timespec changed[3]; /* of the last three, when they were read */
    off_t size_bytes[3];
    uint64_t renew_s;     /* when two thirds of the certificate's life are over; 0: never */
    uint64_t try_again_s; /* after one that failed */
    bool is_renewing;
    struct spiffe_id identity; /* of the certificate; "": it has none */
};

/* An attested release of many that was denied. Whoever then asks for each learns the same, and it
 * is not on record again. */
#define CLIENT_REFUSAL_MS 1000u
struct client_refusal {
    char key[KEY_NAME_MAX + 1]; /* "": none */
    char purpose[64];
    uint64_t release;
    uint64_t at_ns; /* monotonic */
    struct lethe_error error;
};

struct client_kept; /* a data key that is kept, in client_cache.c */

struct kms_client {
    struct url url;
    struct client_proof proof;
    struct http_client *http;
    struct lethe_secret *token; /* NULL: none */
    struct guarded request;     /* a body; wiped after each call, as is the answer */
    struct guarded answer;
    struct key_source source;
    const struct lethe_log *log;
    uint64_t cache_ttl_s;
    uint64_t offline_s;
    uint64_t answered_ns;     /* when the service last answered (monotonic) */
    uint64_t failed_ns;       /* when it was last asked about a key and did not; 0: never */
    bool speaks_transit_only; /* it has no lethe/keys/NAME/status, for this node at least */
    struct client_signer *signers;
    struct client_usable *usable;
    struct client_kept *kept;
    const struct evidence_source *evidence;     /* NULL: keys are asked for without */
    char *service, *operation, *engine;         /* NULL: nothing said */
    struct attest_reference *service_reference; /* NULL: any state */
    char *service_machine;                      /* NULL: any */
    struct client_refusal refusal;              /* the last of an attested release of many */
    uint64_t proven_connection;                 /* the service was, over it; 0: not yet */
};

/* Sends what was put into client->request, which is wiped; the answer is in client->answer until
 * the next call, or client_wipe(). Anything but 2xx becomes a failure, as kms_client_call(). */
struct client_ask {
    enum http_method method;
    const char *path; /* below /v1/ */
    uint64_t timeout_ms;
    bool is_once; /* what was sent is not sent again, when a connection breaks */
};
LETHE_MUST_CHECK lethe_result client_ask(struct kms_client *client, const struct client_ask *ask,
                                         unsigned *status, struct json_piece *answer,
                                         struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_post(struct kms_client *client, const char *path,
                                          unsigned *status, struct json_piece *answer,
                                          struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_get(struct kms_client *client, const char *path,
                                         struct json_piece *answer, struct lethe_error *err);
void client_wipe(struct kms_client *client);

/* client_proof.c: reads it, and makes client->http; and again when a file has changed. What cannot
 * be read again leaves all as it was. */
LETHE_MUST_CHECK lethe_result client_proof_open(struct kms_client *client,
                                                const struct kms_client_options *options,
                                                struct lethe_error *err);
void client_proof_refresh(struct kms_client *client);
/* Files were changed: reads them again; true when they are in use. */
bool client_proof_look(struct kms_client *client);
/* client_renew.c: a new key and certificate, when it is time. What fails is tried again later. */
uint64_t client_renewal_s(const char *certificates_pem, size_t length);
void client_read_identity(const char *certificates_pem, size_t length, struct spiffe_id *out);
void client_renew_if_due(struct kms_client *client);
void client_proof_clear(struct client_proof *proof);

/* client_batch.c: items for a call of the transit engine, of any keys. Their buffers get what is
 * wrapped: all of them or none. */
struct client_batch {
    const char *path; /* "transit/rewrap/" */
    const char *what; /* "open its wrapped key": what the service cannot do with an item */
    const void *items;
    size_t count;
    const struct key_use *(*use)(const void *items, size_t i);
    void (*put)(struct guarded *request, const void *items, size_t i); /* all but the use */
    struct buffer *(*gets)(const void *items, size_t i);
};
LETHE_MUST_CHECK lethe_result client_batch_run(struct kms_client *client,
                                               const struct client_batch *batch,
                                               struct lethe_error *err);

/* client_keys.c, client_wrap_all.c, client_unwrap_all.c, client_rewrap.c, client_sign.c: the table.
 */
#define CLIENT_PATH_SIZE (KEY_NAME_MAX + 64)
void client_keys_init(struct kms_client *client);
/* `before` and the name of a key. Names come out of manifests, and must not lead to another path:
 * LETHE_INVALID for what is not the name of an encryption key. */
LETHE_MUST_CHECK lethe_result client_key_path(const char *before, const char *key,
                                              char path[CLIENT_PATH_SIZE], struct lethe_error *err);
void client_put_use(struct guarded *out, const struct key_use *use);
lethe_result client_wrap_all(void *context, const struct key_wrap *items, size_t count,
                             struct lethe_error *err);
lethe_result client_rewrap(void *context, const struct key_rewrap *items, size_t count,
                           struct lethe_error *err);
lethe_result client_unwrap_all(void *context, const struct key_unwrap *items, size_t count,
                               struct lethe_error *err);
lethe_result client_sign(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err);
lethe_result client_signer(void *context, const char *tenant, const char *hint,
                           const struct sign_public **out, struct lethe_error *err);
void client_signers_clear(struct kms_client *client);

/* client_release.c: keys by attested release. */
#define CLIENT_RELEASE_MAX 10000u /* shards in one call */
bool client_releases(const struct kms_client *client, const struct key_use *use);
struct client_shards { /* `taken`: which of the items; NULL: the first */
    const struct key_unwrap *items;
    const size_t *taken;
    size_t count;
};
/* What an item takes of a request; and what all of them may: the service takes 8 MiB. */
size_t client_shard_bytes(const struct key_unwrap *item);
#define CLIENT_SHARD_BYTES_MAX ((size_t)7 << 20)
/* Of one key, purpose and release. Some may be set when it fails: the caller frees them. */
LETHE_MUST_CHECK lethe_result client_release(struct kms_client *client,
                                             const struct client_shards *shards,
                                             struct lethe_error *err);
/* client_release_texts.c: what is asked, and what comes back. */
void client_put_request(struct kms_client *client, const struct client_shards *shards,
                        struct guarded *out);
LETHE_MUST_CHECK lethe_result client_open_keys(const struct guarded *plain,
                                               const struct client_shards *shards,
                                               struct lethe_error *err);
/* Of a text of base64: appends its bytes, which are no secret. */
LETHE_MUST_CHECK lethe_result client_answer_bytes(const struct json_piece *answer, const char *path,
                                                  struct buffer *out, struct lethe_error *err);
enum client_moment { CLIENT_BEFORE_ASKING, CLIENT_HAS_ASKED };
/* client_service.c (K-13): what the options say; and, where they ask for it, that the service has
 * proven its machine over the connection that there is. */
LETHE_MUST_CHECK lethe_result client_service_open(struct kms_client *client,
                                                  const struct kms_client_options *options,
                                                  struct lethe_error *err);
LETHE_MUST_CHECK lethe_result client_require_service(struct kms_client *client,
                                                     enum client_moment moment,
                                                     struct lethe_error *err);
/* client_keys.c: what a refusal to open a key may have been about. */
lethe_result client_explain(struct kms_client *client, const struct key_use *use, uint64_t version,
                            lethe_result refused, struct lethe_error *err);

/* client_usable.c: asks at once. LETHE_REVOKED (with a hint when it may be this node, not the key,
 * that is refused), LETHE_NOT_FOUND, or that the service cannot be asked. */
LETHE_MUST_CHECK lethe_result client_ask_usable(struct kms_client *client, const char *key,
                                                uint64_t version, struct lethe_error *err);
void client_usable_clear(struct kms_client *client);

/* client_cache.c: data keys that are kept. Looking up sweeps what has expired. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result client_cache_find(struct kms_client *client,
                                                const struct key_use *use, const char *wrapped,
                                                struct lethe_secret **out, struct lethe_error *err);
/* Without a time to live nothing is kept. */
LETHE_MUST_CHECK lethe_result client_cache_keep(struct kms_client *client,
                                                const struct key_use *use, const char *wrapped,
                                                const struct lethe_secret *data_key,
                                                struct lethe_error *err);
void client_cache_sweep(struct kms_client *client);
/* Wipes what is kept under a version of a key; `key` NULL: under all. */
void client_cache_forget(struct kms_client *client, const char *key, uint64_t version);

/* Whether that is the service that was named ([kms] service), if one was. */
bool client_is_expected(const struct kms_client *client, const struct buffer *service);

#endif
