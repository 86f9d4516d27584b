/* Modules of any text are a sound plan, or problems that say why not, or too much; a query
 * likewise. A line of "---" separates modules, and the last of several is the query. */
#include "fuzz.h"
#include "plan_sound.h"
#include "rego_grammar.h"

#include <string.h>

#include "policy/compile.h"
#include "policy/parse.h"

#define MODULES_MAX 4
#define ARENA_LIMIT_BYTES ((size_t)64 << 20)

struct policy {
    struct arena arena;
    struct problems problems;
    struct source sources[MODULES_MAX];
    const struct module *modules[MODULES_MAX];
    size_t count;
    struct plan *plan;
};

static void policy_clear_at_scope_end(struct policy *policy)
{
    compile_release(policy->plan);
    arena_clear(&policy->arena);
}

static void check_result(const struct policy *policy, lethe_result result, bool made)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    FUZZ_PROPERTY((result == LETHE_OK) == made);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID || result == LETHE_LIMIT);
    FUZZ_PROPERTY((result == LETHE_INVALID) == (policy->problems.count > 0));
    for (const struct problem *p = policy->problems.first; p != NULL; p = p->next)
        problem_print(p, &text);
}

/* false: it is no module. */
static bool add_module(struct policy *policy, const char *text, size_t size_bytes, bool v0)
{
    struct source *source = &policy->sources[policy->count];
    struct module *module = NULL;
    const struct parse_options options = {.v0 = v0};
    *source = (struct source){"fuzz", text, size_bytes};
    if (parse_module(&policy->arena, source, &options, &module, &policy->problems) != LETHE_OK)
        return false;
    policy->modules[policy->count++] = module;
    return true;
}

static void check_query(const struct plan *plan, const char *text, size_t size_bytes)
{
    CLEANUP(policy_clear) struct policy query = {.arena = {.limit_bytes = ARENA_LIMIT_BYTES}};
    query.problems.arena = &query.arena;
    const struct source source = {"query", text, size_bytes};
    struct body body;
    unsigned wildcards;
    struct plan_query *made = NULL;
    if (parse_query(&query.arena, &source, &(struct parse_options){0}, &body, &wildcards,
                    &query.problems) != LETHE_OK)
        return;
    lethe_result result =
        compile_query(&query.arena, plan, &body, plan->modules[0]->package, &made, &query.problems);
    check_result(&query, result, made != NULL);
    if (result == LETHE_OK)
        plan_check_query(plan, made);
}

static void check_policy(const struct buffer *text, bool v0)
{
    static const char between[] = "\n---\n";
    CLEANUP(policy_clear) struct policy policy = {.arena = {.limit_bytes = ARENA_LIMIT_BYTES}};
    policy.problems.arena = &policy.arena;
    const char *at = text->bytes, *end = text->bytes + text->size_bytes, *query = NULL;
    while (policy.count < MODULES_MAX) {
        const char *next = memmem(at, (size_t)(end - at), between, sizeof between - 1);
        query = next == NULL ? at : NULL;
        if (next == NULL && policy.count > 0)
            break;
        if (!add_module(&policy, at, (size_t)((next == NULL ? end : next) - at), v0))
            return;
        if (next == NULL)
            break;
        at = next + sizeof between - 1;
    }
    lethe_result result = compile_policy(&policy.arena, policy.modules, policy.count,
                                         &value_empty_object, &policy.plan, &policy.problems);
    check_result(&policy, result, policy.plan != NULL);
    if (result != LETHE_OK)
        return;
    plan_check(policy.plan);
    if (query != NULL)
        check_query(policy.plan, query, (size_t)(end - query));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct cursor bytes = cursor_over(data, size);
    rego_grammar(&bytes, &text);
    if (buffer_result(&text, NULL) != LETHE_OK)
        return 0;
    check_policy(&text, false);
    check_policy(&text, true);
    return 0;
}
