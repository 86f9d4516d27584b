/* policy/builtin_cidr.c -- net.cidr_* */
#include <stdlib.h>
#include <string.h>

#include "policy/builtin_text.h"
#include "policy/cidr.h"

/* `n`: the operand that an error names. */
static lethe_result read_block(struct builtin_call *call, unsigned n, const struct value *text,
                               struct cidr *out)
{
    if (text->kind != VALUE_STRING)
        return builtin_fail_operand(call, n, "string", text);
    TRY(builtin_spend(call, 1));
    if (!cidr_parse(text->string, text->count, out))
        return builtin_fail(call, BUILTIN_ERROR, "invalid CIDR address: %s", text->string);
    return LETHE_OK;
}

static lethe_result read_address_or_block(struct builtin_call *call, unsigned n,
                                          const struct value *text, struct cidr *out)
{
    if (text->kind != VALUE_STRING)
        return builtin_fail_operand(call, n, "string", text);
    TRY(builtin_spend(call, 1));
    if (cidr_parse_address(text->string, text->count, out) ||
        cidr_parse(text->string, text->count, out))
        return LETHE_OK;
    return builtin_fail(call, BUILTIN_ERROR,
                        "not a valid textual representation of an IP address or CIDR: %s",
                        text->string);
}

static lethe_result contains(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    struct cidr block, inner;
    TRY(read_block(call, 1, operands[0], &block));
    TRY(read_address_or_block(call, 2, operands[1], &inner));
    return builtin_value(call, value_boolean(cidr_contains(&block, &inner)), out);
}

static lethe_result intersects(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    struct cidr a, b;
    TRY(read_block(call, 1, operands[0], &a));
    TRY(read_block(call, 2, operands[1], &b));
    bool any = cidr_contains(&a, &b) || cidr_contains(&b, &a);
    return builtin_value(call, value_boolean(any), out);
}

static lethe_result is_valid(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    struct cidr block;
    const struct value *text = operands[0];
    bool valid = text->kind == VALUE_STRING && cidr_parse(text->string, text->count, &block);
    return builtin_value(call, value_boolean(valid), out);
}

/* ---- net.cidr_contains_matches ---- */

/* One block of an operand, and what names it in the result. */
struct entry {
    struct cidr block;
    const struct value *name;
};
struct entries {
    struct entry *items;
    uint32_t count;
};

/* A text, or an array whose first element it is. */
static lethe_result entry_text(struct builtin_call *call, unsigned n, const struct value *element,
                               const struct value **out)
{
    *out = element;
    if (element->kind == VALUE_STRING)
        return LETHE_OK;
    if (element->kind != VALUE_ARRAY || element->count == 0)
        return builtin_fail(call, BUILTIN_ERROR,
                            "operand %u: element must be string or non-empty array", n);
    *out = element->items[0];
    return LETHE_OK;
}

static lethe_result read_entry(struct builtin_call *call, unsigned n, const struct value *element,
                               const struct value *name, struct entry *out)
{
    const struct value *text;
    TRY(entry_text(call, n, element, &text));
    out->name = name;
    return n == 1 ? read_block(call, n, text, &out->block)
                  : read_address_or_block(call, n, text, &out->block);
}

/* The i-th element of a collection, or the text itself; and its name. */
static lethe_result entry_at(struct builtin_call *call, unsigned n, const struct value *operand,
                             uint32_t i, struct entry *out)
{
    const struct value *name;
    switch (operand->kind) {
    case VALUE_ARRAY:
        TRY(builtin_value(call, value_small(call->arena, i), &name));
        return read_entry(call, n, operand->items[i], name, out);
    case VALUE_SET:
        return read_entry(call, n, operand->items[i], operand->items[i], out);
    case VALUE_OBJECT:
        return read_entry(call, n, operand->pairs[i].value, operand->pairs[i].key, out);
    default:
        return read_entry(call, n, operand, operand, out);
    }
}

static lethe_result read_entries(struct builtin_call *call, unsigned n, const struct value *operand,
                                 struct entries *out)
{
    out->count = operand->kind == VALUE_STRING ? 1 : operand->depth > 0 ? operand->count : 0;
    out->items = arena_zalloc(call->arena, out->count, sizeof *out->items);
    TRY(arena_result(call->arena, NULL));
    for (uint32_t i = 0; i < out->count; i++)
        TRY(entry_at(call, n, operand, i, &out->items[i]));
    return LETHE_OK;
}

static const struct value *name_pair(struct arena *arena, const struct value *a,
                                     const struct value *b)
{
    struct value_list names = {0};
    if (!value_list_append(arena, &names, a) || !value_list_append(arena, &names, b))
        return NULL;
    return value_array(arena, &names);
}

static lethe_result contains_matches(struct builtin_call *call, const struct value *const *operands,
                                     const struct value **out)
{
    struct entries outer, inner = {0};
    struct value_list matches = {0};
    TRY(read_entries(call, 1, operands[0], &outer));
    if (outer.count > 0)
        TRY(read_entries(call, 2, operands[1], &inner));
    for (uint32_t i = 0; i < outer.count; i++) {
        TRY(builtin_spend(call, 1 + inner.count / 4));
        for (uint32_t j = 0; j < inner.count; j++) {
            if (!cidr_contains(&outer.items[i].block, &inner.items[j].block))
                continue;
            const struct value *pair =
                name_pair(call->arena, outer.items[i].name, inner.items[j].name);
            if (!value_list_append(call->arena, &matches, pair))
                return arena_result(call->arena, NULL);
        }
    }
    return builtin_value(call, value_set(call->arena, &matches), out);
}

