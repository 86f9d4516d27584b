/* pool/wire.h -- frames: docs/pool-protocol.md, "Frames".
 *
 * Heads and the fields of each type's index, written and read. Reading believes nothing: counts,
 * sizes and texts are checked against the table below before anything is kept. Pure. Thread rule:
 * none. */
#ifndef POOL_WIRE_H
#define POOL_WIRE_H

#include "pool/lease.h"
#include "pool/token.h"

#define WIRE_HEAD_BYTES 32u
#define WIRE_REPLY 0x80u
#define WIRE_TAG_BYTES 16u
#define WIRE_INDEX_MAX (64u << 10)
#define WIRE_BLOCKS_MAX 256u
#define WIRE_BLOCK_DATA_MAX (4u << 20)
#define WIRE_JSON_MAX (16u << 20)
#define WIRE_ERROR_MAX 512u
#define WIRE_COPIES_MAX 8u
#define WIRE_ADDRESS_MAX 255u /* "host:port" */
#define WIRE_REASON_MAX 255u
#define WIRE_CHANGES_MAX 512u /* of one REPORT */

enum wire_role {
    WIRE_UNKNOWN = 0, /* has not said HELLO yet */
    WIRE_CONSUMER = 1,
    WIRE_PROVIDER = 2,
    WIRE_OPERATOR = 3,
    WIRE_CONTROL = 4
};
enum wire_role_bit {
    WIRE_BY_CONSUMER = 1u << WIRE_CONSUMER,
    WIRE_BY_PROVIDER = 1u << WIRE_PROVIDER,
    WIRE_BY_OPERATOR = 1u << WIRE_OPERATOR,
    WIRE_BY_CONTROL = 1u << WIRE_CONTROL,
};

/* X(NAME, number, who may send it, to whom, most data of the request, most data of the reply,
 * whether the reply may come later than those of requests behind it) */
#define WIRE_TYPES(X)                                                                              \
    X(HELLO, 1, WIRE_BY_CONSUMER | WIRE_BY_PROVIDER | WIRE_BY_OPERATOR,                            \
      WIRE_BY_PROVIDER | WIRE_BY_CONTROL, 0, 0, false)                                             \
    X(ATTACH, 2, WIRE_BY_CONSUMER, WIRE_BY_PROVIDER, 0, 0, false)                                  \
    X(READ, 3, WIRE_BY_CONSUMER, WIRE_BY_PROVIDER, 0, WIRE_BLOCK_DATA_MAX, false)                  \
    X(WRITE, 4, WIRE_BY_CONSUMER, WIRE_BY_PROVIDER, WIRE_BLOCK_DATA_MAX, 0, false)                 \
    X(RENEW, 5, WIRE_BY_CONSUMER, WIRE_BY_PROVIDER, 0, 0, false)                                   \
    X(RELEASE, 6, WIRE_BY_CONSUMER, WIRE_BY_PROVIDER, 0, 0, true)                                  \
    X(OVER, 7, WIRE_BY_PROVIDER, WIRE_BY_CONSUMER, 0, 0, false)                                    \
    X(ALLOCATE, 16, WIRE_BY_CONSUMER, WIRE_BY_CONTROL, 0, 0, true)                                 \
    X(TOKEN, 17, WIRE_BY_CONSUMER, WIRE_BY_CONTROL, 0, 0, false)                                   \
    X(DROP, 18, WIRE_BY_CONSUMER, WIRE_BY_CONTROL, 0, 0, true)                                     \
    X(STATUS, 19, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, WIRE_JSON_MAX, false)                      \
    X(REVOKE, 20, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, 0, true)                                   \
    X(FORCE_STOP, 21, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, 0, true)                               \
    X(DRAIN, 22, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, 0, true)                                    \
    X(QUOTA, 23, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, 0, true)                                    \
    X(RESTORE, 24, WIRE_BY_OPERATOR, WIRE_BY_CONTROL, 0, 0, true)                                  \
    X(JOIN, 32, WIRE_BY_PROVIDER, WIRE_BY_CONTROL, 0, 0, false)                                    \
    X(REPORT, 33, WIRE_BY_PROVIDER, WIRE_BY_CONTROL, 0, 0, false)                                  \
    X(GRANT, 34, WIRE_BY_CONTROL, WIRE_BY_PROVIDER, 0, 0, false)                                   \
    X(STOP, 35, WIRE_BY_CONTROL, WIRE_BY_PROVIDER, 0, 0, false)                                    \
    X(BAN, 36, WIRE_BY_CONTROL, WIRE_BY_PROVIDER, 0, 0, false)                                     \
    X(MAINTAIN, 37, WIRE_BY_CONTROL, WIRE_BY_PROVIDER, 0, 0, false)

