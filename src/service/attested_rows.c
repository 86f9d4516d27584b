#include <string.h>

#include "service/attested_core.h"
#include "service/row_texts.h"

#define MACHINE_FORMAT 1
#define REFERENCE_FORMAT 1

/* ---- machines -------------------------------------------------------------------------------- */

static const size_t tcb_bytes = sizeof(struct attest_tcb);

void machine_row_format(const struct machine *machine, struct buffer *out)
{
    buffer_byte(out, MACHINE_FORMAT);
    buffer_byte(out, (uint8_t)machine->kind);
    buffer_byte(out, machine->ek_certified);
    row_put_text(out, machine->name);
    row_put_text(out, machine->id);
    row_put_text(out, machine->identity);
    row_put_text(out, machine->ek_fingerprint);
    buffer_le64(out, machine->enrolled_s);
    buffer_le64(out, machine->revoked_s);
    buffer_le64(out, machine->counters.clock_ms);
    buffer_le64(out, machine->counters.reset_count);
    buffer_le64(out, machine->counters.restart_count);
    const struct attest_tcb *tcb = &machine->tcb;
    const uint8_t levels[] = {tcb->fmc, tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode};
    buffer_append(out, levels, sizeof levels);
}

static lethe_result take_head(struct cursor *cursor, struct machine *out)
{
    uint8_t kind, certified;
    TRY(row_take_format(cursor, MACHINE_FORMAT));
    TRY(cursor_u8(cursor, &kind));
    TRY(cursor_u8(cursor, &certified));
    if (kind > ATTEST_SEV_SNP || certified > 1)
        return LETHE_MALFORMED;
    out->kind = (enum attest_kind)kind;
    out->ek_certified = certified;
    TRY(row_copy_text(cursor, out->name, sizeof out->name));
    TRY(row_copy_text(cursor, out->id, sizeof out->id));
    TRY(row_copy_text(cursor, out->identity, sizeof out->identity));
    return row_copy_text(cursor, out->ek_fingerprint, sizeof out->ek_fingerprint);
}

static lethe_result take_u32(struct cursor *cursor, uint32_t *out)
{
    uint64_t number;
    TRY(cursor_le64(cursor, &number));
    *out = (uint32_t)number;
    return number <= UINT32_MAX ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_shown(struct cursor *cursor, struct machine *out)
{
    const uint8_t *levels;
    TRY(cursor_le64(cursor, &out->counters.clock_ms));
    TRY(take_u32(cursor, &out->counters.reset_count));
    TRY(take_u32(cursor, &out->counters.restart_count));
    TRY(cursor_bytes(cursor, tcb_bytes, &levels));
    out->tcb = (struct attest_tcb){levels[0], levels[1], levels[2], levels[3], levels[4]};
    return LETHE_OK;
}

lethe_result machine_row_parse(const uint8_t *bytes, size_t size_bytes, struct machine *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct machine){0};
    TRY(take_head(&cursor, out));
    TRY(cursor_le64(&cursor, &out->enrolled_s));
    TRY(cursor_le64(&cursor, &out->revoked_s));
    TRY(take_shown(&cursor, out));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* ---- reference values ------------------------------------------------------------------------ */

void reference_row_format(const struct attest_reference *reference, struct buffer *out)
{
    buffer_byte(out, REFERENCE_FORMAT);
    row_put_text(out, reference->name);
    buffer_le64(out, reference->version);
    buffer_le64(out, reference->added_s);
    buffer_le64(out, reference->revoked_s);
    attest_reference_format(reference, out);
}

lethe_result reference_row_parse(const uint8_t *bytes, size_t size_bytes,
                                 struct attest_reference *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    struct attest_reference head = {0};
    const uint8_t *json;
    TRY(row_take_format(&cursor, REFERENCE_FORMAT));
    TRY(row_copy_text(&cursor, head.name, sizeof head.name));
    TRY(cursor_le64(&cursor, &head.version));
    TRY(cursor_le64(&cursor, &head.added_s));
    TRY(cursor_le64(&cursor, &head.revoked_s));
    size_t length = cursor_left(&cursor);
    TRY(cursor_bytes(&cursor, length, &json));
    if (attest_reference_parse((const char *)json, length, out, NULL) != LETHE_OK)
        return LETHE_MALFORMED;
    memcpy(out->name, head.name, sizeof out->name);
    out->version = head.version;
    out->added_s = head.added_s;
    out->revoked_s = head.revoked_s;
    return LETHE_OK;
}
