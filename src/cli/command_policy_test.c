#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/policy_coverage.h"
#include "cli/policy_document.h"
#include "cli/policy_files.h"
#include "cli/policy_run.h"

#define PREFIX "test_"
#define SKIP_PREFIX "todo_test_"
#define RULE_LINE "--------------------------------------------------------------------------------"

enum outcome { PASSED, FAILED, ERRED, SKIPPED, OUTCOME_COUNT };
static const char *const outcome_names[] = {"PASS", "FAIL", "ERROR", "SKIPPED"};

struct test {
    const char *file;
    struct place place;
    const char *package, *name; /* "data.lethe.pool_test", "test_x" */
    struct policy_path path;
    enum outcome outcome;
    uint64_t duration_ns;
    struct lethe_error error; /* of ERRED */
};

struct session {
    struct policy_files files;
    struct test **tests;
    size_t count, capacity;
    uint8_t *covered;             /* NULL: nobody asks */
    const struct value *coverage; /* the report, once it is made */
    bool verbose, json;
    int64_t threshold_percent;
    regex_t pattern;
    bool has_pattern;
};

static void session_clear_at_scope_end(struct session *session)
{
    if (session->has_pattern)
        regfree(&session->pattern);
    policy_files_clear(&session->files);
}

/* ---- finding tests ---- */

/* Appends the constants of a reference behind its head. False: it has others. */
static bool append_keys(const struct term *ref, struct policy_path *path)
{
    for (size_t i = 1; i < ref->parts.count; i++) {
        const struct term *part = ref->parts.items[i];
        if (part->kind != TERM_VALUE || path->count == POLICY_PATH_MAX)
            return false;
        path->keys[path->count++] = part->value;
    }
    return true;
}

static const char *head_name(const struct term *ref)
{
    if (ref->kind == TERM_REF)
        ref = ref->parts.items[0];
    return ref->kind == TERM_VARIABLE ? ref->name : "";
}

static bool is_test(const struct rule *rule)
{
    const char *name = head_name(rule->ref);
    return rule->kind != RULE_FUNCTION && !rule->is_default &&
           (strncmp(name, PREFIX, strlen(PREFIX)) == 0 ||
            strncmp(name, SKIP_PREFIX, strlen(SKIP_PREFIX)) == 0);
}

/* A rule may be defined in several places: it is one test. */
static bool is_known(const struct session *session, const struct policy_path *path)
{
    for (size_t i = 0; i < session->count; i++) {
        const struct policy_path *other = &session->tests[i]->path;
        bool same = other->count == path->count;
        for (size_t j = 0; same && j < path->count; j++)
            same = value_equal(other->keys[j], path->keys[j]);
        if (same)
            return true;
    }
    return false;
}

/* Keys with points between them. */
static lethe_result path_text(struct arena *arena, const struct policy_path *path, size_t from,
                              size_t to, const char **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (size_t i = from; i < to; i++) {
        buffer_text(&text, i > from ? "." : "");
        if (value_is(path->keys[i], VALUE_STRING))
            buffer_append(&text, path->keys[i]->string, path->keys[i]->count);
        else
            value_print_json(path->keys[i], &text);
    }
    TRY(buffer_result(&text, NULL));
    *out = arena_copy(arena, text.bytes, text.size_bytes);
    return arena_result(arena, NULL);
}

static bool is_wanted(const struct session *session, const struct test *test)
{
    char full[1024];
    snprintf(full, sizeof full, "data.%s.%s", test->package, test->name);
    return !session->has_pattern || regexec(&session->pattern, full, 0, NULL, 0) == 0;
}

static lethe_result append_test(struct session *session, struct test *test)
{
    struct arena *arena = &session->files.arena;
    if (session->count == session->capacity) {
        size_t more = 2 * session->capacity + 64, size = sizeof(struct test *);
        session->tests = arena_grow(arena, session->tests, session->capacity * size, more * size);
        session->capacity = more;
        TRY(arena_result(arena, NULL));
    }
    session->tests[session->count++] = test;
    return LETHE_OK;
}

static lethe_result add_test(struct session *session, const struct module *module,
                             const struct rule *rule)
{
    struct arena *arena = &session->files.arena;
    struct test *test = arena_zalloc(arena, 1, sizeof *test);
    TRY(arena_result(arena, NULL));
    bool is_path = append_keys(module->package, &test->path);
    size_t package_count = test->path.count;
    if (!is_path || package_count == POLICY_PATH_MAX)
        return LETHE_OK;
    test->path.keys[test->path.count++] = value_text(arena, head_name(rule->ref));
    TRY(arena_result(arena, NULL));
    if (rule->ref->kind == TERM_REF && !append_keys(rule->ref, &test->path))
        return LETHE_OK;
    test->file = module->source->name;
    test->place = rule->place;
    TRY(path_text(arena, &test->path, 0, package_count, &test->package));
    TRY(path_text(arena, &test->path, package_count, test->path.count, &test->name));
    if (is_known(session, &test->path) || !is_wanted(session, test))
        return LETHE_OK;
    return append_test(session, test);
}