enum wire_type {
#define WIRE_TYPE_ENUM(name, number, by, to, request, reply, later) WIRE_##name = number,
    WIRE_TYPES(WIRE_TYPE_ENUM)
#undef WIRE_TYPE_ENUM
};
const char *wire_type_name(uint8_t type); /* "WRITE"; "?" for none */

/* The numbers of results on the wire never change. X(result, number) */
#define POOL_CODES(X)                                                                              \
    X(OK, 0)                                                                                       \
    X(FAILED, 1)                                                                                   \
    X(INVALID, 2)                                                                                  \
    X(NOT_FOUND, 3)                                                                                \
    X(EXISTS, 4)                                                                                   \
    X(CONFLICT, 5)                                                                                 \
    X(LIMIT, 6)                                                                                    \
    X(NO_SPACE, 7)                                                                                 \
    X(NO_MEMORY, 8)                                                                                \
    X(DENIED, 9)                                                                                   \
    X(REVOKED, 10)                                                                                 \
    X(UNAVAILABLE, 11)                                                                             \
    X(BUSY, 12)                                                                                    \
    X(LOST, 13)                                                                                    \
    X(UNWIPED, 14)                                                                                 \
    X(MALFORMED, 15)                                                                               \
    X(INTEGRITY, 16)
uint16_t wire_code_of(lethe_result result); /* FAILED for what has no number */
lethe_result wire_result_of(uint16_t code); /* LETHE_FAILED for an unknown number */

struct wire_head {
    uint8_t type; /* with WIRE_REPLY in replies */
    uint8_t flags;
    uint16_t code;
    uint32_t channel;
    uint64_t request;
    uint32_t index_bytes;
    uint32_t data_bytes;
    uint64_t value;
};
void wire_head_write(const struct wire_head *head, uint8_t out[WIRE_HEAD_BYTES]);
/* Whether a peer of that role may send this to one of the other role at all, and its sizes fit its
 * type and count. WIRE_UNKNOWN may send HELLO. LETHE_MALFORMED says what does not fit. */
LETHE_MUST_CHECK lethe_result wire_head_read(const uint8_t bytes[WIRE_HEAD_BYTES],
                                             enum wire_role sender, enum wire_role receiver,
                                             struct wire_head *out, struct lethe_error *err);
static inline bool wire_is_reply(const struct wire_head *head)
{
    return (head->type & WIRE_REPLY) != 0;
}
/* Whether the reply to a request of this type may come later than those of requests behind it. */
bool wire_answered_later(uint8_t type);

/* A refusal: its code is the head's, this is its index. Reading gives the result that was meant (to
 * `err` with the peer's sentence, made safe to print), and LETHE_OK for a reply with code 0. */
