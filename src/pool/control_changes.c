/* The rows and records of jobs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

void change_clear(struct control_change *change)
{
    buffer_clear(&change->row);
}

lethe_result change_write(struct store *store, const struct control_change *change,
                          struct lethe_error *err)
{
    TRY(buffer_result(&change->row, err));
    if (change->row.size_bytes > 0)
        return store_put(store, change->path, change->row.bytes, change->row.size_bytes, STORE_ANY,
                         err);
    lethe_result result = store_delete(store, change->path, STORE_ANY, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void name_lease(const struct pool_lease *lease, struct control_change *out)
{
    lease_row_path(&lease->id, out->path);
    lease_id_hex(&lease->id, out->lease);
    strcpy(out->name, lease->consumer->id);
    strcpy(out->other, lease->provider->row.id);
}

static void put_lease(const struct pool_lease *lease, enum lease_state state,
                      enum lease_cause cause, struct control_change *out)
{
    struct lease_row row;
    registry_lease_row(lease, &row);
    row.state = state;
    row.cause = cause;
    lease_row_format(&row, &out->row);
}

void change_grant(const struct pool_lease *lease, struct control_change *out)
{
    name_lease(lease, out);
    put_lease(lease, LEASE_GRANTED, LEASE_CAUSE_NONE, out);
    out->event =
        audit_lease_granted(out->lease, out->name, out->other, lease->bytes,
                            lease_state_word(LEASE_GRANTED), lease_cause_word(LEASE_CAUSE_NONE));
}

void change_return(const struct pool_lease *lease, enum lease_state state,
                   struct control_change *out)
{
    name_lease(lease, out);
    put_lease(lease, LEASE_GRANTED, lease->cause, out);
    out->event = audit_lease_resumed(out->lease, out->name, out->other, lease->bytes,
                                     lease_state_word(state), "provider_returned");
}

typedef struct audit_event lease_record(const char *lease, const char *consumer,
                                        const char *provider, uint64_t bytes, const char *state,
                                        const char *cause);

/* What ended against the will of who held it is on record as that. */
static lease_record *const endings[] = {
    [LEASE_CAUSE_NONE] = audit_lease_lost,
    [LEASE_CAUSE_RELEASED] = audit_lease_released,
    [LEASE_CAUSE_EXPIRED] = audit_lease_expired,
    [LEASE_CAUSE_REVOKED] = audit_lease_revoked,
    [LEASE_CAUSE_FORCE_STOPPED] = audit_lease_revoked,
    [LEASE_CAUSE_DRAINED] = audit_lease_revoked,
    [LEASE_CAUSE_PROVIDER_LOST] = audit_lease_lost,
};

void change_end(const struct pool_lease *lease, enum lease_state state, enum lease_cause cause,
                struct control_change *out)
{
    name_lease(lease, out);
    lease_record *record = state == LEASE_LOST ? audit_lease_lost : endings[cause];
    out->event = record(out->lease, out->name, out->other, lease->bytes, lease_state_word(state),
                        lease_cause_word(cause));
}

void change_lose(const struct pool_lease *lease, struct control_change *out)
{
    name_lease(lease, out);
    put_lease(lease, LEASE_LOST, lease->cause, out);
    out->event =
        audit_lease_lost(out->lease, out->name, out->other, lease->bytes,
                         lease_state_word(LEASE_LOST), lease_cause_word(LEASE_CAUSE_PROVIDER_LOST));
}

void change_forget(const struct pool_lease *lease, struct control_change *out)
{
    name_lease(lease, out);
    out->event = audit_pool_deleted(out->lease, "the row of a lease that was lost");
}

void change_stop(const struct pool_lease *lease, const char *reason, struct control_change *out)
{
    name_lease(lease, out);
    put_lease(lease, LEASE_GRANTED, LEASE_CAUSE_FORCE_STOPPED, out);
    snprintf(out->text, sizeof out->text, "%s", reason);
    out->event = audit_force_stop(out->lease, out->text);
}

/* ---- providers ------------------------------------------------------------------------------- */

static void put_provider(const struct provider_row *row, struct control_change *out)
{
    provider_row_path(row->id, out->path);
    provider_row_format(row, &out->row);
    strcpy(out->name, row->id);
}

void change_join(const struct provider_row *row, struct control_change *out)
{
    put_provider(row, out);
    out->event = audit_provider_joined(out->name, row->capacity_bytes);
}

void change_provider_lost(const struct provider_row *row, uint32_t leases, const char *cause,
                          struct control_change *out)
{
    put_provider(row, out);
    snprintf(out->text, sizeof out->text, "%s", cause);
    out->event = audit_provider_lost(out->name, leases, out->text);
}

void change_wish(const struct provider_row *row, const char *change, struct control_change *out)
{
    put_provider(row, out);
    snprintf(out->text, sizeof out->text, "%s", change);
    out->event = audit_pool_modified(out->name, out->text);
}

void change_stop_provider(const struct provider_row *row, const char *reason,
                          struct control_change *out)
{
    put_provider(row, out);
    snprintf(out->text, sizeof out->text, "%s", reason);
    out->event = audit_force_stop(out->name, out->text);
}

/* ---- identities and tenants ------------------------------------------------------------------ */

void change_revoke(const struct revoked_row *row, struct control_change *out)
{
    revoked_row_path(row->id, out->path);
    revoked_row_format(row, &out->row);
    strcpy(out->name, row->id);
    strcpy(out->text, row->reason);
    out->event = audit_identity_revoked(out->name, "", out->text);
}

void change_restore(const char *id, struct control_change *out)
{
    revoked_row_path(id, out->path);
    snprintf(out->name, sizeof out->name, "%s", id);
    out->event = audit_pool_modified(out->name, "restored");
}

void change_quota(const char *tenant, uint64_t bytes, struct control_change *out)
{
    struct quota_row row = {.bytes = bytes};
    snprintf(row.tenant, sizeof row.tenant, "%s", tenant);
    quota_row_path(tenant, out->path);
    if (bytes != REGISTRY_NO_QUOTA)
        quota_row_format(&row, &out->row);
    strcpy(out->name, row.tenant);
    if (bytes == REGISTRY_NO_QUOTA)
        snprintf(out->text, sizeof out->text, "no quota");
    else
        snprintf(out->text, sizeof out->text, "a quota of %" PRIu64 " bytes", bytes);
    out->event = audit_pool_modified(out->name, out->text);
}
