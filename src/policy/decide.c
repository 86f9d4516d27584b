#include <string.h>

#include "base/clock.h"
#include "base/validate.h"
#include "policy/policy.h"

/* ---- reasons ---- */

static const struct {
    const char *code, *sentence;
} reasons[] = {
#define REASON_ROW(name, code, sentence) {code, sentence},
    LETHE_POLICY_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *lethe_policy_reason_code(enum lethe_policy_reason reason)
{
    return (size_t)reason < ARRAY_LEN(reasons) ? reasons[reason].code : "unknown";
}

const char *lethe_policy_reason_sentence(enum lethe_policy_reason reason)
{
    return (size_t)reason < ARRAY_LEN(reasons) ? reasons[reason].sentence : "unknown reason";
}

/* Texts may quote the input: what a log or a terminal would act on does not get there. */
static void conclude(struct lethe_decision *out, enum lethe_policy_reason reason, const char *text,
                     size_t size_bytes)
{
    out->allowed = reason == LETHE_POLICY_ALLOWED;
    out->reason = reason;
    if (size_bytes == 0) {
        text = lethe_policy_reason_sentence(reason);
        size_bytes = strlen(text);
    }
    text_sanitise(text, size_bytes, out->text, sizeof(out->text));
}

/* ---- what the policy answered ---- */

static const struct value *said_about_it(const struct value *answer)
{
    static const char *const keys[] = {"justification", "reason"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct value *said = value_get_text(answer, keys[i]);
        if (said != NULL && value_is(said, VALUE_STRING))
            return said;
    }
    return &value_empty_string;
}

static enum lethe_policy_reason verdict_of(const struct value *verdict)
{
    if (verdict == NULL || !value_is(verdict, VALUE_BOOLEAN))
        return LETHE_POLICY_NOT_A_DECISION;
    return verdict->boolean ? LETHE_POLICY_ALLOWED : LETHE_POLICY_REFUSED;
}

static void conclude_answer(struct lethe_decision *out, const struct value *answer)
{
    if (answer == NULL) {
        conclude(out, LETHE_POLICY_UNDEFINED, NULL, 0);
    } else if (value_is(answer, VALUE_OBJECT)) {
        const struct value *said = said_about_it(answer);
        enum lethe_policy_reason reason = verdict_of(value_get_text(answer, "allowed"));
        bool decided = reason != LETHE_POLICY_NOT_A_DECISION;
        conclude(out, reason, said->string, decided ? said->count : 0);
    } else {
        conclude(out, verdict_of(answer), NULL, 0);
    }
}

/* ---- what went wrong ---- */

static enum lethe_policy_reason failure_reason(lethe_result result, enum evaluation_limit limit)
{
    static const enum lethe_policy_reason by_limit[] = {
        [LIMIT_NONE] = LETHE_POLICY_ERROR,        [LIMIT_STEPS] = LETHE_POLICY_LIMIT_STEPS,
        [LIMIT_DEPTH] = LETHE_POLICY_LIMIT_DEPTH, [LIMIT_MEMORY] = LETHE_POLICY_LIMIT_MEMORY,
        [LIMIT_TIME] = LETHE_POLICY_LIMIT_TIME,
    };
    if (result == LETHE_NO_MEMORY)
        return LETHE_POLICY_NO_MEMORY;
    return result == LETHE_LIMIT ? by_limit[limit] : LETHE_POLICY_ERROR;
}

static void conclude_failure(struct lethe_decision *out, lethe_result result,
                             const struct evaluation_failure *failure)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (failure->place.source != NULL) {
        unsigned row, column;
        place_row_column(failure->place, &row, &column);
        buffer_format(&text, "%s:%u:%u: ", failure->place.source->name, row, column);
    }
    buffer_format(&text, "%s: %s", failure->code, failure->text);
    conclude(out, failure_reason(result, failure->limit), text.bytes, text.size_bytes);
}

/* The arena's failure comes before what a reader says about it. */
static void conclude_unread(struct lethe_decision *out, const struct arena *arena,
                            enum lethe_policy_reason otherwise, const char *text)
{
    if (arena->failure == LETHE_LIMIT)
        conclude(out, LETHE_POLICY_LIMIT_MEMORY, NULL, 0);
    else if (arena->failure == LETHE_NO_MEMORY)
        conclude(out, LETHE_POLICY_NO_MEMORY, NULL, 0);
    else
        conclude(out, otherwise, text, strlen(text));
}

/* ---- deciding ---- */

static bool read_rule(const struct lethe_policy *policy, struct arena *arena, const char *rule,
                      struct policy_path *out, struct lethe_decision *decision)
{
    if (policy_path_parse(arena, rule, out) == LETHE_OK && policy_path_is_rule(policy->plan, out))
        return true;
    conclude_unread(decision, arena, LETHE_POLICY_BAD_RULE, "");
    return false;
}

static bool read_input(struct arena *arena, const char *input, size_t size_bytes,
                       const struct value **out, struct lethe_decision *decision)
{
    struct lethe_error err = {0};
    if (value_parse_json(arena, input, size_bytes, out, &err) == LETHE_OK)
        return true;
    conclude_unread(decision, arena, LETHE_POLICY_BAD_INPUT, err.text);
    return false;
}

void lethe_policy_decide(const struct lethe_policy *policy, const char *rule, const char *input,
                         size_t input_size_bytes, struct lethe_decision *out)
{
    size_t memory_bytes = policy->limits.memory_bytes;
    CLEANUP(arena_clear)
    struct arena arena = {.limit_bytes =
                              memory_bytes != 0 ? memory_bytes : EVALUATION_MEMORY_DEFAULT};
    struct evaluation_options options = {
        .world.now_ns = clock_wall_ns(&clock_system),
        .limits = policy->limits,
    };
    struct evaluation_failure failure = {0};
    struct policy_path path;
    const struct value *answer;
    *out = (struct lethe_decision){0};
    memcpy(out->policy_digest, policy->digest, sizeof(out->policy_digest));
    if (!read_rule(policy, &arena, rule, &path, out) ||
        !read_input(&arena, input, input_size_bytes, &options.input, out))
        return;
    lethe_result result =
        evaluate_path(policy->plan, path.keys, path.count, &options, &arena, &answer, &failure);
    if (result == LETHE_OK)
        conclude_answer(out, answer);
    else
        conclude_failure(out, result, &failure);
}
