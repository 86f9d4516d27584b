#include "policy/compile_state.h"

#include <string.h>

/* ---- what is called ---- */

/* "array.concat", or NULL when a part is no constant string. */
static const char *function_name(struct compiler *c, const struct term *function)
{
    if (function->kind == TERM_VARIABLE)
        return function->name;
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, term_head(function)->name);
    for (size_t i = 1; i < function->parts.count; i++) {
        const struct term *part = function->parts.items[i];
        if (part->kind != TERM_VALUE || !value_is(part->value, VALUE_STRING))
            return NULL;
        buffer_byte(&text, '.');
        buffer_append(&text, part->value->string, part->value->count);
    }
    const struct value *name = value_buffer(c->arena, &text);
    return name == NULL ? NULL : name->string;
}

/* The node that a global and the constants behind it lead to. */
static const struct plan_node *function_node(const struct compiler *c, const struct global *global,
                                             const struct term *function)
{
    const struct plan_node *node = global->root == ROOT_DATA ? &c->root->plan : NULL;
    for (size_t i = 0; i < global->count && node != NULL; i++)
        node = plan_child(node, global->path[i]);
    size_t count = function->kind == TERM_REF ? function->parts.count : 0;
    for (size_t i = 1; i < count && node != NULL; i++) {
        const struct term *part = function->parts.items[i];
        node = part->kind == TERM_VALUE ? plan_child(node, part->value) : NULL;
    }
    return node;
}

struct callee callee_find(struct compiler *c, const struct term *function)
{
    struct callee callee = {0};
    const struct term *head = term_head(function);
    struct name *name = head->kind == TERM_VARIABLE ? name_intern(c, head->name) : NULL;
    if (name == NULL)
        return callee;
    callee.name = function_name(c, function);
    struct found_name found;
    if (!name_find(c, name, &found)) {
        if (callee.name != NULL)
            callee.builtin = builtin_find(callee.name, strlen(callee.name), c->v0);
        return callee;
    }
    const struct plan_node *node =
        found.global == NULL ? NULL : function_node(c, found.global, function);
    if (node == NULL || node->rules == NULL)
        return callee;
    callee.name = node->rules->path;
    if (node->rules->kind == RULE_FUNCTION)
        callee.function = node->rules;
    return callee;
}

uint32_t callee_arity(const struct callee *callee)
{
    return callee->builtin != NULL ? callee->builtin->arity : callee->function->argument_count;
}