static lethe_result find_tests(struct session *session, struct lethe_error *err)
{
    const struct plan *plan = session->files.plan;
    for (size_t i = 0; i < plan->module_count; i++) {
        const struct module *module = plan->modules[i];
        for (size_t j = 0; j < module->rule_count; j++) {
            if (is_test(module->rules[j]) &&
                add_test(session, module, module->rules[j]) != LETHE_OK)
                return error_set(err, LETHE_NO_MEMORY, "no memory for the list of tests");
        }
    }
    if (session->count > 0)
        return LETHE_OK;
    error_set(err, LETHE_NOT_FOUND, "there are no tests here");
    error_hint(err, "a test is a rule whose name begins with " PREFIX);
    return LETHE_NOT_FOUND;
}

/* ---- running them ---- */

static void run_test(struct session *session, struct test *test)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    struct evaluation_options options;
    struct evaluation_failure failure = {0};
    const struct value *value = NULL;
    if (strncmp(test->name, SKIP_PREFIX, strlen(SKIP_PREFIX)) == 0) {
        test->outcome = SKIPPED;
        return;
    }
    policy_run_options(&options);
    options.covered = session->covered;
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    lethe_result result = evaluate_path(session->files.plan, test->path.keys, test->path.count,
                                        &options, &arena, &value, &failure);
    test->duration_ns = clock_monotonic_ns(&clock_system) - started_ns;
    test->outcome = value == NULL || value_is_false(value) ? FAILED : PASSED;
    if (result != LETHE_OK && policy_run_failed(result, &failure, &test->error) != LETHE_OK)
        test->outcome = ERRED;
}

/* ---- saying so ---- */

static void print_test(const struct test *test, struct buffer *out)
{
    buffer_format(out, "data.%s.%s: %s (%.3f ms)\n", test->package, test->name,
                  outcome_names[test->outcome], (double)test->duration_ns / 1e6);
    if (test->outcome == ERRED)
        buffer_format(out, "  %s\n", test->error.text);
}

static void print_summary(const struct session *session, struct buffer *out)
{
    size_t counts[OUTCOME_COUNT] = {0};
    for (size_t i = 0; i < session->count; i++)
        counts[session->tests[i]->outcome]++;
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        if (counts[i] > 0 || i == PASSED)
            buffer_format(out, "%s: %zu/%zu\n", outcome_names[i], counts[i], session->count);
    }
}

/* Tests that passed are shown with --verbose only; each file is named once above its tests. */
static void print_text(const struct session *session, struct buffer *out)
{
    const char *file = NULL;
    for (size_t i = 0; i < session->count; i++) {
        const struct test *test = session->tests[i];
        if (test->outcome == PASSED && !session->verbose)
            continue;
        if (file == NULL || strcmp(file, test->file) != 0)
            buffer_format(out, "%s%s:\n", file != NULL ? "\n" : "", test->file);
        file = test->file;
        print_test(test, out);
    }
    if (file != NULL)
        buffer_text(out, RULE_LINE "\n");
    print_summary(session, out);
}

static const struct value *location_value(struct arena *arena, const struct test *test)
{
    struct value_pairs pairs = {0};
    unsigned row, column;
    place_row_column(test->place, &row, &column);
    document_member(arena, &pairs, "file", value_text(arena, test->file));
    document_member(arena, &pairs, "row", value_small(arena, row));
    document_member(arena, &pairs, "col", value_small(arena, column));
    return value_object(arena, &pairs, NULL);
}

static const struct value *error_value(struct arena *arena, const struct test *test)
{
    struct value_pairs pairs = {0};
    document_member(arena, &pairs, "message", value_text(arena, test->error.text));
    return value_object(arena, &pairs, NULL);
}

static const struct value *test_value(struct arena *arena, const struct test *test)
{
    static const char *const flags[] = {[FAILED] = "fail", [SKIPPED] = "skip"};
    struct value_pairs pairs = {0};
    char package[1024];
    snprintf(package, sizeof package, "data.%s", test->package);
    document_member(arena, &pairs, "location", location_value(arena, test));
    document_member(arena, &pairs, "package", value_text(arena, package));
    document_member(arena, &pairs, "name", value_text(arena, test->name));
    document_member(arena, &pairs, "duration", value_small(arena, (int64_t)test->duration_ns));
    if (test->outcome == ERRED)
        document_member(arena, &pairs, "error", error_value(arena, test));
    else if (test->outcome != PASSED)
        document_member(arena, &pairs, flags[test->outcome], &value_true);
    return value_object(arena, &pairs, NULL);
}

