#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller plain;

static void operands_are_an_object_and_a_collection(void **state)
{
    static const struct builtin_example examples[] = {
        {"graph.reachable", "[1, [1]]",
         "eval_type_error: graph.reachable: operand 1 must be object but got number"},
        {"graph.reachable", "[{}, \"a\"]",
         "eval_type_error: graph.reachable: operand 2 must be {array, set} but got string"},
        {"graph.reachable_paths", "[[], [1]]",
         "eval_type_error: graph.reachable_paths: operand 1 must be object but got array"},
        {"graph.reachable_paths", "[{}, {}]",
         "eval_type_error: graph.reachable_paths: operand 2 must be {array, set} but got object"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void what_is_not_in_the_graph_is_not_reached(void **state)
{
    static const struct builtin_example examples[] = {
        {"graph.reachable", "[{}, [\"a\"]]", "set()"},
        {"graph.reachable", "[{\"a\": [\"b\"]}, [\"b\"]]", "set()"},
        {"graph.reachable", "[{\"a\": [\"b\"]}, [\"a\"]]", "{\"a\"}"},
        {"graph.reachable", "[{\"a\": []}, []]", "set()"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void neighbours_are_elements_of_arrays_and_sets(void **state)
{
    static const struct builtin_example examples[] = {
        {"graph.reachable",
         "[{\"a\": {\"$set\": [\"b\", \"c\"]}, \"b\": [\"d\"], \"c\": [\"d\"], \"d\": [],"
         " \"e\": [\"a\"]}, {\"$set\": [\"a\"]}]",
         "{\"a\", \"b\", \"c\", \"d\"}"},
        {"graph.reachable", "[{\"a\": null, \"b\": \"a\"}, [\"a\", \"b\"]]", "{\"a\", \"b\"}"},
        {"graph.reachable", "[{\"a\": [\"b\"], \"b\": [\"c\"], \"c\": [\"a\"]}, [\"a\"]]",
         "{\"a\", \"b\", \"c\"}"},
        {"graph.reachable", "[{\"$object\": [[1, [[2]]], [[2], [true]], [true, [1]]]}, [1]]",
         "{true, 1, [2]}"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void a_path_ends_where_nothing_new_follows(void **state)
{
    static const struct builtin_example examples[] = {
        {"graph.reachable_paths", "[{}, [\"a\"]]", "set()"},
        {"graph.reachable_paths", "[{\"a\": []}, [\"a\"]]", "{[\"a\"]}"},
        {"graph.reachable_paths", "[{\"a\": null}, [\"a\"]]", "{[\"a\"]}"},
        {"graph.reachable_paths", "[{\"a\": [\"b\"], \"b\": [\"c\"], \"c\": [\"a\"]}, [\"a\"]]",
         "{[\"a\", \"b\", \"c\"]}"},
        {"graph.reachable_paths", "[{\"a\": [\"b\", \"c\"], \"b\": [\"c\"], \"c\": []}, [\"a\"]]",
         "{[\"a\", \"b\", \"c\"], [\"a\", \"c\"]}"},
        {"graph.reachable_paths", "[{\"a\": [\"b\"], \"b\": [\"nowhere\"]}, [\"a\", \"b\"]]",
         "{[\"a\", \"b\"], [\"b\"]}"},
        {"graph.reachable_paths", "[{\"a\": [\"a\"]}, [\"a\"]]", "{[\"a\", \"a\"]}"},
        {"graph.reachable_paths", "[{\"a\": [\"b\"], \"b\": [\"b\", \"a\"]}, [\"a\"]]",
         "{[\"a\", \"b\"]}"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* {"0": ["1", ..., "n-1"], ...}: everybody knows everybody. */
static void complete_graph(unsigned vertices, struct buffer *operands)
{
    buffer_text(operands, "[{");
    for (unsigned from = 0; from < vertices; from++) {
        buffer_format(operands, "%s\"%u\": [", from > 0 ? ", " : "", from);
        for (unsigned to = 0; to < vertices; to++)
            buffer_format(operands, "%s\"%u\"", to > 0 ? ", " : "", to);
        buffer_text(operands, "]");
    }
    buffer_text(operands, "}, [\"0\"]]");
}

static void paths_without_end_meet_a_limit(void **state)
{
    static const struct builtin_caller rich = {.steps = (uint64_t)1 << 40,
                                               .memory_bytes = 16 << 20};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer steps_out = {0};
    CLEANUP(buffer_clear) struct buffer memory_out = {0};
    complete_graph(30, &operands);
    builtin_call_text(&plain, "graph.reachable_paths", operands.bytes, &steps_out);
    assert_string_equal(steps_out.bytes, "limit");
    builtin_call_text(&rich, "graph.reachable_paths", operands.bytes, &memory_out);
    assert_string_equal(memory_out.bytes, "limit");
}

/* Each edge is looked at once. */
static void reaching_costs_as_many_steps_as_there_are_edges(void **state)
{
    static const struct builtin_caller enough = {.steps = 100 * 100 * 10};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    complete_graph(100, &operands);
    builtin_call_text(&enough, "graph.reachable", operands.bytes, &out);
    assert_string_not_equal(out.bytes, "limit");
}

/* A long way is not deep: it is a list, and not a stack of calls. */
static void a_long_chain_is_one_path(void **state)
{
    static const struct builtin_caller rich = {.steps = (uint64_t)1 << 40};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&operands, "[{");
    for (unsigned i = 0; i < 20000; i++)
        buffer_format(&operands, "\"%u\": [\"%u\"], ", i, i + 1);
    buffer_text(&operands, "\"20000\": []}, [\"0\"]]");
    builtin_call_text(&rich, "graph.reachable_paths", operands.bytes, &out);
    assert_memory_equal(out.bytes, "{[\"0\", \"1\", ", 12);
    assert_non_null(strstr(out.bytes, "\"19999\", \"20000\"]}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_are_an_object_and_a_collection),
        cmocka_unit_test(what_is_not_in_the_graph_is_not_reached),
        cmocka_unit_test(neighbours_are_elements_of_arrays_and_sets),
        cmocka_unit_test(a_path_ends_where_nothing_new_follows),
        cmocka_unit_test(paths_without_end_meet_a_limit),
        cmocka_unit_test(reaching_costs_as_many_steps_as_there_are_edges),
        cmocka_unit_test(a_long_chain_is_one_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
