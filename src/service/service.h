/* service/service.h -- the keeper's side of the key service: what all its calls share.
 *
 * Sealed, it has no keeper: the root key is not there. Unsealing opens the home, and each part
 * reads what it needs of the store; whatever is remembered of rows is read again when rows have
 * changed (kms/change.h, keeper_look), by whichever process.
 *
 *     engine      kms/engine.h          keys, and what is done with them
 *     tokens      service/tokens.h      tokens by their hash
 *     identities  service/identities.h  who may come with a certificate
 *     authority   service/authority.h   the PKI: roots, roles, certificates, CRLs
 *     policies    service/policies.h    path policies, modules, what is asked
 *     attested    service/attested.h    machines, reference values, challenges
 *
 * Thread rule: the keeper's one thread. */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "attest/evidence.h"
#include "kms/change.h"
#include "kms/engine.h"

/* The keeper's one thread has others to answer: a change that another process keeps from the store
 * for longer is refused (503). The command line waits for as long as the locks allow. */
#define SERVICE_PATIENCE_MS 250u

struct tokens;
struct identities;
struct authority;
struct policies;

/* What attested release is told by the configuration (docs/kms-configuration.md, [attest]). Texts
 * are the caller's. */
struct attest_options {
    const char *loader_path; /* whose digests in IMA logs count; NULL: /usr/bin/lethe */
    const char *ek_roots;    /* PEM: endorsement keys must be certified by one; NULL: need not */
    const char *snp_crls;    /* PEM; NULL: none */
    bool only; /* data keys of models leave by attested release only, or by the admin socket */
    const char *snp_anchors, *snp_anchors_product; /* for tests: attest/sevsnp.h */
    bool proves; /* the service's own machine, to clients that ask for it (K-13), by this: */
    struct evidence_options own;
};

struct service_options {
    struct keeper_options keeper;
    bool dev;                     /* admin calls over the network, too */
    const char *trust_domain;     /* of the identities that it issues */
    uint64_t default_ttl_s;       /* of tokens; 0: 768 h */
    uint64_t max_ttl_s;           /* 0: the same */
    bool upsert;                  /* encrypting under an unknown key makes it */
    bool emit_uses;               /* uses are recorded, but nobody waits until they are durable */
    const char *policy_directory; /* NULL: the built-in modules */
    struct attest_options attest;
};

struct service {
    struct service_options options;
    struct keeper *keeper; /* NULL: sealed */
    struct engine *engine;
    struct tokens *tokens;
    struct identities *identities;
    struct authority *authority;
    struct policies *policies;
    struct attested *attested;
    struct core *core; /* connections, streams, counters: service/core.h */
};

/* Sealed at first. The options are copied; their texts stay the caller's, and must live as long. */
LETHE_MUST_CHECK lethe_result service_create(const struct service_options *options,
                                             struct service **out, struct lethe_error *err);
void service_free(struct service *service); /* wipes; NULL is fine */
/* Opens the home with what the options say of the root; LETHE_UNAVAILABLE: that is not there, and
 * an operator must bring it. `passphrase`, when it is not NULL, is used in its place. */
LETHE_MUST_CHECK lethe_result service_unseal(struct service *service,
                                             const struct lethe_secret *passphrase,
                                             struct lethe_error *err);
LETHE_MUST_CHECK lethe_result service_seal(struct service *service, struct lethe_error *err);
/* Whether that was done; false while it is sealed. */
bool service_is_initialised(struct service *service);
/* Once, in a new home: the rows without which there is no service (the identities' authority, the
 * backup key, default policies), and the first token, with the policy "root". */
LETHE_MUST_CHECK lethe_result service_init(struct service *service,
                                           struct lethe_secret **root_token,
                                           struct lethe_error *err);

/* What happens now and then, at most once a second: rotations that are due, tokens that expired;
 * once an hour, certificates of identities that expired days ago. */
void service_tick(struct service *service);
/* Tells the streams of events: key_rotated, keys_rotated (on schedule), key_revoked,
 * identity_revoked, token_revoked, machine_revoked, reference_revoked, policy_changed, sealed,
 * unsealed. Each has a tenant, which its
 * JSON object says first: "" for what is the whole service's. It goes to whom the policy lets read
 * lethe/events of that tenant at that moment, and to nobody else (E-7). `members` are what the
 * object has besides ("" for nothing); the other function gives it one, whose value needs no
 * escaping. */
void service_publish(struct service *service, const char *event, const char *tenant,
                     const char *members);
void service_publish_text(struct service *service, const char *event, const char *tenant,
                          const char *name, const char *value);
/* Ends every connection of an identity, and every one that has used a token: at once. */
void service_cut_off(struct service *service, const char *caller_name);

#endif
