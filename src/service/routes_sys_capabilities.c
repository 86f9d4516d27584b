/* sys/capabilities-self: what a caller may do with paths. */
#include <string.h>

#include "base/error.h"
#include "service/authorise.h"
#include "service/core_core.h"
#include "service/core_resource.h"
#include "service/routes_sys.h"

#define CAPABILITY_PATHS_MAX 64u

enum { CAPABILITIES_PATHS, CAPABILITIES_PATH };
const struct field sys_capabilities_fields[] = {
    {"paths", FIELD_LIST, false, "paths below /v1/", NULL},
    {"path", FIELD_LIST, false, "the same, by its older name", NULL},
    {0}};

static const struct {
    unsigned capability, method;
    const char *name;
} capabilities[] = {
    {CAN_CREATE, CALL_POST, "create"}, {CAN_READ, CALL_GET, "read"},
    {CAN_UPDATE, CALL_POST, "update"}, {CAN_DELETE, CALL_DELETE, "delete"},
    {CAN_LIST, CALL_LIST, "list"},
};

#define ANY_METHOD (~0u)

static const struct router_match *find(struct call *call, unsigned method, const char *path)
{
    static char segments[CALL_PATH_MAX + 1];
    static struct router_match match;
    router_find(call->core->router, method, path, segments, &match);
    return &match;
}

static bool may(struct call *call, const char *path, size_t index, bool sudo)
{
    struct lethe_decision decision;
    struct resource resource;
    resource_of_match(find(call, ANY_METHOD, path), &resource);
    const struct router_match *match = find(call, capabilities[index].method, path);
    const char *action = match->routed == NULL ? "" : match->routed->route->action;
    const struct authorise_question question = {
        .caller = call_caller(call),
        .action = action,
        .path = path,
        .capability = capabilities[index].capability,
        .sudo = sudo,
        .admin = call_caller(call)->kind == CALLER_ADMIN,
        .source = call_source(call),
        .purpose = resource_purpose(action, &resource),
        .model = resource.model,
        .tier = resource.tier,
        .tenant = resource.tenant,
    };
    return authorise(call_service(call)->policies, &question, &decision, NULL) == LETHE_OK;
}

static void put_capabilities(struct call *call, struct json_writer *writer, const char *path)
{
    bool any = false, sudo = false;
    json_begin_array(writer, NULL);
    if (call_caller(call)->is_root) {
        json_put_text(writer, NULL, "root");
        json_end_array(writer);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        if (!may(call, path, i, false))
            continue;
        json_put_text(writer, NULL, capabilities[i].name);
        sudo = sudo || may(call, path, i, true);
        any = true;
    }
    if (sudo)
        json_put_text(writer, NULL, "sudo");
    if (!any)
        json_put_text(writer, NULL, "deny");
    json_end_array(writer);
}

/* A member whose name is from outside, and whose value is a list. */
static void put_path(struct call *call, struct json_writer *writer, const char *path)
{
    json_begin_named(writer, path, strlen(path));
    put_capabilities(call, writer, path);
}

static lethe_result write_capabilities(struct call *call, const struct field_value *list,
                                       struct guarded *scratch, struct lethe_error *err)
{
    const char *at = NULL;
    struct field_value element;
    char path[512];
    struct json_writer *writer = answer_data(call);
    for (size_t count = 0;; count++) {
        lethe_result result = field_list_next(list, &at, scratch, &element, err);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        TRY(result);
        if (count == CAPABILITY_PATHS_MAX)
            return error_set(err, LETHE_INVALID, "more than %u paths", CAPABILITY_PATHS_MAX);
        TRY(field_copy(&element, "paths", path, sizeof path, err));
        put_path(call, writer, path);
    }
}

lethe_result sys_capabilities_self(struct call *call, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    const struct field_value *list = call_field(call, CAPABILITIES_PATHS);
    if (!list->given)
        list = call_field(call, CAPABILITIES_PATH);
    return write_capabilities(call, list, &scratch, err);
}
