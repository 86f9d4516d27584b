#include "cli/pool_configuration.h"

#include <string.h>

#include "base/error.h"

#define DAY_MS (86400u * 1000u)
#define TIB ((uint64_t)1 << 40)

#define AT(member) offsetof(struct pool_configuration, member)
#define TEXT(section, key, type, member)                                                           \
    {                                                                                              \
        section, key, type, .offset = AT(member)                                                   \
    }
#define YES_NO(section, key, member)                                                               \
    {                                                                                              \
        section, key, CONF_YES_NO, .max = 1, .offset = AT(member)                                  \
    }
#define CREDENTIALS(section, member)                                                               \
    TEXT(section, "ca", CONF_PATH, member.ca),                                                     \
        TEXT(section, "certificate", CONF_PATH, member.certificate),                               \
        TEXT(section, "key", CONF_PATH, member.key)
#define CONTROL(key, type, min, max, member)                                                       \
    {                                                                                              \
        "control", key, type, min, max, false, 0, AT(control.limits.member)                        \
    }

/* A row here is a key of pool.conf; docs/pool.md says what each means. */
static const struct conf_row rows[] = {
    TEXT("control", "listen", CONF_TEXT, control.listen),
    YES_NO("control", "allow_public", control.allow_public),
    TEXT("control", "policy", CONF_PATH, control.policy),
    TEXT("control", "data", CONF_PATH, control.data),
    CREDENTIALS("control", control.credentials),
    {"control", "tenant_bytes", CONF_BYTES, 4096, 1024 * TIB, true, 0,
     AT(control.limits.tenant_bytes)},
    CONTROL("ttl_max", CONF_MILLISECONDS, 1000, 30 * (uint64_t)DAY_MS, ttl_max_ms),
    CONTROL("life", CONF_MILLISECONDS, 1000, 30 * (uint64_t)DAY_MS, life_ms),
    CONTROL("report_every", CONF_MILLISECONDS, 10, 60000, report_ms),
    CONTROL("unreachable_after", CONF_MILLISECONDS, 50, 600000, unreachable_ms),
    CONTROL("answer_within", CONF_MILLISECONDS, 50, 600000, answer_ms),
    CONTROL("lost_after", CONF_MILLISECONDS, 1000, 30 * (uint64_t)DAY_MS, lost_after_ms),
    CONTROL("leases", CONF_COUNT, 1, 1u << 20, leases_max),
    CONTROL("leases_per_consumer", CONF_COUNT, 1, 1u << 20, leases_per_consumer),
    CONTROL("connections", CONF_COUNT, 1, 100000, connections_max),
    CONTROL("connections_per_identity", CONF_COUNT, 1, 100000, connections_per_identity),
    CONTROL("connections_per_source", CONF_COUNT, 1, 100000, connections_per_source),
    TEXT("provide", "listen", CONF_TEXT, provide.listen),
    TEXT("provide", "announce", CONF_TEXT, provide.announce),
    YES_NO("provide", "allow_public", provide.allow_public),
    {"provide", "memory", CONF_BYTES, 4096, 1024 * TIB, .offset = AT(provide.memory_bytes)},
    CREDENTIALS("provide", provide.credentials),
    TEXT("pool", "control", CONF_TEXT, client.control),
    TEXT("pool", "control_id", CONF_TEXT, client.control_id),
    CREDENTIALS("pool", client.credentials),
};
const struct conf_table pool_configuration_table = {rows, ARRAY_LEN(rows)};

void pool_configuration_defaults(struct pool_configuration *out)
{
    *out = (struct pool_configuration){
        .control = {.listen = "127.0.0.1:7310"},
        .provide = {.listen = "127.0.0.1:7311"},
    };
}

lethe_result pool_configuration_read(const char *path, bool required,
                                     struct pool_configuration *out, struct lethe_error *err)
{
    struct lethe_error why = {0};
    pool_configuration_defaults(out);
    lethe_result result = conf_read(path, &pool_configuration_table, out, &out->set, &why);
    if (result == LETHE_NOT_FOUND && !required)
        return LETHE_OK;
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}
