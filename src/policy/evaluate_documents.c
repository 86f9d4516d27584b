#include "policy/evaluate_inside.h"

#include "policy/evaluate_equal.h"

static const struct place nowhere;

static enum outcome arena_failed(struct evaluation *evaluation)
{
    return evaluation_exhausted(evaluation, nowhere, evaluation->arena->failure);
}

/* ---- sets ---- */

struct set_sink {
    struct rule_sink base;
    const struct value *wanted; /* NULL: all elements, which go to the list */
    struct value_list list;
};

static enum outcome yield_element(struct run *run, const struct step *step)
{
    struct set_sink *sink = (struct set_sink *)run->sink;
    struct evaluation *evaluation = run->evaluation;
    const struct value *element = operand_value(run, &step->operands[0]);
    sink->base.held = true;
    if (sink->wanted == NULL)
        return value_list_append(evaluation->arena, &sink->list, element)
                   ? OUTCOME_MORE
                   : arena_failed(evaluation);
    bool equal;
    lethe_result result = metered_equal(&evaluation->meter, sink->wanted, element, &equal);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, step->place, result);
    return equal ? OUTCOME_STOP : OUTCOME_MORE;
}

NOT_INLINED static enum outcome set_value(struct evaluation *evaluation,
                                          const struct plan_rules *rules, const struct value **out)
{
    struct set_sink sink = {.base.sink = {yield_element}};
    struct index_rules to_try = rules_to_try(evaluation, rules, NULL);
    const struct plan_rule *rule;
    while ((rule = index_next(&to_try)) != NULL)
        if (run_chain(evaluation, rule, NULL, &sink.base) == OUTCOME_FAILED)
            return OUTCOME_FAILED;
    *out = value_set(evaluation->arena, &sink.list);
    return *out == NULL ? arena_failed(evaluation) : OUTCOME_NEXT;
}

static enum outcome set_has(struct evaluation *evaluation, struct index_rules to_try,
                            const struct value *key)
{
    struct set_sink sink = {.base.sink = {yield_element}, .wanted = key};
    const struct plan_rule *rule;
    while ((rule = index_next(&to_try)) != NULL) {
        enum outcome outcome = run_chain(evaluation, rule, NULL, &sink.base);
        if (outcome != OUTCOME_MORE)
            return outcome == OUTCOME_STOP ? OUTCOME_NEXT : outcome;
    }
    return OUTCOME_MORE;
}

/* ---- objects ---- */

/* What is collected of a tree of rules: of which at its top, where in it, and all or one key only.
 */
struct collection {
    struct rule_sink base;
    struct object_entries entries;
    struct index_rules to_try;
    const struct value *wanted; /* NULL: every key; else only what begins with it */
    const struct value *const *prefix;
    size_t prefix_length;
};

static enum outcome collect(struct evaluation *evaluation, struct collection *collection,
                            const struct object_entry *entry)
{
    bool equal = true;
    if (collection->wanted != NULL) {
        lethe_result result =
            metered_equal(&evaluation->meter, collection->wanted, entry->path[0], &equal);
        if (result != LETHE_OK)
            return evaluation_exhausted(evaluation, nowhere, result);
    }
    if (equal && !object_entries_append(evaluation->arena, &collection->entries, entry))
        return arena_failed(evaluation);
    return OUTCOME_MORE;
}

static enum outcome yield_entry(struct run *run, const struct step *step)
{
    struct collection *collection = (struct collection *)run->sink;
    struct evaluation *evaluation = run->evaluation;
    size_t suffix = step->operand_count - 1;
    size_t length = collection->prefix_length + suffix;
    const struct value **path = arena_alloc(evaluation->arena, length * sizeof *path);
    if (path == NULL)
        return arena_failed(evaluation);
    for (size_t i = 0; i < collection->prefix_length; i++)
        path[i] = collection->prefix[i];
    for (size_t i = 0; i < suffix; i++)
        path[collection->prefix_length + i] = operand_value(run, &step->operands[i]);
    collection->base.held = true;
    struct object_entry entry = {.path = path,
                                 .length = length,
                                 .value = operand_value(run, &step->operands[suffix]),
                                 .rule = collection->base.rule};
    return collect(evaluation, collection, &entry);
}

