/* Endorsement keys and their certificates from other machines: what is encrypted to is one to the
 * byte, and what is accepted is the authority's. */
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "attest/tpm2_core.h"
#include "crypto/crypto.h"

#include "fuzz.h"

/* tests/vectors/tpm2/ca.pem */
static const char roots[] = "-----BEGIN CERTIFICATE-----\n"
                            "MIIBojCCAUegAwIBAgIUSIHHP/kUpansUCNzpLUMfNVXUcwwCgYIKoZIzj0EAwIw\n"
                            "HTEbMBkGA1UEAwwSVGVzdCBUUE0gYXV0aG9yaXR5MCAXDTI2MTEyNjIzNTExNVoY\n"
                            "DzIxMjYxMTAyMjM1MTE1WjAdMRswGQYDVQQDDBJUZXN0IFRQTSBhdXRob3JpdHkw\n"
                            "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS/V4/7FjrtRPK5vqneNlV/S8T63ScZ\n"
                            "1FVwvA4mz2RXSjs/fnzI90o9gimbhUkNXNc7sLLo1bTO9O/yws08QYYeo2MwYTAd\n"
                            "BgNVHQ4EFgQUtKwrr4rbG1u1LaXUWFaGSMEmDRAwHwYDVR0jBBgwFoAUtKwrr4rb\n"
                            "G1u1LaXUWFaGSMEmDRAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYw\n"
                            "CgYIKoZIzj0EAwIDSQAwRgIhAJEMyAUv4Qvu3Ni3rEwQ9/wvsh0zPVHbeYGr0aar\n"
                            "wJamAiEA8GvFhhnfgoW2RZeZYbnU9gZwBOvY3u1OrOUhm9kgLf4=\n"
                            "-----END CERTIFICATE-----\n";
#define WHEN UINT64_C(1800000000)

/* How long a key is that has these fields and nothing else. */
static size_t whole_of(const struct tpm2_public *key)
{
    size_t head = 2 + 2 + 4 + 2 + key->policy.size_bytes + 2 + 2 + 2 + 2;
    if (key->type == TPM2_ALG_RSA)
        return head + 2 + 4 + 2 + key->modulus.size_bytes;
    return head + 2 + 2 + 2 + key->x.size_bytes + 2 + key->y.size_bytes;
}

static void check_credential(const uint8_t *ek, size_t ek_bytes)
{
    struct tpm2_public read;
    static const uint8_t name[TPM2_NAME_BYTES];
    CLEANUP(buffer_clear) struct buffer blob = {0};
    CLEANUP(buffer_clear) struct buffer seed = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    FUZZ_PROPERTY(lethe_secret_create(32, &secret, NULL) == LETHE_OK);
    lethe_result result = tpm2_make_credential(ek, ek_bytes, name, secret, &blob, &seed, NULL);
    FUZZ_PROPERTY(blob.size_bytes == (result == LETHE_OK ? 70u : 0u));
    if (result != LETHE_OK)
        return;
    FUZZ_PROPERTY(tpm2_ek_read(ek, ek_bytes, &read, NULL) == LETHE_OK);
    FUZZ_PROPERTY(whole_of(&read) == ek_bytes);
    FUZZ_PROPERTY((read.attributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor cursor = cursor_over(data, size);
    uint16_t ek_bytes;
    const uint8_t *ek;
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    if (cursor_le16(&cursor, &ek_bytes) != LETHE_OK ||
        cursor_bytes(&cursor, ek_bytes, &ek) != LETHE_OK)
        return 0;
    check_credential(ek, ek_bytes);
    lethe_result result =
        tpm2_check_ek(ek, ek_bytes, cursor.at, cursor_left(&cursor), roots, WHEN, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_DENIED);
    return 0;
}
