#include "service/authorise.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/policies_core.h"

static const char *const methods[] = {
    [CALLER_NOBODY] = "none",
    [CALLER_TOKEN] = "token",
    [CALLER_CERTIFICATE] = "certificate",
    [CALLER_ADMIN] = "admin",
};

static const struct {
    unsigned bit;
    const char *name;
} capabilities[] = {
    {CAN_CREATE, "create"}, {CAN_READ, "read"}, {CAN_UPDATE, "update"},
    {CAN_DELETE, "delete"}, {CAN_LIST, "list"},
};

static const char *capability_name(unsigned capability)
{
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        if (capabilities[i].bit == capability)
            return capabilities[i].name;
    }
    return "";
}

/* ---- the input ------------------------------------------------------------------------------- */

/* `opening` is our own: a comma or bracket, the name, a colon. */
static void put_text(struct buffer *out, const char *opening, const char *text)
{
    buffer_text(out, opening);
    text = text != NULL ? text : "";
    json_append_string(out, text, strlen(text));
}

static void put_flag(struct buffer *out, const char *opening, bool flag)
{
    buffer_text(out, opening);
    buffer_text(out, flag ? "true" : "false");
}

static void put_policies(struct buffer *out, const struct caller *caller)
{
    buffer_text(out, ",\"token_policies\":[");
    for (size_t i = 0; i < caller->policy_count; i++)
        put_text(out, i > 0 ? "," : "", caller->policies[i]);
    buffer_text(out, "]");
}

static void put_resource(struct buffer *out, const struct authorise_question *question)
{
    put_text(out, ",\"resource\":{\"path\":", question->path);
    put_text(out, ",\"tenant\":", question->tenant);
    put_text(out, ",\"model\":", question->model);
    put_text(out, ",\"tier\":", question->tier);
    buffer_text(out, "}");
}

/* Both: the call came by the local socket, and nobody else is speaking by it. */
static bool is_operator(const struct authorise_question *question)
{
    return question->admin && question->caller->kind == CALLER_ADMIN;
}

static uint64_t now_s(const struct policies *policies)
{
    const struct clock_source *clock =
        policies->service != NULL ? policies->service->options.keeper.clock : NULL;
    return clock_wall_ns(clock != NULL ? clock : &clock_system) / 1000000000u;
}

static void put_input(struct buffer *out, const struct authorise_question *question,
                      uint64_t time_s)
{
    const struct caller *caller = question->caller;
    put_text(out, "{\"principal\":", caller->name);
    put_text(out, ",\"method\":", methods[caller->kind]);
    put_text(out, ",\"tenant\":", caller->tenant);
    put_policies(out, caller);
    put_flag(out, ",\"admin\":", is_operator(question));
    put_text(out, ",\"action\":", question->action);
    put_text(out, ",\"capability\":", capability_name(question->capability));
    put_flag(out, ",\"sudo\":", question->sudo);
    put_text(out, ",\"purpose\":", question->purpose);
    put_text(out, ",\"source\":", question->source);
    put_resource(out, question);
    buffer_format(out, ",\"time\":%" PRIu64 "}", time_s);
}

/* ---- the question ---------------------------------------------------------------------------- */

/* Whatever a policy says, or its data: who is at the machine may put another one in its place. */
static bool is_about_policies(const char *path)
{
    static const char *const prefixes[] = {"lethe/policies/", "sys/policies/", "sys/policy/"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static void allow_repair(struct lethe_decision *decision)
{
    static const char why[] = "operators on this machine may always change policies";
    decision->allowed = true;
    decision->reason = LETHE_POLICY_ALLOWED;
    memcpy(decision->text, why, sizeof why);
}

lethe_result authorise(struct policies *policies, const struct authorise_question *question,
                       struct lethe_decision *decision, struct lethe_error *err)
{
    struct buffer *input = &policies->input;
    buffer_truncate(input, 0);
    put_input(input, question, now_s(policies));
    if (input->failure != LETHE_OK) {
        buffer_clear(input); /* the failure would stay */
        *decision = (struct lethe_decision){.reason = LETHE_POLICY_NO_MEMORY};
        return error_set(err, LETHE_DENIED, "permission denied");
    }
    policies_decide(policies, POLICY_ALLOW, input->bytes, input->size_bytes, decision);
    if (!decision->allowed && is_operator(question) && is_about_policies(question->path))
        allow_repair(decision);
    return decision->allowed ? LETHE_OK : error_set(err, LETHE_DENIED, "permission denied");
}
