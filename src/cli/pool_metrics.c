/* Prometheus' text format (version 0.0.4). No label says who somebody is. */
#include <string.h>

#include "base/error.h"
#include "cli/pool_status.h"

static const json_t *list_of(const json_t *status, const char *name)
{
    return json_object_get(status, name);
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void describe(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_format(out, "# HELP lethe_pool_%s %s\n# TYPE lethe_pool_%s %s\n", name, help, name,
                  type);
}

/* ---- by state -------------------------------------------------------------------------------- */

static const char *const provider_states[] = {"joined",      "draining", "stopped",
                                              "unreachable", "lost",     NULL};
static const char *const lease_states[] = {"granted", "active", "frozen", "wiping", "lost", NULL};

static void put_states(struct buffer *out, const json_t *list, const char *name,
                       const char *const *states)
{
    for (; *states != NULL; states++) {
        size_t i, count = 0;
        const json_t *row;
        json_array_foreach(list, i, row)
        {
            const char *state = json_string_value(json_object_get(row, "state"));
            count += state != NULL && strcmp(state, *states) == 0;
        }
        buffer_format(out, "lethe_pool_%s{state=\"%s\"} %zu\n", name, *states, count);
    }
}

/* ---- sums over providers --------------------------------------------------------------------- */

static const struct {
    const char *key, *name, *help;
} sums[] = {
    {"capacity", "capacity_bytes", "Memory that providers lend."},
    {"free", "free_bytes", "Memory that could be granted now."},
    {"used", "used_bytes", "Memory in leases, as providers say."},
    {"wiping", "wiping_bytes", "Memory that is being wiped."},
    {"unwiped", "unwiped_bytes", "Memory that could not be shown to be zero."},
};

static void put_sums(struct buffer *out, const json_t *providers)
{
    for (size_t s = 0; s < ARRAY_LEN(sums); s++) {
        size_t i;
        const json_t *row;
        json_int_t sum = 0;
        json_array_foreach(providers, i, row)
        {
            if (__builtin_add_overflow(sum, number_of(row, sums[s].key), &sum))
                sum = INT64_MAX; /* whatever the control plane says */
        }
        describe(out, sums[s].name, "gauge", sums[s].help);
        buffer_format(out, "lethe_pool_%s %lld\n", sums[s].name, (long long)sum);
    }
}

/* ---- counters -------------------------------------------------------------------------------- */

static bool is_total(const char *name)
{
    size_t length = strlen(name), tail = strlen("_total");
    return length > tail && strcmp(name + length - tail, "_total") == 0;
}

/* Names are the control plane's, which is proven; that they are names is checked all the same. */
static bool is_name(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

static void put_counters(struct buffer *out, const json_t *counters)
{
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counters, name, value)
    {
        if (!json_is_integer(value) || !is_name(name))
            continue;
        const char *shown = strcmp(name, "held") == 0     ? "held_bytes"
                            : strcmp(name, "leases") == 0 ? "leases_known"
                                                          : name;
        buffer_format(out, "# TYPE lethe_pool_%s %s\nlethe_pool_%s %lld\n", shown,
                      is_total(name) ? "counter" : "gauge", shown,
                      (long long)json_integer_value(value));
    }
}

lethe_result pool_metrics(const json_t *status, struct buffer *out, struct lethe_error *err)
{
    const json_t *providers = list_of(status, "providers"), *leases = list_of(status, "leases");
    const json_t *counters = json_object_get(status, "counters");
    if (!json_is_array(providers) || !json_is_array(leases) || !json_is_object(counters))
        return error_set(err, LETHE_MALFORMED, "the control plane's status is not as expected");
    describe(out, "providers", "gauge", "Providers, by state.");
    put_states(out, providers, "providers", provider_states);
    describe(out, "leases", "gauge", "Leases, by state.");
    put_states(out, leases, "leases", lease_states);
    put_sums(out, providers);
    describe(out, "revoked", "gauge", "Identities that get nothing any more.");
    buffer_format(out, "lethe_pool_revoked %zu\n", json_array_size(list_of(status, "revoked")));
    put_counters(out, counters);
    return buffer_result(out, err);
}
