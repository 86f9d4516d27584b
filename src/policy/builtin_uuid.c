/* policy/builtin_uuid.c -- uuid.*: RFC 4122 */
#include "policy/builtin.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

#define UUID_BYTES 16
#define UUID_TEXT 36 /* 8-4-4-4-12 hex digits */
#define URN "urn:uuid:"
/* Between 1582-10-15, when the clock of version 1 began, and 1970-01-01, in its units of 100 ns. */
#define GREGORIAN_TO_UNIX ((int64_t)0x01B21DD213814000)

/* The forms that are read: plain, as a URN, in any brackets, and digits without hyphens. Gives the
 * first digit, and whether there are hyphens; NULL: it is none of them. */
static const char *uuid_form(const struct value *text, bool *hyphens)
{
    *hyphens = text->count != 2 * UUID_BYTES;
    switch (text->count) {
    case 2 * UUID_BYTES:
    case UUID_TEXT:
        return text->string;
    case UUID_TEXT + 2:
        return text->string + 1;
    case UUID_TEXT + sizeof(URN) - 1:
        return strncasecmp(text->string, URN, sizeof(URN) - 1) == 0 ? text->string + sizeof(URN) - 1
                                                                    : NULL;
    default:
        return NULL;
    }
}

static bool uuid_read(const struct value *text, uint8_t uuid[UUID_BYTES])
{
    bool hyphens;
    const char *at = uuid_form(text, &hyphens);
    if (at == NULL)
        return false;
    for (unsigned i = 0; i < UUID_BYTES; i++) {
        bool hyphen_here = hyphens && (i == 4 || i == 6 || i == 8 || i == 10);
        if (hyphen_here && *at++ != '-')
            return false;
        int high = hex_digit_value(at[0]), low = hex_digit_value(at[1]);
        if (high < 0 || low < 0)
            return false;
        uuid[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

static uint64_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < count; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* The highest bits of byte 8. */
static const char *variant_name(uint8_t byte)
{
    if ((byte & 0xc0) == 0x80)
        return "RFC4122";
    if ((byte & 0xe0) == 0xc0)
        return "Microsoft";
    return (byte & 0xe0) == 0xe0 ? "Future" : "Reserved";
}

static const struct value *domain_name(struct arena *arena, uint8_t domain)
{
    static const char *const names[] = {"Person", "Group", "Org"};
    if (domain < ARRAY_LEN(names))
        return value_text(arena, names[domain]);
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_format(&text, "Domain%u", domain);
    return value_buffer(arena, &text);
}

static const struct value *node_name(struct arena *arena, const uint8_t node[6])
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (unsigned i = 0; i < 6; i++)
        buffer_format(&text, "%s%02x", i == 0 ? "" : "-", node[i]);
    return value_buffer(arena, &text);
}

/* What a MAC address says of itself in its first byte. */
static const char *mac_variables(uint8_t byte)
{
    static const char *const names[] = {"global:unicast", "global:multicast", "local:unicast",
                                        "local:multicast"};
    return names[byte & 3];
}

/* 60 bits, out of order; nanoseconds since 1970 need more than 64 bits. */
static const struct value *time_value(struct arena *arena, const uint8_t *uuid)
{
    uint64_t clock = big_endian(uuid, 4) | big_endian(uuid + 4, 2) << 32 |
                     (big_endian(uuid + 6, 2) & 0xfff) << 48;
    struct number ticks = number_small((int64_t)clock - GREGORIAN_TO_UNIX);
    struct number ns_per_tick = number_small(100), ns;
    return number_multiply(arena, &ticks, &ns_per_tick, &ns) ? value_number(arena, &ns) : NULL;
}

static bool add(struct arena *arena, struct value_pairs *pairs, const char *key,
                const struct value *value)
{
    return value_pairs_append(arena, pairs, value_text(arena, key), value);
}

static bool add_fields(struct arena *arena, struct value_pairs *pairs, const uint8_t *uuid)
{
    unsigned version = uuid[6] >> 4;
    int64_t sequence = (int64_t)(big_endian(uuid + 8, 2) & 0x3fff);
    bool added = add(arena, pairs, "version", value_small(arena, version)) &&
                 add(arena, pairs, "variant", value_text(arena, variant_name(uuid[8])));
    if (version == 1 || version == 2)
        added = added && add(arena, pairs, "clocksequence", value_small(arena, sequence)) &&
                add(arena, pairs, "macvariables", value_text(arena, mac_variables(uuid[10]))) &&
                add(arena, pairs, "nodeid", node_name(arena, uuid + 10)) &&
                add(arena, pairs, "time", time_value(arena, uuid));
    if (version == 2)
        added = added && add(arena, pairs, "domain", domain_name(arena, uuid[9])) &&
                add(arena, pairs, "id", value_small(arena, (int64_t)big_endian(uuid, 4)));
    return added;
}

static lethe_result uuid_parse(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    struct value_pairs pairs = {0};
    uint8_t uuid[UUID_BYTES];
    if (!uuid_read(operands[0], uuid))
        return builtin_undefined(out);
    bool added = add_fields(call->arena, &pairs, uuid);
    return builtin_value(call, added ? value_object(call->arena, &pairs, NULL) : NULL, out);
}

/* Version 4: 122 random bits. The operand only tells one from another within an evaluation. */
static lethe_result uuid_rfc4122(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    const struct random_source *random =
        call->world->random != NULL ? call->world->random : &random_system;
    CLEANUP(buffer_clear) struct buffer text = {0};
    uint8_t uuid[UUID_BYTES];
    if (random_fill(random, uuid, sizeof uuid) != LETHE_OK)
        return builtin_fail(call, BUILTIN_ERROR, "the system has no randomness to give");
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    for (unsigned i = 0; i < UUID_BYTES; i++)
        buffer_format(&text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    return builtin_value(call, value_buffer(call->arena, &text), out);
}

static const struct builtin table[] = {
    {.name = "uuid.parse", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = uuid_parse},
    {.name = "uuid.rfc4122",
     .arity = 1,
     .flags = BUILTIN_VARIES,
     .operand_kinds = {KIND(STRING)},
     .call = uuid_rfc4122},
};
BUILTIN_FAMILY(uuid, table);
