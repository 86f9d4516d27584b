/* service/routes_cert.h -- what the files of auth/cert share; for them only. */
#ifndef SERVICE_ROUTES_CERT_H
#define SERVICE_ROUTES_CERT_H

#include "service/cert_auths.h"
#include "service/tokens.h"

/* Somebody with a certificate, and the token that they get. */
struct cert_login {
    struct service *service;
    const uint8_t *chain; /* of the connection */
    size_t chain_bytes;
    uint64_t now_s;
    const char *reason; /* why not; a constant, or NULL */
    struct token_entry entry;
    char common_name[X509_TEXT_MAX + 1];
};
void cert_login_begin(struct cert_login *login);
/* Policies and times of an entry; never more than the service gives. */
void cert_login_take_entry(struct cert_login *login, const char *name,
                           const struct cert_auth *auth);
/* What the token's metadata say of the certificate. */
void cert_login_take_leaf(struct cert_login *login, const char *name,
                          const struct x509_summary *leaf);
/* LETHE_DENIED, LETHE_REVOKED, LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result cert_login_by_entry(struct cert_login *login, const char *name,
                                                  struct lethe_error *err);

extern const struct field cert_auth_fields[];
bool cert_auth_exists(struct call *call);
call_handler cert_auth_write, cert_auth_read, cert_auth_remove, cert_auth_names;

#endif
