/* One request's way: path, route, proof, fields, policy, handler. The order matters: who has proven
 * nothing learns nothing, not even whether a path is one. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "service/auth.h"
#include "service/core_core.h"

#define DENIED "permission denied"

/* ---- the path -------------------------------------------------------------------------------- */

/* Steps over a prefix, if it is there. */
static bool step_over(const char **at, size_t *length, const char *prefix)
{
    size_t prefix_bytes = strlen(prefix);
    if (*length < prefix_bytes || memcmp(*at, prefix, prefix_bytes) != 0)
        return false;
    *at += prefix_bytes;
    *length -= prefix_bytes;
    return true;
}

/* "/v1/a/b/" is "a/b"; and "/metrics". Operators may leave out "v1/". False: no path that could be
 * one of ours. */
static bool copy_path(struct call *call, const struct wire_part *part)
{
    const char *at = (const char *)part->at;
    size_t length = part->size_bytes;
    call->path[0] = '\0';
    (void)step_over(&at, &length, "/");
    bool is_metrics = length == 7 && memcmp(at, "metrics", 7) == 0;
    if (!step_over(&at, &length, "v1/") && !is_metrics && !call->admin)
        return false;
    length -= length > 1 && at[length - 1] == '/' ? 1 : 0;
    if (length > CALL_PATH_MAX || memchr(at, '\0', length) != NULL)
        return false;
    memcpy(call->path, at, length);
    call->path[length] = '\0';
    return true;
}

