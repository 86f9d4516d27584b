/* every event that the requirements name is in the table, and critical where an act waits for
 * its record. The names are written out here so that a row that vanishes is noticed. */
#include <string.h>

#include "audit/event.h"
#include "check.h"

static const char *const required[] = {
    "auth_success",
    "auth_failure",
    "token_created",
    "token_revoked",
    "authorization_granted",
    "authorization_denied",
    "permission_changed",
    "identity_issued",
    "identity_revoked",
    "key_created",
    "key_rotated",
    "key_revoked",
    "key_destroyed",
    "key_released",
    "key_denied",
    "key_used",
    "key_cached",
    "key_expired",
    "policy_loaded",
    "policy_changed",
    "policy_violation",
    "attestation_verified",
    "attestation_failed",
    "model_encrypted",
    "model_loaded",
    "model_rejected",
    "model_access",
    "vram_allocated",
    "vram_allocation_failed",
    "vram_sealed",
    "seal_verified",
    "seal_verification_failed",
    "vram_deallocated",
    "device_quarantined",
    "region_wiped",
    "session_started",
    "session_ended",
    "cache_evicted",
    "checkpoint_replaced",
    "lease_granted",
    "lease_attached",
    "lease_frozen",
    "lease_resumed",
    "lease_expired",
    "lease_released",
    "lease_revoked",
    "lease_lost",
    "force_stop",
    "provider_joined",
    "provider_lost",
    "pool_created",
    "pool_deleted",
    "pool_modified",
    "node_registered",
    "node_deregistered",
    "task_submitted",
    "task_completed",
    "task_canceled",
    "inference_executed",
    "rate_limited",
    "path_traversal_attempt",
    "invalid_token_used",
    "suspicious_activity",
    "integrity_violation",
    "malformed_model_rejected",
    "resource_limit_violation",
    "data_deleted",
    "gdpr_data_access_request",
    "gdpr_data_export",
    "gdpr_right_to_erasure",
    "scan_completed",
    "engine_started",
    "engine_ready",
    "engine_exited",
    "log_opened",
    "log_read",
    "log_rotated",
    "log_repaired",
    "events_dropped",
};
/* durable before the act that they record. */
static const char *const critical[] = {
    "key_released", "policy_changed",      "identity_revoked",
    "key_revoked",  "token_revoked",       "lease_revoked",
    "force_stop",   "integrity_violation", "seal_verification_failed",
};

static const struct audit_kind_row *find(const char *name)
{
    for (size_t kind = 0; kind < AUDIT_KINDS; kind++) {
        if (strcmp(audit_kind_row((enum audit_kind)kind)->name, name) == 0)
            return audit_kind_row((enum audit_kind)kind);
    }
    return NULL;
}

static void every_required_event_is_in_the_table(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        if (find(required[i]) == NULL)
            fail_msg("no event is called %s", required[i]);
    }
}

static void what_an_act_waits_for_is_critical(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(critical); i++) {
        const struct audit_kind_row *row = find(critical[i]);
        assert_non_null(row);
        if (row->severity != AUDIT_CRITICAL)
            fail_msg("%s can be dropped", critical[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_required_event_is_in_the_table),
        cmocka_unit_test(what_an_act_waits_for_is_critical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
