/* audit/event.h -- every event that can be recorded, with its fields, in one table.
 *
 * AUDIT_EVENTS lists (name, severity). For each name, FIELDS_<name> lists its fields in the order
 * of the constructor: T text, U unsigned integer, B boolean, N text that is absent when NULL. From
 * both comes struct audit_event audit_<name>(const char *..., uint64_t ..., bool ...), so that a
 * record with a missing or mistyped field does not compile. Severity `critical` can only be
 * committed (durable before the act that it records). Values are sanitised and bounded on the way
 * to the log; secrets never are values.
 *
 * A field's name is its name in the record, so it is in [a-z0-9_], and none of the names that every
 * record has: actor, event, node, prev, seq, session, severity, tenant, time. An unsigned field
 * called `epoch` is the store's (log.h, struct audit_head); a kind without it can be given one. */
#ifndef AUDIT_EVENT_H
#define AUDIT_EVENT_H

#include "base/base.h"

enum audit_severity { AUDIT_INFO, AUDIT_NOTICE, AUDIT_WARNING, AUDIT_CRITICAL };

#define AUDIT_FIELDS_MAX 12
#define AUDIT_TEXT_MAX 512 /* bytes of one text value; what is longer is cut and ends in "..." */

/* clang-format off */
#define AUDIT_EVENTS(X)                   \
    X(log_opened, INFO)                   \
    X(log_read, INFO)                     \
    X(log_rotated, NOTICE)                \
    X(log_trimmed, CRITICAL)              \
    X(log_repaired, CRITICAL)             \
    X(events_dropped, WARNING)            \
    X(home_created, NOTICE)               \
    X(home_backed_up, CRITICAL)           \
    X(home_restored, CRITICAL)            \
    X(auth_success, INFO)                 \
    X(auth_failure, WARNING)              \
    X(token_created, NOTICE)              \
    X(token_revoked, CRITICAL)            \
    X(invalid_token_used, WARNING)        \
    X(authorization_granted, INFO)        \
    X(authorization_denied, WARNING)      \
    X(permission_changed, CRITICAL)       \
    X(identity_issued, NOTICE)            \
    X(identity_revoked, CRITICAL)         \
    X(key_created, NOTICE)                \
    X(key_rotated, NOTICE)                \
    X(key_scheduled, NOTICE)              \
    X(key_configured, NOTICE)             \
    X(key_trimmed, CRITICAL)              \
    X(key_deleted, CRITICAL)              \
    X(key_restored, CRITICAL)             \
    X(key_revoked, CRITICAL)              \
    X(key_destroyed, CRITICAL)            \
    X(root_rotated, CRITICAL)             \
    X(key_used, INFO)                     \
    X(key_released, CRITICAL)             \
    X(key_denied, CRITICAL)               \
    X(key_cached, INFO)                   \
    X(key_expired, INFO)                  \
    X(release_minimum_set, CRITICAL)      \
    X(policy_loaded, NOTICE)              \
    X(policy_changed, CRITICAL)           \
    X(policy_violation, CRITICAL)         \
    X(attestation_verified, NOTICE)       \
    X(attestation_failed, WARNING)        \
    X(model_encrypted, NOTICE)            \
    X(model_rewrapped, NOTICE)            \
    X(model_reencrypted, NOTICE)          \
    X(model_loaded, NOTICE)               \
    X(model_rejected, CRITICAL)           \
    X(model_access, INFO)                 \
    X(malformed_model_rejected, WARNING)  \
    X(integrity_violation, CRITICAL)      \
    X(vram_allocated, INFO)               \
    X(vram_allocation_failed, WARNING)    \
    X(vram_sealed, NOTICE)                \
    X(seal_verified, INFO)                \
    X(seal_verification_failed, CRITICAL) \
    X(vram_deallocated, INFO)             \
    X(device_quarantined, CRITICAL)       \
    X(cache_evicted, INFO)                \
    X(checkpoint_replaced, INFO)          \
    X(region_wiped, INFO)                 \
    X(session_started, INFO)              \
    X(session_ended, INFO)                \
    X(lease_granted, NOTICE)              \
    X(lease_attached, INFO)               \
    X(lease_frozen, NOTICE)               \
    X(lease_resumed, NOTICE)              \
    X(lease_expired, NOTICE)              \
    X(lease_released, NOTICE)             \
    X(lease_revoked, CRITICAL)            \
    X(lease_lost, WARNING)                \
    X(force_stop, CRITICAL)               \
    X(provider_joined, NOTICE)            \
    X(provider_lost, WARNING)             \
    X(pool_created, NOTICE)               \
    X(pool_deleted, NOTICE)               \
    X(pool_modified, NOTICE)              \
    X(node_registered, NOTICE)            \
    X(node_deregistered, NOTICE)          \
    X(task_submitted, INFO)               \
    X(task_completed, INFO)               \
    X(task_canceled, INFO)                \
    X(inference_executed, INFO)           \
    X(rate_limited, WARNING)              \
    X(path_traversal_attempt, WARNING)    \
    X(suspicious_activity, WARNING)       \
    X(resource_limit_violation, WARNING)  \
    X(data_deleted, NOTICE)               \
    X(gdpr_data_access_request, NOTICE)   \
    X(gdpr_data_export, NOTICE)           \
    X(gdpr_right_to_erasure, CRITICAL)    \
    X(scan_completed, NOTICE)             \
    X(engine_started, NOTICE)             \
    X(engine_ready, NOTICE)               \
    X(engine_revoked, CRITICAL)           \
    X(engine_exited, NOTICE)

