/* Reference values as JSON. */
#include <string.h>

#include "attest/attest.h"
#include "base/json.h"
#include "base/text.h"

#define VMPL_LAST 3u
#define LEVEL_MAX 255u
#define DIGEST_BYTES 32u
#define MEASUREMENT_BYTES 48u

static const char loader_prefix[] = "sha256:";
static const char measurement_prefix[] = "sha384:";

struct members { /* borrowed from the tree; NULL: not there */
    const char *kind, *measurement;
    const json_t *pcrs, *loaders, *least_tcb;
    uint64_t vmpl_max;
};

static lethe_result invalid(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_INVALID, "reference value: %s", what);
}

/* Hex behind a prefix, and nothing else. */
static bool is_digest(const char *text, const char *prefix, size_t digest_bytes)
{
    uint8_t digest[MEASUREMENT_BYTES];
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 &&
           hex_decode(text + length, strlen(text + length), digest, digest_bytes) == LETHE_OK;
}

/* ---- PCRs ------------------------------------------------------------------------------------ */

/* "0" to "23", but those that software may reset. */
static bool read_index(const char *text, unsigned *out)
{
    static const unsigned resettable = 1u << 16 | 1u << 23;
    size_t length = strlen(text);
    if (length == 0 || length > 2 || (length == 2 && text[0] == '0'))
        return false;
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return *out < ATTEST_PCRS && (resettable >> *out & 1) == 0;
}

static lethe_result read_pcrs(const json_t *pcrs, struct attest_reference *out,
                              struct lethe_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)pcrs, name, value)
    {
        unsigned index;
        const char *hex = json_string_value(value);
        if (!read_index(name, &index))
            return invalid(err, "\"pcrs\" names one that is not 0 to 22, or 16 (software can reset "
                                "16 and 23)");
        if (hex == NULL || hex_decode(hex, strlen(hex), out->pcrs[index], DIGEST_BYTES) != LETHE_OK)
            return invalid(err, "\"pcrs\" has a value that is not 64 lower-case hex digits");
        out->pcr_mask |= UINT32_C(1) << index;
    }
    return LETHE_OK;
}

/* ---- loaders, measurement, TCB --------------------------------------------------------------- */

static bool is_listed(const struct attest_reference *reference, const char *loader)
{
    for (size_t i = 0; i < reference->loader_count; i++)
        if (strcmp(reference->loaders[i], loader) == 0)
            return true;
    return false;
}

static lethe_result read_loaders(const json_t *loaders, struct attest_reference *out,
                                 struct lethe_error *err)
{
    if (json_array_size(loaders) > ATTEST_LOADERS_MAX)
        return error_set(err, LETHE_INVALID, "reference value: \"loaders\" has more than %u",
                         ATTEST_LOADERS_MAX);
    for (size_t i = 0; i < json_array_size(loaders); i++) {
        const char *text = json_string_value(json_array_get(loaders, i));
        if (text == NULL || !is_digest(text, loader_prefix, DIGEST_BYTES))
            return invalid(err, "\"loaders\" has what is not \"sha256:\" and 64 hex digits");
        if (is_listed(out, text))
            return invalid(err, "\"loaders\" has one twice");
        strcpy(out->loaders[out->loader_count++], text);
    }
    return LETHE_OK;
}

static lethe_result read_tcb(const json_t *object, struct attest_tcb *out, struct lethe_error *err)
{
    uint64_t levels[5] = {0};
    const struct json_field fields[] = {
        {"fmc", JSON_FIELD_UINT, true, &levels[0]},
        {"bootloader", JSON_FIELD_UINT, true, &levels[1]},
        {"tee", JSON_FIELD_UINT, true, &levels[2]},
        {"snp", JSON_FIELD_UINT, true, &levels[3]},
        {"microcode", JSON_FIELD_UINT, true, &levels[4]},
    };
    if (json_read_fields(object, "\"least_tcb\"", fields, ARRAY_LEN(fields), err) != LETHE_OK)
        return invalid(err, "\"least_tcb\" has other members than fmc, bootloader, tee, snp and "
                            "microcode, each 0 to 255");
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i] > LEVEL_MAX)
            return invalid(err, "\"least_tcb\" has a level over 255");
    *out = (struct attest_tcb){(uint8_t)levels[0], (uint8_t)levels[1], (uint8_t)levels[2],
                               (uint8_t)levels[3], (uint8_t)levels[4]};
    return LETHE_OK;
}

