/* Questions to the policy. Inputs are made of what was proven; nothing in them comes from the
 * request but what is asked for. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "pool/control_core.h"

#define ALLOW "data.lethe.pool.allow"
#define JOIN "data.lethe.pool.join"
#define OPERATE "data.lethe.pool.operate"

static void put_text(struct buffer *out, const char *opening, const char *text)
{
    buffer_text(out, opening);
    json_append_string(out, text, strlen(text));
}

static void put_number(struct buffer *out, const char *opening, uint64_t number)
{
    buffer_text(out, opening);
    buffer_format(out, "%" PRIu64, number);
}

/* ---- records --------------------------------------------------------------------------------- */

struct denial {
    const char *who, *action, *resource;
};

static void record(struct control *control, const struct denial *denial, const char *reason,
                   const char *digest)
{
    /* Whoever asks for what it may not uses up its own room in the log. */
    const struct audit_who who = {denial->who, "", ""};
    const struct audit_event event =
        audit_authorization_denied(denial->who, denial->action, denial->resource, reason, digest);
    control->counters.denied++;
    audit_emit(keeper_log(control->options.keeper), &who, &event);
}

void policy_record_denial(struct control *control, const char *who, const char *action,
                          const char *resource, const struct lethe_error *why)
{
    const struct denial denial = {who, action, resource};
    record(control, &denial, why->text, "");
}

/* ---- questions ------------------------------------------------------------------------------- */

static lethe_result decide(struct control *control, const char *rule, const struct denial *denial,
                           struct lethe_error *err)
{
    struct lethe_decision decision = {.reason = LETHE_POLICY_NO_MEMORY};
    struct buffer *input = &control->scratch;
    if (input->failure == LETHE_OK)
        lethe_policy_holder_decide(control->options.policy, rule, input->bytes, input->size_bytes,
                                   &decision);
    buffer_clear(input);
    if (decision.allowed)
        return LETHE_OK;
    record(control, denial, decision.text, decision.policy_digest);
    return error_set(err, LETHE_DENIED, "the policy of the pool says no: %s", decision.text);
}

lethe_result policy_allows_lease(struct control *control, const struct policy_lease *question,
                                 struct lethe_error *err)
{
    struct buffer *input = &control->scratch;
    buffer_truncate(input, 0);
    put_text(input, "{\"provider\":{\"id\":", question->provider);
    put_number(input, ",\"lent_bytes\":", question->lent_bytes);
    put_text(input, "},\"consumer\":{\"id\":", question->consumer);
    put_text(input, ",\"tenant\":", question->tenant);
    put_number(input, ",\"held_bytes\":", question->held_bytes);
    put_number(input, "},\"bytes\":", question->bytes);
    buffer_text(input, "}");
    const struct denial denial = {question->consumer, "pool_allocate", question->provider};
    return decide(control, ALLOW, &denial, err);
}

lethe_result policy_allows_join(struct control *control, const char *provider,
                                uint64_t capacity_bytes, struct lethe_error *err)
{
    struct buffer *input = &control->scratch;
    buffer_truncate(input, 0);
    put_text(input, "{\"provider\":{\"id\":", provider);
    put_number(input, ",\"capacity_bytes\":", capacity_bytes);
    buffer_text(input, "}}");
    const struct denial denial = {provider, "pool_join", provider};
    return decide(control, JOIN, &denial, err);
}

lethe_result policy_allows_operator(struct control *control, const char *operator_id,
                                    const char *action, const char *target, struct lethe_error *err)
{
    struct buffer *input = &control->scratch;
    buffer_truncate(input, 0);
    put_text(input, "{\"operator\":{\"id\":", operator_id);
    put_text(input, "},\"action\":", action);
    put_text(input, ",\"target\":", target);
    buffer_text(input, "}");
    const struct denial denial = {operator_id, action, target};
    return decide(control, OPERATE, &denial, err);
}