/* ---- net.cidr_expand ---- */

static lethe_result expand(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    struct cidr block = {0};
    struct value_list addresses = {0};
    TRY(read_block(call, 1, operands[0], &block));
    cidr_address beyond_first = cidr_last(&block) - block.first;
    TRY(builtin_spend(call, beyond_first < UINT32_MAX ? 1 + (uint64_t)beyond_first : UINT64_MAX));
    for (cidr_address i = 0; i <= beyond_first; i++) {
        char text[CIDR_TEXT_SIZE];
        cidr_address_text(block.is_v6, block.first + i, text);
        if (!value_list_append(call->arena, &addresses, value_text(call->arena, text)))
            return arena_result(call->arena, NULL);
    }
    return builtin_value(call, value_set(call->arena, &addresses), out);
}

/* ---- net.cidr_merge ---- */

struct range {
    bool is_v6;
    cidr_address first, last;
};

/* An IPv4 address without a prefix stands for its class of network (RFC 791), as in OPA: 10.1.2.3
 * for 10.0.0.0/8. */
static void widen_to_class(struct cidr *block)
{
    uint32_t address = (uint32_t)block->first;
    block->prefix = address < 0x80000000u ? 8 : address < 0xc0000000u ? 16 : 24;
    block->first &= ~(cidr_address)0 << (32 - block->prefix);
}

static lethe_result read_range(struct builtin_call *call, const struct value *text,
                               struct range *out)
{
    struct cidr block;
    if (text->kind != VALUE_STRING)
        return builtin_fail(call, BUILTIN_ERROR, "element must be string");
    if (!cidr_parse_address(text->string, text->count, &block))
        TRY(read_block(call, 1, text, &block));
    else if (block.is_v6)
        return builtin_fail(call, BUILTIN_ERROR, "IPv6 invalid: needs prefix length");
    else
        widen_to_class(&block);
    *out = (struct range){block.is_v6, block.first, cidr_last(&block)};
    return builtin_spend(call, 1);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct range *one = a, *other = b;
    if (one->is_v6 != other->is_v6)
        return one->is_v6 - other->is_v6;
    if (one->first != other->first)
        return one->first < other->first ? -1 : 1;
    return (one->last > other->last) - (one->last < other->last);
}

/* Of sorted ranges: those that overlap or adjoin become one. Gives how many are left. */
static uint32_t join_ranges(struct range *ranges, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct range *before = kept > 0 ? &ranges[kept - 1] : NULL;
        bool joins = before != NULL && before->is_v6 == ranges[i].is_v6 &&
                     (ranges[i].first == 0 || ranges[i].first - 1 <= before->last);
        if (joins)
            before->last = MAX(before->last, ranges[i].last);
        else
            ranges[kept++] = ranges[i];
    }
    return kept;
}

static lethe_result append_blocks(struct builtin_call *call, struct range range,
                                  struct value_list *out)
{
    for (bool more = true; more;) {
        char text[CIDR_TEXT_SIZE];
        struct cidr block = cidr_largest(range.is_v6, range.first, range.last);
        cidr_text(&block, text);
        TRY(builtin_spend(call, 1));
        if (!value_list_append(call->arena, out, value_text(call->arena, text)))
            return arena_result(call->arena, NULL);
        more = cidr_last(&block) != range.last;
        range.first = cidr_last(&block) + 1;
    }
    return LETHE_OK;
}

static lethe_result merge(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    const struct value *list = operands[0];
    struct value_list blocks = {0};
    struct range *ranges = arena_zalloc(call->arena, list->count, sizeof *ranges);
    TRY(arena_result(call->arena, NULL));
    for (uint32_t i = 0; i < list->count; i++)
        TRY(read_range(call, list->items[i], &ranges[i]));
    if (list->count > 1)
        qsort(ranges, list->count, sizeof *ranges, compare_ranges);
    uint32_t count = join_ranges(ranges, list->count);
    for (uint32_t i = 0; i < count; i++)
        TRY(append_blocks(call, ranges[i], &blocks));
    return builtin_value(call, value_set(call->arena, &blocks), out);
}

#define COLLECTIONS (KIND(ARRAY) | KIND(SET))

static const struct builtin table[] = {
    {.name = "net.cidr_contains",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(STRING)},
     .call = contains},
    {.name = "net.cidr_contains_matches", .arity = 2, .call = contains_matches},
    {.name = "net.cidr_expand", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = expand},
    {.name = "net.cidr_intersects",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(STRING)},
     .call = intersects},
    {.name = "net.cidr_is_valid", .arity = 1, .call = is_valid},
    {.name = "net.cidr_merge", .arity = 1, .operand_kinds = {COLLECTIONS}, .call = merge},
    {.name = "net.cidr_overlap",
     .arity = 2,
     .flags = BUILTIN_V0,
     .operand_kinds = {KIND(STRING), KIND(STRING)},
     .call = contains},
};
BUILTIN_FAMILY(cidr, table);
