/* Heads and indexes of every type between every two roles: what is read is written as the same
 * bytes, and what nobody signed is no token. */
#include <string.h>

#include "fuzz.h"
#include "pool/wire.h"

static const struct audit_key nobodys_key = {"lethe/nobody", {1}};

/* Written anew, an index is the same. */
static void same(const struct buffer *written, struct cursor index)
{
    FUZZ_PROPERTY(written->failure == LETHE_OK && written->size_bytes == cursor_left(&index));
    FUZZ_PROPERTY(written->size_bytes == 0 ||
                  memcmp(written->bytes, index.at, written->size_bytes) == 0);
}

/* One row for each kind of index: reads it, and writes what it read. */
#define INDEX_KIND(name, type)                                                                     \
    static void take_##name(const struct wire_head *head, struct cursor index)                     \
    {                                                                                              \
        CLEANUP(buffer_clear) struct buffer written = {0};                                         \
        static type fields;                                                                        \
        if (wire_##name##_read(index, &fields, NULL) != LETHE_OK)                                  \
            return;                                                                                \
        wire_##name##_write(&fields, &written);                                                    \
        same(&written, index);                                                                     \
    }
INDEX_KIND(hello, struct wire_hello)
INDEX_KIND(attached, struct wire_attached)
INDEX_KIND(allocate, struct wire_allocate)
INDEX_KIND(allocated, struct wire_allocated)
INDEX_KIND(lease, struct lease_id)
INDEX_KIND(stop, struct wire_stop)
INDEX_KIND(join, struct wire_join)
INDEX_KIND(joined, struct wire_joined)
INDEX_KIND(report, struct wire_report)

static void take_order(const struct wire_head *head, struct cursor index)
{
    CLEANUP(buffer_clear) struct buffer written = {0};
    struct wire_order order;
    if (wire_order_read(head->type, index, &order, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY(order.has_lease || order.name[0] != '\0');
    wire_order_write(head->type, &order, &written);
    same(&written, index);
}

static void take_terms(const struct wire_head *head, struct cursor index)
{
    CLEANUP(buffer_clear) struct buffer written = {0};
    struct lease_terms terms;
    struct cursor cursor = index;
    if (lease_terms_read(&cursor, &terms, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY(terms.bytes / terms.block_bytes >= 1 && terms.bytes % terms.block_bytes == 0);
    index.end = cursor.at;
    lease_terms_write(&terms, &written);
    same(&written, index);
}

static void take_token(const struct wire_head *head, struct cursor index)
{
    struct lease_terms terms;
    FUZZ_PROPERTY(token_open(index.at, cursor_left(&index), &nobodys_key, &terms, NULL) !=
                  LETHE_OK);
}

static void take_reads(const struct wire_head *head, struct cursor index)
{
    CLEANUP(buffer_clear) struct buffer written = {0};
    for (size_t i = 0; i < head->code; i++)
        wire_read_entry_write(wire_read_entry(&index, i), &written);
    same(&written, index);
}

static void take_writes(const struct wire_head *head, struct cursor index)
{
    CLEANUP(buffer_clear) struct buffer written = {0};
    for (size_t i = 0; i < head->code; i++) {
        const uint8_t *tag;
        uint64_t block = wire_write_entry(&index, i, &tag);
        wire_write_entry_write(block, tag, &written);
    }
    same(&written, index);
}

typedef void take_index(const struct wire_head *head, struct cursor index);
static const struct {
    take_index *request, *reply;
} kinds[WIRE_REPLY] = {
    [WIRE_HELLO] = {take_hello, NULL},
    [WIRE_ATTACH] = {take_token, take_attached},
    [WIRE_READ] = {take_reads, NULL},
    [WIRE_WRITE] = {take_writes, NULL},
    [WIRE_ALLOCATE] = {take_allocate, take_allocated},
    [WIRE_TOKEN] = {take_lease, take_token},
    [WIRE_DROP] = {take_lease, NULL},
    [WIRE_REVOKE] = {take_order, NULL},
    [WIRE_RESTORE] = {take_order, NULL},
    [WIRE_FORCE_STOP] = {take_order, NULL},
    [WIRE_DRAIN] = {take_order, NULL},
    [WIRE_QUOTA] = {take_order, NULL},
    [WIRE_BAN] = {take_order, NULL},
    [WIRE_JOIN] = {take_join, take_joined},
    [WIRE_REPORT] = {take_report, NULL},
    [WIRE_GRANT] = {take_terms, NULL},
    [WIRE_STOP] = {take_stop, NULL},
};

static void take_refusal(const struct wire_head *head, struct cursor index)
{
    struct lethe_error err;
    FUZZ_PROPERTY(head->data_bytes == 0 && head->index_bytes <= WIRE_ERROR_MAX);
    FUZZ_PROPERTY(wire_refusal_read(head, index, &err) != LETHE_OK);
    for (const char *at = err.text; *at != '\0'; at++)
        FUZZ_PROPERTY((unsigned char)*at >= ' ');
}

static void take_frame(const struct wire_head *head, struct cursor index)
{
    uint8_t type = head->type & (uint8_t)~WIRE_REPLY;
    take_index *take = wire_is_reply(head) ? kinds[type].reply : kinds[type].request;
    if (wire_is_reply(head) && head->code != 0)
        take_refusal(head, index);
    else if (take != NULL)
        take(head, index);
}

/* A byte with the two roles, a head, an index: as much of it as there is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_head head;
    uint8_t written[WIRE_HEAD_BYTES];
    if (size < 1 + WIRE_HEAD_BYTES)
        return 0;
    enum wire_role sender = data[0] % 5, receiver = 1 + data[0] / 5 % 4;
    struct cursor index = cursor_over(data + 1 + WIRE_HEAD_BYTES, size - 1 - WIRE_HEAD_BYTES);
    if (wire_head_read(data + 1, sender, receiver, &head, NULL) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY(head.index_bytes <= WIRE_INDEX_MAX && head.data_bytes <= WIRE_JSON_MAX);
    wire_head_write(&head, written);
    FUZZ_PROPERTY(memcmp(written, data + 1, sizeof written) == 0);
    if (cursor_left(&index) < head.index_bytes)
        return 0;
    index.end = index.at + head.index_bytes;
    take_frame(&head, index);
    return 0;
}
