#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "policy/parse.h"

/* ---- modules into a plan ---- */

static const struct source *copy_source(struct arena *arena,
                                        const struct lethe_policy_module *module)
{
    struct source *source = arena_alloc(arena, sizeof *source);
    const char *name = arena_copy(arena, module->name, strlen(module->name));
    const char *text = arena_copy(arena, module->text, module->size_bytes);
    if (source == NULL || name == NULL || text == NULL)
        return NULL;
    *source = (struct source){name, text, module->size_bytes};
    return source;
}

static lethe_result parse_all(struct arena *arena, const struct lethe_policy_options *options,
                              const struct module **modules, struct problems *problems)
{
    const struct parse_options syntax = {.v0 = options->v0};
    lethe_result overall = LETHE_OK;
    for (size_t i = 0; i < options->module_count; i++) {
        struct module *module = NULL;
        const struct source *source = copy_source(arena, &options->modules[i]);
        TRY(arena_result(arena, NULL));
        lethe_result result = parse_module(arena, source, &syntax, &module, problems);
        if (result != LETHE_OK && result != LETHE_INVALID)
            return result;
        modules[i] = module;
        overall = overall == LETHE_OK ? result : overall;
    }
    return overall;
}

lethe_result policy_compile(struct arena *arena, const struct lethe_policy_options *options,
                            const struct value *data, struct plan **out, struct problems *problems)
{
    const struct module **modules =
        arena_zalloc(arena, options->module_count + 1, sizeof(struct module *));
    TRY(arena_result(arena, NULL));
    TRY(parse_all(arena, options, modules, problems));
    TRY(compile_policy(arena, modules, options->module_count, data, out, problems));
    lethe_result result = compile_check_data(arena, *out, problems);
    if (result == LETHE_OK)
        return LETHE_OK;
    compile_release(*out);
    *out = NULL;
    return result;
}

/* The first problem as an error: LETHE_MALFORMED for text that is no Rego, else LETHE_INVALID.
 * LETHE_OK without any. */
static lethe_result problem_error(const struct problems *problems, struct lethe_error *err)
{
    if (problems->count == 0)
        return LETHE_OK;
    lethe_result result = problems_result(problems, err);
    if (problems->first->code == PROBLEM_PARSE)
        result = LETHE_MALFORMED;
    if (err != NULL)
        err->code = result;
    return result;
}

/* ---- preparing ---- */

static lethe_result read_data(struct arena *arena, const struct lethe_policy_options *options,
                              const struct value **out, struct lethe_error *err)
{
    *out = &value_empty_object;
    if (options->data == NULL)
        return LETHE_OK;
    TRY(error_context(err,
                      value_parse_json(arena, options->data, options->data_size_bytes, out, err),
                      "the policy's data"));
    if (value_is(*out, VALUE_OBJECT))
        return LETHE_OK;
    return error_set(err, LETHE_MALFORMED, "the policy's data must be an object but is of type %s",
                     value_kind_name((*out)->kind));
}

static lethe_result check_modules(const struct lethe_policy_options *options,
                                  struct lethe_error *err)
{
    if (options->module_count > POLICY_MODULES_MAX)
        return error_set(err, LETHE_LIMIT, "a policy of more than %zu modules", POLICY_MODULES_MAX);
    for (size_t i = 0; i < options->module_count; i++) {
        if (options->modules[i].size_bytes > SOURCE_SIZE_MAX)
            return error_set(err, LETHE_LIMIT, "%s is larger than the limit of %zu bytes",
                             options->modules[i].name, SOURCE_SIZE_MAX);
    }
    return LETHE_OK;
}

static lethe_result compile(struct lethe_policy *policy, const struct lethe_policy_options *options,
                            const struct value *data, struct lethe_error *err)
{
    struct problems problems = {.arena = &policy->arena};
    lethe_result result = policy_compile(&policy->arena, options, data, &policy->plan, &problems);
    if (result == LETHE_OK)
        return LETHE_OK;
    policy->plan = NULL;
    TRY(arena_result(&policy->arena, err));
    TRY(problem_error(&problems, err));
    return error_set(err, result, "the policy could not be compiled");
}

static struct evaluation_limits limits_of(const struct lethe_policy_limits *limits)
{
    return (struct evaluation_limits){
        .steps = limits->steps,
        .depth = limits->depth,
        .memory_bytes = limits->memory_bytes,
        .time_ms = limits->time_ms,
    };
}

lethe_result lethe_policy_prepare(const struct lethe_policy_options *options,
                                  struct lethe_policy **out, struct lethe_error *err)
{
    const struct value *data;
    *out = NULL;
    TRY(check_modules(options, err));
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a policy");
    policy->limits = limits_of(&options->limits);
    policy->arena.limit_bytes = options->limits.load_memory_bytes != 0
                                    ? options->limits.load_memory_bytes
                                    : POLICY_LOAD_MEMORY_DEFAULT;
    TRY(read_data(&policy->arena, options, &data, err));
    TRY(policy_digest(options, data, policy->digest, err));
    TRY(compile(policy, options, data, err));
    *out = MOVE(policy);
    return LETHE_OK;
}

void lethe_policy_free(struct lethe_policy *policy)
{
    if (policy == NULL)
        return;
    if (policy->plan != NULL)
        compile_release(policy->plan);
    arena_clear(&policy->arena);
    free(policy);
}

const char *lethe_policy_digest(const struct lethe_policy *policy)
{
    return policy->digest;
}