static enum outcome collect_rules(struct evaluation *evaluation, struct index_rules to_try,
                                  struct collection *collection)
{
    const struct plan_rule *rule;
    while ((rule = index_next(&to_try)) != NULL)
        if (run_chain(evaluation, rule, NULL, &collection->base) == OUTCOME_FAILED)
            return OUTCOME_FAILED;
    return OUTCOME_MORE;
}

static bool is_complete(const struct plan_rules *rules)
{
    return rules->kind == RULE_COMPLETE && rules->suffix_max == 0;
}

static enum outcome collect_complete(struct evaluation *evaluation, const struct plan_node *node,
                                     struct collection *collection)
{
    struct object_entry entry = {.path = collection->prefix, .length = collection->prefix_length};
    enum outcome outcome = evaluate_document(evaluation, node, &entry.value);
    return outcome == OUTCOME_NEXT ? collect(evaluation, collection, &entry) : outcome;
}

static enum outcome collect_below(struct evaluation *evaluation, const struct plan_node *node,
                                  struct collection *collection);

static enum outcome collect_document(struct evaluation *evaluation, const struct plan_node *node,
                                     struct collection *collection)
{
    if (!node_is_document(node))
        return OUTCOME_MORE;
    if (is_complete(node->rules))
        return collect_complete(evaluation, node, collection);
    return collect_rules(evaluation, rules_to_try(evaluation, node->rules, NULL), collection);
}

static enum outcome collect_child(struct evaluation *evaluation, const struct plan_node *child,
                                  struct collection *collection)
{
    if (node_visible(evaluation, child) == NULL)
        return OUTCOME_MORE;
    const struct value *const *prefix = collection->prefix;
    size_t length = collection->prefix_length;
    const struct value **longer = arena_alloc(evaluation->arena, (length + 1) * sizeof *longer);
    if (longer == NULL)
        return arena_failed(evaluation);
    for (size_t i = 0; i < length; i++)
        longer[i] = prefix[i];
    longer[length] = child->key;
    collection->prefix = longer;
    collection->prefix_length = length + 1;
    enum outcome outcome = collect_document(evaluation, child, collection);
    if (outcome == OUTCOME_MORE)
        outcome = collect_below(evaluation, child, collection);
    collection->prefix = prefix;
    collection->prefix_length = length;
    return outcome;
}

static enum outcome collect_children(struct evaluation *evaluation, const struct plan_node *node,
                                     struct collection *collection)
{
    enum outcome outcome = OUTCOME_MORE;
    for (size_t i = 0; i < node->child_count && outcome == OUTCOME_MORE; i++)
        outcome = collect_child(evaluation, node->children[i], collection);
    return outcome;
}

static enum outcome collect_below(struct evaluation *evaluation, const struct plan_node *node,
                                  struct collection *collection)
{
    bool one = collection->wanted != NULL && collection->prefix_length == 0;
    if (!evaluation_enter(evaluation, nowhere))
        return OUTCOME_FAILED;
    enum outcome outcome =
        one ? collect_child(evaluation, plan_child(node, collection->wanted), collection)
            : collect_children(evaluation, node, collection);
    evaluation_leave(evaluation);
    return outcome;
}

/* NEXT, FAILED, or MORE: *conflict tells of two values for one place. Not inlined: documents of
 * other kinds need none of the stack that it takes. */
NOT_INLINED static enum outcome object_value(struct evaluation *evaluation,
                                             const struct plan_node *node,
                                             struct collection *collection,
                                             const struct value **out,
                                             const struct object_entry **conflict)
{
    collection->base.sink.yield = yield_entry;
    if (collect_rules(evaluation, collection->to_try, collection) == OUTCOME_FAILED ||
        collect_below(evaluation, node, collection) == OUTCOME_FAILED)
        return OUTCOME_FAILED;
    return object_make(evaluation, &collection->entries, out, conflict);
}

static enum outcome key_conflict(struct evaluation *evaluation, const struct object_entry *conflict)
{
    return evaluation_conflict(evaluation,
                               conflict->rule == NULL ? nowhere : rule_place(conflict->rule),
                               "object keys must be unique");
}

/* ---- documents ---- */

