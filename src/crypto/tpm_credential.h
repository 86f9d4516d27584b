/* crypto/tpm_credential.h -- what TPM2_MakeCredential is made of (TCG, Library part 1, 11.4 and 24;
 * SP 800-108, SP 800-56A): only for TPMs, whose formats fix it. With SHA-256, AES-128, P-256.
 *
 * Keys and shared secrets live in guarded memory. Thread rule: pure functions. */
#ifndef CRYPTO_TPM_CREDENTIAL_H
#define CRYPTO_TPM_CREDENTIAL_H

#include "mem/slab.h"

#define TPM_POINT_BYTES 65u /* an uncompressed point of P-256: 04, x, y */
#define TPM_COORDINATE_BYTES 32u

/* KDFa: HMAC in counter mode over label, NUL, context and length. Fills `out`. */
struct tpm_kdfa {
    const struct lethe_secret *key;
    const char *label;
    const void *context;
    size_t context_bytes;
};
LETHE_MUST_CHECK lethe_result tpm_kdfa(const struct tpm_kdfa *input, struct lethe_secret *out,
                                       struct lethe_error *err);

/* A fresh pair agrees with this point (its public half goes to `ephemeral`), and KDFe makes `out`
 * of it: SHA-256 over counter, x of the shared point, label, NUL, both public x. LETHE_MALFORMED:
 * it does not lie on the curve. */
LETHE_MUST_CHECK lethe_result tpm_kdfe_agree(const uint8_t point[TPM_POINT_BYTES],
                                             const char *label, uint8_t ephemeral[TPM_POINT_BYTES],
                                             struct lethe_secret *out, struct lethe_error *err);

/* AES-128-CFB with an IV of zeros: for a key that is used once. */
#define TPM_CFB_KEY_BYTES 16u
LETHE_MUST_CHECK lethe_result tpm_cfb_encrypt(const struct lethe_secret *key, const void *plain,
                                              size_t size_bytes, uint8_t *cipher,
                                              struct lethe_error *err);

#endif
