/* service/release.h -- one attested release: everything is checked, in the order of
 * docs/release-protocol.md, and keys are wrapped, or a reason is given.
 *
 * Thread rule: the keeper's one thread. */
#ifndef SERVICE_RELEASE_H
#define SERVICE_RELEASE_H

#include <lethe/policy.h>

#include "base/json_scan.h"
#include "crypto/hpke.h"
#include "service/attested.h"
#include "service/call.h"

/* X(name, code): what denies beside the reasons of attest/attest.h */
#define RELEASE_REASONS(X)                                                                         \
    X(NONE, "released")                                                                            \
    X(NOT_CERTIFIED, "certificate_needed")                                                         \
    X(NONCE_UNKNOWN, "nonce_unknown")                                                              \
    X(NONCE_FOREIGN, "nonce_foreign")                                                              \
    X(NONCE_EXPIRED, "nonce_expired")                                                              \
    X(REQUEST_MALFORMED, "request_malformed")                                                      \
    X(IDENTITY_MISMATCH, "identity_mismatch")                                                      \
    X(EVIDENCE, "")                                                                                \
    X(MACHINE_UNKNOWN, "machine_unknown")                                                          \
    X(MACHINE_REVOKED, "machine_revoked")                                                          \
    X(MACHINE_FOREIGN, "machine_foreign")                                                          \
    X(COUNTER_BACK, "counter_rolled_back")                                                         \
    X(TCB_BACK, "tcb_rolled_back")                                                                 \
    X(MEASUREMENT_UNKNOWN, "measurement_unknown")                                                  \
    X(POLICY_DENIED, "policy_denied")                                                              \
    X(RELEASE_TOO_OLD, "release_too_old")                                                          \
    X(KEY_UNUSABLE, "key_unusable")
enum release_reason {
#define RELEASE_REASON_ENUM(name, code) RELEASE_##name,
    RELEASE_REASONS(RELEASE_REASON_ENUM)
#undef RELEASE_REASON_ENUM
};

const char *release_reason_code(enum release_reason reason);

#define RELEASE_SHARDS_MAX 10000u
#define RELEASE_REQUEST_MAX ((size_t)8 << 20)
#define RELEASE_ENGINE_MAX                                                                         \
    ((size_t)64 << 10) /* the policy takes all of it apart, in our one thread */
#define RELEASE_RULE "data.model_serving.decryption.allow_decrypt"

/* What the requester asks for, as it says. JSON borrows of the text. */
struct release_request {
    char principal[128], operation[64], model[64 + 1], tenant[64 + 1], tier[32], purpose[32];
    uint64_t release;
    struct json_piece engine; /* an object; at NULL: none */
    struct json_piece shards; /* an array, not empty */
    size_t shard_count;
};
/* A parser of outside bytes: strict, no member but those of docs/release-protocol.md, each once.
 * LETHE_MALFORMED names the member. Shards are counted, and looked at by release_shard_next(). */
LETHE_MUST_CHECK lethe_result release_request_read(const char *text, size_t length,
                                                   struct release_request *out,
                                                   struct lethe_error *err);
#define RELEASE_WRAPPED_MAX 512u
#define RELEASE_AAD_MAX 4096u
struct release_shard {
    char id[64 + 1]; /* printable, no space, no comma, not empty */
    char wrapped[RELEASE_WRAPPED_MAX + 1];
    uint8_t aad[RELEASE_AAD_MAX];
    size_t aad_bytes;
};
/* One after another of json_walk_over(&request->shards). LETHE_NOT_FOUND behind the last;
 * LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result release_shard_next(struct json_walk *walk, struct release_shard *out,
                                                 struct lethe_error *err);

/* One release, or the question whether there would be one. */
struct release {
    struct call *call;
    const struct field_value *nonce, *public_key, *request_text, *evidence_text;
    /* what came of it */
    enum release_reason reason;
    const char *code; /* of the reason, or of the evidence's; a constant */
    char why[512];    /* one sentence */
    struct release_request request;
    struct evidence evidence;
    struct attest_claims claims;
    struct machine known; /* what `machine` points to: a change moves all that are remembered */
    const struct machine *machine; /* NULL: none that was enrolled */
    const struct attest_reference *reference;
    char key[KEY_NAME_MAX + 1];
    struct lethe_decision decision;
    struct buffer input; /* of the policy */
    uint8_t binding[ATTEST_BINDING_BYTES];
    uint8_t public_bytes[HPKE_PUBLIC_BYTES];
    struct buffer texts; /* request and evidence, decoded: nothing in them is secret */
};
void release_clear(struct release *release);
static inline void release_clear_at_scope_end(struct release *release)
{
    release_clear(release);
}
/* All that is checked before keys are touched, and what of it goes on record. LETHE_DENIED, with
 * reason, code and sentence; the error is "CODE: sentence". */
LETHE_MUST_CHECK lethe_result release_decide(struct release *release, struct lethe_error *err);
/* The policy's answer to what is known, whatever was decided: for explaining. */
void release_ask_policy(struct release *release);
/* Opens every key and wraps them to the requester's public key. On record; a failure releases
 * nothing, and is for release_record_denied() when it is LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result release_keys(struct release *release,
                                           uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                                           struct buffer *cipher, struct lethe_error *err);
/* The policy's input as one JSON object, from what is known. */
LETHE_MUST_CHECK lethe_result release_input(const struct release *release, struct buffer *out,
                                            struct lethe_error *err);
/* The chip whose report vouches for a TPM, where it is enrolled; NULL. Borrowed until the next
 * change. */
const struct machine *release_chip(const struct release *release);
/* Whether evidence and machine are good, whatever else was wrong. */
bool release_is_attested(const struct release *release);
/* Whether every key opens, as release_keys() would find; nothing is kept of them, or recorded. */
LETHE_MUST_CHECK lethe_result release_try_keys(struct release *release, struct lethe_error *err);
/* Records the refusal: key_denied, and attestation_failed where it is about evidence. */
void release_record_denied(const struct release *release);

#endif
