/* service/authority_roles.h -- what may be issued to whom: roles, as Vault's PKI has them.
 *
 * Rows: "pki/pki/roles/<name>". A role says which names a certificate may have, for how long it is
 * good, and what it is for; whatever is asked for beyond it is LETHE_INVALID, with what it was. */
#ifndef SERVICE_AUTHORITY_ROLES_H
#define SERVICE_AUTHORITY_ROLES_H

#include "service/authority.h"

#define AUTHORITY_ROLE_NAME_MAX 64u

/* X(name, what a role without a word has): in the order in which they are stored */
#define AUTHORITY_ROLE_FLAGS(X)                                                                    \
    X(allow_bare_domains, false)                                                                   \
    X(allow_subdomains, false)                                                                     \
    X(allow_glob_domains, false)                                                                   \
    X(allow_any_name, false)                                                                       \
    X(allow_localhost, true)                                                                       \
    X(allow_ip_sans, true)                                                                         \
    X(allow_wildcard_certificates, true)                                                           \
    X(enforce_hostnames, true)                                                                     \
    X(server_flag, true)                                                                           \
    X(client_flag, true)                                                                           \
    X(code_signing_flag, false)                                                                    \
    X(email_protection_flag, false)                                                                \
    X(require_cn, true)                                                                            \
    X(use_csr_common_name, true)                                                                   \
    X(use_csr_sans, true)                                                                          \
    X(no_store, false)                                                                             \
    X(generate_lease, false)
enum authority_role_flag {
#define AUTHORITY_ROLE_FLAG_ENUM(name, standard) ROLE_##name,
    AUTHORITY_ROLE_FLAGS(AUTHORITY_ROLE_FLAG_ENUM)
#undef AUTHORITY_ROLE_FLAG_ENUM
        ROLE_FLAG_COUNT
};
/* X(name): lists of texts, in the order in which they are stored */
#define AUTHORITY_ROLE_LISTS(X)                                                                    \
    X(allowed_domains)                                                                             \
    X(allowed_uri_sans)                                                                            \
    X(ou)                                                                                          \
    X(organization)                                                                                \
    X(country)                                                                                     \
    X(locality)                                                                                    \
    X(province)
enum authority_role_list {
#define AUTHORITY_ROLE_LIST_ENUM(name) ROLE_##name,
    AUTHORITY_ROLE_LISTS(AUTHORITY_ROLE_LIST_ENUM)
#undef AUTHORITY_ROLE_LIST_ENUM
        ROLE_LIST_COUNT
};
extern const char *const authority_role_flag_names[ROLE_FLAG_COUNT];
extern const char *const authority_role_list_names[ROLE_LIST_COUNT];

struct authority_role {
    uint64_t ttl_s, max_ttl_s; /* 0: the mount's */
    uint64_t not_before_s;     /* how far back they begin */
    bool flags[ROLE_FLAG_COUNT];
    bool any_key; /* requests may have any kind of key */
    enum signature_kind kind;
    unsigned key_usage, extended_usage;      /* the latter beside what the flags say */
    struct x509_list lists[ROLE_LIST_COUNT]; /* borrowed */
};
struct authority_role authority_role_standard(void);

void authority_role_format(const struct authority_role *role, struct buffer *out);
/* Borrows of the row. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result authority_role_parse(const uint8_t *bytes, size_t size_bytes,
                                                   struct authority_role *out);

/* *row is what `out` borrows from. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result authority_role_get(struct authority *authority, const char *name,
                                                 struct lethe_secret **row,
                                                 struct authority_role *out,
                                                 struct lethe_error *err);
/* LETHE_INVALID: a name outside [A-Za-z0-9._-], or more than a row holds. On record. */
LETHE_MUST_CHECK lethe_result authority_role_put(struct authority *authority, const char *name,
                                                 const struct authority_role *role,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result authority_role_delete(struct authority *authority, const char *name,
                                                    struct lethe_error *err);

/* Whether the role allows these names. LETHE_INVALID names the first that it does not. */
LETHE_MUST_CHECK lethe_result authority_role_allows(const struct authority_role *role,
                                                    const struct x509_subject *subject,
                                                    struct lethe_error *err);
/* How long, for a wish (0: none); *capped: it was more than the role gives. */
uint64_t authority_role_ttl(const struct authority_role *role, uint64_t wanted_s, bool *capped);
/* For certificates: from the flags, and what is named beside them. */
unsigned authority_role_usage(const struct authority_role *role);

#endif
