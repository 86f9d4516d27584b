#include "check.h"

#include "base/utf8.h"
#include "policy/builtin.h"
#include "policy/meter.h"

#include "random_value.h"

#define TUPLES 2000
#define STEPS 20000
#define OPERANDS_BYTES ((size_t)16 << 20)
#define RESULT_BYTES ((size_t)8 << 20)
#define SEED 20261126

/* What one built-in or another takes for more than a text: patterns, layouts, amounts. */
static const char *const telling_texts[] = {
    "a*b+(c|d)?",
    "[a-",
    "(?P<x>\\d+)-{2,3}",
    "*.{com,org}",
    "<[0-9]+>",
    "%d %s %5.2f %v %%",
    "{\"a\": [1, {\"b\": null}]}",
    "a: [1, 2]",
    "YWJjZA==",
    "YWJjZA",
    "6162",
    "a=1&b=%20&b=2",
    "1.2.3-rc.1+build",
    "1.10.0",
    "10.0.0.0/8",
    "10.1.2.3/30",
    "10.1.2.3",
    "fe80::/10",
    "2006-01-02T15:04:05Z07:00",
    "2017-06-02T19:00:00.5-07:00",
    "Jan _2 06 03:04PM MST",
    "Europe/Zurich",
    "../UTC",
    "1h30m",
    "-1.5e3Ki",
    "06",
    "15:04",
    "12",
    "0x1f",
    "-7.50",
    "1e400",
    "000003e8-48b9-21ee-b200-325096b39f47",
    "a/b/~1",
    "sha256",
    "  trim\t",
    "\xc3\x89\xc3\xa9\xe1\xba\x9e",
};
static const char *const telling_numbers[] = {
    "0",
    "1",
    "-1",
    "2",
    "10",
    "1.5",
    "-0.001",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1582977600000000000",
    "1e30",
    "123456789012345678901234567890.5",
};
static const char *const telling_keys[] = {"op", "path", "value", "add", "replace", "/a"};

static const struct value *telling_value(struct arena *arena)
{
    struct number number;
    if (chance(2) == 0)
        return value_text(arena, telling_texts[chance(ARRAY_LEN(telling_texts))]);
    const char *text = telling_numbers[chance(ARRAY_LEN(telling_numbers))];
    assert_true(number_parse(arena, text, strlen(text), &number));
    return value_number(arena, &number);
}

static const struct value *telling_list(struct arena *arena)
{
    struct value_list list = {0};
    for (size_t i = chance(4); i > 0; i--)
        value_list_append(arena, &list, telling_value(arena));
    return chance(3) == 0 ? value_set(arena, &list) : value_array(arena, &list);
}

static const struct value *telling_object(struct arena *arena)
{
    struct value_pairs pairs = {0};
    for (size_t i = chance(4); i > 0; i--) {
        const char *key = telling_keys[chance(ARRAY_LEN(telling_keys))];
        value_pairs_append(arena, &pairs, value_text(arena, key),
                           chance(2) == 0 ? telling_value(arena) : telling_list(arena));
    }
    return value_object(arena, &pairs, NULL);
}

static const struct value *any_value(struct arena *arena)
{
    const struct random_value_options options = {.arena = arena};
    switch (chance(8)) {
    case 0:
    case 1:
        return telling_value(arena);
    case 2:
        return telling_list(arena);
    case 3:
        return telling_object(arena);
    default:
        return random_value(&options, (unsigned)chance(4));
    }
}

/* Mostly of a kind that is taken, so that more than the check of kinds is run. */
static const struct value *any_operand(struct arena *arena, unsigned kinds)
{
    const struct value *value = any_value(arena);
    bool other_kind = chance(8) == 0;
    for (int i = 0; i < 50 && !other_kind && kinds != KIND_ANY; i++) {
        if ((kinds & (1u << value->kind)) != 0)
            break;
        value = any_value(arena);
    }
    return value;
}

