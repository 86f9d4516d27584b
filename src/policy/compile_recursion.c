#include "policy/compile_state.h"

#define CYCLE_RULES_NAMED_MAX 16

/* A graph of plan_rules and of nodes: rules need what they call and refer to; a node needs its own
 * rules and the nodes below it (a ref that ends at a node, or has a variable there, needs all of
 * it). It is searched depth first, without recursion, for a way back to where it came from. */

struct graph {
    struct compiler *c;
    size_t rules_count, vertex_count; /* rules first, then nodes */
    struct numbers *edges;            /* of each vertex */
    const struct plan_rules **rules;
};

static uint32_t vertex_of_node(const struct graph *graph, const struct plan_node *node)
{
    return (uint32_t)graph->rules_count + node->number;
}

static void edge_add(struct graph *graph, uint32_t from, uint32_t to)
{
    numbers_add(graph->c->arena, &graph->edges[from], to);
}

/* ---- what a walk needs ---- */

static bool element_is_constant(const struct walk_element *element)
{
    return !element->binds && element->key.constant != NULL;
}

/* All that a path may lead to: depth first over nodes, as deep as the path has elements. */
static void walk_needs(struct graph *graph, uint32_t from, const struct step *step,
                       const struct plan_node *node, uint32_t element)
{
    while (node != NULL && compile_look(graph->c, step->place)) {
        if (node->rules != NULL)
            edge_add(graph, from, node->rules->number);
        if (element == step->walk.element_count) {
            edge_add(graph, from, vertex_of_node(graph, node));
            return;
        }
        const struct walk_element *at = &step->walk.elements[element++];
        bool last = element == step->walk.element_count;
        if (last && !element_is_constant(at)) {
            edge_add(graph, from, vertex_of_node(graph, node));
            return;
        }
        if (!element_is_constant(at)) {
            for (size_t i = 0; i < node->child_count; i++)
                walk_needs(graph, from, step, node->children[i], element);
            return;
        }
        node = plan_child(node, at->key.constant);
    }
}

static void with_needs(struct graph *graph, uint32_t from, const struct step *step)
{
    for (size_t i = 0; i < step->with.count; i++)
        if (step->with.items[i].by_function != NULL)
            edge_add(graph, from, step->with.items[i].by_function->number);
}

/* Sequences in sequences are as deep as the parser lets them be. */
static void steps_need(struct graph *graph, uint32_t from, const struct step *step)
{
    for (; step != NULL; step = step->next) {
        if (step->kind == STEP_APPLY)
            edge_add(graph, from, step->function->number);
        else if (step->kind == STEP_WALK && step->walk.root == ROOT_DATA)
            walk_needs(graph, from, step, &graph->c->root->plan, 0);
        else if (step->kind == STEP_NOT || step->kind == STEP_COLLECT || step->kind == STEP_EVERY)
            steps_need(graph, from, step->inner.start);
        if (step->kind != STEP_WITH)
            continue;
        with_needs(graph, from, step);
        steps_need(graph, from, step->with.start);
    }
}

static void rules_need(struct graph *graph, const struct plan_rules *rules)
{
    for (size_t i = 0; i <= rules->count; i++) {
        const struct plan_rule *rule = i < rules->count ? rules->rules[i] : rules->default_rule;
        for (; rule != NULL; rule = rule->else_rule)
            steps_need(graph, rules->number, rule->start);
    }
}

/* ---- the graph ---- */

static bool graph_build(struct graph *graph)
{
    struct compiler *c = graph->c;
    graph->rules_count = c->plan->rules_count;
    graph->vertex_count = graph->rules_count + c->plan->node_count;
    graph->edges = arena_zalloc(c->arena, graph->vertex_count, sizeof(*graph->edges));
    graph->rules = arena_zalloc(c->arena, graph->rules_count, sizeof(const struct plan_rules *));
    if (graph->edges == NULL || graph->rules == NULL)
        return false;
    for (const struct tree_node *node = c->root; node != NULL; node = tree_next(node, c->root)) {
        uint32_t vertex = vertex_of_node(graph, &node->plan);
        for (size_t i = 0; i < node->plan.child_count; i++)
            edge_add(graph, vertex, vertex_of_node(graph, node->plan.children[i]));
        if (node->plan.rules == NULL)
            continue;
        edge_add(graph, vertex, node->plan.rules->number);
        graph->rules[node->plan.rules->number] = node->plan.rules;
        rules_need(graph, node->plan.rules);
    }
    return !compile_failed(c);
}

