/* service/release.h -- one attested release: everything is checked, in the order of
 * docs/release-protocol.md, and keys are wrapped, or a reason is given.
 *
 * Thread rule: the keeper's one thread. */
#ifndef SERVICE_RELEASE_H
#define SERVICE_RELEASE_H

#include <lethe/policy.h>

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

#define RELEASE_SHARDS_MAX 10000u
#define RELEASE_REQUEST_MAX ((size_t)8 << 20)
#define RELEASE_RULE "data.model_serving.decryption.allow_decrypt"
#define RELEASE_BINDING_LABEL "lethe-release-v1"
#define RELEASE_AAD "lethe-keys-v1"

/* What the requester asks for, as it says. Texts borrow of the request. */
struct release_request {
    char principal[128], operation[64], model[RELEASE_NAME_MAX + 1], tenant[64 + 1], tier[32];
    char purpose[32];
    uint64_t release;
    const char *engine; /* JSON text of its member; NULL: none */
    size_t engine_bytes;
    size_t shard_count;
    const char *shards; /* JSON text of the array */
    size_t shards_bytes;
};
/* A parser of outside bytes. LETHE_MALFORMED names the member. */
LETHE_MUST_CHECK lethe_result release_request_read(const char *text, size_t length,
                                                   struct release_request *out,
                                                   struct lethe_error *err);
struct release_shard {
    char id[64];
    const char *wrapped; /* not NUL-terminated */
    size_t wrapped_bytes;
    const char *aad_base64;
    size_t aad_length;
};
/* One after another: *at starts NULL. LETHE_NOT_FOUND behind the last. */
LETHE_MUST_CHECK lethe_result release_shard_next(const struct release_request *request,
                                                 const char **at, struct release_shard *out,
                                                 struct lethe_error *err);

#endif
