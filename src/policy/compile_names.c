#include "policy/compile_state.h"

#include <string.h>

/* ---- names, each once ---- */

static size_t name_hash(const char *text, size_t length)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

static bool names_grow(struct compiler *c)
{
    struct names *names = &c->names;
    size_t wanted = names->bucket_count == 0 ? 256 : 4 * names->bucket_count;
    struct name **buckets = arena_zalloc(c->arena, wanted, sizeof(*buckets));
    if (buckets == NULL)
        return false;
    for (size_t i = 0; i < names->bucket_count; i++)
        for (struct name *name = names->buckets[i], *next; name != NULL; name = next) {
            next = name->bucket_next;
            struct name **bucket = &buckets[name_hash(name->text, name->length) & (wanted - 1)];
            name->bucket_next = *bucket;
            *bucket = name;
        }
    names->buckets = buckets;
    names->bucket_count = wanted;
    return true;
}

static struct name *name_add(struct compiler *c, const char *text, size_t length)
{
    struct name *name = arena_zalloc(c->arena, 1, sizeof(*name));
    const struct value *value = value_string(c->arena, text, length);
    if (name == NULL || value == NULL)
        return NULL;
    name->text = text;
    name->length = length;
    name->value = value;
    struct name **bucket = &c->names.buckets[name_hash(text, length) & (c->names.bucket_count - 1)];
    name->bucket_next = *bucket;
    *bucket = name;
    c->names.count++;
    return name;
}

struct name *name_intern(struct compiler *c, const char *text)
{
    if (c->names.count >= c->names.bucket_count && !names_grow(c))
        return NULL;
    size_t length = strlen(text);
    struct name *name = c->names.buckets[name_hash(text, length) & (c->names.bucket_count - 1)];
    while (name != NULL && (name->length != length || memcmp(name->text, text, length) != 0)) {
        if (!compile_look(c, (struct place){0})) /* names that were chosen to meet in one bucket */
            return NULL;
        name = name->bucket_next;
    }
    return name != NULL ? name : name_add(c, text, length);
}

/* ---- imports ---- */

/* `path` is data... or input..., each part behind it a constant; other imports name features. */
static const struct global *import_global(struct compiler *c, const struct term *path)
{
    const struct term *first = term_head(path);
    bool input = strcmp(first->name, "input") == 0;
    if (!input && strcmp(first->name, "data") != 0)
        return NULL;
    struct global *global = arena_zalloc(c->arena, 1, sizeof(*global));
    if (global == NULL)
        return NULL;
    global->root = input ? ROOT_INPUT : ROOT_DATA;
    global->count = path->kind == TERM_REF ? path->parts.count - 1 : 0;
    const struct value **keys = arena_alloc(c->arena, global->count * sizeof(*keys));
    if (keys == NULL)
        return NULL;
    for (size_t i = 0; i < global->count; i++)
        keys[i] = path->parts.items[i + 1]->value;
    global->path = keys;
    return global;
}

void names_import(struct compiler *c, const struct module *module)
{
    for (size_t i = 0; i < module->import_count; i++) {
        const struct import *import = &module->imports[i];
        const struct global *global = import_global(c, import->path);
        struct name *name = global == NULL ? NULL : name_intern(c, import->alias);
        if (name == NULL)
            continue;
        name->import = global;
        name->import_of = c->module;
    }
}

/* ---- variables and scopes ---- */

void frame_begin(struct compiler *c)
{
    c->frame.count = 0;
    c->frame.slot_count = 0;
    c->frame_number++;
    c->scope_bindings = NULL;
}

uint32_t variable_new(struct compiler *c, const char *name, struct place place)
{
    struct frame *frame = &c->frame;
    if (frame->count == frame->capacity) {
        size_t wanted = frame->capacity == 0 ? 64 : 2 * frame->capacity;
        size_t size = sizeof(*frame->variables);
        void *grown = arena_grow(c->arena, frame->variables, frame->capacity * size, wanted * size);
        if (grown == NULL)
            return 0; /* of an arena that has failed: nobody reads it */
        frame->variables = grown;
        frame->capacity = wanted;
    }
    frame->variables[frame->count] = (struct variable){.name = name, .place = place};
    return (uint32_t)frame->count++;
}

struct scope scope_open(struct compiler *c)
{
    struct scope outer = {.bindings = c->scope_bindings, .number = c->scope};
    c->scope_bindings = NULL;
    c->scope = ++c->scope_count;
    return outer;
}

void scope_close(struct compiler *c, struct scope outer)
{
    for (struct binding *b = c->scope_bindings; b != NULL; b = b->same_scope) {
        if (b->unused)
            problem_add(c->problems, PROBLEM_COMPILE, b->place, "declared var %s unused",
                        b->name->text);
        b->name->binding = b->hidden;
    }
    c->scope_bindings = outer.bindings;
    c->scope = outer.number;
}

static void bind(struct compiler *c, struct name *name, uint32_t variable,
                 enum occurrence occurrence)
{
    struct binding *binding = arena_alloc(c->arena, sizeof(*binding));
    if (binding == NULL)
        return;
    *binding = (struct binding){.hidden = name->binding,
                                .same_scope = c->scope_bindings,
                                .name = name,
                                .scope = c->scope,
                                .variable = variable,
                                .occurrence = occurrence};
    name->binding = binding;
    c->scope_bindings = binding;
}

static void problem_redeclared(struct compiler *c, const struct binding *binding,
                               struct place place)
{
    static const struct {
        const char *what, *how;
    } used[] = {
        [OCCURRENCE_SEEN] = {"var", "referenced above"},
        [OCCURRENCE_ASSIGNED] = {"var", "assigned above"},
        [OCCURRENCE_DECLARED] = {"var", "declared above"},
        [OCCURRENCE_ARGUMENT] = {"arg", "redeclared"},
    };
    problem_add(c->problems, PROBLEM_COMPILE, place, "%s %s %s", used[binding->occurrence].what,
                binding->name->text, used[binding->occurrence].how);
}

