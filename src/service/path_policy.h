/* service/path_policy.h -- what path_policy_parse() is made of: rules, and who reads them of HCL.
 *
 * The JSON of a policy is made for lookups in Rego (policies/authz.rego): rules for one path under
 * their path, and rules for many with a rank that compares as a text does, the greater the more
 * specific. Two rules have one rank exactly when they are for the same paths. */
#ifndef SERVICE_PATH_POLICY_H
#define SERVICE_PATH_POLICY_H

#include "base/buffer.h"

#define PATH_POLICY_BYTES_MAX ((size_t)256 << 10) /* of text */
#define PATH_RULES_MAX 1024u                      /* of one policy */
#define PATH_RULE_MAX 512u                        /* bytes of a path */

struct path_rule {
    char path[PATH_RULE_MAX + 1];
    unsigned can; /* enum call_capability */
};
struct path_rules {
    struct path_rule *items;
    size_t count, capacity;
};
void path_rules_clear(struct path_rules *rules);
static inline void path_rules_clear_at_scope_end(struct path_rules *rules)
{
    path_rules_clear(rules);
}

/* The rule for a path, a new one where there was none; borrowed until the next one. LETHE_INVALID
 * for a path that would not mean what its writer thinks. */
LETHE_MUST_CHECK lethe_result path_rules_at(struct path_rules *rules, const char *path,
                                            size_t length, struct path_rule **out,
                                            struct lethe_error *err);
/* Adds a capability; LETHE_INVALID for one that there is not. */
LETHE_MUST_CHECK lethe_result path_rule_allow(struct path_rule *rule, const char *capability,
                                              size_t length, struct lethe_error *err);
/* The older way: `policy = "read"`, "write", "sudo" or "deny". */
LETHE_MUST_CHECK lethe_result path_rule_allow_level(struct path_rule *rule, const char *level,
                                                    size_t length, struct lethe_error *err);
/* LETHE_INVALID: what cannot be enforced (allowed_parameters, ...) is refused by its name. */
lethe_result path_rule_unknown(const char *name, size_t length, struct lethe_error *err);

/* path_policy_hcl.c. LETHE_MALFORMED with line and column. */
LETHE_MUST_CHECK lethe_result path_policy_read_hcl(const char *text, size_t length,
                                                   struct path_rules *out, struct lethe_error *err);

/* path_policy_json.c. Likewise; what is JSON but no policy is LETHE_INVALID, and said by path. */
LETHE_MUST_CHECK lethe_result path_policy_read_json(const char *text, size_t length,
                                                    struct path_rules *out,
                                                    struct lethe_error *err);

#endif
