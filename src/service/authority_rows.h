/* service/authority_rows.h -- how the PKI lies in the store, below "pki/<mount>/".
 *
 *     key, waiting           private key of the authority, and of one that is not signed yet
 *     ca/N                   its certificate and those above it (a document, kms/change.h)
 *     crl/N                  the newest CRL and its number (a document)
 *     settings
 *     certs/<serial>         a certificate that was issued
 *     revoked/<serial>       that it was revoked
 *     of/<URI's hash>/<serial>   whose it is
 *     roles/<name>           service/authority_roles.h
 *
 * Each begins with a version byte; numbers are le64; serials and hashes in paths are hex. Whatever
 * is read is checked as if it came from outside: LETHE_MALFORMED. */
#ifndef SERVICE_AUTHORITY_ROWS_H
#define SERVICE_AUTHORITY_ROWS_H

#include "service/authority.h"

#define AUTHORITY_PATH_SIZE (STORE_PATH_MAX + 1)

/* ---- keys ------------------------------------------------------------------------------------ */

LETHE_MUST_CHECK lethe_result authority_key_format(enum signature_kind kind,
                                                   const struct lethe_secret *private_key,
                                                   struct lethe_secret **out,
                                                   struct lethe_error *err);
LETHE_MUST_CHECK lethe_result authority_key_parse(const struct lethe_secret *row,
                                                  struct sign_pair **out, struct lethe_error *err);

/* ---- certificates ---------------------------------------------------------------------------- */

struct authority_certificate_row {
    uint64_t not_after_s;
    uint64_t revoked_s;
    const uint8_t *der; /* borrowed of the row */
    size_t der_bytes;
};
#define AUTHORITY_CERTIFICATE_MAX (STORE_VALUE_MAX - 17u)
void authority_certificate_format(const struct authority_certificate_row *row, struct buffer *out);
LETHE_MUST_CHECK lethe_result authority_certificate_parse(const uint8_t *bytes, size_t size_bytes,
                                                          struct authority_certificate_row *out);

struct authority_revoked_row {
    uint64_t revoked_s;
    uint64_t not_after_s;
};
#define AUTHORITY_REVOKED_BYTES 17u
void authority_revoked_format(const struct authority_revoked_row *row,
                              uint8_t out[AUTHORITY_REVOKED_BYTES]);
LETHE_MUST_CHECK lethe_result authority_revoked_parse(const uint8_t *bytes, size_t size_bytes,
                                                      struct authority_revoked_row *out);

struct authority_crl_row {
    uint64_t number, this_s, next_s;
    const uint8_t *der;
    size_t der_bytes;
};
void authority_crl_format(const struct authority_crl_row *row, struct buffer *out);
LETHE_MUST_CHECK lethe_result authority_crl_parse(const uint8_t *bytes, size_t size_bytes,
                                                  struct authority_crl_row *out);

void authority_settings_format(const struct authority_settings *settings, struct buffer *out);
LETHE_MUST_CHECK lethe_result authority_settings_parse(const uint8_t *bytes, size_t size_bytes,
                                                       struct authority_settings *out);

#endif