void wire_refusal_write(const struct lethe_error *why, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_refusal_read(const struct wire_head *reply, struct cursor index,
                                                struct lethe_error *err);

/* ---- fields of indexes -------------------------------------------------------------------------
 *
 * Each pair writes and reads exactly one type's. Reading gives LETHE_MALFORMED unless all of the
 * index is taken and has the type's form: that ends a link. LETHE_INVALID: the form is right, and
 * what is asked for cannot be: such a request is refused. Texts are copied. */

struct wire_hello {
    enum wire_role role;
};
void wire_hello_write(const struct wire_hello *hello, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_hello_read(struct cursor cursor, struct wire_hello *out,
                                              struct lethe_error *err);

/* HELLO's reply: a provider's boot id, or zeros. */
void wire_boot_write(const uint8_t boot_id[BOOT_ID_BYTES], struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_boot_read(struct cursor cursor, uint8_t out[BOOT_ID_BYTES],
                                             struct lethe_error *err);
/* STATUS (what) and MAINTAIN (draining, 0 or 1). */
void wire_byte_write(uint8_t byte, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_byte_read(struct cursor cursor, uint8_t max, uint8_t *out,
                                             struct lethe_error *err);

/* Entries of READ and WRITE, head.code of them: wire_head_read() has checked that they are there.
 */
void wire_read_entry_write(uint64_t block, struct buffer *out);
uint64_t wire_read_entry(const struct cursor *index, size_t entry);
void wire_write_entry_write(uint64_t block, const uint8_t tag[WIRE_TAG_BYTES], struct buffer *out);
/* Its block; *tag points into the index. */
uint64_t wire_write_entry(const struct cursor *index, size_t entry, const uint8_t **tag);

struct wire_attached { /* ATTACH's reply */
    uint64_t blocks;
    uint32_t block_bytes;
    enum lease_state was;
};
void wire_attached_write(const struct wire_attached *attached, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_attached_read(struct cursor cursor, struct wire_attached *out,
                                                 struct lethe_error *err);

struct wire_allocate {
    uint64_t bytes;
    uint32_t block_bytes;
    uint64_t ttl_ms;
    uint8_t copies;
};
void wire_allocate_write(const struct wire_allocate *allocate, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_allocate_read(struct cursor cursor, struct wire_allocate *out,
                                                 struct lethe_error *err);

struct wire_placed { /* one copy of ALLOCATE's reply */
    struct lease_id lease;
    char provider[SPIFFE_ID_MAX + 1];
    char address[WIRE_ADDRESS_MAX + 1];
    uint8_t token[POOL_TOKEN_MAX];
    size_t token_bytes;
};
struct wire_allocated {
    size_t count;
    struct wire_placed copies[WIRE_COPIES_MAX];
};
void wire_allocated_write(const struct wire_allocated *allocated, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_allocated_read(struct cursor cursor, struct wire_allocated *out,
                                                  struct lethe_error *err);

/* TOKEN, DROP, and STOP (with a cause). */
LETHE_MUST_CHECK lethe_result wire_lease_read(struct cursor cursor, struct lease_id *out,
                                              struct lethe_error *err);
void wire_lease_write(const struct lease_id *lease, struct buffer *out);
struct wire_stop {
    struct lease_id lease;
    enum lease_cause cause;
};
void wire_stop_write(const struct wire_stop *stop, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_stop_read(struct cursor cursor, struct wire_stop *out,
                                             struct lethe_error *err);

/* REVOKE, RESTORE, BAN, FORCE_STOP, DRAIN, QUOTA: who or what, and what is wanted. */
struct wire_order {
    struct lease_id lease;        /* FORCE_STOP */
    bool has_lease;               /* else `name` is a provider's */
    char name[SPIFFE_ID_MAX + 1]; /* an identity, or a tenant */
    char reason[WIRE_REASON_MAX + 1];
    uint64_t bytes; /* QUOTA */
    bool on;        /* BAN, DRAIN */
};
void wire_order_write(enum wire_type type, const struct wire_order *order, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_order_read(enum wire_type type, struct cursor cursor,
                                              struct wire_order *out, struct lethe_error *err);

struct wire_join {
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t capacity_bytes;
    char address[WIRE_ADDRESS_MAX + 1];
    uint32_t leases; /* that REPORTs will list now */
};
struct wire_joined {
    char token_key[160]; /* vkey */
    uint32_t report_ms;
};
void wire_join_write(const struct wire_join *join, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_join_read(struct cursor cursor, struct wire_join *out,
                                             struct lethe_error *err);
void wire_joined_write(const struct wire_joined *joined, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_joined_read(struct cursor cursor, struct wire_joined *out,
                                               struct lethe_error *err);

struct wire_change {
    struct lease_id lease;
    uint64_t generation;
    enum lease_state state;
    enum lease_cause cause;
    uint64_t left_ms;
};
struct wire_report {
    uint64_t free_bytes, used_bytes, wiping_bytes, unwiped_bytes;
    bool last;
    size_t count;
    struct wire_change changes[WIRE_CHANGES_MAX];
};
void wire_report_write(const struct wire_report *report, struct buffer *out);
LETHE_MUST_CHECK lethe_result wire_report_read(struct cursor cursor, struct wire_report *out,
                                               struct lethe_error *err);

#endif
