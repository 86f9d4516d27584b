/* kms/client.h -- a key service somewhere else, as a key source for models, and for its operators.
 *
 * Keys that come are held in guarded memory, used and wiped. With a time-to-live they are kept
 * (K-10): in closed regions, until they expire, are revoked, or the client is closed; each is on
 * record (key_cached, key_expired). Certificate, key and token are read again when their files have
 * changed, so that whoever renews them (lethe identity renew, token renew) need not restart those
 * that use them. And the client itself renews its certificate when two thirds of its life are over:
 * the new key is made here, and both files are replaced, each whole. Thread rule: one thread at a
 * time. */
#ifndef KMS_CLIENT_H
#define KMS_CLIENT_H

#include "attest/evidence.h"
#include "audit/recorder.h"
#include "model/key_source.h"
#include "net/http_client.h"

struct kms_client_options {
    const char *address; /* "https://HOST:PORT": ours, or any with Vault's transit engine */
    const char *ca_path; /* PEM; NULL: the system's */
    const char *certificate_path; /* PEM, and */
    const char *key_path;         /* PEM, 0600; both NULL: none */
    const char *token_path;       /* 0600; NULL: none */
    uint64_t cache_ttl_s;         /* 0: nothing is kept */
    uint64_t offline_s;           /* 0: 60: how long keys in use outlive a service out of reach */
    const struct lethe_log *log;  /* for records of kept keys; may be NULL; outlives the client */
    /* Keys come by attested release (docs/release-protocol.md), with evidence of this machine, for
     * the identity of the certificate. NULL: they are asked for as of any service; outlives the
     * client. */
    const struct evidence_source *evidence;
    const char *service; /* the identity ("lethe-kms:...") that it must have; NULL: any */
    /* K-13: before keys are asked for over a connection, the service proves its machine. Both NULL:
     * it need not. */
    const char *service_reference_path; /* a reference value that it must fit; NULL: any state */
    const char *service_machine; /* the hex name of its attestation key, or its chip; NULL: any, but
                                    not of a TPM, whose key anybody could have made up */
    const char *operation;       /* of requests; NULL: "decrypt_for_vram_load" */
};
struct kms_client;
LETHE_MUST_CHECK lethe_result kms_client_open(const struct kms_client_options *options,
                                              struct kms_client **out, struct lethe_error *err);
void kms_client_close(struct kms_client *client); /* wipes; NULL is fine */
DEFINE_CLEANUP(kms_client_close, struct kms_client *);

const struct key_source *kms_client_key_source(struct kms_client *client);
/* Whether a version may still be used, as the service says; the answer is at most a second old, or
 * two while nothing comes. LETHE_REVOKED: key, or this node's identity or token; LETHE_NOT_FOUND;
 * LETHE_UNAVAILABLE: out of reach for longer than `offline_s`. */
LETHE_MUST_CHECK lethe_result kms_client_check_usable(struct kms_client *client, const char *key,
                                                      uint64_t version, struct lethe_error *err);

/* What requests for attested release say of the engine that is to be started: a JSON object, which
 * is copied; NULL: nothing. */
LETHE_MUST_CHECK lethe_result kms_client_set_engine(struct kms_client *client, const char *json,
                                                    struct lethe_error *err);
/* Whether keys of one key, purpose and release would be released: real evidence is made, and
 * nothing is released. The whole answer of lethe/release/check, which holds no secret.
 * LETHE_INVALID: the client has no evidence. */
LETHE_MUST_CHECK lethe_result kms_client_check_release(struct kms_client *client,
                                                       const struct key_unwrap *items, size_t count,
                                                       struct guarded *answer,
                                                       struct lethe_error *err);

struct kms_client_count {
    uint64_t version;
    uint64_t shards; /* whose data keys lie under it */
};
/* Says to the service how many data keys of a model lie under which version of a key. It is for
 * whoever watches a rotation: a service that does not answer soon, refuses it, or knows no such
 * call, is no failure. */
void kms_client_report(struct kms_client *client, const char *key, const char *model,
                       const struct kms_client_count *counts, size_t count);

/* Has the service prove its machine, for a nonce of this client's, and holds it against what the
 * options say. Claims (and `service`, who it says it is) are there as far as they were read, also
 * when the result is LETHE_DENIED. LETHE_NOT_FOUND: it makes no evidence. */
#define KMS_SERVICE_SIZE 129u
LETHE_MUST_CHECK lethe_result kms_client_prove_service(struct kms_client *client,
                                                       struct attest_claims *claims,
                                                       char service[KMS_SERVICE_SIZE],
                                                       struct lethe_error *err);

/* Any call, for the commands: `path` is below /v1/, and encoded. Results that are not 2xx become an
 * error with the service's text: 400 LETHE_INVALID, 403 LETHE_DENIED, 404 LETHE_NOT_FOUND, 429 and
 * 5xx LETHE_UNAVAILABLE. The answer is empty for 204. */
LETHE_MUST_CHECK lethe_result kms_client_call(struct kms_client *client, enum http_method method,
                                              const char *path, const void *body, size_t body_bytes,
                                              struct guarded *answer, struct lethe_error *err);
/* The same for an answer without end: `piece` as http_client_stream(). */
LETHE_MUST_CHECK lethe_result kms_client_follow(struct kms_client *client, const char *path,
                                                uint64_t idle_ms, http_piece *piece, void *context,
                                                struct lethe_error *err);
/* What a status that is not 2xx means, with the texts of the service's answer (`body`, perhaps
 * none) in the error: for whoever asks the service in another way. LETHE_OK for 2xx. */
LETHE_MUST_CHECK lethe_result kms_client_result(unsigned status, const char *what, const void *body,
                                                size_t body_bytes, struct lethe_error *err);

#endif