/* ---- the search ---- */

enum colour { WHITE, ON_PATH, FINISHED };
struct search {
    struct graph *graph;
    uint8_t *colours;
    bool *reported; /* of rules: as the first of a cycle */
    size_t *next_edge;
    size_t *place; /* on the path, of what is on it */
    struct numbers path;
};

/* Of a long cycle, the begin is enough to find it. */
static void print_cycle(const struct search *search, size_t from, const char *end,
                        struct buffer *text)
{
    const struct graph *graph = search->graph;
    unsigned named = 0;
    for (size_t i = from; i < search->path.count && named <= CYCLE_RULES_NAMED_MAX; i++) {
        if (search->path.items[i] >= graph->rules_count)
            continue;
        bool is_one_too_many = named++ == CYCLE_RULES_NAMED_MAX;
        buffer_text(text, is_one_too_many ? "..." : graph->rules[search->path.items[i]]->path);
        buffer_text(text, " -> ");
    }
    buffer_text(text, end);
}

/* The first rule of the path from there on. NULL: there is none. */
static const struct plan_rules *first_rules(const struct search *search, size_t from)
{
    const struct graph *graph = search->graph;
    for (size_t i = from; i < search->path.count; i++)
        if (search->path.items[i] < graph->rules_count)
            return graph->rules[search->path.items[i]];
    return NULL;
}

static void report_cycle(const struct search *search, uint32_t back_to)
{
    size_t from = search->place[back_to];
    const struct plan_rules *rules = first_rules(search, from);
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (rules == NULL || search->reported[rules->number])
        return;
    search->reported[rules->number] = true;
    print_cycle(search, from, rules->path, &text);
    const struct plan_rule *rule = rules->count > 0 ? rules->rules[0] : rules->default_rule;
    if (text.failure == LETHE_OK)
        problem_add(search->graph->c->problems, PROBLEM_RECURSION, rule->source->place,
                    "rule %s is recursive: %s", rules->path, text.bytes);
}

static void search_enter(struct search *search, uint32_t vertex)
{
    search->colours[vertex] = ON_PATH;
    search->place[vertex] = search->path.count;
    numbers_add(search->graph->c->arena, &search->path, vertex);
}

static bool is_over(const struct search *search)
{
    const struct compiler *c = search->graph->c;
    return compile_failed(c) || problems_are_full(c->problems);
}

static void search_from(struct search *search, uint32_t start)
{
    search_enter(search, start);
    while (search->path.count > 0 && !is_over(search)) {
        uint32_t vertex = search->path.items[search->path.count - 1];
        const struct numbers *edges = &search->graph->edges[vertex];
        if (search->next_edge[vertex] == edges->count) {
            search->colours[vertex] = FINISHED;
            search->path.count--;
            continue;
        }
        uint32_t to = edges->items[search->next_edge[vertex]++];
        if (search->colours[to] == WHITE)
            search_enter(search, to);
        else if (search->colours[to] == ON_PATH)
            report_cycle(search, to);
    }
}

lethe_result recursion_check(struct compiler *c)
{
    struct graph graph = {.c = c};
    if (!graph_build(&graph))
        return compile_result(c);
    struct search search = {
        .graph = &graph,
        .colours = arena_zalloc(c->arena, graph.vertex_count, 1),
        .reported = arena_zalloc(c->arena, graph.rules_count, sizeof(bool)),
        .next_edge = arena_zalloc(c->arena, graph.vertex_count, sizeof(size_t)),
        .place = arena_alloc(c->arena, graph.vertex_count * sizeof(size_t)),
    };
    if (search.colours == NULL || search.reported == NULL || search.next_edge == NULL ||
        search.place == NULL)
        return compile_result(c);
    for (uint32_t i = 0; i < graph.rules_count && !is_over(&search); i++)
        if (search.colours[i] == WHITE)
            search_from(&search, i);
    return compile_result(c);
}
