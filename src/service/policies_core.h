/* service/policies_core.h -- the inside of policies, for its own files:
 *   policies.c        what is in force, and when it changes
 *   policies_read.c   modules and data, from rows, built-in texts and the operator's directory
 *   policies_check.c  what a policy must be before it comes into force
 *   policies_rows.c   the rows: names, texts, and changes of them */
#ifndef SERVICE_POLICIES_CORE_H
#define SERVICE_POLICIES_CORE_H

#include "service/call.h"
#include "service/policies.h"

#define POLICY_NAME_MAX 64u     /* [a-z0-9._-] */
#define POLICIES_COUNT_MAX 4096 /* path policies; as many modules */
/* What one decision may use: a request is not worth more. */
#define DECISION_STEPS 1000000u
#define DECISION_BYTES ((size_t)16 << 20)
#define DECISION_MS 250u
#define POLICY_ALLOW "data.lethe.authz.allow"

struct policy_name {
    char text[POLICY_NAME_MAX + 1];
};
struct policy_names {
    struct policy_name *items;
    size_t count, capacity;
};

/* What a policy is prepared of. */
struct policy_module {
    struct policy_name name;
    struct buffer text;
    bool is_test; /* runs before the policy comes into force, and is no part of it */
};
struct policy_sources {
    struct policy_module *modules;
    size_t module_count, module_capacity;
    struct buffer data;
    struct policy_names paths; /* names of path policies */
    uint64_t generation;       /* the epoch of the last change of any of it; 0: none yet */
};
void policy_sources_clear(struct policy_sources *sources);
static inline void policy_sources_clear_at_scope_end(struct policy_sources *sources)
{
    policy_sources_clear(sources);
}

struct policies {
    struct service *service;
    struct lethe_policy_holder *holder;
    char digest[LETHE_POLICY_DIGEST_SIZE];
    struct policy_names paths;
    uint64_t generation;
    struct buffer input; /* of the last question: its memory is used again */
};

/* ---- policies_read.c ---- */

/* `store` NULL: built-in texts only. `directory` NULL: the built-in modules. */
LETHE_MUST_CHECK lethe_result policy_sources_read(struct store *store, const char *directory,
                                                  struct policy_sources *out,
                                                  struct lethe_error *err);
/* Data alone: {"path_policies": {NAME: TEXT, ...}, and the members of the operator's document}. */
LETHE_MUST_CHECK lethe_result policy_sources_prepare(const struct policy_sources *sources,
                                                     bool with_tests, struct lethe_policy **out,
                                                     struct lethe_error *err);
extern const char policy_default_text[];
/* An object that does not say "path_policies". LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result policy_data_check(const char *text, size_t length,
                                                struct lethe_error *err);

/* ---- policies_check.c ---- */

/* Every test of the modules, and that nobody is locked out: an operator on this machine and a root
 * token may change policies. LETHE_INVALID says what does not hold. *out is the policy. */
LETHE_MUST_CHECK lethe_result policy_check(const struct policy_sources *sources,
                                           struct lethe_policy **out, struct lethe_error *err);

/* ---- policies_rows.c ---- */

#define ROWS_PATHS "policies/"
#define ROWS_MODULES "modules/"
#define ROWS_TESTS "module_tests/"
#define ROWS_DATA "policy_data/document"
/* The epoch of the last change (le64): a deleted row that comes back starts at version 1 again, so
 * versions of rows would not show every change. */
#define ROWS_GENERATION "policy_data/generation"
/* "<prefix><name>" */
#define POLICY_ROW_SIZE 96
void policy_row(const char *prefix, const char *name, char out[POLICY_ROW_SIZE]);
void policy_names_clear(struct policy_names *names);
bool policy_names_hold(const struct policy_names *names, const char *name);
LETHE_MUST_CHECK lethe_result policy_names_add(struct policy_names *names, const char *name,
                                               struct lethe_error *err);
/* Names of the documents below a prefix, in order. */
LETHE_MUST_CHECK lethe_result policy_names_read(struct store *store, const char *prefix,
                                                struct policy_names *out, struct lethe_error *err);
static inline void policy_names_clear_at_scope_end(struct policy_names *names)
{
    policy_names_clear(names);
}

struct policy_write {
    const char *prefix; /* ROWS_...; ROWS_DATA: `name` is "" */
    const char *name;
    const char *text; /* NULL: the document goes */
    size_t length;
    const char *tests; /* ROWS_MODULES: NULL or empty: none */
    size_t tests_length;
};
/* Makes one change, checked before it is durable, on record, and in force when this returns. */
LETHE_MUST_CHECK lethe_result policies_write(struct policies *policies,
                                             const struct policy_write *write,
                                             struct lethe_error *err);
/* Appends the text. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result policies_text(struct policies *policies, const char *prefix,
                                            const char *name, struct buffer *out,
                                            struct lethe_error *err);

/* ---- policies.c ---- */

/* Puts what was prepared in force; takes it over. */
LETHE_MUST_CHECK lethe_result policies_use(struct policies *policies,
                                           struct policy_sources *sources,
                                           struct lethe_policy *policy, struct lethe_error *err);

/* The built-in texts (made of policies/ by the build). */
extern const unsigned char builtin_authz[], builtin_release[];
extern const size_t builtin_authz_bytes, builtin_release_bytes;

#endif
