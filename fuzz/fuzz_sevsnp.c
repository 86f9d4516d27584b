/* Reports with their certificates: 1,184 bytes, and the rest. Nothing is believed but what AMD has
 * signed and the seeds show. */
#include <string.h>

#include "attest/sevsnp.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/hash.h"

#include "fuzz.h"

#define NOW_S UINT64_C(1750000000) /* all seeds are valid */

/* SHA-256 of the seeds vcek and vlek. */
static const char *const believed[] = {
    "1b6419453ba92ead130cb27e82b84f539d63520a26499985e414159ca55cc2c6",
    "a2a98f003175ad5f162166c3bed61f8dde21ba29c598ac3b3df13aef51da220e",
};

static bool is_believed(const uint8_t *data, size_t size)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    sha256(data, size, digest);
    hex_encode(digest, sizeof digest, hex);
    for (size_t i = 0; i < ARRAY_LEN(believed); i++)
        if (strcmp(hex, believed[i]) == 0)
            return true;
    return false;
}

static void check_json(const struct attest_claims *claims)
{
    CLEANUP(json_decref) json_t *json = NULL;
    FUZZ_PROPERTY(json_parse(claims->json.bytes, claims->json.size_bytes, &json, NULL) == LETHE_OK);
    FUZZ_PROPERTY(json_integer_value(json_object_get(json, "vmpl")) == (json_int_t)claims->vmpl);
}

static void try_report(const uint8_t *data, size_t size)
{
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    lethe_result result = sevsnp_read(data, size, &claims, NULL);
    FUZZ_PROPERTY(!claims.verified);
    FUZZ_PROPERTY((result == LETHE_OK) == (claims.json.size_bytes > 0));
    if (result == LETHE_OK)
        check_json(&claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    size_t report_bytes = MIN(size, SEVSNP_REPORT_BYTES);
    const struct sevsnp_check check = {.report = data,
                                       .report_bytes = report_bytes,
                                       .vek = data + report_bytes,
                                       .vek_bytes = size - report_bytes,
                                       .now_s = NOW_S};
    lethe_result result = sevsnp_verify(&check, &claims, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_DENIED);
    FUZZ_PROPERTY(claims.verified == (result == LETHE_OK));
    FUZZ_PROPERTY((claims.reason == ATTEST_VERIFIED) == (result == LETHE_OK));
    if (result == LETHE_OK)
        FUZZ_PROPERTY(is_believed(data, size));
    try_report(data, report_bytes);
    return 0;
}
