#include "service/core_resource.h"

#include <stdio.h>
#include <string.h>

#include "service/core_core.h"

/* ---- whose ----------------------------------------------------------------------------------- */

static bool is_about_a_key(const struct routed *routed)
{
    static const char *const families[] = {"transit/", "lethe/keys/"};
    for (size_t i = 0; routed != NULL && i < ARRAY_LEN(families); i++) {
        if (strncmp(routed->route->pattern, families[i], strlen(families[i])) == 0)
            return true;
    }
    return false;
}

/* Cuts at the first dot; NULL: there is none. */
static char *cut(char *text)
{
    char *dot = strchr(text, '.');
    if (dot == NULL)
        return NULL;
    *dot = '\0';
    return dot + 1;
}

static void read_name(const char *name, struct resource *out)
{
    enum key_kind kind;
    bool is_models = key_name_check(name, &kind, NULL) == LETHE_OK && kind == KEY_ENCRYPTION;
    out->tenant = out->model = out->tier = "";
    snprintf(out->name, sizeof out->name, "%s", name);
    char *rest = cut(out->name);
    if (rest == NULL)
        return;
    out->tenant = out->name;
    if (!is_models)
        return;
    out->tier = cut(rest);
    out->model = rest;
}

void resource_of_match(const struct router_match *match, struct resource *out)
{
    read_name(is_about_a_key(match->routed) ? router_captured(match, "name") : "", out);
}

void resource_of_call(const struct call *call, struct resource *out)
{
    resource_of_match(&call->match, out);
}

/* ---- what for -------------------------------------------------------------------------------- */

static unsigned capability_of(struct call *call)
{
    const struct routed *routed = call->match.routed;
    switch (call->method) {
    case CALL_GET:
        return CAN_READ;
    case CALL_LIST:
        return CAN_LIST;
    case CALL_DELETE:
        return CAN_DELETE;
    default:
        return routed == NULL || routed->route->exists == NULL || routed->route->exists(call)
                   ? CAN_UPDATE
                   : CAN_CREATE;
    }
}

/* Under a model's key lie data keys: who does not say what one is for decrypts with it, as the
 * record says too. */
const char *resource_purpose(const char *action, const struct resource *resource)
{
    bool is_release = strcmp(action, "decrypt") == 0 && resource->model[0] != '\0';
    return is_release ? "decrypt" : "";
}

void resource_question(struct call *call, const struct resource *resource,
                       struct authorise_question *out)
{
    const struct routed *routed = call->match.routed;
    const char *action = routed != NULL ? routed->route->action : "";
    *out = (struct authorise_question){
        .caller = &call->caller,
        .action = action,
        .path = call->path,
        .capability = capability_of(call),
        .sudo = routed != NULL && (routed->route->flags & ROUTE_SUDO) != 0,
        .admin = call->caller.kind == CALLER_ADMIN,
        .source = call->connection->source,
        .purpose = resource_purpose(action, resource),
        .model = resource->model,
        .tier = resource->tier,
        .tenant = resource->tenant,
    };
}

bool resource_may_ask(struct call *call, struct lethe_decision *decision)
{
    struct resource resource;
    struct authorise_question question;
    *decision = (struct lethe_decision){0};
    if (call->service->policies == NULL)
        return call->caller.kind == CALLER_ADMIN;
    resource_of_call(call, &resource);
    resource_question(call, &resource, &question);
    return authorise(call->service->policies, &question, decision, NULL) == LETHE_OK;
}

/* ---- what others have ------------------------------------------------------------------------ */

/* Lists are of what is there: each tenant's part is asked about as if it stood alone. Names are
 * sorted, so that the answer for the last tenant is the one that is mostly wanted. */
bool call_may_see(struct call *call, const char *tenant)
{
    struct call_sight *sight = &call->sight;
    if (call->caller.tenant[0] == '\0' || tenant[0] == '\0' ||
        strcmp(call->caller.tenant, tenant) == 0)
        return true;
    if (sight->is_known && strcmp(sight->tenant, tenant) == 0)
        return sight->allowed;
    struct lethe_decision decision;
    struct authorise_question question;
    const struct resource resource = {.tenant = tenant, .model = "", .tier = ""};
    resource_question(call, &resource, &question);
    sight->allowed = authorise(call->service->policies, &question, &decision, NULL) == LETHE_OK;
    snprintf(sight->tenant, sizeof sight->tenant, "%s", tenant);
    sight->is_known = true;
    return sight->allowed;
}

void call_key_tenant(const char *name, char out[KEY_NAME_MAX + 1])
{
    struct resource resource;
    read_name(name, &resource);
    snprintf(out, KEY_NAME_MAX + 1, "%s", resource.tenant);
}

bool call_may_see_key(struct call *call, const char *name)
{
    char tenant[KEY_NAME_MAX + 1];
    call_key_tenant(name, tenant);
    return call_may_see(call, tenant);
}
