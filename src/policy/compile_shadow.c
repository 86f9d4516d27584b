#include "policy/compile_state.h"

#include <string.h>

bool shadows_root(struct compiler *c, const char *name, const char *what, struct place place)
{
    if (c->v0 || (strcmp(name, "input") != 0 && strcmp(name, "data") != 0))
        return false;
    problem_add(c->problems, PROBLEM_COMPILE, place, "%s must not shadow %s (use another name)",
                what, name);
    return true;
}

/* `import data.x.input` would make `input` mean something else, or do nothing. */
static void check_root_names(struct compiler *c, const struct module *module)
{
    for (size_t i = 0; i < module->import_count; i++) {
        const struct import *import = &module->imports[i];
        bool is_root = strcmp(import->alias, "input") == 0 || strcmp(import->alias, "data") == 0;
        if (is_root &&
            (import->path->kind == TERM_REF || strcmp(import->path->name, import->alias) != 0))
            problem_add(c->problems, PROBLEM_COMPILE, import->place,
                        "imports must not shadow %s (use another name)", import->alias);
    }
}

static void check_imports(struct compiler *c, const struct module *module)
{
    for (size_t i = 0; i < module->import_count; i++) {
        const struct import *import = &module->imports[i];
        struct name *name = name_intern(c, import->alias);
        if (name == NULL)
            return;
        if (name->import_of == module)
            problem_add(c->problems, PROBLEM_COMPILE, import->place,
                        "import must not shadow another import: %s", import->alias);
        name->import_of = module;
    }
}

/* The older syntax lets a later import hide an earlier one, and rules be called input. */
void shadow_check(struct compiler *c, const struct module *module)
{
    c->v0 = module->v0;
    check_root_names(c, module);
    if (!module->v0)
        check_imports(c, module);
    for (size_t i = 0; i < module->rule_count; i++) {
        const struct rule *rule = module->rules[i];
        shadows_root(c, term_head(rule->ref)->name, "rules", rule->place);
    }
}
