#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/router.h"

#define BUCKETS 256u

struct router {
    struct routed *rows;
    size_t count;
    struct routed *buckets[BUCKETS]; /* by the first two parts */
    struct routed *loose;            /* whose first two parts are not fixed */
};

static const char *const claim_names[] = {
#define CLAIM_NAME(place, name) name,
    ROUTER_CLAIMS(CLAIM_NAME)
#undef CLAIM_NAME
};

/* ---- making ---------------------------------------------------------------------------------- */

static size_t part_length(const char *at)
{
    return strcspn(at, "/");
}

/* Of the first two parts of a path, or the only one. */
static unsigned bucket_of(const char *path)
{
    uint32_t hash = 2166136261u;
    unsigned slashes = 0;
    for (; *path != '\0'; path++) {
        if (*path == '/' && ++slashes == 2)
            break;
        hash = (hash ^ (uint8_t)*path) * 16777619u;
    }
    return (hash ^ hash >> 16) % BUCKETS;
}

static bool is_variable(const char *part)
{
    return part[0] == ':' || part[0] == '*';
}

static bool begins_variable(const char *pattern)
{
    size_t first = part_length(pattern);
    return is_variable(pattern) || (pattern[first] == '/' && is_variable(pattern + first + 1));
}

/* At the end, so that the order of the tables is kept. */
static void link_row(struct routed **list, struct routed *row)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = row;
}

static lethe_result add_claims(struct routed *row, size_t count)
{
    row->own_count = count;
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        size_t own = 0;
        while (own < row->own_count && strcmp(row->fields[own].name, claim_names[i]) != 0)
            own++;
        row->is_own[i] = own < row->own_count;
        row->claims[i] = (uint8_t)(row->is_own[i] ? own : count);
        if (!row->is_own[i])
            row->fields[count++] = (struct field){.name = claim_names[i], .type = FIELD_TEXT};
    }
    return LETHE_OK;
}

static lethe_result fill_row(struct routed *row, const struct route *route, struct lethe_error *err)
{
    size_t count = 0;
    row->route = route;
    while (route->fields != NULL && route->fields[count].name != NULL)
        count++;
    REQUIRE(count <= FIELDS_MAX);
    row->fields = calloc(count + CLAIM_COUNT + 1, sizeof *row->fields);
    if (row->fields == NULL)
        return error_set(err, LETHE_NO_MEMORY, "a table of routes");
    if (count > 0)
        memcpy(row->fields, route->fields, count * sizeof *row->fields);
    return add_claims(row, count);
}

static size_t count_all(const struct route *const *tables)
{
    size_t count = 0;
    for (; *tables != NULL; tables++) {
        for (const struct route *route = *tables; route->pattern != NULL; route++)
            count++;
    }
    return count;
}

lethe_result router_create(const struct route *const *tables, struct router **out,
                           struct lethe_error *err)
{
    CLEANUP(router_free) struct router *router = calloc(1, sizeof *router);
    size_t count = count_all(tables);
    if (router != NULL)
        router->rows = calloc(count, sizeof *router->rows);
    if (router == NULL || router->rows == NULL)
        return error_set(err, LETHE_NO_MEMORY, "a table of routes");
    for (; *tables != NULL; tables++) {
        for (const struct route *route = *tables; route->pattern != NULL; route++) {
            struct routed *row = &router->rows[router->count++];
            TRY(fill_row(row, route, err));
            link_row(begins_variable(route->pattern) ? &router->loose
                                                     : &router->buckets[bucket_of(route->pattern)],
                     row);
        }
    }
    *out = MOVE(router);
    return LETHE_OK;
}

void router_free(struct router *router)
{
    if (router == NULL)
        return;
    for (size_t i = 0; i < router->count; i++)
        free(router->rows[i].fields);
    free(router->rows);
    free(router);
}

struct routed *router_at(struct router *router, size_t index)
{
    return index < router->count ? &router->rows[index] : NULL;
}

/* ---- finding --------------------------------------------------------------------------------- */

static void capture(struct router_match *out, const char *pattern, const char *text)
{
    REQUIRE(out->capture_count < ROUTER_CAPTURES_MAX);
    out->captures[out->capture_count++] =
        (struct router_capture){pattern + 1, part_length(pattern) - 1, text};
}

/* `parts` is `path` with NULs in place of slashes; a variable part is not empty. */
static bool fits(const char *pattern, const char *path, const char *parts, struct router_match *out)
{
    size_t at = 0;
    out->capture_count = 0;
    for (;;) {
        size_t wanted = part_length(pattern);
        size_t length = strlen(parts + at);
        if (*pattern == '*') {
            capture(out, pattern, path + at);
            return path[at] != '\0';
        }
        if (*pattern == ':' && length > 0)
            capture(out, pattern, parts + at);
        else if (length != wanted || memcmp(pattern, parts + at, wanted) != 0)
            return false;
        pattern += wanted;
        at += length;
        if (*pattern == '\0' || path[at] == '\0')
            return *pattern == path[at];
        pattern++;
        at++;
    }
}

static bool find_in(struct routed *list, unsigned method, const char *path, const char *parts,
                    struct router_match *out)
{
    for (struct routed *row = list; row != NULL; row = row->next) {
        if (!fits(row->route->pattern, path, parts, out))
            continue;
        if ((row->route->methods & method) != 0) {
            out->routed = row;
            return true;
        }
        out->other_method = true;
    }
    return false;
}

const char *router_captured(const struct router_match *match, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < match->capture_count; i++) {
        const struct router_capture *capture = &match->captures[i];
        if (capture->name_bytes == length && memcmp(capture->name, name, length) == 0)
            return capture->text;
    }
    return "";
}

void router_find(const struct router *router, unsigned method, const char *path, char *segments,
                 struct router_match *out)
{
    size_t length = strlen(path);
    out->routed = NULL;
    out->other_method = false;
    for (size_t i = 0; i <= length; i++)
        segments[i] = path[i] == '/' ? '\0' : path[i];
    if (!find_in(router->buckets[bucket_of(path)], method, path, segments, out))
        (void)find_in(router->loose, method, path, segments, out);
}