static const struct value *copied(struct arena *arena, const struct value *value)
{
    struct value_list list = {0};
    struct value_pairs pairs = {0};
    switch (value->kind) {
    case VALUE_STRING:
        return value_string(arena, value->string, value->count);
    case VALUE_NUMBER:
        return value_number(arena, &value->number);
    case VALUE_ARRAY:
    case VALUE_SET:
        for (uint32_t i = 0; i < value->count; i++)
            value_list_append(arena, &list, copied(arena, value->items[i]));
        return value->kind == VALUE_SET ? value_set(arena, &list) : value_array(arena, &list);
    case VALUE_OBJECT:
        for (uint32_t i = 0; i < value->count; i++)
            value_pairs_append(arena, &pairs, copied(arena, value->pairs[i].key),
                               copied(arena, value->pairs[i].value));
        return value_object(arena, &pairs, NULL);
    default:
        return value;
    }
}

/* ---- what holds of every value ---- */

static bool is_utf8(const char *text, size_t size_bytes)
{
    uint32_t character;
    size_t length;
    for (size_t at = 0; at < size_bytes; at += length)
        if ((length = utf8_decode(text + at, size_bytes - at, &character)) == 0)
            return false;
    return true;
}

/* It has the one form that its text has. */
static bool is_number_sound(const struct number *number)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct number again;
    number_print(number, &text);
    return number_parse(&arena, text.bytes, text.size_bytes, &again) &&
           again.form == number->form && number_compare(&again, number) == 0;
}

static bool is_sound(const struct value *value);

static bool are_items_sound(const struct value *value)
{
    unsigned depth = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        if (!is_sound(value->items[i]) ||
            (value->kind == VALUE_SET && i > 0 &&
             value_compare(value->items[i - 1], value->items[i]) >= 0))
            return false;
        depth = MAX(depth, value->items[i]->depth);
    }
    return value->depth == depth + 1;
}

static bool are_pairs_sound(const struct value *value)
{
    unsigned depth = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct value_pair *pair = &value->pairs[i];
        if (!is_sound(pair->key) || !is_sound(pair->value) ||
            (i > 0 && value_compare(pair[-1].key, pair->key) >= 0))
            return false;
        depth = MAX(depth, (unsigned)MAX(pair->key->depth, pair->value->depth));
    }
    return value->depth == depth + 1;
}

static bool is_sound(const struct value *value)
{
    switch (value->kind) {
    case VALUE_STRING:
        return value->depth == 0 && is_utf8(value->string, value->count) &&
               value->string[value->count] == '\0';
    case VALUE_NUMBER:
        return value->depth == 0 && is_number_sound(&value->number);
    case VALUE_ARRAY:
    case VALUE_SET:
        return are_items_sound(value);
    case VALUE_OBJECT:
        return are_pairs_sound(value);
    default:
        return value->depth == 0 && value->kind < VALUE_KIND_COUNT;
    }
}

/* ---- calls ---- */

struct outcome {
    struct arena arena;
    struct builtin_error error;
    lethe_result result;
    const struct value *value;
};
static inline void outcome_clear_at_scope_end(struct outcome *outcome)
{
    arena_clear(&outcome->arena);
}

static void call_builtin(const struct builtin *builtin, const void *prepared,
                         const struct value *const *operands, struct outcome *outcome)
{
    static const struct builtin_world world = {.now_ns = 1700000000000000000};
    struct builtin_meter meter = {
        .steps_left = STEPS, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_call call = {.builtin = builtin,
                                .prepared = prepared,
                                .arena = &outcome->arena,
                                .world = &world,
                                .meter = &meter,
                                .error = &outcome->error};
    *outcome = (struct outcome){.arena = {.limit_bytes = RESULT_BYTES}};
    outcome->result = builtin_invoke(&call, operands, &outcome->value);
}

static void fail_call(const struct builtin *builtin, const struct value *const *operands,
                      const char *what)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (unsigned i = 0; i < builtin->arity; i++) {
        buffer_text(&text, i == 0 ? "" : ", ");
        value_print_term(operands[i], &text);
    }
    fail_msg("%s(%s): %s", builtin->name, text.bytes == NULL ? "" : text.bytes, what);
}

