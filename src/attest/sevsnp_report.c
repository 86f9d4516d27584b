/* AMD 56860, 7.3: the fields one after another, little-endian. */
#include "attest/sevsnp_report.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"

#define VERSION_FIRST 2u
#define VERSION_LAST 5u
#define VERSION_MITIGATIONS 5u

/* Behind PLATFORM_INFO. */
#define KEY_AUTHOR UINT32_C(1)
#define KEY_MASKED UINT32_C(2)
#define KEY_SIGNING_SHIFT 2u
#define KEY_SIGNING_MASK 7u
#define KEY_RESERVED (~UINT32_C(0x1f))
#define PLATFORM_RESERVED (~UINT64_C(0xbf)) /* bit 6, and from 8 on */

bool sevsnp_is_zero(const uint8_t *bytes, size_t size_bytes)
{
    uint8_t all = 0;
    for (size_t i = 0; i < size_bytes; i++)
        all |= bytes[i];
    return all == 0;
}

static lethe_result take_reserved(struct cursor *at, size_t size_bytes, struct sevsnp_report *r)
{
    const uint8_t *bytes;
    TRY(cursor_bytes(at, size_bytes, &bytes));
    r->has_reserved |= !sevsnp_is_zero(bytes, size_bytes);
    return LETHE_OK;
}

static lethe_result take_key_flags(struct cursor *at, struct sevsnp_report *r)
{
    uint32_t flags;
    TRY(cursor_le32(at, &flags));
    r->author_key_enabled = (flags & KEY_AUTHOR) != 0;
    r->chip_key_masked = (flags & KEY_MASKED) != 0;
    r->signing_key = flags >> KEY_SIGNING_SHIFT & KEY_SIGNING_MASK;
    r->has_reserved |= (flags & KEY_RESERVED) != 0;
    return take_reserved(at, 4, r);
}

/* 000 to 04F. */
static lethe_result take_head(struct cursor *at, struct sevsnp_report *r)
{
    TRY(cursor_le32(at, &r->version));
    TRY(cursor_le32(at, &r->guest_svn));
    TRY(cursor_le64(at, &r->policy));
    TRY(cursor_bytes(at, 16, &r->family_id));
    TRY(cursor_bytes(at, 16, &r->image_id));
    TRY(cursor_le32(at, &r->vmpl));
    TRY(cursor_le32(at, &r->algorithm));
    TRY(cursor_bytes(at, SEVSNP_TCB_BYTES, &r->current_tcb));
    TRY(cursor_le64(at, &r->platform_info));
    r->has_reserved |= (r->platform_info & PLATFORM_RESERVED) != 0;
    return take_key_flags(at, r);
}

/* 050 to 187. */
static lethe_result take_guest(struct cursor *at, struct sevsnp_report *r)
{
    TRY(cursor_bytes(at, SEVSNP_DATA_BYTES, &r->data));
    TRY(cursor_bytes(at, SEVSNP_MEASUREMENT_BYTES, &r->measurement));
    TRY(cursor_bytes(at, 32, &r->host_data));
    TRY(cursor_bytes(at, 48, &r->id_key_digest));
    TRY(cursor_bytes(at, 48, &r->author_key_digest));
    TRY(cursor_bytes(at, 32, &r->report_id));
    TRY(cursor_bytes(at, 32, &r->report_id_ma));
    return cursor_bytes(at, SEVSNP_TCB_BYTES, &r->reported_tcb);
}

static lethe_result take_build(struct cursor *at, struct sevsnp_build *build,
                               struct sevsnp_report *r)
{
    TRY(cursor_u8(at, &build->build));
    TRY(cursor_u8(at, &build->minor));
    TRY(cursor_u8(at, &build->major));
    return take_reserved(at, 1, r);
}

/* 188 to 29F. */
static lethe_result take_platform(struct cursor *at, struct sevsnp_report *r)
{
    TRY(cursor_u8(at, &r->cpu_family));
    TRY(cursor_u8(at, &r->cpu_model));
    TRY(cursor_u8(at, &r->cpu_stepping));
    r->has_reserved |= r->version < SEVSNP_VERSION_CPU &&
                       (r->cpu_family != 0 || r->cpu_model != 0 || r->cpu_stepping != 0);
    TRY(take_reserved(at, 21, r));
    TRY(cursor_bytes(at, SEVSNP_CHIP_BYTES, &r->chip_id));
    TRY(cursor_bytes(at, SEVSNP_TCB_BYTES, &r->committed_tcb));
    TRY(take_build(at, &r->current_build, r));
    TRY(take_build(at, &r->committed_build, r));
    TRY(cursor_bytes(at, SEVSNP_TCB_BYTES, &r->launch_tcb));
    TRY(cursor_le64(at, &r->launch_mitigations));
    TRY(cursor_le64(at, &r->current_mitigations));
    r->has_reserved |= r->version < VERSION_MITIGATIONS &&
                       (r->launch_mitigations != 0 || r->current_mitigations != 0);
    return take_reserved(at, 152, r);
}

