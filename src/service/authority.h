/* service/authority.h -- the PKI: mounts with a root or intermediate, roles, certificates, CRLs.
 *
 * Two mounts: "pki" for what operators issue to their own services through Vault's API, and
 * "identities", made by service_init(), whose certificates are the identities of this service and
 * of its door; it is reached by /v1/lethe/identities only. Rows: "pki/<mount>/...". Keys of
 * authorities are guarded, and leave the keeper by root/generate/exported only. */
#ifndef SERVICE_AUTHORITY_H
#define SERVICE_AUTHORITY_H

#include "crypto/x509.h"
#include "service/call.h"
#include "service/service.h"

#define AUTHORITY_PKI "pki"
#define AUTHORITY_IDENTITIES "identities"

LETHE_MUST_CHECK lethe_result authority_open(struct service *service, struct authority **out,
                                             struct lethe_error *err);
void authority_free(struct authority *authority);
LETHE_MUST_CHECK lethe_result authority_refresh(struct authority *authority,
                                                struct lethe_error *err);
/* A new mount's root: self-signed, P-256. */
LETHE_MUST_CHECK lethe_result authority_make_root(struct authority *authority, const char *mount,
                                                  const char *common_name, uint64_t ttl_s,
                                                  struct lethe_error *err);
/* Signs; fills in serial and validity of the template where they are 0; on record
 * (identity_issued). Appends DER. */
LETHE_MUST_CHECK lethe_result authority_issue(struct authority *authority, const char *mount,
                                              struct x509_template *template_,
                                              const struct sign_public *key, struct buffer *der,
                                              struct lethe_error *err);
/* Certificates and CRLs of a mount, in the form of crypto/x509.h; borrowed until a refresh. */
struct authority_view {
    const uint8_t *roots;
    size_t roots_bytes;
    const uint8_t *crls;
    size_t crls_bytes;
};
LETHE_MUST_CHECK lethe_result authority_view(struct authority *authority, const char *mount,
                                             struct authority_view *out, struct lethe_error *err);
/* What the door needs (service/wire.h, SETTINGS): signs its request for these names, and appends
 * chain, roots and CRLs as PEM. An empty request: roots and CRLs only. */
LETHE_MUST_CHECK lethe_result authority_door(struct authority *authority, const void *request,
                                             size_t request_bytes, const char *const *names,
                                             struct buffer *chain_pem, struct buffer *roots_pem,
                                             struct buffer *crls_pem, struct lethe_error *err);

#endif
