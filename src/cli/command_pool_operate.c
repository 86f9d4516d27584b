/* lethe pool revoke, restore, force-stop, drain, quota: what operators wish. */
#include <stdio.h>
#include <string.h>

#include "base/conf_value.h"
#include "base/error.h"
#include "cli/pool_options.h"
#include "pool/caller.h"

static lethe_result ask(const struct invocation *invocation, enum wire_type type,
                        const struct wire_order *order, struct lethe_error *err)
{
    struct caller_reply reply;
    CLEANUP(caller_close) struct caller *caller = NULL;
    CLEANUP(buffer_clear) struct buffer index = {0};
    TRY(pool_options_caller(invocation, WIRE_OPERATOR, &caller, err));
    wire_order_write(type, order, &index);
    TRY(buffer_result(&index, err));
    return caller_ask(caller, type, &index, &reply, err);
}

/* "spiffe://" may be left out. */
static lethe_result take_identity(const char *text, struct wire_order *order,
                                  struct lethe_error *err)
{
    struct spiffe_id id;
    TRY(spiffe_read(text, strlen(text), &id, err));
    strcpy(order->name, id.text);
    return LETHE_OK;
}

static lethe_result take_reason(const struct invocation *invocation, struct wire_order *order,
                                struct lethe_error *err)
{
    const char *reason = option_text(invocation, "reason");
    if (reason == NULL)
        reason = "not said";
    if (strlen(reason) >= sizeof order->reason)
        return error_set(err, LETHE_INVALID, "--reason has more than %u bytes", WIRE_REASON_MAX);
    strcpy(order->reason, reason);
    return LETHE_OK;
}

COMMAND_FUNCTION(pool_revoke)
{
    struct wire_order order = {0};
    TRY(take_identity(invocation->positional[0], &order, err));
    TRY(take_reason(invocation, &order, err));
    TRY(ask(invocation, WIRE_REVOKE, &order, err));
    printf("%s is revoked; every provider that is there has ended its leases\n", order.name);
    return LETHE_OK;
}

COMMAND_FUNCTION(pool_restore)
{
    struct wire_order order = {0};
    TRY(take_identity(invocation->positional[0], &order, err));
    TRY(ask(invocation, WIRE_RESTORE, &order, err));
    printf("%s is not revoked any more\n", order.name);
    return LETHE_OK;
}

static bool is_lease_id(const char *text)
{
    return strlen(text) == LEASE_ID_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == LEASE_ID_HEX_SIZE - 1;
}

COMMAND_FUNCTION(pool_force_stop)
{
    struct wire_order order = {0};
    const char *target = invocation->positional[0];
    order.has_lease = is_lease_id(target);
    if (order.has_lease)
        TRY(lease_id_from_hex(target, &order.lease, err));
    else
        TRY(take_identity(target, &order, err));
    TRY(take_reason(invocation, &order, err));
    TRY(ask(invocation, WIRE_FORCE_STOP, &order, err));
    printf("%s is stopped%s\n", target, order.has_lease ? "" : ": nothing is placed there");
    return LETHE_OK;
}

COMMAND_FUNCTION(pool_drain)
{
    struct wire_order order = {.on = !option_given(invocation, "off")};
    TRY(take_identity(invocation->positional[0], &order, err));
    TRY(ask(invocation, WIRE_DRAIN, &order, err));
    printf("%s %s\n", order.name, order.on ? "drains: no new lease is placed there" : "is open");
    return LETHE_OK;
}

/* "off", or a size as in a file of settings. */
static lethe_result take_size(const char *text, uint64_t *out, struct lethe_error *err)
{
    static const struct conf_row row = {
        .type = CONF_BYTES, .max = (uint64_t)1 << 60, .has_off = true, .off = UINT64_MAX};
    size_t size_bytes;
    union conf_value value;
    if (!conf_value_read(&row, text, &value, &size_bytes)) {
        error_set(err, LETHE_INVALID, "the second argument is no size");
        error_hint(err, "64MiB, 8GiB, 0; off: no quota of its own");
        return LETHE_INVALID;
    }
    *out = value.number;
    return LETHE_OK;
}

COMMAND_FUNCTION(pool_quota)
{
    struct wire_order order = {0};
    const char *tenant = invocation->positional[0];
    if (strlen(tenant) >= sizeof order.name)
        return error_set(err, LETHE_INVALID, "a tenant's name has at most 64 characters");
    strcpy(order.name, tenant);
    TRY(take_size(invocation->positional[1], &order.bytes, err));
    TRY(ask(invocation, WIRE_QUOTA, &order, err));
    printf("%s: %s\n", tenant, invocation->positional[1]);
    return LETHE_OK;
}
