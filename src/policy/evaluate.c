#include "policy/evaluate_inside.h"

#include <stdio.h>

/* Functions called with many different arguments are not all remembered. */
#define CALLS_REMEMBERED_MAX 16384

/* So that between two looks at the clock, 16 million values are looked through. */
#define WEIGHT_PER_STEP 4096

/* ---- failures ---- */

static enum outcome fail(struct evaluation *evaluation, lethe_result result, const char *code,
                         struct place place)
{
    evaluation->result = result;
    evaluation->failure->code = code;
    evaluation->failure->place = place;
    return OUTCOME_FAILED;
}

static void failure_text(struct evaluation *evaluation, const char *text)
{
    snprintf(evaluation->failure->text, sizeof evaluation->failure->text, "%s", text);
}

enum outcome evaluation_conflict(struct evaluation *evaluation, struct place place,
                                 const char *text)
{
    failure_text(evaluation, text);
    return fail(evaluation, LETHE_INVALID, "eval_conflict_error", place);
}

enum outcome evaluation_builtin_error(struct evaluation *evaluation, struct place place,
                                      const struct builtin_error *error)
{
    failure_text(evaluation, error->text);
    return fail(evaluation, LETHE_INVALID, builtin_error_code_name(error->code), place);
}

static enum outcome fail_limit(struct evaluation *evaluation, struct place place,
                               enum evaluation_limit limit)
{
    const struct evaluation_limits *limits = &evaluation->limits;
    const struct {
        const char *what;
        unsigned long long number;
        const char *unit;
    } texts[] = {
        [LIMIT_STEPS] = {"took more than", limits->steps, "steps"},
        [LIMIT_DEPTH] = {"went deeper than", limits->depth, "rules and iterations in each other"},
        [LIMIT_MEMORY] = {"needed more than", limits->memory_bytes, "bytes of memory"},
        [LIMIT_TIME] = {"took longer than", limits->time_ms, "ms"},
    };
    evaluation->failure->limit = limit;
    if (limit == LIMIT_NONE)
        failure_text(evaluation, "a value grew over what a value may be");
    else
        snprintf(evaluation->failure->text, sizeof evaluation->failure->text,
                 "evaluation %s %llu %s", texts[limit].what, texts[limit].number,
                 texts[limit].unit);
    return fail(evaluation, LETHE_LIMIT, "eval_limit_error", place);
}

/* A value that is nested too deep fails the arena as one does that is too large. */
static enum evaluation_limit limit_met(const struct evaluation *evaluation)
{
    if (evaluation->meter.exhausted)
        return evaluation->meter.out_of_time ? LIMIT_TIME : LIMIT_STEPS;
    return evaluation->arena->failure == LETHE_LIMIT ? LIMIT_MEMORY : LIMIT_NONE;
}

enum outcome evaluation_exhausted(struct evaluation *evaluation, struct place place,
                                  lethe_result result)
{
    if (result == LETHE_LIMIT)
        return fail_limit(evaluation, place, limit_met(evaluation));
    failure_text(evaluation, result == LETHE_NO_MEMORY ? "there was not enough memory"
                                                       : "a built-in function failed");
    return fail(evaluation, result == LETHE_OK ? LETHE_FAILED : result, "eval_internal_error",
                place);
}

enum outcome evaluation_weigh(struct evaluation *evaluation, struct place place,
                              const struct value *value)
{
    lethe_result result = meter_spend(&evaluation->meter, value_weight(value) / WEIGHT_PER_STEP);
    return result == LETHE_OK ? OUTCOME_NEXT : evaluation_exhausted(evaluation, place, result);
}

bool evaluation_too_deep(struct evaluation *evaluation, struct place place)
{
    fail_limit(evaluation, place, LIMIT_DEPTH);
    return false;
}

/* ---- beginning ---- */

static struct evaluation_limits limits_of(const struct evaluation_options *options)
{
    struct evaluation_limits limits = options->limits;
    if (limits.steps == 0)
        limits.steps = EVALUATION_STEPS_DEFAULT;
    if (limits.depth == 0)
        limits.depth = EVALUATION_DEPTH_DEFAULT;
    if (limits.memory_bytes == 0)
        limits.memory_bytes = EVALUATION_MEMORY_DEFAULT;
    if (limits.time_ms == 0)
        limits.time_ms = EVALUATION_TIME_DEFAULT_MS;
    return limits;
}

