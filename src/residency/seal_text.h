/* residency/seal_text.h -- what a seal says, as text, and its signature.
 *
 * The text is "<id>|<digest>|<sealed_at>|<device>", time in decimal seconds; the signature is
 * HMAC-SHA256 of it. Pure functions of their inputs. */
#ifndef RESIDENCY_SEAL_TEXT_H
#define RESIDENCY_SEAL_TEXT_H

#include <lethe/residency.h>

#include "crypto/hash.h"

#define SEAL_KEY_BYTES 32u
#define SEAL_TOKEN_MIN_BYTES 16u
#define SEAL_DIGEST_DIGITS 64u
#define SEAL_GROUP_KIND "group" /* in place of a kind of device, in the root of a group */
#define SEAL_TEXT_SIZE 384u     /* of the longest, NUL included */

/* HKDF-SHA256(token, salt = hardware id, info = the profile's domain); a random key when there is
 * no token. The caller frees *out. */
LETHE_MUST_CHECK lethe_result seal_key_create(const struct lethe_worker_options *options,
                                              struct lethe_secret **out, struct lethe_error *err);

/* LETHE_INVALID: a field is not as lethe/residency.h says, or does not end. */
LETHE_MUST_CHECK lethe_result seal_validate(const struct lethe_seal *seal, struct lethe_error *err);

/* Both take what seal_validate would. Gives the length. */
size_t seal_text(const struct lethe_seal *seal, char out[SEAL_TEXT_SIZE]);
LETHE_MUST_CHECK lethe_result seal_sign(const struct lethe_secret *key, struct lethe_seal *seal,
                                        struct lethe_error *err);
/* CI-003: in constant time. LETHE_INTEGRITY: any field or the signature is not as it was signed. */
LETHE_MUST_CHECK lethe_result seal_check(const struct lethe_secret *key,
                                         const struct lethe_seal *seal, struct lethe_error *err);

#endif
