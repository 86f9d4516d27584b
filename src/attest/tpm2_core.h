/* attest/tpm2_core.h -- the TPM's structures, read; and what the files about them share. Not for
 * other rooms.
 *
 * Readers borrow from what they read. They give the reason why not, ATTEST_VERIFIED when there is
 * none: ATTEST_SIZE where bytes are missing or left over. */
#ifndef ATTEST_TPM2_CORE_H
#define ATTEST_TPM2_CORE_H

#include "attest/tpm2.h"
#include "base/cursor.h"

struct tpm2_bytes {
    const uint8_t *at;
    size_t size_bytes;
};

/* A length of 16 bits, and so many bytes (TPM2B). */
enum attest_reason tpm2_take_sized(struct cursor *cursor, struct tpm2_bytes *out);
enum attest_reason tpm2_take_u16(struct cursor *cursor, uint16_t *out);
enum attest_reason tpm2_take_u32(struct cursor *cursor, uint32_t *out);
#define TPM2_TAKE(call)                                                                            \
    do {                                                                                           \
        enum attest_reason take_reason = (call);                                                   \
        if (take_reason != ATTEST_VERIFIED)                                                        \
            return take_reason;                                                                    \
    } while (0)

/* TPMT_PUBLIC (part 2, 12.2.4), of an RSA or ECC key; what its type has not is 0. */
struct tpm2_public {
    uint16_t type, name_alg;
    uint32_t attributes;
    struct tpm2_bytes policy;
    uint16_t symmetric, symmetric_bits, symmetric_mode;
    uint16_t scheme, scheme_hash;
    uint16_t rsa_bits;
    uint32_t rsa_exponent; /* 0: 65,537 */
    struct tpm2_bytes modulus;
    uint16_t curve, kdf;
    struct tpm2_bytes x, y;
};
enum attest_reason tpm2_public_read(const void *bytes, size_t size_bytes, struct tpm2_public *out);
/* Whether it is a key that signs only what its TPM has made. */
bool tpm2_public_is_ak(const struct tpm2_public *public_area);
/* The uncompressed point of a P-256 key: 04, x and y, padded. False: it is none. */
#define TPM2_POINT_BYTES 65u
bool tpm2_public_point(const struct tpm2_public *public_area, uint8_t out[TPM2_POINT_BYTES]);
uint32_t tpm2_public_exponent(const struct tpm2_public *public_area);

/* An endorsement key that we can encrypt to. LETHE_MALFORMED, LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result tpm2_ek_read(const void *ek, size_t ek_bytes, struct tpm2_public *out,
                                           struct lethe_error *err);

/* TPMS_ATTEST that is a quote (part 2, 10.12.12). */
struct tpm2_attested {
    struct tpm2_bytes signer; /* its qualified name */
    struct tpm2_bytes extra_data;
    uint64_t clock_ms, firmware;
    uint32_t reset_count, restart_count;
    bool clock_safe;
    uint32_t pcr_mask; /* of the SHA-256 bank */
    struct tpm2_bytes pcr_digest;
};
enum attest_reason tpm2_attested_read(const void *bytes, size_t size_bytes,
                                      struct tpm2_attested *out);

/* SHA-256 over the values, in the order of their indices. */
void tpm2_pcr_digest(const struct tpm2_pcrs *pcrs, uint8_t out[32]);

/* Checks TPMT_SIGNATURE (part 2, 11.3.4) over the message: ATTEST_ALGORITHM, ATTEST_SIGNATURE, ...
 * in *reason. LETHE_NO_MEMORY and the like say nothing about it. */
LETHE_MUST_CHECK lethe_result tpm2_signature_check(const struct tpm2_public *key,
                                                   const struct tpm2_bytes *signature,
                                                   const struct tpm2_bytes *message,
                                                   enum attest_reason *reason,
                                                   struct lethe_error *err);

/* Says why: sets the reason, and gives LETHE_DENIED with its sentence; `detail` may be NULL. */
lethe_result tpm2_refuse(struct attest_claims *claims, enum attest_reason reason,
                         struct lethe_error *err, const char *detail);

/* Measurement and JSON of claims that are complete. `report`: NULL, or of what vouches. */
void tpm2_measure(struct attest_claims *claims, uint32_t asked);
LETHE_MUST_CHECK lethe_result tpm2_claims_json(struct attest_claims *claims,
                                               const struct attest_claims *report,
                                               struct lethe_error *err);

#endif
