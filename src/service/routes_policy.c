/* sys/policy and sys/policies/acl (Vault's path policies), lethe/policies (modules in Rego, data).
 * They are written on the admin socket only, as every change of what others may. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/policies_core.h"

static struct policies *policies_of(struct call *call)
{
    return call_service(call)->policies;
}

/* "" for a name that no policy can have. */
static const char *name_of(struct call *call, char out[POLICY_NAME_MAX + 1])
{
    const char *name = call_capture(call, "name");
    size_t length = strlen(name);
    out[0] = '\0';
    if (length > POLICY_NAME_MAX || name[0] == '.')
        return out;
    for (size_t i = 0; i <= length; i++) {
        out[i] = name[i];
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", out[i]) == NULL) {
            out[0] = '\0';
            return out;
        }
    }
    return out;
}

static lethe_result bad_name(struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID, "names of policies are 1 to %u of [a-z0-9._-]",
                     POLICY_NAME_MAX);
}

static lethe_result text_of(struct call *call, const char *prefix, const char *name,
                            struct buffer *out, struct lethe_error *err)
{
    if (name[0] == '\0')
        return error_set(err, LETHE_NOT_FOUND, "there is no such policy");
    if (strcmp(prefix, ROWS_PATHS) == 0 && strcmp(name, "root") == 0)
        return LETHE_OK;
    return policies_text(policies_of(call), prefix, name, out, err);
}

static void put_text(struct json_writer *writer, const char *name, const struct buffer *text)
{
    json_put_bytes(writer, name, text->size_bytes > 0 ? text->bytes : "", text->size_bytes);
}

/* ---- path policies --------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct policy_name *)a)->text, ((const struct policy_name *)b)->text);
}

static lethe_result path_names(struct call *call, struct policy_names *out, struct lethe_error *err)
{
    const struct policy_names *paths = &policies_of(call)->paths;
    for (size_t i = 0; i < paths->count; i++)
        TRY(policy_names_add(out, paths->items[i].text, err));
    TRY(policy_names_add(out, "root", err));
    qsort(out->items, out->count, sizeof *out->items, compare_names);
    return LETHE_OK;
}

static void put_names(struct json_writer *writer, const char *name,
                      const struct policy_names *names)
{
    json_begin_array(writer, name);
    for (size_t i = 0; i < names->count; i++)
        json_put_text(writer, NULL, names->items[i].text);
    json_end_array(writer);
}

static lethe_result acl_list(struct call *call, struct lethe_error *err)
{
    CLEANUP(policy_names_clear) struct policy_names names = {0};
    TRY(path_names(call, &names, err));
    put_names(answer_data(call), "keys", &names);
    return LETHE_OK;
}

/* The older path answers twice: beside `data`, where its first clients look, and in it. */
static void begin_twice(struct json_writer *writer)
{
    json_put_text(writer, "lease_id", "");
    json_put_boolean(writer, "renewable", false);
    json_put_integer(writer, "lease_duration", 0);
    json_put_null(writer, "wrap_info");
    json_put_null(writer, "warnings");
    json_put_null(writer, "auth");
    json_begin_object(writer, "data");
}

static lethe_result policy_list(struct call *call, struct lethe_error *err)
{
    CLEANUP(policy_names_clear) struct policy_names names = {0};
    TRY(path_names(call, &names, err));
    struct json_writer *writer = answer_bare(call);
    put_names(writer, "keys", &names);
    put_names(writer, "policies", &names);
    begin_twice(writer);
    put_names(writer, "keys", &names);
    put_names(writer, "policies", &names);
    json_end_object(writer);
    return LETHE_OK;
}

static void put_policy(struct json_writer *writer, const char *name, const char *member,
                       const struct buffer *text)
{
    json_put_text(writer, "name", name);
    put_text(writer, member, text);
}

