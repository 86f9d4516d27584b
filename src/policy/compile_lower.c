#include "policy/compile_state.h"

/* ---- bodies inside of bodies ---- */

struct nest body_enter(struct compiler *c)
{
    struct nest outer = {.body = c->body, .with = c->with};
    struct core_body *body = arena_zalloc(c->arena, 1, sizeof(*body));
    if (body != NULL) /* of a failed arena nothing is added to the outer body either */
        c->body = body;
    c->with = NULL;
    return outer;
}

static void numbers_add_all(struct compiler *c, struct numbers *to, const struct numbers *from)
{
    for (size_t i = 0; i < from->count; i++)
        numbers_add(c->arena, to, from->items[i]);
}

struct core *body_leave(struct compiler *c, struct nest outer, enum core_kind kind,
                        struct place place, size_t operand_count)
{
    struct core_body *inner = c->body;
    c->body = outer.body;
    c->with = outer.with;
    struct core *core = core_add(c, kind, place, operand_count);
    if (core == NULL || compile_failed(c))
        return NULL;
    body_finish(c, inner);
    core->inner.body = inner;
    numbers_add_all(c, &outer.body->inside, &inner->direct);
    numbers_add_all(c, &outer.body->inside, &inner->inside);
    list_add(c->arena, &outer.body->closures, core);
    return core;
}

static void stamp_all(struct compiler *c, const struct numbers *variables)
{
    c->stamp++;
    for (size_t i = 0; i < variables->count; i++)
        c->frame.variables[variables->items[i]].stamp = c->stamp;
}

/* Those of `variables` that are stamped, each once. */
static void add_stamped(struct compiler *c, const struct numbers *variables, uint32_t stamp,
                        struct numbers *out)
{
    for (size_t i = 0; i < variables->count; i++) {
        struct variable *variable = &c->frame.variables[variables->items[i]];
        if (variable->stamp == stamp && variable->taken != c->taken) {
            variable->taken = c->taken;
            numbers_add(c->arena, out, variables->items[i]);
        }
    }
}

/* A body inside needs what is mentioned both in it and around it: such a variable is one of the
 * outer body's. */
void body_finish(struct compiler *c, struct core_body *body)
{
    if (compile_failed(c) || body->closures.count == 0)
        return;
    stamp_all(c, &body->direct);
    for (size_t i = 0; i < body->closures.count; i++) {
        struct core *core = body->closures.items[i];
        struct numbers needs = {0};
        c->taken++;
        add_stamped(c, &core->inner.body->direct, c->stamp, &needs);
        add_stamped(c, &core->inner.body->inside, c->stamp, &needs);
        core->inner.needs = needs.items;
        core->inner.need_count = needs.count;
    }
}

/* ---- comprehensions ---- */

const struct pattern *comprehension_lower(struct compiler *c, const struct term *term)
{
    static const enum value_kind kinds[] = {
        [TERM_ARRAY_COMPREHENSION] = VALUE_ARRAY,
        [TERM_SET_COMPREHENSION] = VALUE_SET,
        [TERM_OBJECT_COMPREHENSION] = VALUE_OBJECT,
    };
    size_t count = term->kind == TERM_OBJECT_COMPREHENSION ? 2 : 1;
    const struct pattern *yields[2] = {0};
    struct scope scope = scope_open(c);
    body_announce(c, &term->body, 1);
    struct nest outer = body_enter(c);
    body_lower(c, &term->body);
    for (size_t i = 0; i < count; i++)
        yields[i] = term_lower(c, term->parts.items[i]);
    struct core *core = body_leave(c, outer, CORE_COLLECT, term->place, count);
    body_announce(c, &term->body, -1);
    scope_close(c, scope);
    if (core == NULL)
        return NULL;
    core->inner.kind = kinds[term->kind];
    for (size_t i = 0; i < count; i++)
        core->operands[i] = yields[i];
    return core_define(c, core);
}

