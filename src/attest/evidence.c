/* Evidence as JSON, read. */
#include "attest/evidence.h"

#include <string.h>

#include "attest/evidence_parts.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"

#define EVIDENCE_COMMAS_MAX 64u

void evidence_clear(struct evidence *evidence)
{
    buffer_clear(&evidence->storage);
    *evidence = (struct evidence){0};
}

struct part {
    const char *name;
    const char *text; /* NULL: not there */
    size_t max_bytes;
    const void **bytes;
    size_t *size_bytes;
};

/* Goes behind the last one; nothing moves: evidence_read() made room for all. */
static lethe_result read_part(const struct part *part, struct buffer *storage,
                              struct lethe_error *err)
{
    if (part->text == NULL)
        return LETHE_OK;
    size_t length = strlen(part->text);
    if (length == 0 || length > BASE64_LENGTH(part->max_bytes))
        return error_set(err, LETHE_MALFORMED, "evidence: \"%s\" is not 1 to %zu bytes in base64",
                         part->name, part->max_bytes);
    REQUIRE(storage->size_bytes + length < storage->capacity_bytes);
    char *at = storage->bytes + storage->size_bytes;
    size_t size_bytes;
    if (base64_decode(part->text, length, at, MIN(length, part->max_bytes), &size_bytes) !=
        LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "evidence: \"%s\" is not 1 to %zu bytes in base64",
                         part->name, part->max_bytes);
    (void)buffer_extend(storage, size_bytes);
    *part->bytes = at;
    *part->size_bytes = size_bytes;
    return LETHE_OK;
}

static lethe_result read_parts(const struct part *parts, size_t count, struct buffer *storage,
                               struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++)
        TRY(read_part(&parts[i], storage, err));
    return LETHE_OK;
}

/* ---- sev-snp --------------------------------------------------------------------------------- */

static lethe_result read_sevsnp(const json_t *json, struct evidence *out, struct lethe_error *err)
{
    const char *kind, *report, *vek;
    const struct json_field fields[] = {
        {"kind", JSON_FIELD_TEXT, false, &kind},
        {"report", JSON_FIELD_TEXT, false, &report},
        {"vek", JSON_FIELD_TEXT, false, &vek},
    };
    TRY(json_read_fields(json, "evidence", fields, ARRAY_LEN(fields), err));
    if (strcmp(kind, attest_kind_name(ATTEST_SEV_SNP)) != 0)
        return error_set(err, LETHE_MALFORMED, "evidence: what vouches is not of \"sev-snp\"");
    struct sevsnp_check *s = &out->sevsnp;
    const struct part parts[] = {
        {"report", report, SEVSNP_REPORT_BYTES, &s->report, &s->report_bytes},
        {"vek", vek, EVIDENCE_VEK_MAX, &s->vek, &s->vek_bytes},
    };
    return read_parts(parts, ARRAY_LEN(parts), &out->storage, err);
}

/* ---- tpm2 ------------------------------------------------------------------------------------ */

static bool read_index(const char *text, unsigned *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > 2 || (length == 2 && text[0] == '0'))
        return false;
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return *out < ATTEST_PCRS;
}

static lethe_result read_pcrs(const json_t *object, struct tpm2_pcrs *out, struct lethe_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        unsigned index;
        const char *hex = json_string_value(value);
        if (!read_index(name, &index) || hex == NULL ||
            hex_decode(hex, strlen(hex), out->values[index], sizeof out->values[0]) != LETHE_OK)
            return error_set(err, LETHE_MALFORMED,
                             "evidence: \"pcrs\" are not \"0\" to \"23\" with 64 hex digits each");
        out->mask |= UINT32_C(1) << index;
    }
    return LETHE_OK;
}

static lethe_result read_tpm2(const json_t *json, struct evidence *out, struct lethe_error *err)
{
    const char *kind, *quote, *signature, *ak, *ima_log = NULL;
    const json_t *pcrs, *vouched = NULL;
    const struct json_field fields[] = {
        {"kind", JSON_FIELD_TEXT, false, &kind},
        {"quote", JSON_FIELD_TEXT, false, &quote},
        {"signature", JSON_FIELD_TEXT, false, &signature},
        {"ak", JSON_FIELD_TEXT, false, &ak},
        {"pcrs", JSON_FIELD_OBJECT, false, &pcrs},
        {"ima_log", JSON_FIELD_TEXT, true, &ima_log},
        {"vouched", JSON_FIELD_OBJECT, true, &vouched},
    };
    TRY(json_read_fields(json, "evidence", fields, ARRAY_LEN(fields), err));
    struct tpm2_check *t = &out->tpm2;
    const struct part parts[] = {
        {"quote", quote, TPM2_QUOTE_MAX, &t->quote, &t->quote_bytes},
        {"signature", signature, TPM2_SIGNATURE_MAX, &t->signature, &t->signature_bytes},
        {"ak", ak, TPM2_PUBLIC_MAX, &t->ak, &t->ak_bytes},
        {"ima_log", ima_log, TPM2_IMA_LOG_MAX, &t->ima_log, &t->ima_log_bytes},
    };
    TRY(read_parts(parts, ARRAY_LEN(parts), &out->storage, err));
    TRY(read_pcrs(pcrs, &t->pcrs, err));
    if (vouched == NULL)
        return LETHE_OK;
    t->vouched = &out->sevsnp;
    return read_sevsnp(vouched, out, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result read_kind(const json_t *json, struct evidence *out, struct lethe_error *err)
{
    static lethe_result (*const readers[])(const json_t *, struct evidence *,
                                           struct lethe_error *) = {
        [ATTEST_TPM2] = read_tpm2, [ATTEST_SEV_SNP] = read_sevsnp};
    const char *kind = json_string_value(json_object_get(json, "kind"));
    if (kind == NULL || attest_kind_parse(kind, &out->kind) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED,
                         "evidence: \"kind\" is neither \"tpm2\" nor \"sev-snp\"");
    return readers[out->kind](json, out, err);
}

static void write_digest(const char *json, size_t length, struct evidence *out)
{
    static const char prefix[] = "sha256:";
    uint8_t digest[SHA256_BYTES];
    sha256(json, length, digest);
    memcpy(out->digest, prefix, sizeof prefix);
    hex_encode(digest, sizeof digest, out->digest + sizeof prefix - 1);
}

/* Evidence has some thirty members, and no text in it has a comma. What has more is not worth the
 * second that a tree of a million values takes to build. */
static bool has_few_values(const char *json, size_t length)
{
    size_t commas = 0;
    for (size_t i = 0; i < length; i++)
        commas += json[i] == ',';
    return commas <= EVIDENCE_COMMAS_MAX;
}

lethe_result evidence_read(const char *json, size_t length, struct evidence *out,
                           struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *tree = NULL;
    *out = (struct evidence){0};
    if (length > EVIDENCE_TEXT_MAX)
        return error_set(err, LETHE_MALFORMED, "evidence of %zu bytes; at most %u", length,
                         EVIDENCE_TEXT_MAX);
    if (!has_few_values(json, length))
        return error_set(err, LETHE_MALFORMED, "evidence: it has more members than any kind has");
    TRY(json_parse(json, length, &tree, err));
    (void)buffer_extend(&out->storage, length + 1); /* what is decoded is shorter than its text */
    lethe_result result = buffer_result(&out->storage, err);
    if (result == LETHE_OK) {
        buffer_truncate(&out->storage, 0);
        result = read_kind(tree, out, err);
    }
    if (result != LETHE_OK) {
        evidence_clear(out);
        return result;
    }
    write_digest(json, length, out);
    return LETHE_OK;
}
