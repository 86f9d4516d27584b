#include "check.h"

#include <stdlib.h>

#include "failing_memory.h"
#include "random_value.h"

FAILS(malloc)

#define ARENA CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20}
#define BUFFER(name) CLEANUP(buffer_clear) struct buffer name = {0}

static const struct value *term(struct arena *arena, const char *json)
{
    const struct value *value = NULL;
    assert_result(LETHE_OK, value_parse_json(arena, json, strlen(json), &value, NULL));
    return value;
}

static void assert_term(const struct value *value, const char *expected)
{
    BUFFER(text);
    assert_non_null(value);
    value_print_term(value, &text);
    assert_string_equal(text.bytes, expected);
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

/* ---- order ---- */

static void values_of_different_kinds_have_a_fixed_order(void **state)
{
    ARENA;
    const struct value *const ascending[] = {
        &value_null,
        &value_false,
        &value_true,
        term(&arena, "-1.5"),
        term(&arena, "-1"),
        term(&arena, "0"),
        term(&arena, "1e30"),
        &value_empty_string,
        term(&arena, "\"a\""),
        term(&arena, "\"a\\u0000\""),
        term(&arena, "\"ab\""),
        term(&arena, "\"b\""),
        term(&arena, "\"\xc3\xa9\""),
        &value_empty_array,
        term(&arena, "[1]"),
        term(&arena, "[1,0]"),
        term(&arena, "[2]"),
        &value_empty_object,
        term(&arena, "{\"a\":1}"),
        term(&arena, "{\"a\":1,\"b\":0}"),
        term(&arena, "{\"a\":2}"),
        term(&arena, "{\"b\":0}"),
        &value_empty_set,
    };
    for (size_t i = 0; i < ARRAY_LEN(ascending); i++)
        for (size_t j = 0; j < ARRAY_LEN(ascending); j++)
            assert_int_equal(sign(value_compare(ascending[i], ascending[j])), (i > j) - (i < j));
}

static void any_values_are_in_one_order(void **state)
{
    chance_seed_by_time();
    ARENA;
    const struct random_value_options options = {.arena = &arena};
    const struct value *all[80];
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = random_value(&options, 3);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t j = 0; j < ARRAY_LEN(all); j++) {
            int order = sign(value_compare(all[i], all[j]));
            assert_int_equal(order, -sign(value_compare(all[j], all[i])));
            for (size_t k = 0; k < ARRAY_LEN(all); k++)
                if (order <= 0 && value_compare(all[j], all[k]) <= 0)
                    assert_true(value_compare(all[i], all[k]) <= 0);
        }
}

/* ---- sets and objects ---- */

static void shuffle(const struct value **items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t with = chance(i);
        const struct value *moved = items[i - 1];
        items[i - 1] = items[with];
        items[with] = moved;
    }
}

static const struct value *set_of(struct arena *arena, const struct value *const *items,
                                  size_t count)
{
    struct value_list list = {0};
    for (size_t i = 0; i < count; i++)
        assert_true(value_list_append(arena, &list, items[i]));
    const struct value *set = value_set(arena, &list);
    assert_null(list.items);
    return set;
}

static const struct value *object_of(struct arena *arena, const struct value *const *keys,
                                     size_t count)
{
    struct value_pairs pairs = {0};
    for (size_t i = 0; i < count; i++)
        assert_true(value_pairs_append(arena, &pairs, keys[i], keys[i]));
    const struct value *conflict = NULL;
    const struct value *object = value_object(arena, &pairs, &conflict);
    assert_null(conflict);
    return object;
}

