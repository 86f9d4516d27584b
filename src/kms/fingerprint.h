/* kms/fingerprint.h -- how the log speaks about a key without saying anything of it.
 *
 * The first six bytes of HMAC-SHA-256 of a version's material, in hex, under a key that only the
 * home has: HKDF-SHA-256 of the seed of the log's key, info "lethe-fingerprint/1". Whoever has the
 * home can tell whether the key that is there is the one that the record was about; whoever has
 * only the log cannot even try out guesses. */
#ifndef KMS_FINGERPRINT_H
#define KMS_FINGERPRINT_H

#include "kms/keyring.h"

#define FINGERPRINT_SIZE 13 /* 12 hex digits and a NUL */

/* Of the newest version; it must have material (LETHE_NOT_FOUND). `log_key` is the name of the
 * log's key. */
LETHE_MUST_CHECK lethe_result key_fingerprint(struct store *store, const char *log_key,
                                              const struct key_info *info,
                                              char out[FINGERPRINT_SIZE], struct lethe_error *err);

#endif
