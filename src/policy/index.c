#include "policy/index.h"

#include <stdlib.h>

/* So few rules are as soon tried as looked up. */
#define INDEX_RULES_MIN 4
/* What is looked at when a policy is prepared: steps of a rule, what a rule asks of how many
 * places, and how many such places are compared with each other. */
#define RULE_STEPS_MAX 64
#define RULE_QUESTIONS_MAX 8
#define SUBJECTS_MAX 32

/* Constants, sorted, with the rules of each; and the rules that have none. */
struct index_table {
    const struct value **constants;
    uint32_t *begin; /* the rules of constant i are own[begin[i]] .. own[begin[i + 1] - 1] */
    size_t constant_count;
    uint32_t *own, *any;
    size_t any_count;
};

struct plan_index {
    bool has_subject, has_keys;
    struct index_subject subject;
    struct index_table by_subject, by_key;
};

/* ---- what a rule asks ---- */

struct question {
    struct index_subject subject;
    const struct value *constant;
};

static bool gives(const struct step *step, uint32_t slot)
{
    const unsigned giving = 1u << STEP_ASSIGN | 1u << STEP_WALK | 1u << STEP_CALL |
                            1u << STEP_APPLY | 1u << STEP_ARRAY | 1u << STEP_SET |
                            1u << STEP_OBJECT | 1u << STEP_COLLECT | 1u << STEP_EVERY;
    return (giving >> step->kind & 1) != 0 && step->slot == slot;
}

/* The step before `end` that gives the slot. */
static const struct step *giver_of(const struct plan_rule *rule, const struct step *end,
                                   uint32_t slot)
{
    const struct step *step = rule->start;
    while (step != end && !gives(step, slot))
        step = step->next;
    return step == end ? NULL : step;
}

/* A walk into the input by constant keys alone: a path is made of them. */
static bool input_path(struct arena *arena, const struct step *step, struct index_subject *out)
{
    if (step->kind != STEP_WALK || step->walk.root != ROOT_INPUT)
        return false;
    uint32_t count = step->walk.element_count;
    const struct value **path = arena_alloc(arena, count * sizeof *path);
    if (path == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct walk_element *element = &step->walk.elements[i];
        if (element->binds || element->key.constant == NULL)
            return false;
        path[i] = element->key.constant;
    }
    *out = (struct index_subject){.path = path, .path_count = count};
    return true;
}

/* What the slot holds when step `at` runs: an argument, what is at a place of the input, or (false)
 * something else. */
static bool subject_of(struct arena *arena, const struct plan_rule *rule, const struct step *at,
                       uint32_t slot, struct index_subject *out)
{
    const struct step *giver = giver_of(rule, at, slot);
    while (giver != NULL && giver->kind == STEP_ASSIGN && giver->operands[0].constant == NULL) {
        slot = giver->operands[0].slot;
        giver = giver_of(rule, giver, slot);
    }
    if (giver != NULL)
        return input_path(arena, giver, out);
    *out = (struct index_subject){.is_argument = true, .argument = slot};
    return slot < rule->argument_count;
}

/* `x = constant` and `constant = x`. */
static bool question_of(struct arena *arena, const struct plan_rule *rule, const struct step *step,
                        struct question *out)
{
    if (step->kind != STEP_EQUAL)
        return false;
    size_t constant = step->operands[0].constant != NULL ? 0 : 1;
    const struct operand *other = &step->operands[1 - constant];
    out->constant = step->operands[constant].constant;
    return out->constant != NULL && other->constant == NULL &&
           subject_of(arena, rule, step, other->slot, &out->subject);
}

/* What must hold whatever else the rule does; not what it asks of another input. */
static size_t questions_of(struct arena *arena, const struct plan_rule *rule,
                           struct question questions[RULE_QUESTIONS_MAX])
{
    size_t count = 0;
    const struct step *step = rule->start;
    if (rule->else_rule != NULL)
        return 0;
    for (size_t i = 0; i < RULE_STEPS_MAX && count < RULE_QUESTIONS_MAX; i++) {
        if (step->kind == STEP_YIELD || step->kind == STEP_WITH || step->kind == STEP_WITHOUT)
            break;
        if (question_of(arena, rule, step, &questions[count]))
            count++;
        step = step->next;
    }
    return count;
}