/* Built-ins of OPA that there are none of here; with a dot at the end, all that begin so. */
static bool only_opa_has(const char *name)
{
    static const char *const names[] = {
        "crypto.parse_private_keys",
        "crypto.x509.",
        "graphql.",
        "http.send",
        "io.jwt.",
        "json.match_schema",
        "json.verify_schema",
        "net.lookup_ip_addr",
        "providers.aws.",
        "rego.",
        "strings.render_template",
        "trace",
        "uri.",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t length = strlen(names[i]);
        bool family = names[i][length - 1] == '.';
        if (family ? strncmp(name, names[i], length) == 0 : strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool callee_exists(struct compiler *c, const struct callee *callee, const struct term *call)
{
    if (callee->builtin != NULL || callee->function != NULL)
        return true;
    const char *name = callee->name == NULL ? "(a ref that is not constant)" : callee->name;
    problem_add(c->problems, PROBLEM_TYPE, call->place, "undefined function %s%s", name,
                only_opa_has(name) ? " (a built-in of OPA that policies here do without)" : "");
    return false;
}

static bool arity_fits(struct compiler *c, const struct callee *callee, const struct term *call,
                       bool statement)
{
    size_t given = call->parts.count - 1, wanted = callee_arity(callee);
    if (given == wanted || (statement && given == wanted + 1))
        return true;
    problem_add(c->problems, PROBLEM_TYPE, call->place,
                "%s: arity mismatch (%zu operands given, %zu expected)", callee->name, given,
                wanted);
    return false;
}

/* ---- calls ---- */

bool call_is(const struct term *term, const char *name)
{
    return term->kind == TERM_CALL && term->parts.items[0]->kind == TERM_VARIABLE &&
           strcmp(term->parts.items[0]->name, name) == 0;
}

const struct pattern **operands_lower(struct compiler *c, const struct term *term)
{
    size_t count = term->parts.count - 1;
    const struct pattern **operands = patterns_new(c, count);
    for (size_t i = 0; i < count && operands != NULL; i++)
        operands[i] = term_lower(c, term->parts.items[i + 1]);
    return operands;
}

/* What an operand is sure to be. */
static bool kind_known(const struct compiler *c, const struct pattern *operand,
                       enum value_kind *kind)
{
    static const enum value_kind kinds[] = {
        [PATTERN_ARRAY] = VALUE_ARRAY,
        [PATTERN_SET] = VALUE_SET,
        [PATTERN_OBJECT] = VALUE_OBJECT,
    };
    if (operand == NULL)
        return false;
    if (operand->kind == PATTERN_VARIABLE) {
        const struct core *definer = c->frame.variables[operand->variable].definer;
        if (definer == NULL || definer->kind != CORE_COLLECT)
            return false;
        *kind = definer->inner.kind;
        return true;
    }
    *kind = operand->kind == PATTERN_CONSTANT ? operand->constant->kind : kinds[operand->kind];
    return true;
}

/* A call that can have no value, whatever it is asked about, would be undefined for ever. (What
 * only the older syntax has takes everything, and says then that it cannot.) */
static void check_kinds(struct compiler *c, const struct builtin *builtin,
                        const struct pattern **operands, struct place place)
{
    enum value_kind kind;
    bool takes_all = (builtin->flags & BUILTIN_V0) != 0;
    for (unsigned n = 1; n <= builtin->arity && !takes_all; n++) {
        if (!kind_known(c, operands[n - 1], &kind) || builtin_takes(builtin, n, kind))
            continue;
        CLEANUP(buffer_clear) struct buffer wanted = {0};
        builtin_kinds_text(builtin, n, &wanted);
        if (wanted.failure == LETHE_OK)
            problem_add(c->problems, PROBLEM_TYPE, place,
                        "%s: invalid argument(s): operand %u must be %s but got %s", builtin->name,
                        n, wanted.bytes, value_kind_name(kind));
    }
}

const struct pattern *call_value(struct compiler *c, const struct callee *callee,
                                 const struct pattern **operands, size_t count, struct place place)
{
    struct core *core = core_add(c, CORE_CALL, place, 0);
    if (core == NULL || operands == NULL)
        return NULL;
    if (callee->builtin != NULL && !compile_failed(c))
        check_kinds(c, callee->builtin, operands, place);
    core->operands = operands;
    core->operand_count = count;
    core->call.builtin = callee->builtin;
    core->call.function = callee->function;
    return core_define(c, core);
}

/* `eq` in a term asks whether both are equal; nothing can be bound there. */
static struct callee callee_of_value(struct compiler *c, const struct term *call)
{
    if (!call_is(call, "eq"))
        return callee_find(c, call->parts.items[0]);
    return (struct callee){.builtin = builtin_find("equal", strlen("equal"), false),
                           .name = "equal"};
}

const struct pattern *call_lower(struct compiler *c, const struct term *term)
{
    struct callee callee = callee_of_value(c, term);
    const struct pattern **operands = operands_lower(c, term);
    if (!callee_exists(c, &callee, term) || !arity_fits(c, &callee, term, false))
        return pattern_generated(c, term->place);
    return call_value(c, &callee, operands, term->parts.count - 1, term->place);
}

void core_true(struct compiler *c, const struct pattern *pattern, struct place place)
{
    if (pattern == NULL || (c->with == NULL && pattern->kind == PATTERN_CONSTANT &&
                            !value_is_false(pattern->constant)))
        return;
    struct core *core = core_add(c, CORE_TRUE, place, 1);
    if (core != NULL)
        core->operands[0] = pattern;
}

static void equal_holds(struct compiler *c, const struct term *term,
                        const struct pattern **operands)
{
    struct core *core = core_add(c, CORE_EQUAL, term->place, 0);
    if (core == NULL)
        return;
    core->operands = operands;
    core->operand_count = 2;
}

/* Values of two kinds are never equal. */
static void check_match(struct compiler *c, const struct pattern **sides, struct place place)
{
    enum value_kind left, right;
    if (!compile_failed(c) && kind_known(c, sides[0], &left) && kind_known(c, sides[1], &right) &&
        left != right)
        problem_add(c->problems, PROBLEM_TYPE, place, "match error: left is %s, right is %s",
                    value_kind_name(left), value_kind_name(right));
}

void call_holds(struct compiler *c, const struct term *term, const struct pattern **operands)
{
    if (operands == NULL)
        return;
    if (call_is(term, "eq") && term->parts.count == 3) {
        check_match(c, operands, term->place);
        core_unify(c, operands[0], operands[1], term->place);
        return;
    }
    struct callee callee = callee_find(c, term->parts.items[0]);
    if (!callee_exists(c, &callee, term) || !arity_fits(c, &callee, term, true))
        return;
    if (callee.builtin != NULL && strcmp(callee.name, "equal") == 0 && term->parts.count == 3) {
        if (c->module != NULL)
            check_match(c, operands, term->place);
        equal_holds(c, term, operands);
        return;
    }
    size_t arity = callee_arity(&callee);
    const struct pattern *value = call_value(c, &callee, operands, arity, term->place);
    if (term->parts.count - 1 > arity)
        core_unify(c, operands[arity], value, term->place);
    else
        core_true(c, value, term->place);
}