uint32_t name_declare(struct compiler *c, const char *text, struct place place,
                      enum occurrence occurrence)
{
    static const char *const whats[] = {
        [OCCURRENCE_ASSIGNED] = "variables",
        [OCCURRENCE_DECLARED] = "variables",
        [OCCURRENCE_ARGUMENT] = "args",
    };
    struct name *name = name_intern(c, text);
    if (name == NULL || shadows_root(c, text, whats[occurrence], place))
        return variable_new(c, text, place);
    struct binding *binding = name->binding;
    if (binding != NULL && binding->scope == c->scope) {
        bool again = c->declaring_from > 0 && binding->variable + 1 >= c->declaring_from;
        if (occurrence != OCCURRENCE_ARGUMENT && !again)
            problem_redeclared(c, binding, place);
        return binding->variable;
    }
    uint32_t variable = variable_new(c, text, place);
    bind(c, name, variable, occurrence);
    return variable;
}

void name_declare_some(struct compiler *c, const char *text, struct place place)
{
    struct name *name = name_intern(c, text);
    size_t variables = c->frame.count;
    name_declare(c, text, place, OCCURRENCE_DECLARED);
    if (compile_failed(c) || c->frame.count == variables || text[0] == '$')
        return;
    name->binding->unused = true;
    name->binding->place = place;
}

/* ---- what a name stands for ---- */

static const struct global whole_input = {.root = ROOT_INPUT}, whole_data = {.root = ROOT_DATA};

static const struct global *rule_global(struct compiler *c, const struct plan_node *rule)
{
    size_t count = 0;
    for (const struct plan_node *node = rule; node->parent != NULL; node = node->parent)
        count++;
    struct global *global = arena_zalloc(c->arena, 1, sizeof(*global));
    const struct value **keys = arena_alloc(c->arena, count * sizeof(*keys));
    if (global == NULL || keys == NULL)
        return NULL;
    for (const struct plan_node *node = rule; node->parent != NULL; node = node->parent)
        keys[--count] = node->key;
    *global = (struct global){.root = ROOT_DATA, .path = keys};
    for (const struct plan_node *node = rule; node->parent != NULL; node = node->parent)
        global->count++;
    return global;
}

static const struct global *name_global(struct compiler *c, const struct name *name)
{
    if (strcmp(name->text, "input") == 0)
        return &whole_input;
    if (strcmp(name->text, "data") == 0)
        return &whole_data;
    if (name->import != NULL && name->import_of == c->module)
        return name->import;
    if (c->package == NULL)
        return NULL;
    const struct plan_node *rule = plan_child(&c->package->plan, name->value);
    if (rule == NULL || !((const struct tree_node *)rule)->names_rule)
        return NULL;
    return rule_global(c, rule);
}

/* The one variable of a frame that has this name where nothing declares it. */
static uint32_t implicit_variable(struct compiler *c, struct name *name, struct place place)
{
    if (name->implicit_frame != c->frame_number) {
        name->implicit = variable_new(c, name->text, place);
        name->implicit_frame = c->frame_number;
    }
    if (name->binding == NULL || name->binding->scope != c->scope)
        bind(c, name, name->implicit, OCCURRENCE_SEEN);
    return name->implicit;
}

bool name_find(struct compiler *c, struct name *name, struct found_name *out)
{
    *out = (struct found_name){.variable = NO_VARIABLE};
    if (name->binding != NULL && name->binding->occurrence != OCCURRENCE_SEEN) {
        out->variable = name->binding->variable;
        name->binding->unused = false;
    } else if (name->announced == 0) {
        out->global = name_global(c, name);
    }
    return out->variable != NO_VARIABLE || out->global != NULL;
}

const struct global *name_resolve(struct compiler *c, const char *text, struct place place,
                                  uint32_t *variable)
{
    *variable = NO_VARIABLE;
    struct name *name = name_intern(c, text);
    if (name == NULL)
        return &whole_input; /* of an arena that has failed: nobody reads it */
    struct found_name found;
    if (!name_find(c, name, &found))
        found.variable = implicit_variable(c, name, place);
    *variable = found.variable;
    return found.global;
}

/* ---- names that a body declares ---- */

static void term_announce(struct compiler *c, const struct term *term, int change)
{
    bool compound = term->kind == TERM_ARRAY || term->kind == TERM_OBJECT;
    struct name *name = term->kind == TERM_VARIABLE ? name_intern(c, term->name) : NULL;
    if (name != NULL)
        name->announced += (uint32_t)change;
    for (size_t i = 0; compound && i < term->parts.count; i++)
        if (term->kind == TERM_ARRAY || i % 2 == 1)
            term_announce(c, term->parts.items[i], change);
}

void body_announce(struct compiler *c, const struct body *body, int change)
{
    for (size_t i = 0; i < body->count && !compile_failed(c); i++) {
        const struct expression *expression = body->items[i];
        size_t count = expression->terms.count;
        const struct term *const *terms = expression->terms.items;
        if (expression->kind == EXPRESSION_TERM && call_is(terms[0], "assign") &&
            terms[0]->parts.count == 3)
            term_announce(c, terms[0]->parts.items[1], change);
        bool some_in = expression->kind == EXPRESSION_SOME_IN;
        for (size_t t = 0;
             (some_in && t + 1 < count) || (expression->kind == EXPRESSION_SOME && t < count); t++)
            term_announce(c, terms[t], change);
    }
}