static lethe_result read_report(const struct members *m, struct attest_reference *out,
                                struct lethe_error *err)
{
    if (m->measurement == NULL && (m->least_tcb != NULL || m->vmpl_max != UINT64_MAX))
        return invalid(err, "\"least_tcb\" and \"vmpl_max\" go with a \"measurement\"");
    if (m->measurement == NULL)
        return LETHE_OK;
    if (!is_digest(m->measurement, measurement_prefix, MEASUREMENT_BYTES))
        return invalid(err, "\"measurement\" is not \"sha384:\" and 96 lower-case hex digits");
    strcpy(out->measurement, m->measurement);
    if (m->least_tcb != NULL)
        TRY(read_tcb(m->least_tcb, &out->least_tcb, err));
    if (m->vmpl_max != UINT64_MAX && m->vmpl_max > VMPL_LAST)
        return invalid(err, "\"vmpl_max\" is not 0 to 3");
    out->vmpl_max = m->vmpl_max != UINT64_MAX ? (uint32_t)m->vmpl_max : 0;
    return LETHE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result read_members(const json_t *json, struct attest_reference *out,
                                 struct lethe_error *err)
{
    struct members m = {.vmpl_max = UINT64_MAX};
    const struct json_field fields[] = {
        {"kind", JSON_FIELD_TEXT, false, &m.kind},
        {"pcrs", JSON_FIELD_OBJECT, true, &m.pcrs},
        {"loaders", JSON_FIELD_ARRAY, true, &m.loaders},
        {"measurement", JSON_FIELD_TEXT, true, &m.measurement},
        {"least_tcb", JSON_FIELD_OBJECT, true, &m.least_tcb},
        {"vmpl_max", JSON_FIELD_UINT, true, &m.vmpl_max},
    };
    TRY(json_read_fields(json, "reference value", fields, ARRAY_LEN(fields), err));
    if (attest_kind_parse(m.kind, &out->kind) != LETHE_OK)
        return invalid(err, "\"kind\" is neither \"tpm2\" nor \"sev-snp\"");
    if (out->kind == ATTEST_SEV_SNP && (m.pcrs != NULL || m.loaders != NULL))
        return invalid(err, "\"pcrs\" and \"loaders\" are of \"tpm2\" only");
    if (out->kind == ATTEST_SEV_SNP && m.measurement == NULL)
        return invalid(err, "\"measurement\" is missing");
    if (out->kind == ATTEST_TPM2 && json_object_size(m.pcrs) == 0)
        return invalid(err, "\"pcrs\" is missing, or names none");
    TRY(read_pcrs(m.pcrs, out, err));
    TRY(read_loaders(m.loaders, out, err));
    return read_report(&m, out, err);
}

lethe_result attest_reference_parse(const char *json, size_t length, struct attest_reference *out,
                                    struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *tree = NULL;
    struct lethe_error why = {0};
    struct attest_reference read = {0};
    *out = read;
    lethe_result result = json_parse(json, length, &tree, &why);
    if (result == LETHE_OK)
        result = read_members(tree, &read, &why);
    if (result != LETHE_OK)
        return error_set(err, result == LETHE_MALFORMED ? LETHE_INVALID : result, "%s", why.text);
    *out = read;
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_pcrs(const struct attest_reference *r, struct buffer *json)
{
    char hex[2 * DIGEST_BYTES + 1];
    const char *between = "";
    buffer_text(json, ",\"pcrs\":{");
    for (unsigned i = 0; i < ATTEST_PCRS; i++) {
        if ((r->pcr_mask >> i & 1) == 0)
            continue;
        hex_encode(r->pcrs[i], DIGEST_BYTES, hex);
        buffer_format(json, "%s\"%u\":\"%s\"", between, i, hex);
        between = ",";
    }
    buffer_text(json, "},\"loaders\":[");
    for (size_t i = 0; i < r->loader_count; i++)
        buffer_format(json, "%s\"%s\"", i > 0 ? "," : "", r->loaders[i]);
    buffer_text(json, "]");
}

void attest_reference_format(const struct attest_reference *r, struct buffer *json)
{
    const struct attest_tcb *tcb = &r->least_tcb;
    buffer_format(json, "{\"kind\":\"%s\"", attest_kind_name(r->kind));
    if (r->kind == ATTEST_TPM2)
        put_pcrs(r, json);
    if (r->measurement[0] != '\0')
        buffer_format(json,
                      ",\"measurement\":\"%s\",\"least_tcb\":{\"fmc\":%u,\"bootloader\":%u,"
                      "\"tee\":%u,\"snp\":%u,\"microcode\":%u},\"vmpl_max\":%u",
                      r->measurement, tcb->fmc, tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode,
                      r->vmpl_max);
    buffer_text(json, "}");
}