/* No empty part, "." or "..", no control characters, UTF-8. */
static bool path_is_clean(const char *path)
{
    const char *part = path;
    for (const char *at = path;; at++) {
        if ((uint8_t)*at < 0x20 && *at != '\0')
            return false;
        if (*at != '/' && *at != '\0')
            continue;
        size_t length = (size_t)(at - part);
        if (length == 0 || (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.'))))
            return false;
        if (*at == '\0')
            return text_is_utf8(path, (size_t)(at - path));
        part = at + 1;
    }
}

/* One thing has one path when a policy is asked about it. */
static void lower(struct call *call)
{
    for (size_t i = 0; call->path[i] != '\0'; i++) {
        bool is_capital = call->path[i] >= 'A' && call->path[i] <= 'Z';
        if (is_capital)
            call->path[i] = call->segments[i] = (char)(call->path[i] | 0x20);
    }
}

static void find_route(struct call *call)
{
    const struct wire_part *query = &call->frame->parts[2];
    call->match = (struct router_match){0};
    call->method = call->frame->code;
    if (call->method == CALL_GET && fields_query_says(query->at, query->size_bytes, "list"))
        call->method = CALL_LIST;
    if (!copy_path(call, &call->frame->parts[1]) || !path_is_clean(call->path)) {
        call->path[0] = '\0';
        return;
    }
    router_find(call->core->router, call->method, call->path, call->segments, &call->match);
    if (call->match.routed != NULL && (call->match.routed->route->flags & ROUTE_NO_CASE) != 0)
        lower(call);
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* Whoever showed something that proves nothing waits before it is heard again. */
static void note_failure(struct call *call, bool has_shown, const char *method, const char *reason)
{
    const struct audit_failure failure = {method, call->connection->source, reason};
    call->penalise = call->penalise || has_shown;
    call->core->counts.unproven++;
    if (call->core->failures != NULL)
        audit_failures_note(call->core->failures, &failure);
}

static void admit_operator(struct call *call)
{
    call->caller = (struct caller){.kind = CALLER_ADMIN, .is_root = true};
    snprintf(call->caller.name, sizeof call->caller.name, "%s", call->connection->peer->admin_name);
}

static bool identify(struct call *call)
{
    const struct wire_part *token = &call->frame->parts[0];
    const char *reason = "unknown";
    const struct auth_input input = {
        .has_token = (call->frame->flags & WIRE_HAS_TOKEN) != 0,
        .token = token->at,
        .token_bytes = token->size_bytes,
        .chain = call->connection->chain,
        .chain_bytes = call->connection->chain_bytes,
        .now_s = call->now_s,
    };
    if (call->admin && !input.has_token) {
        admit_operator(call);
        return true;
    }
    bool has_shown = input.has_token || input.chain != NULL;
    if (call->service->keeper == NULL)
        return false; /* nothing can be proven */
    if (auth_identify(call->service, &input, &call->caller, &reason, NULL) != LETHE_OK) {
        call->caller = (struct caller){0};
        note_failure(call, has_shown, input.has_token ? "token" : "mtls", reason);
        return false;
    }
    connection_note_caller(call->connection, &call->caller);
    return true;
}

/* ---- the call -------------------------------------------------------------------------------- */

static lethe_result read_fields(struct call *call, struct lethe_error *err)
{
    const struct wire_part *query = &call->frame->parts[2];
    const struct wire_part *body = &call->frame->parts[3];
    bool takes_body = call->method == CALL_POST || call->method == CALL_DELETE;
    const struct fields_input input = {
        .body = body->at,
        .body_bytes = takes_body ? body->size_bytes : 0, /* some clients send one with GET */
        .query = query->at,
        .query_bytes = query->size_bytes,
    };
    return fields_read(call->match.routed->fields, &input, &call->fields, call->values, err);
}

/* Changes that the handler makes are on record as the caller's. */
static void act_for_caller(struct call *call)
{
    struct core *core = call->core;
    if (call->service->keeper == NULL || strcmp(core->acting_for, call->caller.name) == 0)
        return;
    snprintf(core->acting_for, sizeof core->acting_for, "%s", call->caller.name);
    keeper_act_for(call->service->keeper, core->acting_for[0] == '\0' ? NULL : core->acting_for);
}

/* What is wrong with a request is told to whom it is allowed, and nobody else: where fields cannot
 * be read, it is asked for as if there were none. */
static lethe_result handle(struct call *call, struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result read = read_fields(call, &why);
    if (read != LETHE_OK && read != LETHE_INVALID)
        memset(call->values, 0, sizeof call->values);
    TRY(core_allow(call, err));
    if (read != LETHE_OK)
        return error_set(err, read, "%s", why.text);
    act_for_caller(call);
    return call->match.routed->route->handle(call, err);
}

/* What can be said without looking at who asks. 0: nothing. */
static unsigned refuse_early(struct call *call)
{
    if ((call->frame->flags & WIRE_WRAP_TTL) != 0)
        return answer_error(call, 400,
                            "response wrapping is not offered: leave out X-Vault-Wrap-TTL");
    if ((call->frame->flags & WIRE_NAMESPACE) != 0)
        return answer_error(call, 404, "there are no namespaces: leave out X-Vault-Namespace");
    const struct routed *routed = call->match.routed;
    bool is_ready = call->service->keeper != NULL && !call->core->seal_wanted;
    if (!is_ready && (routed == NULL || (routed->route->flags & ROUTE_SEALED) == 0))
        return answer_error(call, 503, "the service is sealed");
    if (call->core->unreadable)
        return answer_error(call, 503, "the store cannot be read");
    return 0;
}

/* Who may do nothing with a path does not learn whether there is one. */
static unsigned answer_no_route(struct call *call)
{
    if (!core_allows_asking(call))
        return answer_error(call, 403, DENIED);
    return call->match.other_method ? answer_error(call, 405, "the path has no such method")
                                    : answer_error(call, 404, "there is no such path");
}

static unsigned answer(struct call *call)
{
    struct lethe_error err;
    const struct routed *routed = call->match.routed;
    unsigned status = refuse_early(call);
    if (status != 0)
        return status;
    bool is_open = routed != NULL && (routed->route->flags & ROUTE_OPEN) != 0;
    if (!is_open && !identify(call))
        return answer_error(call, 403, DENIED);
    if (routed == NULL)
        return answer_no_route(call);
    err.text[0] = '\0';
    lethe_result result = handle(call, &err);
    if (result == LETHE_OK && call->shape == ANSWER_EVENTS && !events_expect(call))
        result = error_set(&err, LETHE_BUSY, "too many streams of events are open");
    return result == LETHE_OK ? answer_finish(call) : answer_failure(call, result, &err);
}

static void begin(struct call *call, struct core *core, const struct wire_frame *frame)
{
    call->core = core;
    call->service = core->service;
    call->frame = frame;
    call->caller.kind = CALLER_NOBODY;
    call->caller.name[0] = call->caller.tenant[0] = call->caller.accessor[0] = '\0';
    call->caller.policy_count = 0;
    call->caller.is_root = false;
    call->sight.is_known = false;
    call->shape = ANSWER_NONE;
    call->status = 0;
    call->content_type = NULL;
    call->start = core->turn->answers.size_bytes;
    call->warning_count = 0;
    call->penalise = false;
}

static void put_answer(struct call *call, unsigned status)
{
    struct turn *turn = call->core->turn;
    if (turn->answers.failure != LETHE_OK) /* not even the error could be written */
        answer_take_back(call);
    bool has_body = call->content_type != NULL;
    turn->calls[turn->call_count++] = (struct turn_answer){
        .connection = call->frame->connection,
        .number = call->frame->number,
        .status = status,
        .stream = call->shape == ANSWER_EVENTS,
        .content_type = call->content_type,
        .start = call->start,
        .size_bytes = has_body ? turn->answers.size_bytes - call->start : 0,
    };
}

static void penalise(const struct call *call, struct core_peer *peer)
{
    const char *source = call->connection->source;
    struct wire_frame frame = {.kind = WIRE_PENALISE,
                               .connection = call->connection->id,
                               .parts = {{(const uint8_t *)source, strlen(source)}}};
    if (peer->origin == CORE_NETWORK)
        wire_put(&peer->wire, &frame);
}

static bool is_method(unsigned code)
{
    return code == CALL_GET || code == CALL_POST || code == CALL_DELETE || code == CALL_LIST;
}

static void count(struct core *core, const struct call *call, unsigned status)
{
    core->counts.calls++;
    if (call->match.routed != NULL)
        call->match.routed->counts[MIN(status / 100, 5u)]++;
}

lethe_result core_call(struct core *core, struct core_peer *peer, const struct wire_frame *frame)
{
    struct call *call = &core->call;
    call->connection = core_connection_find(core, peer, frame->connection);
    if (call->connection == NULL || !is_method(frame->code))
        return LETHE_MALFORMED;
    call->admin = peer->origin == CORE_ADMIN;
    call->now_s = core_now_s(core);
    begin(call, core, frame);
    find_route(call);
    unsigned status = answer(call);
    count(core, call, status);
    put_answer(call, status);
    if (call->penalise)
        penalise(call, peer);
    guarded_wipe(&call->fields);
    auth_forget(core->service);
    return LETHE_OK;
}
