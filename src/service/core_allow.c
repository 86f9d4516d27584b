/* Whether a proven caller may: claims that are true, the route's own rules, the policy; and the
 * record of what was decided. */
#include <string.h>

#include "base/error.h"
#include "service/authorise.h"
#include "service/core_core.h"
#include "service/core_resource.h"

#define DENIED "permission denied"

/* ---- what for -------------------------------------------------------------------------------- */

static const struct field_value *claim(const struct call *call, enum router_claim which)
{
    return &call->values[call->match.routed->claims[which]];
}

static bool claim_is(const struct call *call, enum router_claim which, const char *proven)
{
    const struct field_value *value = claim(call, which);
    return call->match.routed->is_own[which] || !value->given || field_is(value, proven);
}

/* An identity may be written without its "spiffe://". */
static bool claims_name(const struct call *call, enum router_claim which)
{
    static const char scheme[] = "spiffe://";
    const char *name = call->caller.name;
    bool has_scheme = strncmp(name, scheme, strlen(scheme)) == 0;
    return claim_is(call, which, name) ||
           (has_scheme && claim_is(call, which, name + strlen(scheme)));
}

/* ---- whether it may -------------------------------------------------------------------------- */

static void emit(const struct call *call, const struct audit_event *event)
{
    const struct audit_who who = {call->caller.name, call->caller.tenant, ""};
    if (call->service->keeper != NULL)
        audit_emit(keeper_log(call->service->keeper), &who, event);
}

static void record_decision(struct call *call, bool allowed, const char *reason, const char *digest)
{
    const struct route *route = call->match.routed->route;
    const struct audit_event event =
        allowed ? audit_authorization_granted(call->caller.name, route->action, call->path, reason,
                                              digest)
                : audit_authorization_denied(call->caller.name, route->action, call->path, reason,
                                             digest);
    call->core->counts.denied += allowed ? 0 : 1;
    if (!allowed || (route->flags & ROUTE_NO_RECORD) == 0)
        emit(call, &event);
}

/* E-7: who says to be somebody else than it has proven, or another tenant's, is not merely
 * mistaken. */
static bool claims_are_true(struct call *call)
{
    if (claim_is(call, CLAIM_TENANT, call->caller.tenant) && claims_name(call, CLAIM_PRINCIPAL) &&
        claims_name(call, CLAIM_IDENTITY))
        return true;
    const struct audit_event event =
        audit_policy_violation("identity", "the request claims another tenant or identity",
                               call->path, "high", call->caller.name, "denied");
    call->core->counts.denied++;
    call_record(call, &event);
    return false;
}

static lethe_result ask_policy(struct call *call, struct lethe_error *err)
{
    char purpose[64 + 1];
    struct resource resource;
    struct lethe_decision decision;
    struct authorise_question question;
    struct lethe_error why = {0};
    lethe_result read =
        field_copy(claim(call, CLAIM_PURPOSE), "purpose", purpose, sizeof purpose, &why);
    resource_of_call(call, &resource);
    resource_question(call, &resource, &question);
    if (purpose[0] != '\0')
        question.purpose = purpose;
    lethe_result result = authorise(call->service->policies, &question, &decision, err);
    if (result == LETHE_OK || result == LETHE_DENIED)
        record_decision(call, result == LETHE_OK, decision.text, decision.policy_digest);
    TRY(result);
    return read == LETHE_OK ? LETHE_OK : error_set(err, read, "%s", why.text);
}

/* A sealed service has no policy; what it answers then is for everybody, or for operators. */
lethe_result core_allow(struct call *call, struct lethe_error *err)
{
    const struct route *route = call->match.routed->route;
    if ((route->flags & ROUTE_ADMIN) != 0 && !call_is_admin(call)) {
        record_decision(call, false, "only on the admin socket", "");
        return error_set(err, LETHE_DENIED, DENIED);
    }
    if ((route->flags & ROUTE_OPEN) != 0)
        return LETHE_OK;
    if (!claims_are_true(call))
        return error_set(err, LETHE_DENIED, DENIED);
    if ((route->flags & ROUTE_SELF) != 0) {
        record_decision(call, true, "about the caller's own token", "");
        return LETHE_OK;
    }
    if (call->service->policies != NULL)
        return ask_policy(call, err);
    return call->caller.kind == CALLER_ADMIN ? LETHE_OK : error_set(err, LETHE_DENIED, DENIED);
}

/* The record does not name the path: what is no path of ours may be anything, a secret too. */
bool core_allows_asking(struct call *call)
{
    struct lethe_decision decision;
    if (resource_may_ask(call, &decision))
        return true;
    const struct audit_event event = audit_authorization_denied(
        call->caller.name, "none", "", decision.text, decision.policy_digest);
    call->core->counts.denied++;
    emit(call, &event);
    return false;
}
