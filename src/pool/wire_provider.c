#include "base/error.h"
#include "pool/wire_core.h"

/* ---- JOIN ------------------------------------------------------------------------------------
 */

void wire_join_write(const struct wire_join *join, struct buffer *out)
{
    buffer_append(out, join->boot_id, sizeof join->boot_id);
    buffer_le64(out, join->capacity_bytes);
    put_text(out, join->address);
    buffer_le32(out, join->leases);
}

static lethe_result join_fields(struct cursor *cursor, struct wire_join *out)
{
    TRY(get_raw(cursor, out->boot_id, sizeof out->boot_id));
    TRY(cursor_le64(cursor, &out->capacity_bytes));
    TRY(get_address(cursor, out->address));
    return cursor_le32(cursor, &out->leases);
}

lethe_result wire_join_read(struct cursor cursor, struct wire_join *out, struct lethe_error *err)
{
    return wire_done(&cursor, join_fields(&cursor, out), "JOIN", err);
}

void wire_joined_write(const struct wire_joined *joined, struct buffer *out)
{
    put_text(out, joined->token_key);
    buffer_le32(out, joined->report_ms);
}

static lethe_result joined_fields(struct cursor *cursor, struct wire_joined *out)
{
    TRY(get_text(cursor, out->token_key, sizeof out->token_key));
    TRY(cursor_le32(cursor, &out->report_ms));
    return out->report_ms > 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result wire_joined_read(struct cursor cursor, struct wire_joined *out,
                              struct lethe_error *err)
{
    return wire_done(&cursor, joined_fields(&cursor, out), "JOIN's reply", err);
}

/* ---- REPORT ----------------------------------------------------------------------------------
 */

static void put_change(struct buffer *out, const struct wire_change *change)
{
    buffer_append(out, change->lease.bytes, sizeof change->lease.bytes);
    buffer_le64(out, change->generation);
    buffer_byte(out, (uint8_t)change->state);
    buffer_byte(out, (uint8_t)change->cause);
    buffer_le64(out, change->left_ms);
}

void wire_report_write(const struct wire_report *report, struct buffer *out)
{
    REQUIRE(report->count <= WIRE_CHANGES_MAX);
    buffer_le64(out, report->free_bytes);
    buffer_le64(out, report->used_bytes);
    buffer_le64(out, report->wiping_bytes);
    buffer_le64(out, report->unwiped_bytes);
    buffer_byte(out, report->last);
    buffer_le32(out, (uint32_t)report->count);
    for (size_t i = 0; i < report->count; i++)
        put_change(out, &report->changes[i]);
}

/* A lease that goes on has no cause, and one that ended has one. Nobody reports itself lost. */
static bool state_and_cause_fit(const struct wire_change *change)
{
    bool is_over = change->state == LEASE_WIPING || lease_is_final(change->state);
    return change->state != LEASE_LOST && is_over == (change->cause != LEASE_CAUSE_NONE);
}

static lethe_result get_change(struct cursor *cursor, struct wire_change *out)
{
    uint8_t state, cause;
    TRY(get_lease(cursor, &out->lease));
    TRY(cursor_le64(cursor, &out->generation));
    TRY(cursor_u8(cursor, &state));
    TRY(cursor_u8(cursor, &cause));
    TRY(cursor_le64(cursor, &out->left_ms));
    TRY(lease_state_read(state, &out->state));
    TRY(lease_cause_read(cause, &out->cause));
    return state_and_cause_fit(out) ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result report_fields(struct cursor *cursor, struct wire_report *out)
{
    uint32_t count;
    TRY(cursor_le64(cursor, &out->free_bytes));
    TRY(cursor_le64(cursor, &out->used_bytes));
    TRY(cursor_le64(cursor, &out->wiping_bytes));
    TRY(cursor_le64(cursor, &out->unwiped_bytes));
    TRY(get_bool(cursor, &out->last));
    TRY(cursor_le32(cursor, &count));
    if (count > WIRE_CHANGES_MAX)
        return LETHE_MALFORMED;
    for (out->count = 0; out->count < count; out->count++)
        TRY(get_change(cursor, &out->changes[out->count]));
    return LETHE_OK;
}

lethe_result wire_report_read(struct cursor cursor, struct wire_report *out,
                              struct lethe_error *err)
{
    return wire_done(&cursor, report_fields(&cursor, out), "REPORT", err);
}
