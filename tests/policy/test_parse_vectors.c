#include "check.h"

#include <jansson.h>
#include <stdlib.h>

#include "policy/parse.h"

#define ARENA_LIMIT_BYTES ((size_t)64 << 20)

/* Parses one text as `v0` says, and gives the problems as a text (empty: none). */
static void parse_text(const char *name, const char *text, bool v0, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    const struct source source = {name, text, strlen(text)};
    struct problems problems = {.arena = &arena};
    struct module *module = NULL;
    lethe_result result =
        parse_module(&arena, &source, &(struct parse_options){.v0 = v0}, &module, &problems);
    for (const struct problem *p = problems.first; p != NULL; p = p->next)
        problem_print(p, out);
    if (result != LETHE_OK && problems.first == NULL)
        buffer_format(out, "%s: %s\n", name, lethe_result_name(result));
}

static void parse_query_text(const char *name, const char *text, bool v0, struct buffer *out)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    const struct source source = {name, text, strlen(text)};
    struct problems problems = {.arena = &arena};
    struct body body;
    unsigned wildcards;
    lethe_result result = parse_query(&arena, &source, &(struct parse_options){.v0 = v0}, &body,
                                      &wildcards, &problems);
    for (const struct problem *p = problems.first; p != NULL; p = p->next)
        problem_print(p, out);
    if (result != LETHE_OK && problems.first == NULL)
        buffer_format(out, "%s: %s\n", name, lethe_result_name(result));
}

static void parse_case(const json_t *json, bool v0, size_t *modules, struct buffer *out)
{
    size_t i;
    const json_t *module;
    const char *id = json_string_value(json_object_get(json, "id"));
    json_array_foreach(json_object_get(json, "modules"), i, module)
    {
        parse_text(id, json_string_value(module), v0, out);
        (*modules)++;
    }
    parse_query_text(id, json_string_value(json_object_get(json, "query")), v0, out);
}

static void parse_file(const char *path, bool v0, size_t least)
{
    CLEANUP(buffer_clear) struct buffer problems = {0};
    CLEANUP(memory_free) char *line = NULL;
    size_t capacity = 0, modules = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (getline(&line, &capacity, file) > 0) {
        json_t *json = json_loads(line, 0, NULL);
        assert_non_null(json);
        parse_case(json, v0, &modules, &problems);
        json_decref(json);
    }
    fclose(file);
    assert_true(modules >= least);
    if (problems.size_bytes > 0)
        fail_msg("%s", problems.bytes);
}

static void every_module_of_the_newer_syntax_parses(void **state)
{
    parse_file(TEST_VECTORS "/rego/opa-v1.jsonl", false, 1265);
}

static void every_module_of_the_older_syntax_parses(void **state)
{
    parse_file(TEST_VECTORS "/rego/opa-v0.jsonl", true, 1143);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_module_of_the_newer_syntax_parses),
        cmocka_unit_test(every_module_of_the_older_syntax_parses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
