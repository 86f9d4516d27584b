#include "attest/attest.h"

#include <string.h>

#include "crypto/hash.h"

static const struct {
    const char *code, *sentence;
} reasons[] = {
#define ATTEST_REASON_ROW(name, code, sentence) {code, sentence},
    ATTEST_REASONS(ATTEST_REASON_ROW)
#undef ATTEST_REASON_ROW
};

const char *attest_reason_code(enum attest_reason reason)
{
    return (unsigned)reason < ATTEST_REASON_COUNT ? reasons[reason].code : "";
}

const char *attest_reason_sentence(enum attest_reason reason)
{
    return (unsigned)reason < ATTEST_REASON_COUNT ? reasons[reason].sentence : "";
}

static const char *const kinds[] = {[ATTEST_TPM2] = "tpm2", [ATTEST_SEV_SNP] = "sev-snp"};

const char *attest_kind_name(enum attest_kind kind)
{
    return kinds[kind];
}

lethe_result attest_kind_parse(const char *text, enum attest_kind *out)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(text, kinds[i]) == 0) {
            *out = (enum attest_kind)i;
            return LETHE_OK;
        }
    }
    return LETHE_INVALID;
}

void attest_claims_clear(struct attest_claims *claims)
{
    buffer_clear(&claims->json);
    *claims = (struct attest_claims){0};
}

lethe_result attest_binding(const struct attest_part *parts, size_t count,
                            uint8_t out[ATTEST_BINDING_BYTES], struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer list = {0};
    for (size_t i = 0; i < count; i++)
        buffer_prefixed(&list, parts[i].bytes, parts[i].size_bytes);
    TRY(buffer_result(&list, err));
    sha256(list.bytes, list.size_bytes, out);
    return LETHE_OK;
}