static uint64_t deadline_ns(const struct clock_source *clock, uint64_t time_ms)
{
    uint64_t time_ns, deadline;
    if (__builtin_mul_overflow(time_ms, 1000000, &time_ns) ||
        __builtin_add_overflow(clock_monotonic_ns(clock), time_ns, &deadline))
        return UINT64_MAX;
    return deadline;
}

static void begin(struct evaluation *evaluation, struct scope *scope)
{
    const struct evaluation_options *options = evaluation->options;
    const struct clock_source *clock = options->clock != NULL ? options->clock : &clock_system;
    evaluation->limits = limits_of(options);
    evaluation->arena->limit_bytes = evaluation->limits.memory_bytes;
    /* Time begins now: the first steps need no look at it. */
    uint64_t granted = MIN(evaluation->limits.steps, METER_STEPS_PER_LOOK);
    evaluation->meter =
        (struct builtin_meter){.steps_left = evaluation->limits.steps - granted,
                               .steps_to_look = granted,
                               .deadline_ns = deadline_ns(clock, evaluation->limits.time_ms),
                               .clock = clock};
    evaluation->world = options->world;
    if (evaluation->world.random == NULL)
        evaluation->world.random = &random_system;
    *scope = (struct scope){.input = options->input, .data = evaluation->plan->data};
    scope->calls.capacity_max = CALLS_REMEMBERED_MAX;
    evaluation->scope = scope;
    evaluation->failure->code = NULL;
    evaluation->failure->limit = LIMIT_NONE;
    evaluation->failure->text[0] = '\0';
}

/* ---- paths ---- */

static const struct place nowhere;

static enum outcome walk_path(struct evaluation *evaluation, const struct value *const *path,
                              size_t path_count, const struct value **out)
{
    struct position position = position_data(evaluation);
    enum outcome outcome = OUTCOME_NEXT;
    for (size_t i = 0; i < path_count && outcome == OUTCOME_NEXT; i++)
        outcome = position_down(evaluation, &position, path[i]);
    return outcome == OUTCOME_NEXT ? position_value(evaluation, position, out) : outcome;
}

lethe_result evaluate_path(const struct plan *plan, const struct value *const *path,
                           size_t path_count, const struct evaluation_options *options,
                           struct arena *arena, const struct value **out,
                           struct evaluation_failure *failure)
{
    struct scope scope;
    struct evaluation evaluation = {
        .plan = plan, .options = options, .arena = arena, .failure = failure};
    begin(&evaluation, &scope);
    *out = NULL;
    enum outcome outcome = walk_path(&evaluation, path, path_count, out);
    if (outcome != OUTCOME_NEXT)
        *out = NULL;
    return evaluation.result;
}

/* ---- queries ---- */

struct query_sink {
    struct sink sink;
    evaluate_found found;
    void *context;
};

static enum outcome yield_found(struct run *run, const struct step *step)
{
    struct query_sink *sink = (struct query_sink *)run->sink;
    lethe_result result = sink->found(sink->context, run->slots);
    if (result == LETHE_OK)
        return OUTCOME_MORE;
    failure_text(run->evaluation, "whoever asked wants no more results");
    return fail(run->evaluation, result, "eval_internal_error", step->place);
}

lethe_result evaluate_query(const struct plan *plan, const struct plan_query *query,
                            const struct evaluation_options *options, struct arena *arena,
                            evaluate_found found, void *context, struct evaluation_failure *failure)
{
    struct scope scope;
    struct evaluation evaluation = {
        .plan = plan, .options = options, .arena = arena, .failure = failure};
    begin(&evaluation, &scope);
    struct query_sink sink = {.sink = {yield_found}, .found = found, .context = context};
    struct run run = {.evaluation = &evaluation,
                      .slots = frame_take(&evaluation, query->slot_count),
                      .sink = &sink.sink};
    if (run.slots == NULL)
        evaluation_exhausted(&evaluation, nowhere, arena->failure);
    else
        (void)evaluate_steps(&run, query->start);
    return evaluation.result;
}
