/* service/authority.h -- the PKI: mounts with a root or intermediate, certificates, CRLs.
 *
 * Two mounts: "pki" for what operators issue to their own services through Vault's API, and
 * "identities", made by service_init(), whose certificates are the identities of this service and
 * of its door; it is reached by /v1/lethe/identities only. Keys of authorities are guarded, and
 * leave the keeper by root/generate/exported only. Rows: service/authority_rows.h. */
#ifndef SERVICE_AUTHORITY_H
#define SERVICE_AUTHORITY_H

#include "crypto/x509.h"
#include "service/call.h"
#include "service/service.h"

#define AUTHORITY_PKI "pki"
#define AUTHORITY_IDENTITIES "identities"
#define AUTHORITY_TTL_MAX_S UINT64_C(2764800) /* 768 h, where neither role nor request say more */

LETHE_MUST_CHECK lethe_result authority_open(struct service *service, struct authority **out,
                                             struct lethe_error *err);
void authority_free(struct authority *authority);
LETHE_MUST_CHECK lethe_result authority_refresh(struct authority *authority,
                                                struct lethe_error *err);

/* ---- what a mount is ------------------------------------------------------------------------- */

/* A new mount's root: self-signed, P-256. LETHE_EXISTS: there is an authority already. */
LETHE_MUST_CHECK lethe_result authority_make_root(struct authority *authority, const char *mount,
                                                  const char *common_name, uint64_t ttl_s,
                                                  struct lethe_error *err);
/* The same as the template says; serial and not_after_s are filled in where they are 0. The key is
 * also the caller's when `exported` is not NULL. */
LETHE_MUST_CHECK lethe_result authority_make_root_as(struct authority *authority, const char *mount,
                                                     struct x509_template *template_,
                                                     enum signature_kind kind,
                                                     struct sign_pair **exported,
                                                     struct lethe_error *err);
/* Removes authority and CRL: what it issued stays on file. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result authority_delete_root(struct authority *authority, const char *mount,
                                                    struct lethe_error *err);
/* A key for an authority that somebody above signs, and the request for that. */
LETHE_MUST_CHECK lethe_result authority_make_intermediate(
    struct authority *authority, const char *mount, const struct x509_subject *subject,
    enum signature_kind kind, struct buffer *request, struct lethe_error *err);
/* What was signed, with what is above it behind it, in the form of crypto/x509.h. LETHE_INVALID: it
 * is not for the key that waits, or no authority's, or not a chain. */
LETHE_MUST_CHECK lethe_result authority_set_signed(struct authority *authority, const char *mount,
                                                   const void *chain, size_t chain_bytes,
                                                   struct lethe_error *err);

/* Certificates and CRLs of a mount, in the form of crypto/x509.h; borrowed until a refresh. Makes a
 * new CRL when the last one is getting old. LETHE_NOT_FOUND: there is no authority. */
struct authority_view {
    const uint8_t *roots;
    size_t roots_bytes;
    const uint8_t *crls;
    size_t crls_bytes;
    const uint8_t *chain; /* its own certificate, and what is above it */
    size_t chain_bytes;
    uint64_t not_after_s;
};
LETHE_MUST_CHECK lethe_result authority_view(struct authority *authority, const char *mount,
                                             struct authority_view *out, struct lethe_error *err);

#define AUTHORITY_ID_SIZE 37u
/* A hash of the mount's root in the form of a UUID (RFC 9562, version 8): the same as long as the
 * root is; "" where there is none. */
void authority_id(const struct authority *authority, const char *mount,
                  char out[AUTHORITY_ID_SIZE]);

/* ---- issuing --------------------------------------------------------------------------------- */

struct authority_request {
    const char *mount;
    const char *role; /* for the record */
    /* Serial and validity are filled in where they are 0; it ends when its issuer does. */
    struct x509_template *template_;
    const struct sign_public *key;
    bool no_store; /* cannot be revoked or read again */
};
/* Signs, and is on record (identity_issued). Appends DER. */
LETHE_MUST_CHECK lethe_result authority_issue(struct authority *authority,
                                              const struct authority_request *request,
                                              struct buffer *der, struct lethe_error *err);
/* What the door needs (service/wire.h, SETTINGS): signs its request for these names, and appends
 * chain, roots and CRLs as PEM. An empty request: roots and CRLs only. */
LETHE_MUST_CHECK lethe_result authority_door(struct authority *authority, const void *request,
                                             size_t request_bytes, const char *const *names,
                                             struct buffer *chain_pem, struct buffer *roots_pem,
                                             struct buffer *crls_pem, struct lethe_error *err);

/* ---- what was issued ------------------------------------------------------------------------- */

struct authority_issued {
    struct buffer der;
    uint64_t not_after_s;
    uint64_t revoked_s; /* 0: not */
};
/* LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result authority_find(struct authority *authority, const char *mount,
                                             const uint8_t *serial, size_t serial_bytes,
                                             struct authority_issued *out, struct lethe_error *err);
/* Revokes, with the CRL in the same change, on record (identity_revoked). Revoking again changes
 * nothing. *revoked_s says when it was. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result authority_revoke(struct authority *authority, const char *mount,
                                               const uint8_t *serial, size_t serial_bytes,
                                               uint64_t *revoked_s, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result authority_rotate_crl(struct authority *authority, const char *mount,
                                                   struct lethe_error *err);
/* Inside a change of somebody else's (kms/change.h): every certificate that has this URI, which was
 * first of its URIs, and the CRL. Call authority_refresh() when the change was made. */
LETHE_MUST_CHECK lethe_result authority_revoke_subject(struct authority *authority,
                                                       struct store *store, const char *mount,
                                                       const char *uri, struct lethe_error *err);
/* Removes what expired more than `buffer_s` ago, at most `most` of them; gives how many. */
LETHE_MUST_CHECK lethe_result authority_tidy(struct authority *authority, const char *mount,
                                             uint64_t buffer_s, size_t most, size_t *removed,
                                             struct lethe_error *err);

/* Shows the names of what lies below "certs/" (serials as hex without colons) or "roles/". */
typedef void authority_visit(void *context, const char *name);
LETHE_MUST_CHECK lethe_result authority_list(struct authority *authority, const char *mount,
                                             const char *what, authority_visit *visit,
                                             void *context, struct lethe_error *err);

/* ---- settings -------------------------------------------------------------------------------- */

#define AUTHORITY_URL_MAX 200u
struct authority_settings {
    uint64_t crl_ttl_s;                      /* 72 h unless it is said otherwise */
    char crl_url[AUTHORITY_URL_MAX + 1];     /* in what is issued; "": none */
    char issuing_url[AUTHORITY_URL_MAX + 1]; /* kept for clients that ask */
};
const struct authority_settings *authority_settings(const struct authority *authority,
                                                    const char *mount);
LETHE_MUST_CHECK lethe_result authority_set(struct authority *authority, const char *mount,
                                            const struct authority_settings *settings,
                                            struct lethe_error *err);

#endif
