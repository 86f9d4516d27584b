/* Quotes, signatures and keys from other machines: nothing is taken that is not there to the byte,
 * and what is accepted is accepted for these bytes alone. */
#include <string.h>

#include "attest/tpm2_core.h"
#include "base/json.h"
#include "crypto/crypto.h"

#include "fuzz.h"

#define QUOTE_FIXED (4 + 2 + 2 + 34 + 2 + 8 + 4 + 4 + 1 + 8 + 4 + 2 + 1 + 2 + 32)

/* Of a list that ends too early, what there is. */
static struct tpm2_bytes take(struct cursor *cursor)
{
    uint16_t size_bytes = 0;
    struct tpm2_bytes out = {(const uint8_t *)"", 0};
    if (cursor_le16(cursor, &size_bytes) != LETHE_OK)
        return out;
    out.size_bytes = MIN(size_bytes, cursor_left(cursor));
    FUZZ_PROPERTY(cursor_bytes(cursor, out.size_bytes, &out.at) == LETHE_OK);
    return out;
}

static void check_quote(struct tpm2_bytes quote)
{
    struct tpm2_attested read;
    if (tpm2_attested_read(quote.at, quote.size_bytes, &read) != ATTEST_VERIFIED)
        return;
    size_t rest = quote.size_bytes - QUOTE_FIXED - read.extra_data.size_bytes;
    FUZZ_PROPERTY(rest == 3 || rest == 4); /* the bitmap */
    FUZZ_PROPERTY(read.pcr_mask >> ATTEST_PCRS == 0 && read.clock_ms <= JSON_INTEGER_MAX);
    FUZZ_PROPERTY(read.pcr_digest.size_bytes == 32);
}

static void check_accepted(struct tpm2_check *check, const struct attest_claims *claims)
{
    struct attest_claims again = {0};
    json_t *json = NULL;
    FUZZ_PROPERTY(claims->verified && claims->pcr_mask == check->pcrs.mask);
    FUZZ_PROPERTY(json_parse(claims->json.bytes, claims->json.size_bytes, &json, NULL) == LETHE_OK);
    json_decref(json);
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++)
        check->pcrs.values[pcr][31] ^= 1;
    FUZZ_PROPERTY(tpm2_verify(check, &again, NULL) == LETHE_DENIED && !again.verified);
    attest_claims_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor cursor = cursor_over(data, size);
    struct lethe_error err = {0};
    struct attest_claims claims = {0};
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    const struct tpm2_bytes quote = take(&cursor), signature = take(&cursor), ak = take(&cursor);
    struct tpm2_check check = {.quote = quote.at,
                               .quote_bytes = quote.size_bytes,
                               .signature = signature.at,
                               .signature_bytes = signature.size_bytes,
                               .ak = ak.at,
                               .ak_bytes = ak.size_bytes,
                               .pcrs.mask = 1u << 0 | 1u << 7 | 1u << 16};
    static const unsigned quoted[] = {0, 7, 16};
    for (size_t i = 0; i < ARRAY_LEN(quoted) && cursor_left(&cursor) >= 32; i++) {
        const uint8_t *value;
        FUZZ_PROPERTY(cursor_bytes(&cursor, 32, &value) == LETHE_OK);
        memcpy(check.pcrs.values[quoted[i]], value, 32);
    }
    check_quote(quote);
    lethe_result result = tpm2_verify(&check, &claims, &err);
    FUZZ_PROPERTY(result == LETHE_OK || (result == LETHE_DENIED && claims.reason != 0));
    if (result == LETHE_OK)
        check_accepted(&check, &claims);
    attest_claims_clear(&claims);
    return 0;
}
