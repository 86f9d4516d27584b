/* service/cert_auths.h -- who gets a token for a certificate: auth/cert/certs, as Vault has them.
 *
 * Rows: "cert_auths/<name>" (settings) and "cert_roots/<name>/N" (the certificate that is believed:
 * an authority's, or the one that must be shown; a document). */
#ifndef SERVICE_CERT_AUTHS_H
#define SERVICE_CERT_AUTHS_H

#include "crypto/x509.h"
#include "service/call.h"
#include "service/service.h"

#define CERT_AUTH_NAME_MAX 64u

/* X(name): lists of texts, each with '*' for anything; in the order in which they are stored */
#define CERT_AUTH_LISTS(X)                                                                         \
    X(allowed_common_names)                                                                        \
    X(allowed_dns_sans)                                                                            \
    X(allowed_email_sans)                                                                          \
    X(allowed_uri_sans)                                                                            \
    X(allowed_organizational_units)                                                                \
    X(token_policies)
enum cert_auth_list {
#define CERT_AUTH_LIST_ENUM(name) CERT_##name,
    CERT_AUTH_LISTS(CERT_AUTH_LIST_ENUM)
#undef CERT_AUTH_LIST_ENUM
        CERT_LIST_COUNT
};
extern const char *const cert_auth_list_names[CERT_LIST_COUNT];

struct cert_auth {
    const char *display_name; /* borrowed, as the lists are */
    uint64_t ttl_s, max_ttl_s, period_s, num_uses;
    struct x509_list lists[CERT_LIST_COUNT];
};
void cert_auth_format(const struct cert_auth *auth, struct buffer *out);
LETHE_MUST_CHECK lethe_result cert_auth_parse(const uint8_t *bytes, size_t size_bytes,
                                              struct cert_auth *out);

/* *row is what `out` borrows from. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result cert_auth_get(struct service *service, const char *name,
                                            struct lethe_secret **row, struct cert_auth *out,
                                            struct buffer *roots, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cert_auth_put(struct service *service, const char *name,
                                            const struct cert_auth *auth,
                                            const struct buffer *roots, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cert_auth_delete(struct service *service, const char *name,
                                               struct lethe_error *err);
typedef lethe_result cert_auth_visit(void *context, const char *name, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cert_auth_list(struct service *service, cert_auth_visit *visit,
                                             void *context, struct lethe_error *err);

/* Appends the certificates of all entries, each with its length in front (le32): the door asks for
 * certificates by them too, and lets them in; what they may do is what logging in gives them. */
LETHE_MUST_CHECK lethe_result cert_auth_roots(struct service *service, struct buffer *roots,
                                              struct lethe_error *err);

/* Whether a certificate that is believed has the names that are asked for: one of each kind that is
 * listed at all. */
bool cert_auth_allows(const struct cert_auth *auth, const struct x509_subject *subject);

#endif