/* Sorted, each once, everything that was put in, and findable; the same whatever the order was. */
static void check_collections_of(size_t count)
{
    ARENA;
    const struct random_value_options options = {.arena = &arena};
    CLEANUP(memory_free) const struct value **items = calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = random_value(&options, 2);
    const struct value *set = set_of(&arena, items, count);
    const struct value *object = object_of(&arena, items, count);
    assert_int_equal(set->count, object->count);
    for (size_t i = 1; i < set->count; i++)
        assert_true(value_compare(set->items[i - 1], set->items[i]) < 0);
    for (size_t i = 0; i < set->count; i++)
        assert_ptr_equal(set->items[i], object->pairs[i].key);
    for (size_t i = 0; i < count; i++) {
        assert_true(value_equal(value_get(set, items[i]), items[i]));
        assert_true(value_equal(value_get(object, items[i]), items[i]));
    }
    shuffle(items, count);
    assert_int_equal(value_compare(set_of(&arena, items, count), set), 0);
    assert_int_equal(value_compare(object_of(&arena, items, count), object), 0);
}

static void the_order_of_what_comes_in_makes_no_difference(void **state)
{
    chance_seed_by_time();
    for (size_t count = 1; count < 300; count += 1 + count / 5)
        check_collections_of(count);
}

/* With a square of it, this takes longer than a test may. */
static void sorting_takes_n_log_n_whatever_the_order(void **state)
{
    enum { COUNT = 500000 };
    for (unsigned shape = 0; shape < 3; shape++) {
        CLEANUP(arena_clear) struct arena arena = {0};
        struct value_list list = {0};
        for (int64_t i = 0; i < COUNT; i++) {
            int64_t organ_pipe = i < COUNT / 2 ? i : COUNT - i;
            int64_t number = shape == 0 ? i % 1000 : shape == 1 ? -i : organ_pipe;
            value_list_append(&arena, &list, value_small(&arena, number));
        }
        static const uint32_t different[] = {1000, COUNT, COUNT / 2 + 1};
        assert_int_equal(value_set(&arena, &list)->count, different[shape]);
    }
}

static void two_values_for_one_key_are_a_conflict_and_the_later_stays(void **state)
{
    ARENA;
    struct value_pairs pairs = {0}, same = {0};
    const struct value *conflict = NULL;
    static const char *const keys[] = {"b", "a", "b", "a", "b"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        value_pairs_append(&arena, &pairs, value_text(&arena, keys[i]),
                           value_small(&arena, i == 3 ? 1 : (int64_t)i));
        value_pairs_append(&arena, &same, value_text(&arena, keys[i]), &value_true);
    }
    assert_term(value_object(&arena, &same, &conflict), "{\"a\": true, \"b\": true}");
    assert_null(conflict);
    assert_term(value_object(&arena, &pairs, &conflict), "{\"a\": 1, \"b\": 4}");
    assert_term(conflict, "\"b\"");
}

/* ---- looking up ---- */

static void lookups_find_what_is_there_and_nothing_else(void **state)
{
    ARENA;
    const struct value *array = term(&arena, "[\"x\",\"y\"]");
    const struct value *object = term(&arena, "{\"a\":1,\"ab\":2,\"\":3,\"b\\u0000\":4}");
    assert_term(value_get(array, term(&arena, "1")), "\"y\"");
    assert_term(value_get(array, term(&arena, "1.0")), "\"y\"");
    static const char *const no_index[] = {"2", "-1", "0.5", "1e30", "\"0\"", "null", "[0]"};
    for (size_t i = 0; i < ARRAY_LEN(no_index); i++)
        assert_null(value_get(array, term(&arena, no_index[i])));
    assert_term(value_get_text(object, "ab"), "2");
    assert_term(value_get_text(object, ""), "3");
    assert_null(value_get_text(object, "b"));
    assert_null(value_get_text(object, "abc"));
    assert_null(value_get_text(array, "x"));
    assert_null(value_get(term(&arena, "\"abc\""), term(&arena, "0")));
    assert_null(value_get(&value_null, &value_null));
    assert_null(value_get(&value_empty_set, &value_null));
    assert_true(value_is_text(term(&arena, "\"ab\""), "ab"));
    assert_false(value_is_text(term(&arena, "\"ab\""), "a"));
    assert_false(value_is_text(term(&arena, "\"a\\u0000\""), "a"));
    assert_false(value_is_text(&value_null, "null"));
}

