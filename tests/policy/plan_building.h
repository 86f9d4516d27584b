/* tests/policy/plan_building.h -- plans made by hand, for tests of what runs them. */
#ifndef TESTS_PLAN_BUILDING_H
#define TESTS_PLAN_BUILDING_H

#include "check.h"

#include "policy/plan.h"

#define UNUSED __attribute__((unused))

static struct arena building = {0};

UNUSED static int forget_plans(void **state)
{
    arena_clear(&building);
    return 0;
}

UNUSED static const struct value *json(const char *text)
{
    const struct value *value;
    struct lethe_error err;
    assert_ok(value_parse_json(&building, text, strlen(text), &value, &err), &err);
    return value;
}

UNUSED static void assert_json(const char *expected, const struct value *value)
{
    struct buffer text = {0};
    if (value == NULL)
        buffer_text(&text, "undefined");
    else
        value_print_json(value, &text);
    assert_string_equal(expected, text.bytes);
    buffer_clear(&text);
}

/* Operands: S(2) is slot 2, K("[1, 2]") a constant. */
#define S(number) ((struct operand){.slot = (number)})
#define K(text) ((struct operand){.constant = json(text)})

/* A sequence that grows at its end. */
struct sequence {
    struct step *first, *last;
};

UNUSED static const void *keep(const void *items, size_t size_bytes)
{
    return arena_copy(&building, items, size_bytes);
}

UNUSED static struct step *add_step(struct sequence *sequence, enum step_kind kind, uint32_t slot,
                                    const struct operand *operands, size_t count)
{
    struct step *step = arena_zalloc(&building, 1, sizeof *step);
    step->kind = kind;
    step->slot = slot;
    step->operands = keep(operands, count * sizeof *operands);
    step->operand_count = (uint32_t)count;
    if (sequence->last == NULL)
        sequence->first = step;
    else
        sequence->last->next = step;
    sequence->last = step;
    return step;
}
#define ADD(sequence, kind, slot, ...)                                                             \
    add_step(sequence, kind, slot, (struct operand[]){__VA_ARGS__},                                \
             sizeof((struct operand[]){__VA_ARGS__}) / sizeof(struct operand))
#define ADD_PLAIN(sequence, kind) add_step(sequence, kind, NO_SLOT, NULL, 0)

/* Elements of a walk: KEY("\"a\"") goes to one, EACH(3) to all, with the key in slot 3. */
#define KEY(text) ((struct walk_element){.key = K(text)})
#define EACH(number) ((struct walk_element){.binds = true, .slot = (number)})

UNUSED static struct step *add_walk(struct sequence *sequence, enum walk_root root, uint32_t slot,
                                    const struct walk_element *elements, size_t count)
{
    struct step *step = add_step(sequence, STEP_WALK, slot, NULL, 0);
    step->walk.root = root;
    step->walk.elements = keep(elements, count * sizeof *elements);
    step->walk.element_count = (uint32_t)count;
    return step;
}
#define ADD_WALK(sequence, root, slot, ...)                                                        \
    add_walk(sequence, root, slot, (struct walk_element[]){__VA_ARGS__},                           \
             sizeof((struct walk_element[]){__VA_ARGS__}) / sizeof(struct walk_element))

UNUSED static struct plan_rule *make_rule(enum rule_kind kind, const struct sequence *body,
                                          uint32_t slot_count)
{
    struct plan_rule *rule = arena_zalloc(&building, 1, sizeof *rule);
    rule->kind = kind;
    rule->start = body->first;
    rule->slot_count = slot_count;
    return rule;
}

UNUSED static struct plan_rules *make_rules(struct plan_rule *const *rules, size_t count)
{
    struct plan_rules *made = arena_zalloc(&building, 1, sizeof *made);
    made->kind = rules[0]->kind;
    made->argument_count = rules[0]->argument_count;
    made->rules = keep(rules, count * sizeof(struct plan_rule *));
    made->count = count;
    return made;
}

#endif
