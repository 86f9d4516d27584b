#include "policy/compile_state.h"

/* ---- patterns; NULL: the arena has failed ---- */

static struct pattern *pattern_new(struct compiler *c, enum pattern_kind kind)
{
    struct pattern *pattern = arena_zalloc(c->arena, 1, sizeof(*pattern));
    if (pattern != NULL)
        pattern->kind = kind;
    return pattern;
}

const struct pattern *pattern_constant(struct compiler *c, const struct value *value)
{
    struct pattern *pattern = value == NULL ? NULL : pattern_new(c, PATTERN_CONSTANT);
    if (pattern != NULL)
        pattern->constant = value;
    return pattern;
}

const struct pattern *pattern_variable(struct compiler *c, uint32_t variable)
{
    struct pattern *pattern = pattern_new(c, PATTERN_VARIABLE);
    if (pattern != NULL)
        pattern->variable = variable;
    return pattern;
}

const struct pattern *pattern_generated(struct compiler *c, struct place place)
{
    return pattern_variable(c, variable_new(c, NULL, place));
}

const struct pattern **patterns_new(struct compiler *c, size_t count)
{
    return arena_zalloc(c->arena, count, sizeof(const struct pattern *));
}

static void variable_mention(struct compiler *c, uint32_t variable)
{
    if (compile_failed(c))
        return;
    c->frame.variables[variable].mentions++;
    numbers_add(c->arena, &c->body->direct, variable);
}

/* ---- core expressions ---- */

struct core *core_add(struct compiler *c, enum core_kind kind, struct place place,
                      size_t operand_count)
{
    struct core *core = arena_zalloc(c->arena, 1, sizeof(*core));
    const struct pattern **operands = patterns_new(c, operand_count);
    if (core == NULL || operands == NULL || !list_add(c->arena, &c->body->cores, core))
        return NULL;
    core->kind = kind;
    core->place = place;
    core->with = c->with;
    core->operands = operands;
    core->operand_count = operand_count;
    return core;
}

const struct pattern *core_define(struct compiler *c, struct core *core)
{
    if (core == NULL)
        return NULL;
    core->out = pattern_generated(c, core->place);
    if (compile_failed(c))
        return NULL;
    c->frame.variables[core->out->variable].definer = core;
    variable_mention(c, core->out->variable);
    return core->out;
}

/* A walk to input or data, along a path; `more` elements are left to the caller. */
static struct core *walk_add(struct compiler *c, const struct global *global, struct place place,
                             const struct pattern **elements, size_t count)
{
    struct core *core = core_add(c, CORE_WALK, place, 0);
    if (core == NULL)
        return NULL;
    for (size_t i = 0; i < global->count; i++)
        elements[i] = pattern_constant(c, global->path[i]);
    core->walk.root = global->root;
    core->walk.elements = elements;
    core->walk.element_count = count;
    return core;
}

static struct core *walk_from(struct compiler *c, const struct pattern *root, struct place place,
                              const struct pattern **elements, size_t count)
{
    struct core *core = root == NULL ? NULL : core_add(c, CORE_WALK, place, 1);
    if (core == NULL)
        return NULL;
    core->operands[0] = root;
    core->walk.root = ROOT_OPERAND;
    core->walk.elements = elements;
    core->walk.element_count = count;
    return core;
}

struct core *walk_lower(struct compiler *c, const struct term *term, size_t more)
{
    const struct term *head = term_head(term);
    size_t part_count = term->kind == TERM_REF ? term->parts.count - 1 : 0;
    const struct global *global = NULL;
    const struct pattern *root = NULL;
    uint32_t variable = NO_VARIABLE;
    if (head->kind == TERM_VARIABLE)
        global = name_resolve(c, head->name, head->place, &variable);
    if (variable != NO_VARIABLE) {
        variable_mention(c, variable);
        root = pattern_variable(c, variable);
    } else if (global == NULL) {
        root = term_lower(c, head);
    }
    size_t prefix = global == NULL ? 0 : global->count, count = prefix + part_count + more;
    const struct pattern **elements = patterns_new(c, count);
    if (elements == NULL)
        return NULL;
    for (size_t i = 0; i < part_count; i++)
        elements[prefix + i] = term_lower(c, term->parts.items[i + 1]);
    return global != NULL ? walk_add(c, global, term->place, elements, count)
                          : walk_from(c, root, term->place, elements, count);
}

/* ---- terms ---- */

static const struct pattern *variable_lower(struct compiler *c, const struct term *term)
{
    uint32_t variable;
    if (name_resolve(c, term->name, term->place, &variable) != NULL)
        return core_define(c, walk_lower(c, term, 0));
    variable_mention(c, variable);
    return pattern_variable(c, variable);
}

static const struct pattern *collection_lower(struct compiler *c, const struct term *term,
                                              enum pattern_kind kind)
{
    struct pattern *pattern = pattern_new(c, kind);
    const struct pattern **items = patterns_new(c, term->parts.count);
    if (pattern == NULL || items == NULL)
        return NULL;
    for (size_t i = 0; i < term->parts.count; i++)
        items[i] = term_lower(c, term->parts.items[i]);
    pattern->items = items;
    pattern->count = term->parts.count;
    return pattern;
}

const struct pattern *term_lower(struct compiler *c, const struct term *term)
{
    switch (term->kind) {
    case TERM_VALUE:
        return pattern_constant(c, term->value);
    case TERM_VARIABLE:
        return variable_lower(c, term);
    case TERM_REF:
        return core_define(c, walk_lower(c, term, 0));
    case TERM_CALL:
        return call_lower(c, term);
    case TERM_ARRAY:
        return collection_lower(c, term, PATTERN_ARRAY);
    case TERM_SET:
        return collection_lower(c, term, PATTERN_SET);
    case TERM_OBJECT:
        return collection_lower(c, term, PATTERN_OBJECT);
    case TERM_TEMPLATE:
        return template_lower(c, term);
    case TERM_ARRAY_COMPREHENSION:
    case TERM_SET_COMPREHENSION:
    case TERM_OBJECT_COMPREHENSION:
        return comprehension_lower(c, term);
    }
    return NULL;
}

/* ---- declaring the variables of a pattern ---- */

static const char *term_kind_name(const struct term *term)
{
    static const char *const names[] = {
        [TERM_VARIABLE] = "var",
        [TERM_REF] = "ref",
        [TERM_CALL] = "call",
        [TERM_ARRAY] = "array",
        [TERM_SET] = "set",
        [TERM_OBJECT] = "object",
        [TERM_ARRAY_COMPREHENSION] = "arraycomprehension",
        [TERM_SET_COMPREHENSION] = "setcomprehension",
        [TERM_OBJECT_COMPREHENSION] = "objectcomprehension",
        [TERM_TEMPLATE] = "templatestring",
    };
    return term->kind == TERM_VALUE ? value_kind_name(term->value->kind) : names[term->kind];
}

void term_declare(struct compiler *c, const struct term *term, enum occurrence occurrence)
{
    switch (term->kind) {
    case TERM_VARIABLE:
        name_declare(c, term->name, term->place, occurrence);
        return;
    case TERM_ARRAY:
        for (size_t i = 0; i < term->parts.count; i++)
            term_declare(c, term->parts.items[i], occurrence);
        return;
    case TERM_OBJECT:
        for (size_t i = 1; i < term->parts.count; i += 2)
            term_declare(c, term->parts.items[i], occurrence);
        return;
    default:
        if (occurrence == OCCURRENCE_ASSIGNED)
            problem_add(c->problems, PROBLEM_COMPILE, term->place, "cannot assign to %s",
                        term_kind_name(term));
    }
}