/* ---- the subject that most rules ask about ---- */

static bool same_subject(const struct index_subject *a, const struct index_subject *b)
{
    if (a->is_argument != b->is_argument || a->argument != b->argument ||
        a->path_count != b->path_count)
        return false;
    for (size_t i = 0; i < a->path_count; i++)
        if (!value_equal(a->path[i], b->path[i]))
            return false;
    return true;
}

struct tally {
    struct index_subject subjects[SUBJECTS_MAX];
    size_t rules[SUBJECTS_MAX];
    size_t count;
};

static void tally_add(struct tally *tally, const struct index_subject *subject)
{
    size_t i = 0;
    while (i < tally->count && !same_subject(&tally->subjects[i], subject))
        i++;
    if (i == SUBJECTS_MAX)
        return;
    if (i == tally->count) {
        tally->subjects[tally->count++] = *subject;
        tally->rules[i] = 0;
    }
    tally->rules[i]++;
}

/* NULL: too few ask about any. */
static const struct index_subject *tally_best(const struct tally *tally)
{
    size_t best = 0;
    for (size_t i = 1; i < tally->count; i++)
        if (tally->rules[i] > tally->rules[best])
            best = i;
    return tally->count > 0 && tally->rules[best] >= INDEX_RULES_MIN ? &tally->subjects[best]
                                                                     : NULL;
}

/* ---- tables ---- */

struct table_row {
    const struct value *constant;
    uint32_t place;
};

static int compare_rows(const void *a, const void *b)
{
    const struct table_row *one = a, *other = b;
    int order = value_compare(one->constant, other->constant);
    return order != 0 ? order : (one->place > other->place) - (one->place < other->place);
}

static bool table_alloc(struct arena *arena, struct index_table *table, size_t rows, size_t any)
{
    table->constants = arena_alloc(arena, rows * sizeof *table->constants);
    table->begin = arena_alloc(arena, (rows + 1) * sizeof *table->begin);
    table->own = arena_alloc(arena, rows * sizeof *table->own);
    table->any = arena_alloc(arena, any * sizeof *table->any);
    return table->any != NULL;
}

static void table_fill(struct index_table *table, const struct table_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !value_equal(rows[i - 1].constant, rows[i].constant)) {
            table->constants[table->constant_count] = rows[i].constant;
            table->begin[table->constant_count++] = (uint32_t)i;
        }
        table->own[i] = rows[i].place;
    }
    table->begin[table->constant_count] = (uint32_t)count;
}