static lethe_result answer_policy(struct call *call, const char *member, bool twice,
                                  struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char name[POLICY_NAME_MAX + 1];
    lethe_result result = text_of(call, ROWS_PATHS, name_of(call, name), &text, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    struct json_writer *writer = twice ? answer_bare(call) : answer_data(call);
    put_policy(writer, name, member, &text);
    if (!twice)
        return LETHE_OK;
    begin_twice(writer);
    put_policy(writer, name, member, &text);
    json_end_object(writer);
    return LETHE_OK;
}

static lethe_result acl_read(struct call *call, struct lethe_error *err)
{
    return answer_policy(call, "policy", false, err);
}

static lethe_result policy_read(struct call *call, struct lethe_error *err)
{
    return answer_policy(call, "rules", true, err);
}

enum { POLICY_TEXT, POLICY_RULES };
static const struct field policy_fields[] = {
    [POLICY_TEXT] = {"policy", FIELD_TEXT, false, "paths and capabilities, as HCL or JSON", NULL},
    [POLICY_RULES] = {"rules", FIELD_TEXT, false, "the older name of it", NULL},
    {0}};

static lethe_result policy_write(struct call *call, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    char name[POLICY_NAME_MAX + 1];
    const struct field_value *text = call_field(call, POLICY_TEXT);
    if (text->length == 0)
        text = call_field(call, POLICY_RULES);
    if (name_of(call, name)[0] == '\0')
        return bad_name(err);
    if (strcmp(name, "root") == 0)
        return error_set(err, LETHE_INVALID, "cannot update \"root\" policy");
    if (text->length == 0)
        return error_set(err, LETHE_INVALID, "'policy' parameter not supplied or empty");
    TRY(path_policy_parse(text->text, text->length, &json, err));
    const struct policy_write write = {
        .prefix = ROWS_PATHS, .name = name, .text = text->text, .length = text->length};
    TRY(policies_write(policies_of(call), &write, err));
    answer_nothing(call);
    return LETHE_OK;
}

/* What is not there can be deleted: others do so, too. */
static lethe_result remove_named(struct call *call, const char *prefix, const char *name,
                                 struct lethe_error *err)
{
    const struct policy_write write = {.prefix = prefix, .name = name};
    lethe_result result = policies_write(policies_of(call), &write, err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

static lethe_result policy_delete(struct call *call, struct lethe_error *err)
{
    char name[POLICY_NAME_MAX + 1];
    if (name_of(call, name)[0] == '\0')
        return bad_name(err);
    if (strcmp(name, "root") == 0 || strcmp(name, "default") == 0)
        return error_set(err, LETHE_INVALID, "cannot delete \"%s\" policy", name);
    return remove_named(call, ROWS_PATHS, name, err);
}

static bool policy_exists(struct call *call)
{
    char name[POLICY_NAME_MAX + 1];
    return policies_has(policies_of(call), name_of(call, name));
}

/* ---- modules --------------------------------------------------------------------------------- */

static lethe_result module_list(struct call *call, struct lethe_error *err)
{
    CLEANUP(policy_names_clear) struct policy_names names = {0};
    struct store *store = keeper_store(call_service(call)->keeper);
    TRY(policy_names_read(store, ROWS_MODULES, &names, err));
    if (names.count == 0)
        return answer_missing(call);
    put_names(answer_data(call), "keys", &names);
    return LETHE_OK;
}

static lethe_result module_read(struct call *call, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer rego = {0};
    CLEANUP(buffer_clear) struct buffer tests = {0};
    char name[POLICY_NAME_MAX + 1];
    lethe_result result = text_of(call, ROWS_MODULES, name_of(call, name), &rego, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    result = text_of(call, ROWS_TESTS, name, &tests, err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", name);
    put_text(writer, "rego", &rego);
    put_text(writer, "tests", &tests);
    json_put_text(writer, "policy_digest", policies_digest(policies_of(call)));
    return LETHE_OK;
}

enum { MODULE_REGO, MODULE_TESTS };
static const struct field module_fields[] = {
    [MODULE_REGO] = {"rego", FIELD_TEXT, true, "a module in Rego", NULL},
    [MODULE_TESTS] = {"tests", FIELD_TEXT, false,
                      "another with rules named test_..., run before anything changes", NULL},
    {0}};

static lethe_result module_write(struct call *call, struct lethe_error *err)
{
    char name[POLICY_NAME_MAX + 1];
    const struct field_value *rego = call_field(call, MODULE_REGO);
    const struct field_value *tests = call_field(call, MODULE_TESTS);
    const struct policy_write write = {.prefix = ROWS_MODULES,
                                       .name = name_of(call, name),
                                       .text = rego->text,
                                       .length = rego->length,
                                       .tests = tests->text,
                                       .tests_length = tests->length};
    if (name[0] == '\0')
        return bad_name(err);
    if (rego->length == 0)
        return error_set(err, LETHE_INVALID, "a module that is empty");
    TRY(policies_write(policies_of(call), &write, err));
    json_put_text(answer_data(call), "policy_digest", policies_digest(policies_of(call)));
    return LETHE_OK;
}

static lethe_result module_delete(struct call *call, struct lethe_error *err)
{
    char name[POLICY_NAME_MAX + 1];
    if (name_of(call, name)[0] == '\0')
        return bad_name(err);
    return remove_named(call, ROWS_MODULES, name, err);
}

/* ---- data ------------------------------------------------------------------------------------ */

static lethe_result data_read(struct call *call, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = policies_text(policies_of(call), ROWS_DATA, "", &text, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    struct json_writer *writer = answer_data(call);
    put_text(writer, "document", &text);
    json_put_text(writer, "policy_digest", policies_digest(policies_of(call)));
    return LETHE_OK;
}

enum { DATA_DOCUMENT };
static const struct field data_fields[] = {
    [DATA_DOCUMENT] = {"document", FIELD_TEXT, true,
                       "a JSON object as text: roles, role_bindings, suspended, ...", NULL},
    {0}};

static lethe_result data_write(struct call *call, struct lethe_error *err)
{
    const struct field_value *document = call_field(call, DATA_DOCUMENT);
    const struct policy_write write = {
        .prefix = ROWS_DATA, .name = "", .text = document->text, .length = document->length};
    if (document->length == 0)
        return error_set(err, LETHE_INVALID, "data of the policy is a JSON object");
    TRY(policy_data_check(document->text, document->length, err));
    TRY(policies_write(policies_of(call), &write, err));
    json_put_text(answer_data(call), "policy_digest", policies_digest(policies_of(call)));
    return LETHE_OK;
}

static lethe_result data_delete(struct call *call, struct lethe_error *err)
{
    return remove_named(call, ROWS_DATA, "", err);
}

/* ---- routes ---------------------------------------------------------------------------------- */

const struct route routes_policy[] = {
    {CALL_GET | CALL_LIST, "sys/policy", 0, "policy_list", NULL, NULL, policy_list,
     "Names of all path policies"},
    {CALL_GET, "sys/policy/:name", ROUTE_NO_CASE, "policy_read", NULL, NULL, policy_read,
     "The text of a path policy"},
    {CALL_POST, "sys/policy/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_write", policy_exists,
     policy_fields, policy_write, "Makes or replaces a path policy"},
    {CALL_DELETE, "sys/policy/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_delete", NULL, NULL,
     policy_delete, "Removes a path policy"},
    {CALL_LIST, "sys/policies/acl", 0, "policy_list", NULL, NULL, acl_list,
     "Names of all path policies"},
    {CALL_GET, "sys/policies/acl/:name", ROUTE_NO_CASE, "policy_read", NULL, NULL, acl_read,
     "The text of a path policy"},
    {CALL_POST, "sys/policies/acl/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_write",
     policy_exists, policy_fields, policy_write, "Makes or replaces a path policy"},
    {CALL_DELETE, "sys/policies/acl/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_delete", NULL,
     NULL, policy_delete, "Removes a path policy"},
    {CALL_LIST, "lethe/policies/modules", ROUTE_ADMIN, "policy_list", NULL, NULL, module_list,
     "Names of the modules that operators have added"},
    {CALL_GET, "lethe/policies/modules/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_read", NULL,
     NULL, module_read, "The text of a module, and of its tests"},
    {CALL_POST, "lethe/policies/modules/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_write", NULL,
     module_fields, module_write, "Adds or replaces a module, once all tests pass"},
    {CALL_DELETE, "lethe/policies/modules/:name", ROUTE_NO_CASE | ROUTE_ADMIN, "policy_delete",
     NULL, NULL, module_delete, "Removes a module; one that came along is in force again"},
    {CALL_GET, "lethe/policies/data", ROUTE_ADMIN, "policy_read", NULL, NULL, data_read,
     "The policy's data: roles, bindings, who is suspended"},
    {CALL_POST, "lethe/policies/data", ROUTE_ADMIN, "policy_write", NULL, data_fields, data_write,
     "Replaces the policy's data"},
    {CALL_DELETE, "lethe/policies/data", ROUTE_ADMIN, "policy_delete", NULL, NULL, data_delete,
     "Removes the policy's data"},
    {0}};