/* ---- statements ---- */

static void some_lower(struct compiler *c, const struct expression *expression)
{
    for (size_t i = 0; i < expression->terms.count; i++)
        name_declare_some(c, expression->terms.items[i]->name, expression->terms.items[i]->place);
}

static void some_in_lower(struct compiler *c, const struct expression *expression)
{
    size_t count = expression->terms.count;
    const struct term *const *terms = expression->terms.items;
    struct core *walk = walk_lower(c, terms[count - 1], 1);
    c->declaring_from = (uint32_t)c->frame.count + 1;
    for (size_t i = 0; i + 1 < count; i++)
        term_declare(c, terms[i], OCCURRENCE_DECLARED);
    c->declaring_from = 0;
    if (count == 3 && walk != NULL)
        walk->walk.elements[walk->walk.element_count - 1] = term_lower(c, terms[0]);
    const struct pattern *value = term_lower(c, terms[count - 2]);
    core_unify(c, value, core_define(c, walk), expression->place);
}

static uint32_t every_variable(struct compiler *c, const struct term *term)
{
    return name_declare(c, term->name, term->place, OCCURRENCE_DECLARED);
}

static void every_lower(struct compiler *c, const struct expression *expression)
{
    size_t count = expression->terms.count;
    const struct term *const *terms = expression->terms.items;
    const struct pattern *domain = term_lower(c, terms[count - 1]);
    struct scope scope = scope_open(c);
    uint32_t key = count == 3 ? every_variable(c, terms[0]) : NO_VARIABLE;
    uint32_t value = every_variable(c, terms[count - 2]);
    body_announce(c, &expression->body, 1);
    struct nest outer = body_enter(c);
    body_lower(c, &expression->body);
    struct core *core = body_leave(c, outer, CORE_EVERY, expression->place, 3);
    body_announce(c, &expression->body, -1);
    scope_close(c, scope);
    if (core == NULL)
        return;
    core->operands[0] = domain;
    core->operands[1] = key == NO_VARIABLE ? NULL : pattern_variable(c, key);
    core->operands[2] = pattern_variable(c, value);
}

static void assign_lower(struct compiler *c, const struct term *term)
{
    if (term->parts.count != 3) {
        problem_add(c->problems, PROBLEM_TYPE, term->place,
                    "assign: arity mismatch (%zu operands given, 2 expected)",
                    term->parts.count - 1);
        return;
    }
    const struct pattern *value = term_lower(c, term->parts.items[2]);
    term_declare(c, term->parts.items[1], OCCURRENCE_ASSIGNED);
    core_unify(c, term_lower(c, term->parts.items[1]), value, term->place);
}

static void statement_lower(struct compiler *c, const struct term *term)
{
    if (call_is(term, "assign"))
        assign_lower(c, term);
    else if (call_is(term, "print"))
        print_lower(c, term);
    else if (term->kind == TERM_CALL)
        call_holds(c, term, operands_lower(c, term));
    else
        core_true(c, term_lower(c, term), term->place);
}

void positive_lower(struct compiler *c, const struct expression *expression)
{
    if (expression->kind == EXPRESSION_TERM)
        statement_lower(c, expression->terms.items[0]);
    else if (expression->kind == EXPRESSION_SOME)
        some_lower(c, expression);
    else if (expression->kind == EXPRESSION_SOME_IN)
        some_in_lower(c, expression);
    else
        every_lower(c, expression);
}

void expression_lower(struct compiler *c, const struct expression *expression)
{
    c->with = with_lower(c, expression);
    if (expression->negated || expression->kind == EXPRESSION_NOT_BODY)
        negated_lower(c, expression);
    else
        positive_lower(c, expression);
    c->with = NULL;
}

void body_lower(struct compiler *c, const struct body *body)
{
    for (size_t i = 0; i < body->count && !compile_failed(c); i++)
        expression_lower(c, body->items[i]);
}
