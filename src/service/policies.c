#include <stdlib.h>
#include <string.h>

#include "audit/log.h"
#include "base/error.h"
#include "service/policies_core.h"

DEFINE_CLEANUP(policies_free, struct policies *);
DEFINE_CLEANUP(lethe_policy_free, struct lethe_policy *);

lethe_result policies_use(struct policies *policies, struct policy_sources *sources,
                          struct lethe_policy *policy, struct lethe_error *err)
{
    char digest[LETHE_POLICY_DIGEST_SIZE];
    memcpy(digest, lethe_policy_digest(policy), sizeof digest);
    if (policies->holder == NULL)
        TRY(lethe_policy_holder_create(policy, &policies->holder, err));
    else
        lethe_policy_holder_replace(policies->holder, policy);
    memcpy(policies->digest, digest, sizeof digest);
    policy_names_clear(&policies->paths);
    policies->paths = sources->paths;
    sources->paths = (struct policy_names){0}; /* moved */
    policies->generation = sources->generation;
    return LETHE_OK;
}

static struct store *store_of(const struct policies *policies)
{
    struct keeper *keeper = policies->service->keeper;
    return keeper != NULL ? keeper_store(keeper) : NULL;
}

static lethe_result load(struct policies *policies, struct store *store, struct lethe_error *err)
{
    CLEANUP(policy_sources_clear) struct policy_sources sources = {0};
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
    TRY(policy_sources_read(store, policies->service->options.policy_directory, &sources, err));
    TRY(policy_sources_prepare(&sources, false, &policy, err));
    return policies_use(policies, &sources, MOVE(policy), err);
}

/* Rows that were checked when they were written, and cannot be read now: nothing is allowed but
 * that an operator puts something else in their place. */
static lethe_result lock(struct policies *policies, struct lethe_error *err)
{
    static const char text[] = "package lethe.authz\n"
                               "allow := {\"allowed\": false, \"reason\": \"the policy cannot be "
                               "read; operators can replace it\"}\n";
    CLEANUP(policy_sources_clear) struct policy_sources none = {0};
    const struct lethe_policy_module module = {"locked", text, sizeof text - 1};
    const struct lethe_policy_options options = {.modules = &module, .module_count = 1};
    struct lethe_policy *policy;
    if (store_of(policies) != NULL)
        TRY(row_number_get(store_of(policies), ROWS_GENERATION, &none.generation, err));
    TRY(lethe_policy_prepare(&options, &policy, err));
    return policies_use(policies, &none, policy, err);
}

static bool is_unreadable(lethe_result result)
{
    return result == LETHE_MALFORMED || result == LETHE_INVALID;
}

static lethe_result load_or_lock(struct policies *policies, struct lethe_error *err)
{
    lethe_result result = load(policies, store_of(policies), err);
    if (!is_unreadable(result))
        return error_context(err, result, "loading the policy");
    return lock(policies, err);
}

static void record_loaded(struct policies *policies)
{
    struct keeper *keeper = policies->service->keeper;
    if (keeper == NULL)
        return;
    const struct audit_who who = keeper_who(keeper, "");
    const struct audit_event event = audit_policy_loaded(POLICY_ALLOW, policies->digest);
    audit_emit(keeper_log(keeper), &who, &event);
}

lethe_result policies_open(struct service *service, struct policies **out, struct lethe_error *err)
{
    CLEANUP(policies_free) struct policies *policies = calloc(1, sizeof *policies);
    *out = NULL;
    if (policies == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the policies");
    policies->service = service;
    TRY(load_or_lock(policies, err));
    record_loaded(policies);
    *out = MOVE(policies);
    return LETHE_OK;
}

void policies_free(struct policies *policies)
{
    if (policies == NULL)
        return;
    lethe_policy_holder_free(policies->holder);
    policy_names_clear(&policies->paths);
    buffer_clear(&policies->input);
    free(policies);
}

lethe_result policies_refresh(struct policies *policies, struct lethe_error *err)
{
    struct store *store = store_of(policies);
    char before[LETHE_POLICY_DIGEST_SIZE];
    uint64_t generation = 0;
    if (store == NULL)
        return LETHE_OK;
    TRY(row_number_get(store, ROWS_GENERATION, &generation, err));
    if (generation == policies->generation)
        return LETHE_OK;
    memcpy(before, policies->digest, sizeof before);
    lethe_result result = load(policies, store, err);
    if (is_unreadable(result))
        policies->generation = generation; /* trying again would not help */
    TRY(error_context(err, result, "loading the changed policy"));
    if (strcmp(before, policies->digest) != 0)
        record_loaded(policies);
    return LETHE_OK;
}

void policies_decide(struct policies *policies, const char *rule, const char *input,
                     size_t input_bytes, struct lethe_decision *out)
{
    lethe_policy_holder_decide(policies->holder, rule, input, input_bytes, out);
}

const char *policies_digest(const struct policies *policies)
{
    return policies->digest;
}

bool policies_has(const struct policies *policies, const char *name)
{
    return strcmp(name, "root") == 0 || policy_names_hold(&policies->paths, name);
}