/* MORE: undefined, or with *conflict. */
static enum outcome compute(struct evaluation *evaluation, const struct plan_node *node,
                            const struct value **out, const struct object_entry **conflict)
{
    const struct plan_rules *rules = node->rules;
    *out = NULL;
    *conflict = NULL;
    if (is_complete(rules))
        return complete_value(evaluation, rules, NULL, out);
    if (rules->kind == RULE_SET)
        return set_value(evaluation, rules, out);
    struct collection all = {.to_try = rules_to_try(evaluation, rules, NULL)};
    return object_value(evaluation, node, &all, out, conflict);
}

/* *conflict is set, and nothing has failed, where one key has two values. */
static enum outcome whole(struct evaluation *evaluation, const struct plan_node *node,
                          const struct value **out, const struct object_entry **conflict)
{
    struct memory *memory = &evaluation->scope->documents;
    *out = NULL;
    *conflict = NULL;
    struct memory_key key = memory_key_make(node->rules, NULL, 0);
    const struct memory_entry *known;
    lethe_result result = memory_find(memory, &key, &evaluation->meter, &known);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, nowhere, result);
    if (known != NULL) {
        *out = known->value;
        *conflict = known->conflict;
        return *out == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
    }
    enum outcome outcome = compute(evaluation, node, out, conflict);
    if (outcome != OUTCOME_FAILED && !memory_keep(memory, evaluation->arena, &key, *out, *conflict))
        return arena_failed(evaluation);
    return outcome;
}

enum outcome evaluate_document(struct evaluation *evaluation, const struct plan_node *node,
                               const struct value **out)
{
    const struct object_entry *conflict;
    enum outcome outcome = whole(evaluation, node, out, &conflict);
    return outcome == OUTCOME_MORE && conflict != NULL ? key_conflict(evaluation, conflict)
                                                       : outcome;
}

/* ---- one key of a document ---- */

static enum outcome part(struct evaluation *evaluation, const struct plan_node *node,
                         struct index_rules to_try, const struct value *key,
                         const struct value **out)
{
    if (node->rules->kind == RULE_SET) {
        *out = key;
        return set_has(evaluation, to_try, key);
    }
    const struct object_entry *conflict = NULL;
    const struct value *object = NULL;
    struct collection one = {.to_try = to_try, .wanted = key};
    enum outcome outcome = object_value(evaluation, node, &one, &object, &conflict);
    if (conflict != NULL)
        return key_conflict(evaluation, conflict);
    if (outcome != OUTCOME_NEXT)
        return outcome;
    *out = value_get(object, key);
    return *out == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
}

NOT_INLINED static enum outcome remembered_part(struct evaluation *evaluation,
                                                const struct plan_node *node,
                                                struct index_rules to_try, const struct value *key,
                                                const struct value **out)
{
    struct memory *memory = &evaluation->scope->calls;
    struct memory_key asked = memory_key_make(node->rules, &key, 1);
    const struct memory_entry *known;
    lethe_result result = memory_find(memory, &asked, &evaluation->meter, &known);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, nowhere, result);
    if (known != NULL) {
        *out = known->value;
        return *out == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
    }
    enum outcome outcome = part(evaluation, node, to_try, key, out);
    if (outcome != OUTCOME_NEXT)
        *out = NULL;
    if (outcome != OUTCOME_FAILED && !memory_keep(memory, evaluation->arena, &asked, *out, NULL))
        return arena_failed(evaluation);
    return outcome;
}

/* Worth it when the index leaves out half of the rules: otherwise all is made once and remembered.
 */
static bool is_worth_it(const struct plan_rules *rules, const struct index_rules *to_try)
{
    return 2 * index_rules_left(to_try) <= rules->count;
}

enum outcome evaluate_document_at(struct evaluation *evaluation, const struct plan_node *node,
                                  const struct value *key, const struct value **out)
{
    const struct plan_rules *rules = node->rules;
    const struct value *document;
    const struct object_entry *conflict = NULL;
    if (rules->index != NULL && index_knows_keys(rules->index)) {
        struct index_rules to_try = index_find_key(rules->index, rules, key);
        if (is_worth_it(rules, &to_try))
            return remembered_part(evaluation, node, to_try, key, out);
    }
    enum outcome outcome = whole(evaluation, node, &document, &conflict);
    if (conflict != NULL && outcome == OUTCOME_MORE)
        return remembered_part(evaluation, node, rules_to_try(evaluation, rules, NULL), key, out);
    if (outcome != OUTCOME_NEXT)
        return outcome;
    *out = value_get(document, key);
    return *out == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
}