#define FIELDS_lease(T, U, B, N) T(lease) T(consumer) T(provider) U(bytes) T(state) T(cause)
#define FIELDS_log_opened(T, U, B, N) T(version)
#define FIELDS_log_read(T, U, B, N) T(command)
#define FIELDS_log_rotated(T, U, B, N) U(file) U(records) T(cause)
#define FIELDS_log_trimmed(T, U, B, N) U(first_kept_file) U(first_kept_record) T(cause)
#define FIELDS_log_repaired(T, U, B, N) T(reason) U(cut_bytes) U(kept_records)
#define FIELDS_events_dropped(T, U, B, N) U(count) T(reason) N(source)
#define FIELDS_home_created(T, U, B, N) T(root) U(epoch)
#define FIELDS_home_backed_up(T, U, B, N) U(store_epoch)
#define FIELDS_home_restored(T, U, B, N) U(backup_epoch) U(rows) T(log) U(log_records) T(log_root) U(epoch)
#define FIELDS_auth_success(T, U, B, N) T(identity) T(method) T(source)
#define FIELDS_auth_failure(T, U, B, N) T(method) T(source) T(reason) U(count)
#define FIELDS_token_created(T, U, B, N) T(token) T(identity) T(policies) U(ttl_s)
#define FIELDS_token_revoked(T, U, B, N) T(token) T(identity) T(reason)
#define FIELDS_invalid_token_used(T, U, B, N) T(token) T(source) T(reason)
#define FIELDS_authorization_granted(T, U, B, N) T(identity) T(action) T(resource) T(reason) T(policy_digest)
#define FIELDS_authorization_denied(T, U, B, N) T(identity) T(action) T(resource) T(reason) T(policy_digest)
#define FIELDS_permission_changed(T, U, B, N) T(identity) T(permission) T(change)
#define FIELDS_identity_issued(T, U, B, N) T(identity) T(serial) T(role) U(expires_s)
#define FIELDS_identity_revoked(T, U, B, N) T(identity) T(serial) T(reason)
#define FIELDS_key_created(T, U, B, N) T(key) T(kind) U(version) T(fingerprint) U(epoch)
#define FIELDS_key_rotated(T, U, B, N) T(key) U(version) T(fingerprint) U(epoch)
#define FIELDS_key_scheduled(T, U, B, N) T(key) U(rotate_every_s) U(epoch)
#define FIELDS_key_configured(T, U, B, N) T(key) U(min_decryption) U(min_encryption) U(rotate_every_s) B(deletion_allowed) B(exportable) B(plaintext_backup) U(epoch)
#define FIELDS_key_trimmed(T, U, B, N) T(key) U(first_kept_version) U(epoch)
#define FIELDS_key_deleted(T, U, B, N) T(key) T(kind) U(version) U(epoch)
#define FIELDS_key_restored(T, U, B, N) T(key) T(kind) U(version) T(fingerprint) B(replaced) U(epoch)
#define FIELDS_key_revoked(T, U, B, N) T(key) U(through_version) T(reason) U(epoch)
#define FIELDS_key_destroyed(T, U, B, N) T(key) T(outcome) U(epoch)
#define FIELDS_root_rotated(T, U, B, N) T(root) T(outcome) U(epoch)
#define FIELDS_key_used(T, U, B, N) T(key) U(version) T(purpose) T(decision) U(count)
#define FIELDS_key_released(T, U, B, N) T(key) U(version) T(purpose) T(requester) N(evidence_digest) N(policy_digest) T(shards)
#define FIELDS_key_denied(T, U, B, N) T(key) U(version) T(purpose) T(requester) N(evidence_digest) N(policy_digest) T(shards) T(reason)
#define FIELDS_key_cached(T, U, B, N) T(key) U(version) U(ttl_s)
#define FIELDS_key_expired(T, U, B, N) T(key) U(version) B(wiped)
#define FIELDS_release_minimum_set(T, U, B, N) T(model) U(minimum) U(epoch)
#define FIELDS_policy_loaded(T, U, B, N) T(policy) T(policy_digest)
#define FIELDS_policy_changed(T, U, B, N) T(policy) N(previous_digest) T(policy_digest)
#define FIELDS_policy_violation(T, U, B, N) T(policy) T(violation) T(details) T(level) T(worker) T(action_taken)
#define FIELDS_attestation_verified(T, U, B, N) T(kind) T(requester) T(evidence_digest)
#define FIELDS_attestation_failed(T, U, B, N) T(kind) T(requester) T(evidence_digest) T(reason)
#define FIELDS_model_encrypted(T, U, B, N) T(model) U(release) U(shards) U(bytes) T(manifest_digest)
#define FIELDS_model_rewrapped(T, U, B, N) T(model) U(release) U(shards) T(manifest_digest)
#define FIELDS_model_reencrypted(T, U, B, N) T(model) U(release) U(shards) U(bytes) T(manifest_digest)
#define FIELDS_model_loaded(T, U, B, N) T(model) U(release) U(shards) U(bytes) U(duration_ns) T(purpose)
#define FIELDS_model_rejected(T, U, B, N) T(model) T(reason) T(purpose)
#define FIELDS_model_access(T, U, B, N) T(model) U(release) T(purpose) T(decision)
#define FIELDS_malformed_model_rejected(T, U, B, N) T(model) T(reason)
#define FIELDS_integrity_violation(T, U, B, N) T(what) T(reason)
#define FIELDS_vram_allocated(T, U, B, N) U(requested_bytes) U(allocated_bytes) U(available_bytes) U(used_bytes) T(device) T(worker)
#define FIELDS_vram_allocation_failed(T, U, B, N) U(requested_bytes) U(available_bytes) T(reason) T(device) T(worker)
#define FIELDS_vram_sealed(T, U, B, N) T(shard) T(device) U(bytes) T(digest) T(worker) T(mode)
#define FIELDS_seal_verified(T, U, B, N) T(shard) T(worker) T(mode) U(count)
#define FIELDS_seal_verification_failed(T, U, B, N) T(shard) T(reason) T(expected_digest) T(actual_digest) T(worker)
#define FIELDS_vram_deallocated(T, U, B, N) T(shard) U(freed_bytes) U(remaining_bytes) T(device) T(worker) B(wiped)
#define FIELDS_device_quarantined(T, U, B, N) T(device) T(reason) T(worker)
#define FIELDS_cache_evicted(T, U, B, N) T(cache) T(entry) U(bytes) T(cause) B(verified)
#define FIELDS_checkpoint_replaced(T, U, B, N) T(class) T(label) U(bytes) B(verified)
#define FIELDS_region_wiped(T, U, B, N) T(class) T(label) U(bytes) U(duration_ns) B(verified)
#define FIELDS_session_started(T, U, B, N) T(label)
#define FIELDS_session_ended(T, U, B, N) T(label) T(cause) U(regions) U(secrets) U(bytes) B(verified)
#define FIELDS_lease_granted(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_attached(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_frozen(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_resumed(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_expired(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_released(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_revoked(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_lease_lost(T, U, B, N) FIELDS_lease(T, U, B, N)
#define FIELDS_force_stop(T, U, B, N) T(target) T(cause)
#define FIELDS_provider_joined(T, U, B, N) T(provider) U(bytes)
#define FIELDS_provider_lost(T, U, B, N) T(provider) U(leases) T(cause)
#define FIELDS_pool_created(T, U, B, N) T(pool) U(bytes)
#define FIELDS_pool_deleted(T, U, B, N) T(pool) T(cause)
#define FIELDS_pool_modified(T, U, B, N) T(pool) T(change)
#define FIELDS_node_registered(T, U, B, N) T(identity) T(address)
#define FIELDS_node_deregistered(T, U, B, N) T(identity) T(cause)
#define FIELDS_task_submitted(T, U, B, N) T(task) T(model)
#define FIELDS_task_completed(T, U, B, N) T(task) T(outcome) U(duration_ns)
#define FIELDS_task_canceled(T, U, B, N) T(task) T(cause)
#define FIELDS_inference_executed(T, U, B, N) T(model) T(worker) U(tokens) U(duration_ns)
#define FIELDS_rate_limited(T, U, B, N) T(source) T(limit) U(count)
#define FIELDS_path_traversal_attempt(T, U, B, N) T(source) T(where)
#define FIELDS_suspicious_activity(T, U, B, N) T(source) T(what)
#define FIELDS_resource_limit_violation(T, U, B, N) T(resource) U(requested) U(limit) T(source)
#define FIELDS_data_deleted(T, U, B, N) T(what) T(subject) U(bytes) T(outcome)
#define FIELDS_gdpr_data_access_request(T, U, B, N) T(subject) T(scope)
#define FIELDS_gdpr_data_export(T, U, B, N) T(subject) T(scope) U(records)
#define FIELDS_gdpr_right_to_erasure(T, U, B, N) T(subject) T(scope) T(outcome)
#define FIELDS_scan_completed(T, U, B, N) T(target) U(bytes) U(findings) T(outcome)
#define FIELDS_engine_started(T, U, B, N) T(engine) T(model) T(handover) U(pid) U(bytes) B(swap_safe) T(swap)
#define FIELDS_engine_ready(T, U, B, N) T(engine) T(model) U(pid) T(weights) U(bytes) N(reason)
#define FIELDS_engine_revoked(T, U, B, N) T(engine) T(model) T(key) T(action)
#define FIELDS_engine_exited(T, U, B, N) T(engine) T(model) U(pid) T(outcome) U(code) U(bytes) T(wiped)
/* clang-format on */

