#include <string.h>

#include "base/error.h"
#include "service/core_core.h"

struct service *call_service(struct call *call)
{
    return call->service;
}

const struct caller *call_caller(const struct call *call)
{
    return &call->caller;
}

bool call_is_admin(const struct call *call)
{
    return call->admin || call->service->options.dev;
}

const char *call_source(const struct call *call)
{
    return call->connection->source;
}

const char *call_path(const struct call *call)
{
    return call->path;
}

const char *call_capture(const struct call *call, const char *name)
{
    return router_captured(&call->match, name);
}

uint64_t call_now_s(const struct call *call)
{
    return call->now_s;
}

const uint8_t *call_chain(const struct call *call, size_t *size_bytes)
{
    *size_bytes = call->connection->chain_bytes;
    return call->connection->chain;
}

const struct field_value *call_field(const struct call *call, size_t index)
{
    REQUIRE(index < call->match.routed->own_count);
    return &call->values[index];
}

/* ---- what is recorded ------------------------------------------------------------------------ */

/* A record that has no place is a record that cannot be made durable: the call fails with it. */
void call_record(struct call *call, const struct audit_event *event)
{
    struct turn *turn = call->core->turn;
    bool is_use = event->kind == AUDIT_KIND_key_used && call->service->options.emit_uses;
    if (call->service->keeper == NULL)
        return;
    if (is_use) {
        const struct audit_who who = {call->caller.name, call->caller.tenant, ""};
        audit_emit(keeper_log(call->service->keeper), &who, event);
        return;
    }
    lethe_result result = turn_record(turn, &call->caller, event);
    if (result != LETHE_OK && turn->answers.failure == LETHE_OK)
        turn->answers.failure = result;
}

void call_penalise(struct call *call)
{
    call->penalise = true;
}
