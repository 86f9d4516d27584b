#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "pool/wire_core.h"

/* Which fields an order has, in this order, and whose name it is. */
enum {
    ORDER_LEASE = 1u << 0,
    ORDER_NAME = 1u << 1,
    ORDER_REASON = 1u << 2,
    ORDER_BYTES = 1u << 3,
    ORDER_ON = 1u << 4,
    ORDER_TENANT = 1u << 5, /* the name is a tenant's, not an identity's */
};

static unsigned fields_of(enum wire_type type)
{
    switch (type) {
    case WIRE_REVOKE:
        return ORDER_NAME | ORDER_REASON;
    case WIRE_RESTORE:
        return ORDER_NAME;
    case WIRE_FORCE_STOP:
        return ORDER_LEASE | ORDER_NAME | ORDER_REASON;
    case WIRE_BAN:
    case WIRE_DRAIN:
        return ORDER_NAME | ORDER_ON;
    case WIRE_QUOTA:
        return ORDER_NAME | ORDER_TENANT | ORDER_BYTES;
    default:
        return 0;
    }
}

void wire_order_write(enum wire_type type, const struct wire_order *order, struct buffer *out)
{
    static const struct lease_id none;
    unsigned fields = fields_of(type);
    const struct lease_id *lease = order->has_lease ? &order->lease : &none;
    REQUIRE(fields != 0);
    if ((fields & ORDER_LEASE) != 0)
        buffer_append(out, lease->bytes, sizeof lease->bytes);
    put_text(out, order->has_lease && (fields & ORDER_LEASE) != 0 ? "" : order->name);
    if ((fields & ORDER_REASON) != 0)
        put_text(out, order->reason);
    if ((fields & ORDER_BYTES) != 0)
        buffer_le64(out, order->bytes);
    if ((fields & ORDER_ON) != 0)
        buffer_byte(out, order->on);
}

static lethe_result order_fields(unsigned fields, struct cursor *cursor, struct wire_order *out)
{
    if ((fields & ORDER_LEASE) != 0) {
        TRY(get_raw(cursor, out->lease.bytes, sizeof out->lease.bytes));
        out->has_lease = !lease_id_is_zero(&out->lease);
    }
    TRY(get_text(cursor, out->name, sizeof out->name));
    if ((fields & ORDER_REASON) != 0)
        TRY(get_text(cursor, out->reason, sizeof out->reason));
    if ((fields & ORDER_BYTES) != 0)
        TRY(cursor_le64(cursor, &out->bytes));
    if ((fields & ORDER_ON) != 0)
        TRY(get_bool(cursor, &out->on));
    return out->has_lease && out->name[0] != '\0' ? LETHE_MALFORMED : LETHE_OK;
}

static lethe_result check_name(unsigned fields, const struct wire_order *order,
                               struct lethe_error *err)
{
    struct spiffe_id id;
    if (order->has_lease)
        return LETHE_OK;
    if ((fields & ORDER_TENANT) != 0)
        return validate_identifier("tenant", order->name, NAME_PART_MAX, err);
    return spiffe_parse(order->name, strlen(order->name), &id, err);
}

lethe_result wire_order_read(enum wire_type type, struct cursor cursor, struct wire_order *out,
                             struct lethe_error *err)
{
    unsigned fields = fields_of(type);
    REQUIRE(fields != 0);
    *out = (struct wire_order){0};
    TRY(wire_done(&cursor, order_fields(fields, &cursor, out), wire_type_name((uint8_t)type), err));
    return check_name(fields, out, err);
}
