/* kms/client.h -- a key service somewhere else, as a key source for models, and for its operators.
 *
 * Keys that come are held in guarded memory, used and wiped. With a time-to-live they are kept
 * (K-10): in closed regions, until they expire, are revoked, or the client is closed; each is on
 * record (key_cached, key_expired). The certificate that proves this node is renewed when two
 * thirds of its life are over. Thread rule: one thread at a time. */
#ifndef KMS_CLIENT_H
#define KMS_CLIENT_H

#include "audit/recorder.h"
#include "model/key_source.h"
#include "net/http_client.h"

struct kms_client_options {
    const char *address;          /* "https://HOST:PORT" or "unix:/PATH" (the admin socket) */
    const char *ca_path;          /* PEM; NULL: the system's */
    const char *certificate_path; /* PEM, and */
    const char *key_path;         /* PEM, 0600; both NULL: none */
    const char *token_path;       /* 0600; NULL: none */
    uint64_t cache_ttl_s;         /* 0: nothing is kept */
    uint64_t offline_s;           /* 0: 60: how long keys in use outlive a service out of reach */
    const struct lethe_log *log;  /* for records of kept keys; may be NULL */
};
struct kms_client;
LETHE_MUST_CHECK lethe_result kms_client_open(const struct kms_client_options *options,
                                              struct kms_client **out, struct lethe_error *err);
void kms_client_close(struct kms_client *client); /* wipes; NULL is fine */
DEFINE_CLEANUP(kms_client_close, struct kms_client *);

const struct key_source *kms_client_key_source(struct kms_client *client);
/* Whether a version may still be used, as the service says; the answer is at most a second old.
 * LETHE_REVOKED: key or identity; LETHE_UNAVAILABLE: out of reach for longer than `offline_s`. */
LETHE_MUST_CHECK lethe_result kms_client_check_usable(struct kms_client *client, const char *key,
                                                      uint64_t version, struct lethe_error *err);

/* Any call, for the commands. Results that are not 2xx become an error with the service's text:
 * 400 LETHE_INVALID, 403 LETHE_DENIED, 404 LETHE_NOT_FOUND, 429 and 5xx LETHE_UNAVAILABLE. */
LETHE_MUST_CHECK lethe_result kms_client_call(struct kms_client *client, enum http_method method,
                                              const char *path, const void *body, size_t body_bytes,
                                              struct guarded *answer, struct lethe_error *err);

#endif