static void an_object_is_changed_by_making_another(void **state)
{
    ARENA;
    const struct value *object = term(&arena, "{\"a\":1,\"c\":3}");
    const struct value *b = term(&arena, "\"b\""), *c = term(&arena, "\"c\"");
    assert_term(value_with(&arena, object, b, &value_null), "{\"a\": 1, \"b\": null, \"c\": 3}");
    assert_term(value_with(&arena, object, c, &value_null), "{\"a\": 1, \"c\": null}");
    assert_term(value_with(&arena, object, &value_null, b), "{null: \"b\", \"a\": 1, \"c\": 3}");
    assert_term(value_with(&arena, &value_empty_object, c, b), "{\"c\": \"b\"}");
    assert_term(value_without(&arena, object, c), "{\"a\": 1}");
    assert_term(value_without(&arena, term(&arena, "{\"c\":1}"), c), "{}");
    assert_ptr_equal(value_without(&arena, object, b), object);
    assert_term(object, "{\"a\": 1, \"c\": 3}");
}

/* ---- what cannot be made ---- */

static void a_chain_of_constructors_gives_null_when_a_part_is_missing(void **state)
{
    ARENA;
    struct value_list list = {0};
    struct value_pairs pairs = {0};
    assert_false(value_list_append(&arena, &list, NULL));
    assert_false(value_pairs_append(&arena, &pairs, NULL, &value_null));
    assert_false(value_pairs_append(&arena, &pairs, &value_null, NULL));
    assert_null(value_with(&arena, NULL, &value_null, &value_null));
    assert_null(value_with(&arena, &value_empty_object, &value_null, NULL));
    assert_null(value_without(&arena, &value_empty_object, NULL));
}

static void a_string_that_is_not_utf8_is_never_made(void **state)
{
    static const char *const texts[] = {
        "\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ARENA;
        assert_null(value_text(&arena, texts[i]));
        assert_result(LETHE_MALFORMED, arena_result(&arena, NULL));
    }
}

static void a_buffer_that_failed_fails_the_arena(void **state)
{
    ARENA;
    struct buffer failed = {.failure = LETHE_NO_MEMORY}, empty = {0};
    assert_term(value_buffer(&arena, &empty), "\"\"");
    assert_null(value_buffer(&arena, &failed));
    assert_result(LETHE_NO_MEMORY, arena.failure);
}

static const struct value *around(struct arena *arena, unsigned kind, const struct value *inner)
{
    struct value_list list = {0};
    switch (kind) {
    case 0:
        return value_list_append(arena, &list, inner) ? value_array(arena, &list) : NULL;
    case 1:
        return value_list_append(arena, &list, inner) ? value_set(arena, &list) : NULL;
    case 2:
        return value_with(arena, &value_empty_object, &value_null, inner);
    default:
        return value_with(arena, &value_empty_object, inner, &value_null);
    }
}

static void nothing_is_nested_deeper_than_the_limit(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        ARENA;
        const struct value *value = &value_null;
        for (unsigned depth = 0; depth < VALUE_DEPTH_MAX; depth++)
            value = around(&arena, kind, value);
        assert_non_null(value);
        assert_int_equal(value->depth, VALUE_DEPTH_MAX);
        assert_null(around(&arena, kind, value));
        assert_result(LETHE_LIMIT, arena.failure);
    }
}

static void what_holds_itself_again_and_again_has_a_limit(void **state)
{
    ARENA;
    const struct value *value = value_text(&arena, "x");
    unsigned doublings = 0;
    for (; value != NULL; doublings++) {
        struct value_list twice = {0};
        value_list_append(&arena, &twice, value);
        value_list_append(&arena, &twice, value);
        value = value_array(&arena, &twice);
        assert_true(value == NULL || value_weight(value) == (4u << doublings) - 1);
    }
    assert_int_equal(doublings, 28);
    assert_result(LETHE_LIMIT, arena.failure);
}