static lethe_result take_signature(struct cursor *at, struct sevsnp_report *r)
{
    TRY(cursor_bytes(at, SEVSNP_NUMBER_BYTES, &r->r));
    TRY(cursor_bytes(at, SEVSNP_NUMBER_BYTES, &r->s));
    return take_reserved(at, 368, r);
}

enum attest_reason sevsnp_report_read(const void *bytes, size_t size_bytes,
                                      struct sevsnp_report *out)
{
    static lethe_result (*const steps[])(struct cursor *, struct sevsnp_report *) = {
        take_head, take_guest, take_platform, take_signature};
    *out = (struct sevsnp_report){.bytes = bytes};
    if (size_bytes != SEVSNP_REPORT_BYTES)
        return ATTEST_SIZE;
    struct cursor at = cursor_over(bytes, size_bytes);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (steps[i](&at, out) != LETHE_OK)
            return ATTEST_SIZE;
    REQUIRE(cursor_left(&at) == 0);
    return out->version >= VERSION_FIRST && out->version <= VERSION_LAST ? ATTEST_VERIFIED
                                                                         : ATTEST_VERSION;
}

/* ---- products -------------------------------------------------------------------------------- */

const struct sevsnp_product sevsnp_products[SEVSNP_PRODUCTS] = {
    [SEVSNP_MILAN] = {"Milan", {SEVSNP_ABSENT, 0, 1, 6, 7}, 64},
    [SEVSNP_GENOA] = {"Genoa", {SEVSNP_ABSENT, 0, 1, 6, 7}, 64},
    [SEVSNP_TURIN] = {"Turin", {0, 1, 2, 3, 7}, 8},
};

const struct sevsnp_product *sevsnp_product_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(sevsnp_products); i++)
        if (strcmp(sevsnp_products[i].name, name) == 0)
            return &sevsnp_products[i];
    return NULL;
}

const struct sevsnp_product *sevsnp_product_of_cpu(uint8_t family, uint8_t model)
{
    static const struct {
        uint8_t family, first_model, last_model;
        enum sevsnp_product_kind product;
    } models[] = {
        {0x19, 0x00, 0x0f, SEVSNP_MILAN},
        {0x19, 0x10, 0x1f, SEVSNP_GENOA},
        {0x19, 0xa0, 0xaf, SEVSNP_GENOA},
        {0x1a, 0x00, 0x11, SEVSNP_TURIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (family == models[i].family && model >= models[i].first_model &&
            model <= models[i].last_model)
            return &sevsnp_products[models[i].product];
    return NULL;
}

bool sevsnp_tcb_read(const struct sevsnp_product *product, const uint8_t bytes[SEVSNP_TCB_BYTES],
                     struct attest_tcb *out)
{
    uint8_t rest[SEVSNP_TCB_BYTES];
    uint8_t levels[SEVSNP_TCB_PARTS] = {0};
    memcpy(rest, bytes, sizeof rest);
    for (size_t i = 0; i < SEVSNP_TCB_PARTS; i++) {
        if (product->tcb_at[i] == SEVSNP_ABSENT)
            continue;
        levels[i] = bytes[product->tcb_at[i]];
        rest[product->tcb_at[i]] = 0;
    }
    *out = (struct attest_tcb){levels[0], levels[1], levels[2], levels[3], levels[4]};
    return sevsnp_is_zero(rest, sizeof rest);
}

const char *sevsnp_tcb_part(const struct attest_tcb *tcb, size_t part, uint8_t *level)
{
    static const char *const names[SEVSNP_TCB_PARTS + 1] = {"fmc", "bootloader", "tee",
                                                            "snp", "microcode",  NULL};
    const uint8_t levels[SEVSNP_TCB_PARTS + 1] = {tcb->fmc, tcb->bootloader, tcb->tee, tcb->snp,
                                                  tcb->microcode};
    REQUIRE(part <= SEVSNP_TCB_PARTS);
    *level = levels[part];
    return names[part];
}