enum audit_kind {
#define AUDIT_KIND(name, severity) AUDIT_KIND_##name,
    AUDIT_EVENTS(AUDIT_KIND)
#undef AUDIT_KIND
        AUDIT_KINDS /* how many there are */
};

/* A value; texts are borrowed until the record is written. Made by the constructors only. */
struct audit_event {
    enum audit_kind kind;
    struct audit_value {
        const char *text; /* NULL: absent, or not a text */
        uint64_t number;
    } values[AUDIT_FIELDS_MAX];
    uint64_t
        epoch; /* of a kind without such a field, when it records a change of the store; or 0 */
};

/* The constructors. Each field brings its own comma along, so the first one has to be dropped. */
#define AUDIT_BEHIND_COMMA(nothing, ...) __VA_ARGS__
#define AUDIT_PARAMETERS(...) AUDIT_BEHIND_COMMA(__VA_ARGS__)
#define AUDIT_TEXT_PARAMETER(name) , const char *name
#define AUDIT_NUMBER_PARAMETER(name) , uint64_t name
#define AUDIT_FLAG_PARAMETER(name) , bool name
#define AUDIT_TEXT_VALUE(name) {.text = (name)},
#define AUDIT_NUMBER_VALUE(name) {.number = (name)},

#define AUDIT_CONSTRUCTOR(event, severity)                                                         \
    static inline struct audit_event audit_##event(                                                \
        AUDIT_PARAMETERS(FIELDS_##event(AUDIT_TEXT_PARAMETER, AUDIT_NUMBER_PARAMETER,              \
                                        AUDIT_FLAG_PARAMETER, AUDIT_TEXT_PARAMETER)))              \
    {                                                                                              \
        return (struct audit_event){                                                               \
            .kind = AUDIT_KIND_##event,                                                            \
            .values = {FIELDS_##event(AUDIT_TEXT_VALUE, AUDIT_NUMBER_VALUE, AUDIT_NUMBER_VALUE,    \
                                      AUDIT_TEXT_VALUE)}};                                         \
    }
AUDIT_EVENTS(AUDIT_CONSTRUCTOR)
#undef AUDIT_CONSTRUCTOR

/* The table as data, for whoever writes or lists records. */
enum audit_field_type {
    AUDIT_FIELD_TEXT,
    AUDIT_FIELD_OPTIONAL_TEXT,
    AUDIT_FIELD_NUMBER,
    AUDIT_FIELD_FLAG
};
struct audit_field {
    const char *name;
    enum audit_field_type type;
};
struct audit_kind_row {
    const char *name;
    enum audit_severity severity;
    size_t field_count; /* at most AUDIT_FIELDS_MAX */
    const struct audit_field *fields;
};
const struct audit_kind_row *audit_kind_row(enum audit_kind kind);

/* Whether records of the kind have a field `epoch` of their own. */
bool audit_kind_has_epoch(enum audit_kind kind);
/* The event's epoch; 0 when it has none. */
uint64_t audit_event_epoch(const struct audit_event *event);

const char *audit_kind_name(enum audit_kind kind);
enum audit_severity audit_kind_severity(enum audit_kind kind);
const char *audit_severity_name(enum audit_severity severity); /* "info" ... "critical" */

#endif
