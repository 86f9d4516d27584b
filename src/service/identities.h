/* service/identities.h -- who may come with a certificate: SPIFFE ids, known, not revoked.
 *
 * Rows: "identities/<hex SHA-256 of the id>". An identity has a tenant (of its id), policies, and a
 * time to live of its certificates; the built-in authority signs those (service/authority.h), or an
 * authority of the operator's, whose roots were added ("identity_roots"). */
#ifndef SERVICE_IDENTITIES_H
#define SERVICE_IDENTITIES_H

#include "net/identity.h"
#include "service/call.h"
#include "service/service.h"

#define IDENTITY_TTL_S UINT64_C(86400) /* of certificates, where nothing else is said */
#define IDENTITY_TTL_LEAST_S UINT64_C(60)
#define IDENTITY_TTL_MOST_S UINT64_C(2592000)
#define IDENTITIES_MAX 65536u

struct identity_entry {
    struct spiffe_id id;
    char policies[CALLER_POLICIES_MAX][64 + 1];
    size_t policy_count;
    uint64_t created_s;
    uint64_t certificate_ttl_s;
    uint64_t revoked_s; /* 0: not; an identity that was revoked does not come back */
};

LETHE_MUST_CHECK lethe_result identities_open(struct service *service, struct identities **out,
                                              struct lethe_error *err);
void identities_free(struct identities *identities);
LETHE_MUST_CHECK lethe_result identities_refresh(struct identities *identities,
                                                 struct lethe_error *err);
/* NULL: there is none. Borrowed until the next change. */
const struct identity_entry *identities_find(struct identities *identities, const char *id);
/* In the order of their ids; `index` from 0; NULL behind the last. */
const struct identity_entry *identities_at(const struct identities *identities, size_t index);

/* Makes it, or gives it other policies and another time; created_s is kept. On record
 * (permission_changed). LETHE_CONFLICT: it was revoked. */
LETHE_MUST_CHECK lethe_result identities_put(struct identities *identities,
                                             const struct identity_entry *entry,
                                             struct lethe_error *err);
/* For good, with all its certificates in the CRL, in one change (identity_revoked). Its tokens and
 * connections are the caller's to end. LETHE_NOT_FOUND. Again: changes nothing. */
LETHE_MUST_CHECK lethe_result identities_revoke(struct identities *identities, const char *id,
                                                const char *reason, struct lethe_error *err);
/* A certificate of the built-in authority for the key of a request (DER), whose names count for
 * nothing; ttl_s 0: the identity's. Appends DER. LETHE_NOT_FOUND, LETHE_REVOKED, LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result identities_issue(struct identities *identities, const char *id,
                                               const void *request, size_t request_bytes,
                                               uint64_t ttl_s, struct buffer *der,
                                               struct lethe_error *err);
/* Authorities of the operator's that may name anybody, in the form of crypto/x509.h: all of them,
 * in place of those before. On record. */
LETHE_MUST_CHECK lethe_result identities_set_roots(struct identities *identities, const void *roots,
                                                   size_t roots_bytes, struct lethe_error *err);

/* Checks a chain against the roots and CRLs, and finds whose it is; remembered by the chain's hash
 * until something changes or it expires. LETHE_DENIED, LETHE_REVOKED; *reason as auth_identify().
 */
LETHE_MUST_CHECK lethe_result identities_prove(struct identities *identities, const uint8_t *chain,
                                               size_t chain_bytes, uint64_t now_s,
                                               const struct identity_entry **out,
                                               const char **reason, struct lethe_error *err);

/* Rows: parsed as if they came from outside. */
void identity_row_format(const struct identity_entry *entry, struct buffer *out);
LETHE_MUST_CHECK lethe_result identity_row_parse(const uint8_t *bytes, size_t size_bytes,
                                                 struct identity_entry *out);

#endif
