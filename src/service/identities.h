/* service/identities.h -- who may come with a certificate: SPIFFE ids, known, not revoked.
 *
 * Rows: "identities/<hex SHA-256 of the id>". An identity has a tenant (of its id), policies, and a
 * time to live of its certificates; the built-in authority signs those (service/authority.h), or an
 * authority of the operator's, whose roots were added. */
#ifndef SERVICE_IDENTITIES_H
#define SERVICE_IDENTITIES_H

#include "net/identity.h"
#include "service/call.h"
#include "service/service.h"

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
/* Checks a chain against the roots and CRLs, and finds whose it is; remembered by the chain's hash
 * until something changes or it expires. LETHE_DENIED, LETHE_REVOKED; *reason as auth_identify().
 */
LETHE_MUST_CHECK lethe_result identities_prove(struct identities *identities, const uint8_t *chain,
                                               size_t chain_bytes, uint64_t now_s,
                                               const struct identity_entry **out,
                                               const char **reason, struct lethe_error *err);

#endif
