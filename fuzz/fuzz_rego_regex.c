/* A pattern, a NUL, and a text, through everything that has patterns: whatever they are, each call
 * ends within its steps, and answers agree with each other. */
#include <string.h>

#include "policy/builtin.h"
#include "policy/meter.h"

#include "fuzz.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define STEPS 300000
#define INPUT_MAX_BYTES 4096 /* of an input: what is found in more is found in less */

struct calls {
    struct arena arena;
    const struct value *pattern, *text;
};

/* NULL: undefined, an error, or a limit. */
static const struct value *call(struct calls *calls, const char *name,
                                const struct value *const *operands)
{
    struct builtin_meter meter = {
        .steps_left = STEPS, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_error error = {0};
    struct builtin_call one = {.builtin = builtin_find(name, strlen(name), true),
                               .arena = &calls->arena,
                               .meter = &meter,
                               .error = &error};
    const struct value *out = NULL;
    lethe_result result = builtin_invoke(&one, operands, &out);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_INVALID || result == LETHE_LIMIT);
    FUZZ_PROPERTY((result == LETHE_INVALID) == (error.text[0] != '\0'));
    return result == LETHE_OK ? out : NULL;
}

/* What is prepared when a policy is loaded gives what a call without it gives. */
static void check_prepared(struct calls *calls, const struct value *matches)
{
    const struct builtin *match = builtin_find("regex.match", strlen("regex.match"), false);
    struct builtin_preparation left = {PREPARATION_STEPS_MAX, PREPARATION_BYTES_MAX};
    void *prepared = match->prepare(calls->pattern, &left);
    struct builtin_meter meter = {
        .steps_left = STEPS, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_error error = {0};
    struct builtin_call one = {.builtin = match,
                               .prepared = prepared,
                               .arena = &calls->arena,
                               .meter = &meter,
                               .error = &error};
    const struct value *operands[] = {calls->pattern, calls->text}, *out = NULL;
    if (prepared == NULL)
        return;
    if (builtin_invoke(&one, operands, &out) == LETHE_OK && matches != NULL)
        FUZZ_PROPERTY(value_equal(out, matches));
    match->release(prepared);
}

/* A text in which each match is replaced by itself is the text; what does not match is whole. */
static void check_regex(struct calls *calls)
{
    const struct value *all = value_small(&calls->arena, -1);
    const struct value *itself = value_text(&calls->arena, "${0}");
    const struct value *match[] = {calls->pattern, calls->text, all};
    const struct value *replace[] = {calls->text, calls->pattern, itself};
    const struct value *matches = call(calls, "regex.match", match);
    const struct value *found = call(calls, "regex.find_n", match);
    const struct value *groups = call(calls, "regex.find_all_string_submatch_n", match);
    const struct value *replaced = call(calls, "regex.replace", replace);
    const struct value *parts = call(calls, "regex.split", match);
    if (matches != NULL && found != NULL)
        FUZZ_PROPERTY(matches->boolean == (found->count > 0));
    if (groups != NULL && found != NULL)
        FUZZ_PROPERTY(groups->count == found->count);
    if (replaced != NULL)
        FUZZ_PROPERTY(value_equal(replaced, calls->text));
    if (parts != NULL && found != NULL)
        FUZZ_PROPERTY(parts->count <= found->count + 1);
    check_prepared(calls, matches);
}

/* The text as a pattern that is quoted matches the text. */
static void check_glob(struct calls *calls)
{
    const struct value *quoted = call(calls, "glob.quote_meta", &calls->text);
    const struct value *match[] = {calls->pattern, &value_empty_array, calls->text};
    const struct value *any[] = {calls->pattern, &value_null, calls->text};
    const struct value *same[] = {quoted, &value_empty_array, calls->text};
    const struct value *matches = call(calls, "glob.match", match);
    const struct value *matches_any = call(calls, "glob.match", any);
    if (matches != NULL && matches_any != NULL)
        FUZZ_PROPERTY(!matches->boolean || matches_any->boolean); /* no delimiter is in the way */
    if (quoted == NULL)
        return;
    const struct value *itself = call(calls, "glob.match", same);
    FUZZ_PROPERTY(itself == NULL || itself->boolean);
}

/* Two patterns meet whichever is first, and one that is met by any text meets itself. */
static void check_globs(struct calls *calls)
{
    const struct value *one_way[] = {calls->pattern, calls->text};
    const struct value *other_way[] = {calls->text, calls->pattern};
    const struct value *meet = call(calls, "regex.globs_match", one_way);
    const struct value *meet_again = call(calls, "regex.globs_match", other_way);
    if (meet != NULL && meet_again != NULL)
        FUZZ_PROPERTY(value_equal(meet, meet_again));
}

static void check_template(struct calls *calls)
{
    const struct value *match[] = {calls->pattern, calls->text, value_text(&calls->arena, "{"),
                                   value_text(&calls->arena, "}")};
    call(calls, "regex.template_match", match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const char *nul = size > 0 && size <= INPUT_MAX_BYTES ? memchr(bytes, '\0', size) : NULL;
    if (nul == NULL)
        return 0;
    size_t pattern_size = (size_t)(nul - bytes);
    struct calls calls = {.arena = {.limit_bytes = ARENA_BYTES}};
    calls.pattern = value_string(&calls.arena, bytes, pattern_size);
    calls.text = value_string(&calls.arena, nul + 1, size - pattern_size - 1);
    if (calls.pattern != NULL && calls.text != NULL) {
        check_regex(&calls);
        check_glob(&calls);
        check_globs(&calls);
        check_template(&calls);
    }
    arena_clear(&calls.arena);
    return 0;
}
