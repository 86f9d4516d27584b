#include "service/openapi.h"

#include <string.h>

#include "base/buffer.h"

/* How a field's type is said in JSON Schema. */
static const struct {
    const char *type, *format, *items; /* NULL: none */
} schemas[] = {
    [FIELD_TEXT] = {"string", NULL, NULL},     [FIELD_BASE64] = {"string", "byte", NULL},
    [FIELD_INTEGER] = {"integer", NULL, NULL}, [FIELD_BOOLEAN] = {"boolean", NULL, NULL},
    [FIELD_DURATION] = {"string", NULL, NULL}, [FIELD_LIST] = {"array", NULL, "string"},
    [FIELD_MAP] = {"object", NULL, NULL},      [FIELD_ITEMS] = {"array", NULL, "object"},
};

static void put_fields(struct json_writer *writer, const struct field *fields);

static void put_schema(struct json_writer *writer, const struct field *field)
{
    json_put_text(writer, "type", schemas[field->type].type);
    if (schemas[field->type].format != NULL)
        json_put_text(writer, "format", schemas[field->type].format);
    if (schemas[field->type].items == NULL)
        return;
    json_begin_object(writer, "items");
    if (field->items != NULL)
        put_fields(writer, field->items);
    else
        json_put_text(writer, "type", schemas[field->type].items);
    json_end_object(writer);
}

/* Members of a schema of an object. */
static void put_fields(struct json_writer *writer, const struct field *fields)
{
    bool any_required = false;
    json_put_text(writer, "type", "object");
    json_begin_object(writer, "properties");
    for (const struct field *field = fields; field->name != NULL; field++) {
        json_begin_object(writer, field->name);
        put_schema(writer, field);
        json_put_text(writer, "description", field->help == NULL ? "" : field->help);
        json_end_object(writer);
        any_required = any_required || field->required;
    }
    json_end_object(writer);
    if (!any_required)
        return;
    json_begin_array(writer, "required");
    for (const struct field *field = fields; field->name != NULL; field++) {
        if (field->required)
            json_put_text(writer, NULL, field->name);
    }
    json_end_array(writer);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static void put_parameter(struct json_writer *writer, const char *name, size_t length,
                          const char *where)
{
    json_begin_object(writer, NULL);
    json_put_bytes(writer, "name", name, length);
    json_put_text(writer, "in", where);
    json_put_boolean(writer, "required", strcmp(where, "path") == 0);
    json_begin_object(writer, "schema");
    json_put_text(writer, "type", "string");
    json_end_object(writer);
    json_end_object(writer);
}

static void put_parameters(struct json_writer *writer, const struct route *route, bool in_query)
{
    json_begin_array(writer, "parameters");
    for (const char *at = route->pattern; at != NULL; at = strchr(at, '/')) {
        at += *at == '/' ? 1 : 0;
        if (*at == ':' || *at == '*')
            put_parameter(writer, at + 1, strcspn(at + 1, "/"), "path");
    }
    for (const struct field *field = route->fields;
         in_query && field != NULL && field->name != NULL; field++)
        put_parameter(writer, field->name, strlen(field->name), "query");
    json_end_array(writer);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static const struct {
    unsigned method;
    const char *name;
    bool in_query;
} methods[] = {
    {CALL_GET, "get", true},
    {CALL_POST, "post", false},
    {CALL_DELETE, "delete", true},
    {CALL_LIST, "x-list",
     true}, /* the method LIST, which OpenAPI has no word for; GET ?list=true */
};

static void put_body(struct json_writer *writer, const struct field *fields)
{
    json_begin_object(writer, "requestBody");
    json_begin_object(writer, "content");
    json_begin_object(writer, "application/json");
    json_begin_object(writer, "schema");
    put_fields(writer, fields);
    json_end_object(writer);
    json_end_object(writer);
    json_end_object(writer);
    json_end_object(writer);
}

static void put_responses(struct json_writer *writer)
{
    json_begin_object(writer, "responses");
    json_begin_object(writer, "200");
    json_put_text(writer, "description", "OK");
    json_end_object(writer);
    json_end_object(writer);
}

static void put_operation(struct json_writer *writer, const struct route *route, size_t method)
{
    json_begin_object(writer, methods[method].name);
    json_put_text(writer, "summary", route->summary == NULL ? "" : route->summary);
    json_put_text(writer, "x-action", route->action);
    if ((route->flags & ROUTE_OPEN) != 0)
        json_put_boolean(writer, "x-vault-unauthenticated", true);
    if ((route->flags & ROUTE_SUDO) != 0)
        json_put_boolean(writer, "x-vault-sudo", true);
    if ((route->flags & ROUTE_ADMIN) != 0)
        json_put_boolean(writer, "x-lethe-admin", true);
    put_parameters(writer, route, methods[method].in_query);
    if (!methods[method].in_query && route->fields != NULL)
        put_body(writer, route->fields);
    put_responses(writer);
    json_end_object(writer);
}

/* ":name" and "*name" are "{name}". */
static void put_path_name(struct json_writer *writer, const char *pattern)
{
    CLEANUP(buffer_clear) struct buffer name = {0};
    for (const char *at = pattern; *at != '\0';) {
        int length = (int)strcspn(at, "/");
        bool is_variable = *at == ':' || *at == '*';
        if (is_variable)
            buffer_format(&name, "/{%.*s}", length - 1, at + 1);
        else
            buffer_format(&name, "/%.*s", length, at);
        at += length + (at[length] == '/' ? 1 : 0);
    }
    if (name.failure == LETHE_OK)
        json_begin_named(writer, name.bytes, name.size_bytes);
    else
        writer->out->failure = name.failure;
}

static bool is_first(struct router *router, size_t index)
{
    const char *pattern = router_at(router, index)->route->pattern;
    for (size_t i = 0; i < index; i++) {
        if (strcmp(router_at(router, i)->route->pattern, pattern) == 0)
            return false;
    }
    return true;
}

/* All rows of a pattern, in one object. */
static void put_path(struct json_writer *writer, struct router *router, const char *pattern)
{
    unsigned done = 0;
    put_path_name(writer, pattern);
    json_begin_object(writer, NULL);
    for (size_t i = 0; router_at(router, i) != NULL; i++) {
        const struct route *route = router_at(router, i)->route;
        if (strcmp(route->pattern, pattern) != 0)
            continue;
        for (size_t method = 0; method < ARRAY_LEN(methods); method++) {
            unsigned bit = methods[method].method;
            if ((route->methods & bit & ~done) != 0)
                put_operation(writer, route, method);
            done |= route->methods & bit;
        }
    }
    json_end_object(writer);
}

void openapi_write(struct router *router, struct guarded *out)
{
    struct json_writer writer = {.out = out};
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "openapi", "3.0.3");
    json_begin_object(&writer, "info");
    json_put_text(&writer, "title", "Lethe key service");
    json_put_text(&writer, "version", LETHE_VERSION);
    json_end_object(&writer);
    json_begin_array(&writer, "servers");
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "url", "/v1");
    json_end_object(&writer);
    json_end_array(&writer);
    json_begin_object(&writer, "paths");
    for (size_t i = 0; router_at(router, i) != NULL; i++) {
        if (is_first(router, i))
            put_path(&writer, router, router_at(router, i)->route->pattern);
    }
    json_end_object(&writer);
    json_end_object(&writer);
}
