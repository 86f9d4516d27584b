#include "policy/compile_state.h"

lethe_result compile_result(const struct compiler *c)
{
    if (c->problems->count > 0)
        return LETHE_INVALID;
    return c->arena->failure;
}

bool compile_look(struct compiler *c, struct place place)
{
    if (++c->looks <= COMPILE_LOOKS_MAX)
        return true;
    if (!c->exhausted)
        problem_add(c->problems, PROBLEM_COMPILE, place,
                    "too much to be looked at (expressions that depend on each other are found "
                    "sooner when they stand in the order in which they are needed)");
    c->exhausted = true;
    return false;
}

static lethe_result policy_build(struct compiler *c, struct plan *plan)
{
    for (size_t i = 0; i < plan->module_count; i++)
        shadow_check(c, plan->modules[i]);
    TRY(tree_build(c, plan->modules, plan->module_count));
    tree_number(c, plan);
    plan->root = &c->root->plan;
    conflict_check(c);
    TRY(compile_result(c));
    TRY(rules_declare(c, plan));
    TRY(rules_compile(c));
    TRY(recursion_check(c));
    plan->id_count = c->step_count + c->rules.count;
    return LETHE_OK;
}

lethe_result compile_policy(struct arena *arena, const struct module *const *modules, size_t count,
                            const struct value *data, struct plan **out, struct problems *problems)
{
    struct plan_whole *whole = arena_zalloc(arena, 1, sizeof(*whole));
    struct compiler *c = arena_zalloc(arena, 1, sizeof(*c));
    if (whole == NULL || c == NULL)
        return arena->failure;
    whole->plan = (struct plan){
        .data = data,
        .modules = modules,
        .module_count = count,
        .v0 = count > 0 && modules[0]->v0,
    };
    c->arena = arena;
    c->problems = problems;
    c->whole = whole;
    c->preparation = (struct builtin_preparation){PREPARATION_STEPS_MAX, PREPARATION_BYTES_MAX};
    c->plan = &whole->plan;
    lethe_result result = policy_build(c, &whole->plan);
    if (result != LETHE_OK) {
        compile_release(&whole->plan);
        return result;
    }
    *out = &whole->plan;
    return LETHE_OK;
}

void compile_release(struct plan *plan)
{
    struct plan_whole *whole = (struct plan_whole *)plan;
    for (struct prepared *p = whole == NULL ? NULL : whole->prepared; p != NULL; p = p->next)
        if (p->builtin->release != NULL)
            p->builtin->release(p->prepared);
    if (whole != NULL)
        whole->prepared = NULL;
}
