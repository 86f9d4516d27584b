/* service/identities_core.h -- what the files about identities share; for them only. */
#ifndef SERVICE_IDENTITIES_CORE_H
#define SERVICE_IDENTITIES_CORE_H

#include "crypto/hash.h"
#include "service/authority.h"
#include "service/identities.h"

/* A chain that was believed: whose it is, and until when that need not be asked again. */
#define PROVEN_SLOTS 256u
#define PROVEN_S 60u /* CRLs and certificates above the leaf end too */
struct proven_chain {
    uint8_t hash[SHA256_BYTES];
    const struct identity_entry *entry; /* NULL: the slot is empty */
    uint64_t from_s, until_s;
};

struct identities {
    struct service *service;
    struct identity_entry *entries; /* by id */
    size_t count;
    struct buffer roots; /* the operator's */
    struct proven_chain proven[PROVEN_SLOTS];
};

#endif