/* constants: of each rule, or NULL. false: the arena has failed. */
static bool table_make(struct arena *arena, const struct value *const *constants, size_t count,
                       struct index_table *out)
{
    size_t row_count = 0;
    struct table_row *rows = arena_alloc(arena, count * sizeof *rows);
    if (rows == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (constants[i] != NULL)
            rows[row_count++] = (struct table_row){constants[i], (uint32_t)i};
    if (!table_alloc(arena, out, row_count, count - row_count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (constants[i] == NULL)
            out->any[out->any_count++] = (uint32_t)i;
    if (row_count > 0)
        qsort(rows, row_count, sizeof *rows, compare_rows);
    table_fill(out, rows, row_count);
    return true;
}

/* ---- making an index ---- */

static bool index_by_subject(struct arena *arena, const struct plan_rules *rules,
                             const struct value **constants, struct plan_index *index)
{
    struct question questions[RULE_QUESTIONS_MAX];
    struct tally tally = {.count = 0};
    for (size_t i = 0; i < rules->count; i++) {
        size_t asked = questions_of(arena, rules->rules[i], questions);
        for (size_t q = 0; q < asked; q++)
            tally_add(&tally, &questions[q].subject);
    }
    const struct index_subject *best = tally_best(&tally);
    if (best == NULL)
        return true;
    for (size_t i = 0; i < rules->count; i++) {
        constants[i] = NULL;
        for (size_t q = questions_of(arena, rules->rules[i], questions); q > 0; q--)
            if (same_subject(&questions[q - 1].subject, best))
                constants[i] = questions[q - 1].constant;
    }
    index->has_subject = true;
    index->subject = *best;
    return table_make(arena, constants, rules->count, &index->by_subject);
}

/* The first of what it yields, when it is always the same. */
static const struct value *constant_key(const struct plan_rule *rule)
{
    const struct step *step = rule->start;
    while (step->kind != STEP_YIELD)
        step = step->kind == STEP_WITH ? step->with.start : step->next;
    return rule->else_rule == NULL ? step->operands[0].constant : NULL;
}

static bool index_by_key(struct arena *arena, const struct plan_rules *rules,
                         const struct value **constants, struct plan_index *index)
{
    size_t known = 0;
    if (rules->kind != RULE_SET && (rules->kind != RULE_COMPLETE || rules->suffix_max == 0))
        return true;
    for (size_t i = 0; i < rules->count; i++) {
        constants[i] = constant_key(rules->rules[i]);
        known += constants[i] != NULL;
    }
    index->has_keys = known >= INDEX_RULES_MIN;
    return !index->has_keys || table_make(arena, constants, rules->count, &index->by_key);
}

const struct plan_index *index_create(struct arena *arena, const struct plan_rules *rules)
{
    if (rules->count < INDEX_RULES_MIN || rules->count > UINT32_MAX)
        return NULL;
    struct plan_index *index = arena_zalloc(arena, 1, sizeof *index);
    const struct value **constants = arena_alloc(arena, rules->count * sizeof *constants);
    if (index == NULL || constants == NULL || !index_by_subject(arena, rules, constants, index) ||
        !index_by_key(arena, rules, constants, index))
        return NULL;
    return index->has_subject || index->has_keys ? index : NULL;
}

/* ---- looking ---- */

const struct index_subject *index_subject(const struct plan_index *index)
{
    return index->has_subject ? &index->subject : NULL;
}

bool index_knows_keys(const struct plan_index *index)
{
    return index->has_keys;
}

struct index_rules index_all(const struct plan_rules *rules)
{
    return (struct index_rules){.rules = rules->rules, .all_count = rules->count};
}

static struct index_rules find(const struct index_table *table, const struct plan_rules *rules,
                               const struct value *constant)
{
    struct index_rules found = {
        .rules = rules->rules, .any = table->any, .any_count = table->any_count};
    size_t low = 0;
    for (size_t high = constant == NULL ? 0 : table->constant_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = value_compare(constant, table->constants[middle]);
        if (order == 0) {
            found.own = table->own + table->begin[middle];
            found.own_count = table->begin[middle + 1] - table->begin[middle];
            break;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return found;
}

struct index_rules index_find(const struct plan_index *index, const struct plan_rules *rules,
                              const struct value *subject)
{
    return find(&index->by_subject, rules, subject);
}

struct index_rules index_find_key(const struct plan_index *index, const struct plan_rules *rules,
                                  const struct value *key)
{
    return find(&index->by_key, rules, key);
}

size_t index_rules_left(const struct index_rules *rules)
{
    return rules->own_count + rules->any_count + rules->all_count - rules->all_next;
}

const struct plan_rule *index_next(struct index_rules *rules)
{
    if (rules->all_next < rules->all_count)
        return rules->rules[rules->all_next++];
    bool own = rules->own_count > 0 && (rules->any_count == 0 || *rules->own < *rules->any);
    if (own) {
        rules->own_count--;
        return rules->rules[*rules->own++];
    }
    if (rules->any_count == 0)
        return NULL;
    rules->any_count--;
    return rules->rules[*rules->any++];
}