static void the_weight_counts_every_value_and_long_texts_for_more(void **state)
{
    ARENA;
    char text[1000];
    memset(text, 'x', sizeof text);
    assert_int_equal(value_weight(term(&arena, "[1,{\"a\":[],\"b\":null},true]")), 8);
    assert_int_equal(value_weight(value_string(&arena, text, 1000)), 1 + 1000 / 64);
    assert_int_equal(value_weight(&value_empty_set), 1);
}

/* ---- memory ---- */

static const struct value *make_some(struct arena *arena)
{
    chance_state = 7;
    struct value_list list = {0};
    const struct random_value_options options = {.arena = arena};
    for (size_t i = 0; i < 200; i++)
        value_list_append(arena, &list, random_value(&options, 3));
    return value_set(arena, &list);
}

static void memory_that_is_missing_anywhere_gives_null_and_a_reason(void **state)
{
    unsigned failed = 0;
    for (unsigned nth = 1;; nth++) {
        struct arena arena = {0};
        calls_left = nth;
        has_failed = false;
        const struct value *made = make_some(&arena);
        calls_left = 0;
        if (!has_failed) {
            assert_non_null(made);
            arena_clear(&arena);
            break;
        }
        failed++;
        assert_null(made);
        assert_result(LETHE_NO_MEMORY, arena_result(&arena, NULL));
        arena_clear(&arena);
    }
    assert_true(failed > 3);
}

static void a_limit_that_is_met_anywhere_gives_null_and_a_reason(void **state)
{
    struct arena measured = {0};
    assert_non_null(make_some(&measured));
    size_t needed = measured.used_bytes;
    for (size_t limit = 8; limit < needed; limit += 40) {
        struct arena arena = {.limit_bytes = limit};
        assert_null(make_some(&arena));
        assert_result(LETHE_LIMIT, arena_result(&arena, NULL));
        arena_clear(&arena);
    }
    struct arena enough = {.limit_bytes = needed};
    assert_int_equal(value_compare(make_some(&enough), make_some(&measured)), 0);
    arena_clear(&enough);
    arena_clear(&measured);
}

static void kinds_have_names(void **state)
{
    assert_string_equal(value_kind_name(VALUE_NULL), "null");
    assert_string_equal(value_kind_name(VALUE_BOOLEAN), "boolean");
    assert_string_equal(value_kind_name(VALUE_SET), "set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_different_kinds_have_a_fixed_order),
        cmocka_unit_test(any_values_are_in_one_order),
        cmocka_unit_test(the_order_of_what_comes_in_makes_no_difference),
        cmocka_unit_test(sorting_takes_n_log_n_whatever_the_order),
        cmocka_unit_test(two_values_for_one_key_are_a_conflict_and_the_later_stays),
        cmocka_unit_test(lookups_find_what_is_there_and_nothing_else),
        cmocka_unit_test(an_object_is_changed_by_making_another),
        cmocka_unit_test(a_chain_of_constructors_gives_null_when_a_part_is_missing),
        cmocka_unit_test(a_string_that_is_not_utf8_is_never_made),
        cmocka_unit_test(a_buffer_that_failed_fails_the_arena),
        cmocka_unit_test(nothing_is_nested_deeper_than_the_limit),
        cmocka_unit_test(what_holds_itself_again_and_again_has_a_limit),
        cmocka_unit_test(the_weight_counts_every_value_and_long_texts_for_more),
        cmocka_unit_test(memory_that_is_missing_anywhere_gives_null_and_a_reason),
        cmocka_unit_test(a_limit_that_is_met_anywhere_gives_null_and_a_reason),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
