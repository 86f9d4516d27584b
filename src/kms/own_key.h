/* kms/own_key.h -- a new key of this node for a certificate: it is made here and stays here. */
#ifndef KMS_OWN_KEY_H
#define KMS_OWN_KEY_H

#include "crypto/x509.h"
#include "kms/client_json.h"

struct own_key {
    struct lethe_secret *pem;  /* PKCS#8 */
    struct buffer request_pem; /* what the service signs, with a NUL behind it */
};
void own_key_clear(struct own_key *key);
static inline void own_key_clear_at_scope_end(struct own_key *key)
{
    own_key_clear(key);
}
/* ECDSA P-256, and a request for these names. */
LETHE_MUST_CHECK lethe_result own_key_make(const struct x509_subject *subject, struct own_key *out,
                                           struct lethe_error *err);
/* The certificate of an answer and what stands between it and a root, PEM. */
LETHE_MUST_CHECK lethe_result own_key_certificates(const struct json_piece *answer,
                                                   struct buffer *out, struct lethe_error *err);
/* Key (0600) and certificates, each file whole or not at all; the key first, so that no certificate
 * is ever without it: NAME.key and NAME.pem, LETHE_EXISTS; or over what is there. */
LETHE_MUST_CHECK lethe_result own_key_write(const struct own_key *key,
                                            const struct buffer *certificates, const char *name,
                                            struct lethe_error *err);
LETHE_MUST_CHECK lethe_result own_key_replace(const struct own_key *key, const char *key_path,
                                              const struct buffer *certificates,
                                              const char *certificate_path,
                                              struct lethe_error *err);

#endif
