/* ECDSA over P-384, verified by nettle, which is nearly twice as fast as OpenSSL 3.0. All of it is
 * public. nettle's easier functions end the process where there is no memory: these here work where
 * they are told to. */
#include <stdlib.h>
#include <string.h>

#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>

#include "base/error.h"
#include "crypto/sign_kind.h"

#define NUMBER_BYTES 48u
#define NUMBER_LIMBS (NUMBER_BYTES / sizeof(mp_limb_t))
_Static_assert(NUMBER_BYTES % sizeof(mp_limb_t) == 0 && GMP_NAIL_BITS == 0, "whole limbs");

/* The least significant limb first. */
static void number_of(const uint8_t bytes[NUMBER_BYTES], mp_limb_t out[NUMBER_LIMBS])
{
    memset(out, 0, NUMBER_BYTES);
    for (size_t i = 0; i < NUMBER_BYTES; i++) {
        size_t place = NUMBER_BYTES - 1 - i;
        out[place / sizeof *out] |= (mp_limb_t)bytes[i] << place % sizeof *out * 8;
    }
}

lethe_result p384_verify(const struct sign_public *key, const void *digest, size_t digest_bytes,
                         const struct signature *signature, struct lethe_error *err)
{
    struct signature fixed;
    mp_limb_t r[NUMBER_LIMBS], s[NUMBER_LIMBS], point[2 * NUMBER_LIMBS];
    const struct ecc_curve *curve = nettle_get_secp_384r1();
    lethe_result read = signature_to_fixed(SIGNATURE_ECDSA_P384, signature, &fixed, err);
    if (read != LETHE_OK)
        return read == LETHE_MALFORMED ? LETHE_INTEGRITY : read;
    mp_limb_t *scratch = calloc((size_t)ecc_ecdsa_verify_itch(curve), sizeof *scratch);
    if (scratch == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to check a signature");
    number_of(fixed.bytes, r);
    number_of(fixed.bytes + NUMBER_BYTES, s);
    number_of(key->raw + 1, point); /* on the curve: sign_public_from_raw() saw to it */
    number_of(key->raw + 1 + NUMBER_BYTES, point + NUMBER_LIMBS);
    int fits = ecc_ecdsa_verify(curve, point, digest_bytes, digest, r, s, scratch);
    free(scratch);
    return fits == 1 ? LETHE_OK : LETHE_INTEGRITY;
}