static void print_json(struct session *session, struct buffer *out)
{
    struct arena *arena = &session->files.arena;
    struct value_list list = {0};
    for (size_t i = 0; i < session->count; i++)
        value_list_append(arena, &list, test_value(arena, session->tests[i]));
    const struct value *all = value_array(arena, &list);
    if (all == NULL)
        return;
    value_print_json_pretty(all, "  ", out);
    buffer_byte(out, '\n');
}

/* With coverage in JSON, stdout is the report of coverage alone, as `opa test` has it. */
static lethe_result print_coverage(struct session *session, struct buffer *out,
                                   struct lethe_error *err)
{
    TRY(policy_coverage(session->files.plan, session->covered, &session->files.arena,
                        &session->coverage, err));
    if (session->json) {
        value_print_json_pretty(session->coverage, "  ", out);
        buffer_byte(out, '\n');
    } else {
        policy_coverage_print(session->coverage, out);
    }
    return LETHE_OK;
}

static lethe_result print_all(struct session *session, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (!session->json)
        print_text(session, &text);
    else if (session->covered == NULL)
        print_json(session, &text);
    if (session->covered != NULL)
        TRY(print_coverage(session, &text, err));
    TRY(arena_result(&session->files.arena, err));
    TRY(buffer_result(&text, err));
    fwrite(text.bytes, 1, text.size_bytes, stdout);
    return LETHE_OK;
}

/* ---- the command ---- */

static lethe_result read_pattern(const struct invocation *invocation, struct session *session,
                                 struct lethe_error *err)
{
    const char *text = option_text(invocation, "run");
    if (text == NULL)
        return LETHE_OK;
    int failed = regcomp(&session->pattern, text, REG_EXTENDED | REG_NOSUB);
    session->has_pattern = failed == 0;
    if (failed == REG_ESPACE)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a regular expression");
    if (failed != 0)
        return error_set(err, LETHE_INVALID, "--run is no regular expression (POSIX, extended)");
    return LETHE_OK;
}

static lethe_result read_files(const struct invocation *invocation, struct session *session,
                               struct lethe_error *err)
{
    for (int i = 0; i < invocation->positional_count; i++)
        TRY(policy_files_add(&session->files, invocation->positional[i], err));
    TRY(policy_files_compile(&session->files, common_is_v0(invocation), err));
    if (option_given(invocation, "coverage") || option_given(invocation, "threshold"))
        session->covered =
            arena_zalloc(&session->files.arena, session->files.plan->id_count + 1, 1);
    return arena_result(&session->files.arena, err);
}

static bool all_passed(const struct session *session)
{
    for (size_t i = 0; i < session->count; i++) {
        if (session->tests[i]->outcome == FAILED || session->tests[i]->outcome == ERRED)
            return false;
    }
    return true;
}

static lethe_result read_numbers_and_words(const struct invocation *invocation,
                                           struct session *session, struct lethe_error *err)
{
    const char *format = option_text(invocation, "format");
    bool is_json = format != NULL && strcmp(format, "json") == 0;
    TRY(option_number(invocation, "threshold", 0, 101, 0, &session->threshold_percent, err));
    session->verbose = option_given(invocation, "verbose");
    session->json = is_json || option_given(invocation, "json");
    if (format == NULL || is_json || strcmp(format, "text") == 0 || strcmp(format, "pretty") == 0)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "there is no format '%.32s'", format);
    error_hint(err, "text or json");
    return LETHE_INVALID;
}

static bool covers_enough(const struct session *session)
{
    if (session->coverage == NULL)
        return true;
    const struct value *percent = value_get_text(session->coverage, "coverage");
    if (number_to_double(&percent->number) >= (double)session->threshold_percent)
        return true;
    fprintf(stderr, "lethe: the tests cover less than %d %% of lines\n",
            (int)session->threshold_percent);
    return false;
}

COMMAND_FUNCTION(policy_test)
{
    CLEANUP(session_clear) struct session session = {0};
    TRY(read_numbers_and_words(invocation, &session, err));
    TRY(read_pattern(invocation, &session, err));
    TRY(read_files(invocation, &session, err));
    TRY(find_tests(&session, err));
    for (size_t i = 0; i < session.count; i++)
        run_test(&session, session.tests[i]);
    TRY(print_all(&session, err));
    invocation->exit_code = covers_enough(&session) && all_passed(&session) ? 0 : 1;
    return LETHE_OK;
}