static void check_outcome(const struct builtin *builtin, const struct value *const *operands,
                          const struct outcome *outcome)
{
    const char *text = outcome->error.text;
    size_t name_length = strlen(builtin->name);
    bool has_value = outcome->result == LETHE_OK && outcome->value != NULL;
    if (outcome->result == LETHE_INVALID &&
        (strncmp(text, builtin->name, name_length) != 0 ||
         strncmp(text + name_length, ": ", 2) != 0 || !is_utf8(text, strlen(text))))
        fail_call(builtin, operands, text);
    if (outcome->result != LETHE_OK && outcome->result != LETHE_INVALID &&
        outcome->result != LETHE_LIMIT)
        fail_call(builtin, operands, lethe_result_name(outcome->result));
    if (has_value && !is_sound(outcome->value))
        fail_call(builtin, operands, "the result is not as values are made");
    if (has_value && (builtin->flags & BUILTIN_RELATION) != 0 &&
        outcome->value->kind != VALUE_ARRAY)
        fail_call(builtin, operands, "a relation gives no array");
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    if (a->result != b->result || (a->value == NULL) != (b->value == NULL))
        return false;
    if (a->result == LETHE_INVALID)
        return a->error.code == b->error.code && strcmp(a->error.text, b->error.text) == 0;
    return a->value == NULL || value_equal(a->value, b->value);
}

/* With operands that are equal but not the same, and with what was prepared from the first. */
static void check_same_again(const struct builtin *builtin, struct arena *arena,
                             const struct value *const *operands, const struct outcome *outcome)
{
    const struct value *copies[BUILTIN_OPERANDS_MAX] = {NULL};
    CLEANUP(outcome_clear) struct outcome again = {0};
    for (unsigned i = 0; i < builtin->arity; i++)
        copies[i] = copied(arena, operands[i]);
    call_builtin(builtin, NULL, copies, &again);
    if (!same_outcome(outcome, &again))
        fail_call(builtin, operands, "equal operands give another result");
    struct builtin_preparation left = {PREPARATION_STEPS_MAX, PREPARATION_BYTES_MAX};
    void *prepared = builtin->prepare != NULL ? builtin->prepare(operands[0], &left) : NULL;
    if (prepared == NULL)
        return;
    CLEANUP(outcome_clear) struct outcome with_prepared = {0};
    call_builtin(builtin, prepared, operands, &with_prepared);
    builtin->release(prepared);
    if (with_prepared.result != LETHE_LIMIT && outcome->result != LETHE_LIMIT &&
        !same_outcome(outcome, &with_prepared))
        fail_call(builtin, operands, "what was prepared gives another result");
}

static void check_builtin(const struct builtin *builtin)
{
    size_t values = 0;
    for (size_t i = 0; i < (builtin->arity == 0 ? 1 : TUPLES); i++) {
        CLEANUP(arena_clear) struct arena arena = {.limit_bytes = OPERANDS_BYTES};
        CLEANUP(outcome_clear) struct outcome outcome = {0};
        const struct value *operands[BUILTIN_OPERANDS_MAX] = {NULL};
        for (unsigned n = 0; n < builtin->arity; n++)
            operands[n] = n > 0 && chance(3) == 0
                              ? operands[n - 1] /* the same twice is something of its own */
                              : any_operand(&arena, builtin->operand_kinds[n]);
        assert_result(LETHE_OK, arena_result(&arena, NULL));
        call_builtin(builtin, NULL, operands, &outcome);
        check_outcome(builtin, operands, &outcome);
        if ((builtin->flags & BUILTIN_VARIES) == 0)
            check_same_again(builtin, &arena, operands, &outcome);
        values += outcome.result == LETHE_OK && outcome.value != NULL;
    }
    if (values == 0)
        fail_msg("%s never gave a value: these operands tell nothing of it", builtin->name);
}

static void every_builtin_gives_a_sound_value_or_an_error_of_its_own(void **state)
{
    const struct builtin *builtin;
    chance_seed(SEED);
    for (size_t i = 0; (builtin = builtin_at(i)) != NULL; i++)
        check_builtin(builtin);
}

static void tables_are_complete(void **state)
{
    const struct builtin *builtin;
    for (size_t i = 0; (builtin = builtin_at(i)) != NULL; i++) {
        assert_true(builtin->arity <= BUILTIN_OPERANDS_MAX);
        assert_non_null(builtin->call);
        assert_true((builtin->prepare == NULL) == (builtin->release == NULL));
        if (builtin_find(builtin->name, strlen(builtin->name), true) != builtin)
            fail_msg("there are two built-ins %s", builtin->name);
        for (unsigned n = builtin->arity; n < BUILTIN_OPERANDS_MAX; n++)
            assert_int_equal(builtin->operand_kinds[n], KIND_ANY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_builtin_gives_a_sound_value_or_an_error_of_its_own),
        cmocka_unit_test(tables_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
