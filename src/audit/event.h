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
 * called `epoch` is the store's (log.h, struct audit_head). */
#ifndef AUDIT_EVENT_H
#define AUDIT_EVENT_H

#include "base/base.h"

enum audit_severity { AUDIT_INFO, AUDIT_NOTICE, AUDIT_WARNING, AUDIT_CRITICAL };

#define AUDIT_FIELDS_MAX 12
#define AUDIT_TEXT_MAX 512 /* bytes of one text value; what is longer is cut and ends in "..." */

/* clang-format off */
#define AUDIT_EVENTS(X)                  \
    X(log_opened, INFO)                  \
    X(log_read, INFO)                    \
    X(log_repaired, CRITICAL)            \
    X(events_dropped, WARNING)           \
    X(home_created, NOTICE)              \
    X(key_created, NOTICE)               \
    X(key_rotated, NOTICE)               \
    X(key_revoked, CRITICAL)             \
    X(key_destroyed, CRITICAL)           \
    X(key_used, INFO)                    \
    X(key_released, CRITICAL)            \
    X(key_denied, CRITICAL)              \
    X(model_encrypted, NOTICE)           \
    X(model_loaded, NOTICE)              \
    X(model_rejected, CRITICAL)          \
    X(malformed_model_rejected, WARNING) \
    X(integrity_violation, CRITICAL)     \
    X(checkpoint_replaced, INFO)         \
    X(region_wiped, INFO)                \
    X(session_started, INFO)             \
    X(session_ended, INFO)               \
    X(engine_started, NOTICE)            \
    X(engine_exited, NOTICE)

#define FIELDS_log_opened(T, U, B, N)     T(version)
#define FIELDS_log_read(T, U, B, N)       T(command)
#define FIELDS_log_repaired(T, U, B, N)   T(reason) U(cut_bytes) U(kept_records)
#define FIELDS_events_dropped(T, U, B, N) U(count)
#define FIELDS_home_created(T, U, B, N)   T(root) U(epoch)
#define FIELDS_key_created(T, U, B, N)    T(key) T(kind) U(version) U(epoch)
#define FIELDS_key_rotated(T, U, B, N)    T(key) U(version) U(epoch)
#define FIELDS_key_revoked(T, U, B, N)    T(key) T(reason) U(epoch)
#define FIELDS_key_destroyed(T, U, B, N)  T(key) T(outcome) U(epoch)
#define FIELDS_key_used(T, U, B, N)       T(key) U(version) T(purpose) T(decision)
#define FIELDS_key_released(T, U, B, N)   T(key) U(version) T(purpose) T(requester) N(evidence_digest) N(policy_digest) T(shards)
#define FIELDS_key_denied(T, U, B, N)     T(key) U(version) T(purpose) T(requester) N(evidence_digest) N(policy_digest) T(shards) T(reason)
#define FIELDS_model_encrypted(T, U, B, N) T(model) U(release) U(shards) U(bytes) T(manifest_digest)
#define FIELDS_model_loaded(T, U, B, N)   T(model) U(release) U(shards) U(bytes) U(duration_ns) T(purpose)
#define FIELDS_model_rejected(T, U, B, N) T(model) T(reason) T(purpose)
#define FIELDS_malformed_model_rejected(T, U, B, N) T(model) T(reason)
#define FIELDS_integrity_violation(T, U, B, N) T(what) T(reason)
#define FIELDS_checkpoint_replaced(T, U, B, N) T(class) T(label) U(bytes) B(verified)
#define FIELDS_region_wiped(T, U, B, N)   T(class) T(label) U(bytes) U(duration_ns) B(verified)
#define FIELDS_session_started(T, U, B, N) T(label)
#define FIELDS_session_ended(T, U, B, N)  T(label) T(cause) U(regions) U(secrets) U(bytes) B(verified)
#define FIELDS_engine_started(T, U, B, N) T(engine) T(model) T(handover) U(pid) U(bytes) B(swap_safe)
#define FIELDS_engine_exited(T, U, B, N)  T(engine) T(model) U(pid) T(outcome) U(code) U(bytes) T(wiped)
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
        return (struct audit_event){AUDIT_KIND_##event,                                            \
                                    {FIELDS_##event(AUDIT_TEXT_VALUE, AUDIT_NUMBER_VALUE,          \
                                                    AUDIT_NUMBER_VALUE, AUDIT_TEXT_VALUE)}};       \
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

/* The event's field `epoch`; 0 when it has none. */
uint64_t audit_event_epoch(const struct audit_event *event);

const char *audit_kind_name(enum audit_kind kind);
enum audit_severity audit_kind_severity(enum audit_kind kind);
const char *audit_severity_name(enum audit_severity severity); /* "info" ... "critical" */

#endif
