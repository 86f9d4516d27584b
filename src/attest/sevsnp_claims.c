/* What a report says, for policies: numbers and texts by name, nothing that must be taken apart. */
#include <inttypes.h>
#include <string.h>

#include "attest/sevsnp_vek.h"
#include "base/json.h"
#include "base/text.h"

static void write_measurement(const uint8_t *digest, char out[ATTEST_MEASUREMENT_SIZE])
{
    static const char prefix[] = "sha384:";
    memcpy(out, prefix, sizeof prefix);
    hex_encode(digest, SEVSNP_MEASUREMENT_BYTES, out + sizeof prefix - 1);
}

void sevsnp_claims_fill(const struct sevsnp_report *report, const struct sevsnp_product *product,
                        struct attest_claims *out)
{
    write_measurement(report->measurement, out->measurement);
    memcpy(out->report_measurement, out->measurement, sizeof out->measurement);
    if (!sevsnp_is_zero(report->chip_id, SEVSNP_CHIP_BYTES))
        hex_encode(report->chip_id, SEVSNP_CHIP_BYTES, out->machine);
    out->has_report = true;
    out->report_version = report->version;
    out->vmpl = report->vmpl;
    out->guest_policy = report->policy;
    out->platform_info = report->platform_info;
    out->is_vlek = report->signing_key == SEVSNP_VLEK;
    out->product[0] = '\0';
    out->tcb = (struct attest_tcb){0};
    if (product == NULL)
        return;
    strcpy(out->product, product->name);
    (void)sevsnp_tcb_read(product, report->reported_tcb, &out->tcb);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_text(struct buffer *json, const char *name, const char *text)
{
    buffer_format(json, ",\"%s\":", name);
    json_append_string(json, text, strlen(text));
}

static void put_hex(struct buffer *json, const char *name, const uint8_t *bytes, size_t size_bytes)
{
    buffer_format(json, ",\"%s\":\"", name);
    char *at = buffer_extend(json, 2 * size_bytes + 1);
    if (at == NULL)
        return;
    hex_encode(bytes, size_bytes, at);
    at[2 * size_bytes] = '"';
}

struct bit {
    unsigned bit;
    const char *name;
};

static void put_bits(struct buffer *json, uint64_t value, const struct bit *bits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_format(json, "%s\"%s\":%s", i > 0 ? "," : "", bits[i].name,
                      (value >> bits[i].bit & 1) != 0 ? "true" : "false");
    buffer_text(json, "}");
}

static void put_policy(struct buffer *json, uint64_t policy)
{
    static const struct bit bits[] = {
        {16, "smt_allowed"},        {18, "migration_agent_allowed"},
        {19, "debug_allowed"},      {20, "single_socket"},
        {21, "cxl_allowed"},        {22, "aes_256_xts_required"},
        {23, "rapl_must_be_off"},   {24, "ciphertext_hiding_required"},
        {25, "page_swap_disabled"},
    };
    buffer_format(json, ",\"policy\":{\"abi_major\":%u,\"abi_minor\":%u,",
                  (unsigned)(policy >> 8 & 0xff), (unsigned)(policy & 0xff));
    put_bits(json, policy, bits, ARRAY_LEN(bits));
}

static void put_platform(struct buffer *json, uint64_t platform)
{
    static const struct bit bits[] = {
        {0, "smt"},
        {1, "tsme"},
        {2, "ecc"},
        {3, "rapl_off"},
        {4, "ciphertext_hiding"},
        {5, "alias_check_complete"},
        {7, "sev_tio"},
    };
    buffer_text(json, ",\"platform\":{");
    put_bits(json, platform, bits, ARRAY_LEN(bits));
}

static void put_tcb(struct buffer *json, const char *name, const struct sevsnp_product *product,
                    const uint8_t *bytes)
{
    struct attest_tcb tcb;
    uint8_t level;
    const char *part;
    (void)sevsnp_tcb_read(product, bytes, &tcb);
    buffer_format(json, ",\"%s\":{", name);
    for (size_t i = 0; (part = sevsnp_tcb_part(&tcb, i, &level)) != NULL; i++)
        buffer_format(json, "%s\"%s\":%u", i > 0 ? "," : "", part, level);
    buffer_text(json, "}");
}

static void put_tcbs(struct buffer *json, const struct sevsnp_report *report,
                     const struct sevsnp_product *product)
{
    if (product == NULL)
        return;
    put_text(json, "product", product->name);
    put_tcb(json, "tcb", product, report->reported_tcb);
    put_tcb(json, "current_tcb", product, report->current_tcb);
    put_tcb(json, "committed_tcb", product, report->committed_tcb);
    put_tcb(json, "launch_tcb", product, report->launch_tcb);
}

static void put_build(struct buffer *json, const char *name, const struct sevsnp_build *build)
{
    buffer_format(json, ",\"%s\":{\"major\":%u,\"minor\":%u,\"build\":%u}", name, build->major,
                  build->minor, build->build);
}

static void put_digests(struct buffer *json, const struct sevsnp_report *report)
{
    put_hex(json, "family_id", report->family_id, 16);
    put_hex(json, "image_id", report->image_id, 16);
    put_hex(json, "host_data", report->host_data, 32);
    put_hex(json, "id_key_digest", report->id_key_digest, 48);
    put_hex(json, "author_key_digest", report->author_key_digest, 48);
    put_hex(json, "report_id", report->report_id, 32);
    put_hex(json, "report_id_ma", report->report_id_ma, 32);
}

lethe_result sevsnp_claims_write(const struct sevsnp_report *report,
                                 const struct sevsnp_product *product, const struct sevsnp_vek *vek,
                                 struct attest_claims *out, struct lethe_error *err)
{
    struct buffer *json = &out->json;
    buffer_truncate(json, 0);
    buffer_format(json, "{\"kind\":\"%s\",\"report_version\":%u,\"guest_svn\":%u,\"vmpl\":%u",
                  attest_kind_name(ATTEST_SEV_SNP), report->version, report->guest_svn,
                  report->vmpl);
    put_text(json, "measurement", out->measurement);
    put_text(json, "chip_id", out->machine);
    put_text(json, "signing_key", out->is_vlek ? "vlek" : "vcek");
    if (vek != NULL && vek->kind == SEVSNP_VLEK)
        put_text(json, "csp_id", vek->csp_id);
    put_policy(json, report->policy);
    put_platform(json, report->platform_info);
    put_tcbs(json, report, product);
    put_build(json, "current_build", &report->current_build);
    put_build(json, "committed_build", &report->committed_build);
    buffer_format(json, ",\"cpu\":{\"family\":%u,\"model\":%u,\"stepping\":%u}", report->cpu_family,
                  report->cpu_model, report->cpu_stepping);
    buffer_format(json, ",\"launch_mitigations\":\"%016" PRIx64 "\"", report->launch_mitigations);
    buffer_format(json, ",\"current_mitigations\":\"%016" PRIx64 "\"", report->current_mitigations);
    buffer_format(json, ",\"author_key_enabled\":%s",
                  report->author_key_enabled ? "true" : "false");
    put_digests(json, report);
    buffer_text(json, "}");
    return buffer_result(json, err);
}
