/* policy/builtin_graph.c -- graph.*: who can be reached in an object of neighbours
 *
 * A vertex is a key of the graph and stands for its number among the sorted keys. Its neighbours
 * are the elements of an array or a set; anything else has none. */
#include "policy/builtin.h"

#define NOT_A_VERTEX UINT32_MAX

static lethe_result check_start(struct builtin_call *call, const struct value *start)
{
    if (value_is(start, VALUE_ARRAY) || value_is(start, VALUE_SET))
        return LETHE_OK;
    return builtin_fail_operand(call, 2, "{array, set}", start);
}

static uint32_t neighbour_count(const struct value *neighbours)
{
    bool some = value_is(neighbours, VALUE_ARRAY) || value_is(neighbours, VALUE_SET);
    return some ? neighbours->count : 0;
}

/* A binary search; each comparison is a step. */
static lethe_result find_vertex(struct builtin_call *call, const struct value *graph,
                                const struct value *key, uint32_t *vertex)
{
    uint32_t low = 0, high = graph->count;
    *vertex = NOT_A_VERTEX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = value_compare(key, graph->pairs[middle].key);
        TRY(builtin_spend(call, 1));
        if (order == 0) {
            *vertex = middle;
            return LETHE_OK;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return LETHE_OK;
}

/* ---- reachable ---- */

struct reach {
    const struct value *graph;
    bool *reached;     /* by vertex */
    uint32_t *waiting; /* vertices that were reached: each once */
    size_t waiting_count;
};

static lethe_result reach_all(struct builtin_call *call, struct reach *reach,
                              const struct value *vertices)
{
    for (uint32_t i = 0; i < neighbour_count(vertices); i++) {
        uint32_t vertex;
        TRY(builtin_spend(call, 1));
        TRY(find_vertex(call, reach->graph, vertices->items[i], &vertex));
        if (vertex == NOT_A_VERTEX || reach->reached[vertex])
            continue;
        reach->reached[vertex] = true;
        reach->waiting[reach->waiting_count++] = vertex;
    }
    return LETHE_OK;
}

static lethe_result reachable(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    uint32_t count = operands[0]->count;
    struct value_list found = {0};
    TRY(check_start(call, operands[1]));
    TRY(builtin_spend(call, count));
    struct reach reach = {.graph = operands[0],
                          .reached = arena_zalloc(call->arena, count, sizeof(bool)),
                          .waiting = arena_zalloc(call->arena, count, sizeof(uint32_t))};
    if (reach.reached == NULL || reach.waiting == NULL)
        return builtin_value(call, NULL, out);
    TRY(reach_all(call, &reach, operands[1]));
    for (size_t i = 0; i < reach.waiting_count; i++) {
        const struct value_pair *pair = &reach.graph->pairs[reach.waiting[i]];
        if (!value_list_append(call->arena, &found, pair->key))
            return builtin_value(call, NULL, out);
        TRY(reach_all(call, &reach, pair->value));
    }
    return builtin_value(call, value_set(call->arena, &found), out);
}

/* ---- reachable_paths ---- */

/* The vertices of the way to here, and which neighbour of each is next. */
struct path_part {
    const struct value *key;
    const struct value *neighbours;
    uint32_t vertex;
    uint32_t next;
};
struct paths {
    const struct value *graph;
    struct path_part *parts;
    size_t count;
    uint8_t *passed; /* by vertex: how often it is on the way */
    struct value_list found;
};

/* The way to here is one result. */
static lethe_result take_path(struct builtin_call *call, struct paths *paths)
{
    struct value_list path = {0};
    TRY(builtin_spend(call, 1 + paths->count));
    for (size_t i = 0; i < paths->count; i++)
        if (!value_list_append(call->arena, &path, paths->parts[i].key))
            return arena_result(call->arena, NULL);
    if (!value_list_append(call->arena, &paths->found, value_array(call->arena, &path)))
        return arena_result(call->arena, NULL);
    return LETHE_OK;
}

/* To a vertex with neighbours; what has none ends the path. */
static lethe_result go_to(struct builtin_call *call, struct paths *paths, const struct value *key,
                          uint32_t vertex)
{
    const struct value *neighbours = paths->graph->pairs[vertex].value;
    paths->parts[paths->count++] =
        (struct path_part){.key = key, .neighbours = neighbours, .vertex = vertex};
    paths->passed[vertex]++;
    return neighbour_count(neighbours) == 0 ? take_path(call, paths) : LETHE_OK;
}

/* A way that leads out of the graph, or back to itself, ends before. That is not asked of the first
 * step: a vertex that is its own neighbour comes twice, as in OPA. */
static lethe_result try_neighbour(struct builtin_call *call, struct paths *paths,
                                  const struct value *key)
{
    uint32_t vertex;
    TRY(builtin_spend(call, 1));
    TRY(find_vertex(call, paths->graph, key, &vertex));
    bool back = vertex != NOT_A_VERTEX && paths->passed[vertex] > 0 && paths->count > 1;
    if (vertex == NOT_A_VERTEX || back)
        return take_path(call, paths);
    return go_to(call, paths, key, vertex);
}

static lethe_result paths_from(struct builtin_call *call, struct paths *paths,
                               const struct value *start)
{
    uint32_t vertex;
    TRY(builtin_spend(call, 1));
    TRY(find_vertex(call, paths->graph, start, &vertex));
    if (vertex != NOT_A_VERTEX)
        TRY(go_to(call, paths, start, vertex));
    while (paths->count > 0) {
        struct path_part *last = &paths->parts[paths->count - 1];
        if (last->next < neighbour_count(last->neighbours)) {
            TRY(try_neighbour(call, paths, last->neighbours->items[last->next++]));
            continue;
        }
        paths->passed[last->vertex]--;
        paths->count--;
    }
    return LETHE_OK;
}

static lethe_result reachable_paths(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    const struct value *graph = operands[0], *start = operands[1];
    size_t parts_max = (size_t)graph->count + 1; /* each vertex once, one twice */
    TRY(check_start(call, start));
    TRY(builtin_spend(call, graph->count));
    struct paths paths = {.graph = graph,
                          .parts = arena_zalloc(call->arena, parts_max, sizeof *paths.parts),
                          .passed = arena_zalloc(call->arena, graph->count, sizeof *paths.passed)};
    if (paths.parts == NULL || paths.passed == NULL)
        return builtin_value(call, NULL, out);
    for (uint32_t i = 0; i < start->count; i++)
        TRY(paths_from(call, &paths, start->items[i]));
    return builtin_value(call, value_set(call->arena, &paths.found), out);
}

#define GRAPH_AND_START .arity = 2, .operand_kinds = {KIND(OBJECT)}
static const struct builtin table[] = {
    {.name = "graph.reachable", GRAPH_AND_START, .call = reachable},
    {.name = "graph.reachable_paths", GRAPH_AND_START, .call = reachable_paths},
};
BUILTIN_FAMILY(graph, table);
