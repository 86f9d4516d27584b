#include "check.h"

#include "base/error.h"
#include "pool/wire_core.h"
#include "terms.h"

/* ---- heads -----------------------------------------------------------------------------------
 */

static lethe_result read_back(const struct wire_head *head, enum wire_role from, enum wire_role to)
{
    uint8_t bytes[WIRE_HEAD_BYTES];
    struct wire_head read;
    wire_head_write(head, bytes);
    lethe_result result = wire_head_read(bytes, from, to, &read, NULL);
    if (result == LETHE_OK) {
        uint8_t again[WIRE_HEAD_BYTES];
        wire_head_write(&read, again);
        assert_memory_equal(bytes, again, sizeof bytes);
    }
    return result;
}

static void the_layout_is_the_documents(void **state)
{
    static const uint8_t expected[WIRE_HEAD_BYTES] = {0x83, 0, 2, 1, 4, 3, 2, 1, 8, 7, 6,
                                                      5,    4, 3, 2, 1, 4, 3, 2, 1, 8, 7,
                                                      6,    5, 8, 7, 6, 5, 4, 3, 2, 9};
    const struct wire_head head = {.type = WIRE_READ | WIRE_REPLY,
                                   .code = 0x0102,
                                   .channel = 0x01020304,
                                   .request = 0x0102030405060708,
                                   .index_bytes = 0x01020304,
                                   .data_bytes = 0x05060708,
                                   .value = 0x0902030405060708};
    uint8_t bytes[WIRE_HEAD_BYTES];
    wire_head_write(&head, bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static const struct wire_head good_read = {
    .type = WIRE_READ, .code = 2, .channel = 1, .request = 9, .index_bytes = 16};
static const struct wire_head good_write = {.type = WIRE_WRITE,
                                            .code = 2,
                                            .channel = 1,
                                            .request = 9,
                                            .index_bytes = 48,
                                            .data_bytes = 2 * POOL_BLOCK_DEFAULT};

/* Who may say what to whom: the document's table, as a table. */
static void roles_are_kept_apart(void **state)
{
    static const struct {
        uint8_t type;
        enum wire_role from, to;
    } rows[] = {
        {WIRE_ATTACH, WIRE_CONSUMER, WIRE_PROVIDER},
        {WIRE_READ, WIRE_CONSUMER, WIRE_PROVIDER},
        {WIRE_WRITE, WIRE_CONSUMER, WIRE_PROVIDER},
        {WIRE_RENEW, WIRE_CONSUMER, WIRE_PROVIDER},
        {WIRE_RELEASE, WIRE_CONSUMER, WIRE_PROVIDER},
        {WIRE_OVER, WIRE_PROVIDER, WIRE_CONSUMER},
        {WIRE_ALLOCATE, WIRE_CONSUMER, WIRE_CONTROL},
        {WIRE_TOKEN, WIRE_CONSUMER, WIRE_CONTROL},
        {WIRE_DROP, WIRE_CONSUMER, WIRE_CONTROL},
        {WIRE_STATUS, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_REVOKE, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_FORCE_STOP, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_DRAIN, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_QUOTA, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_RESTORE, WIRE_OPERATOR, WIRE_CONTROL},
        {WIRE_JOIN, WIRE_PROVIDER, WIRE_CONTROL},
        {WIRE_REPORT, WIRE_PROVIDER, WIRE_CONTROL},
        {WIRE_GRANT, WIRE_CONTROL, WIRE_PROVIDER},
        {WIRE_STOP, WIRE_CONTROL, WIRE_PROVIDER},
        {WIRE_BAN, WIRE_CONTROL, WIRE_PROVIDER},
        {WIRE_MAINTAIN, WIRE_CONTROL, WIRE_PROVIDER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned from = WIRE_UNKNOWN; from <= WIRE_CONTROL; from++)
            for (unsigned to = WIRE_CONSUMER; to <= WIRE_CONTROL; to++) {
                struct wire_head head = {.type = rows[i].type, .request = 1};
                if (rows[i].type == WIRE_READ)
                    head = good_read;
                if (rows[i].type == WIRE_WRITE)
                    head = good_write;
                if (rows[i].type == WIRE_RENEW || rows[i].type == WIRE_RELEASE)
                    head.channel = 1;
                if (rows[i].type == WIRE_OVER)
                    head = (struct wire_head){.type = WIRE_OVER, .channel = 1, .value = 2};
                bool may = from == rows[i].from && to == rows[i].to;
                assert_result(may ? LETHE_OK : LETHE_MALFORMED, read_back(&head, from, to));
            }
}

static void who_said_nothing_yet_may_say_hello(void **state)
{
    const struct wire_head hello = {.type = WIRE_HELLO, .request = 1, .index_bytes = 17};
    const struct wire_head reply = {
        .type = WIRE_HELLO | WIRE_REPLY, .request = 1, .index_bytes = BOOT_ID_BYTES};
    assert_result(LETHE_OK, read_back(&hello, WIRE_UNKNOWN, WIRE_CONTROL));
    assert_result(LETHE_OK, read_back(&hello, WIRE_UNKNOWN, WIRE_PROVIDER));
    assert_result(LETHE_MALFORMED, read_back(&hello, WIRE_UNKNOWN, WIRE_CONSUMER));
    assert_result(LETHE_OK, read_back(&reply, WIRE_PROVIDER, WIRE_CONSUMER));
    assert_result(LETHE_OK, read_back(&reply, WIRE_CONTROL, WIRE_PROVIDER));
    assert_result(LETHE_MALFORMED, read_back(&reply, WIRE_UNKNOWN, WIRE_CONTROL));
}

/* One field of a good head spoilt. */
static void heads_that_do_not_fit_are_refused(void **state)
{
    struct wire_head head;
#define SPOILT(good, from, to, field, bad)                                                         \
    do {                                                                                           \
        assert_result(LETHE_OK, read_back(&(good), from, to));                                     \
        head = (good);                                                                             \
        head.field = (bad);                                                                        \
        if (read_back(&head, from, to) != LETHE_MALFORMED)                                         \
            fail_msg("%s = %s", #field, #bad);                                                     \
    } while (0)
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, type, 0);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, type, 8);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, type, 0x7f);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, flags, 1);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, code, 0);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, code, 3);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, channel, 0);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, request, 0);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, index_bytes, 24);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, index_bytes, UINT32_MAX);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 4096);
    SPOILT(good_read, WIRE_CONSUMER, WIRE_PROVIDER, value, 1);
    SPOILT(good_write, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 0);
    SPOILT(good_write, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 2 * 4096 + 1);
    SPOILT(good_write, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 2 * 2048);
    SPOILT(good_write, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 2 * 12288);
    SPOILT(good_write, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 2 * (POOL_BLOCK_MAX << 1));
    struct wire_head most = {.type = WIRE_WRITE,
                             .code = 4,
                             .channel = 1,
                             .request = 1,
                             .index_bytes = 96,
                             .data_bytes = 4 << 20};
    SPOILT(most, WIRE_CONSUMER, WIRE_PROVIDER, data_bytes, 8 << 20);
    struct wire_head many = {.type = WIRE_READ,
                             .code = WIRE_BLOCKS_MAX,
                             .channel = 1,
                             .request = 1,
                             .index_bytes = 8 * WIRE_BLOCKS_MAX};
    assert_result(LETHE_OK, read_back(&many, WIRE_CONSUMER, WIRE_PROVIDER));
    many.code++;
    many.index_bytes += 8;
    assert_result(LETHE_MALFORMED, read_back(&many, WIRE_CONSUMER, WIRE_PROVIDER));
    const struct wire_head over = {.type = WIRE_OVER, .channel = 1, .value = 2};
    SPOILT(over, WIRE_PROVIDER, WIRE_CONSUMER, request, 1);
    SPOILT(over, WIRE_PROVIDER, WIRE_CONSUMER, channel, 0);
    const struct wire_head grant = {.type = WIRE_GRANT, .request = 1, .index_bytes = 200};
    SPOILT(grant, WIRE_CONTROL, WIRE_PROVIDER, code, 1);
    SPOILT(grant, WIRE_CONTROL, WIRE_PROVIDER, channel, 1);
    SPOILT(grant, WIRE_CONTROL, WIRE_PROVIDER, index_bytes, POOL_TOKEN_MAX + 1);
    SPOILT(grant, WIRE_CONTROL, WIRE_PROVIDER, data_bytes, 1);
}

static void replies_that_do_not_fit_are_refused(void **state)
{
    struct wire_head head;
    const struct wire_head read = {.type = WIRE_READ | WIRE_REPLY,
                                   .channel = 1,
                                   .request = 4,
                                   .index_bytes = 3 * 16,
                                   .data_bytes = 3 * 4096};
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, request, 0);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, index_bytes, 0);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, index_bytes, 4 * 16);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, index_bytes, 3 * 16 + 1);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, data_bytes, 0);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, value, 1);
    SPOILT(read, WIRE_PROVIDER, WIRE_CONSUMER, code, 1); /* a refusal has no data */
    const struct wire_head refusal = {
        .type = WIRE_READ | WIRE_REPLY, .code = 13, .request = 4, .index_bytes = WIRE_ERROR_MAX};
    SPOILT(refusal, WIRE_PROVIDER, WIRE_CONSUMER, index_bytes, WIRE_ERROR_MAX + 1);
    const struct wire_head status = {
        .type = WIRE_STATUS | WIRE_REPLY, .request = 4, .data_bytes = WIRE_JSON_MAX};
    SPOILT(status, WIRE_CONTROL, WIRE_OPERATOR, data_bytes, WIRE_JSON_MAX + 1);
    SPOILT(status, WIRE_CONTROL, WIRE_OPERATOR, channel, 1);
    SPOILT(status, WIRE_CONTROL, WIRE_OPERATOR, index_bytes, 1);
    head = (struct wire_head){.type = WIRE_OVER | WIRE_REPLY, .request = 1};
    assert_result(LETHE_MALFORMED, read_back(&head, WIRE_CONSUMER, WIRE_PROVIDER));
#undef SPOILT
}

/* ---- indexes: whole, cut, with more behind ----------------------------------------------------
 */

static struct cursor over(const struct buffer *index)
{
    return cursor_over(index->bytes, index->size_bytes);
}

/* `reader` takes the index as it is, and neither a part of it nor more. */
static void assert_exact(struct buffer *index, lethe_result (*reader)(struct cursor cursor))
{
    size_t whole = index->size_bytes;
    assert_result(LETHE_OK, reader(over(index)));
    for (index->size_bytes = 0; index->size_bytes < whole; index->size_bytes++)
        assert_result(LETHE_MALFORMED, reader(over(index)));
    buffer_byte(index, 0);
    assert_result(LETHE_MALFORMED, reader(over(index)));
    buffer_truncate(index, whole);
}

static lethe_result read_hello(struct cursor cursor)
{
    struct wire_hello hello;
    return wire_hello_read(cursor, &hello, NULL);
}

static void hello(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_hello out, in = {.role = WIRE_OPERATOR};
    wire_hello_write(&in, &index);
    assert_exact(&index, read_hello);
    assert_result(LETHE_OK, wire_hello_read(over(&index), &out, NULL));
    assert_int_equal(out.role, WIRE_OPERATOR);
    index.bytes[index.size_bytes - 1] = WIRE_CONTROL; /* nobody dials as it */
    assert_result(LETHE_MALFORMED, read_hello(over(&index)));
    index.bytes[index.size_bytes - 2] = '2'; /* lethe-pool/2 */
    assert_result(LETHE_INVALID, read_hello(over(&index)));
}

static lethe_result read_attached(struct cursor cursor)
{
    struct wire_attached attached;
    return wire_attached_read(cursor, &attached, NULL);
}

static void attached(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_attached out, in = {.blocks = 5, .block_bytes = 65536, .was = LEASE_FROZEN};
    wire_attached_write(&in, &index);
    assert_exact(&index, read_attached);
    assert_result(LETHE_OK, wire_attached_read(over(&index), &out, NULL));
    assert_memory_equal(&in, &out, sizeof in);
    index.bytes[12] = 0;
    assert_result(LETHE_MALFORMED, read_attached(over(&index)));
    buffer_truncate(&index, 0);
    in.blocks = (uint64_t)UINT32_MAX + 1;
    wire_attached_write(&in, &index);
    assert_result(LETHE_MALFORMED, read_attached(over(&index)));
}

static lethe_result read_allocate(struct cursor cursor)
{
    struct wire_allocate allocate;
    return wire_allocate_read(cursor, &allocate, NULL);
}

/* What has the form, and cannot be had, is refused and no reason to end the connection. */
static void allocate(void **state)
{
    static const struct wire_allocate good = {1 << 20, 65536, 60000, 2},
                                      bad[] = {
                                          {0, 65536, 60000, 2},
                                          {65537, 65536, 60000, 2},
                                          {1 << 20, 2048, 60000, 2},
                                          {3 << 20, 3 << 16, 60000, 2},
                                          {4 << 20, 2 << 20, 60000, 2},
                                          {1 << 20, 65536, 999, 2},
                                          {1 << 20, 65536, UINT64_MAX, 2},
                                          {1 << 20, 65536, 60000, 0},
                                          {1 << 20, 65536, 60000, 9},
                                          {1ull << 45, 4096, 60000, 1},
                                      };
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_allocate out;
    wire_allocate_write(&good, &index);
    assert_exact(&index, read_allocate);
    assert_result(LETHE_OK, wire_allocate_read(over(&index), &out, NULL));
    assert_int_equal(out.bytes, good.bytes);
    assert_int_equal(out.copies, good.copies);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buffer_truncate(&index, 0);
        wire_allocate_write(&bad[i], &index);
        assert_result(LETHE_INVALID, read_allocate(over(&index)));
    }
}

static struct wire_allocated two_copies(void)
{
    struct wire_allocated in = {.count = 2};
    for (size_t i = 0; i < 2; i++) {
        struct wire_placed *placed = &in.copies[i];
        memset(placed->lease.bytes, (int)i + 1, LEASE_ID_BYTES);
        strcpy(placed->provider, TERMS_PROVIDER);
        strcpy(placed->address, "127.0.0.1:7311");
        placed->token_bytes = 100 + i;
        memset(placed->token, 0xaa, placed->token_bytes);
    }
    return in;
}

static lethe_result read_allocated(struct cursor cursor)
{
    struct wire_allocated allocated;
    return wire_allocated_read(cursor, &allocated, NULL);
}

static void allocated(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_allocated in = two_copies(), out;
    wire_allocated_write(&in, &index);
    assert_exact(&index, read_allocated);
    assert_result(LETHE_OK, wire_allocated_read(over(&index), &out, NULL));
    assert_int_equal(out.count, 2);
    assert_memory_equal(&out.copies[1].lease, &in.copies[1].lease, LEASE_ID_BYTES);
    assert_string_equal(out.copies[1].address, "127.0.0.1:7311");
    assert_int_equal(out.copies[1].token_bytes, 101);
    for (unsigned count = 0; count < 256; count++) {
        index.bytes[0] = (char)count;
        assert_result(count == 2 ? LETHE_OK : LETHE_MALFORMED, read_allocated(over(&index)));
    }
    static const char *const addresses[] = {"", "nowhere", "a b:1", "a:1\n", "\xc3\xa9:1"};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        buffer_truncate(&index, 0);
        strcpy(in.copies[0].address, addresses[i]);
        wire_allocated_write(&in, &index);
        assert_result(LETHE_MALFORMED, read_allocated(over(&index)));
    }
}

static lethe_result read_stop(struct cursor cursor)
{
    struct wire_stop stop;
    return wire_stop_read(cursor, &stop, NULL);
}

static lethe_result read_lease(struct cursor cursor)
{
    struct lease_id lease;
    return wire_lease_read(cursor, &lease, NULL);
}

static void leases(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_stop stop = {.lease = {{1}}, .cause = LEASE_CAUSE_REVOKED};
    wire_lease_write(&stop.lease, &index);
    assert_exact(&index, read_lease);
    index.bytes[0] = 0; /* no lease has this id */
    assert_result(LETHE_MALFORMED, read_lease(over(&index)));
    buffer_truncate(&index, 0);
    wire_stop_write(&stop, &index);
    assert_exact(&index, read_stop);
    index.bytes[16] = 0; /* a stop has a cause */
    assert_result(LETHE_MALFORMED, read_stop(over(&index)));
    index.bytes[16] = 7;
    assert_result(LETHE_MALFORMED, read_stop(over(&index)));
}

static enum wire_type order_type;
static lethe_result read_order(struct cursor cursor)
{
    struct wire_order order;
    return wire_order_read(order_type, cursor, &order, NULL);
}

static void orders(void **state)
{
    static const enum wire_type types[] = {WIRE_REVOKE, WIRE_RESTORE, WIRE_FORCE_STOP,
                                           WIRE_BAN,    WIRE_DRAIN,   WIRE_QUOTA};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        CLEANUP(buffer_clear) struct buffer index = {0};
        struct wire_order out, in = {.bytes = 77, .on = true, .reason = "stolen"};
        order_type = types[i];
        strcpy(in.name, order_type == WIRE_QUOTA ? "acme" : TERMS_CONSUMER);
        wire_order_write(order_type, &in, &index);
        assert_exact(&index, read_order);
        assert_result(LETHE_OK, wire_order_read(order_type, over(&index), &out, NULL));
        assert_string_equal(out.name, in.name);
        assert_false(out.has_lease);
        buffer_truncate(&index, 0);
        strcpy(in.name, order_type == WIRE_QUOTA ? "a/b" : "nobody");
        wire_order_write(order_type, &in, &index);
        assert_result(LETHE_INVALID, read_order(over(&index)));
    }
}

static void a_lease_or_a_provider_is_stopped(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_order out, in = {.lease = {{1}}, .has_lease = true, .reason = "late"};
    order_type = WIRE_FORCE_STOP;
    wire_order_write(WIRE_FORCE_STOP, &in, &index);
    assert_exact(&index, read_order);
    assert_result(LETHE_OK, wire_order_read(WIRE_FORCE_STOP, over(&index), &out, NULL));
    assert_true(out.has_lease);
    assert_string_equal(out.reason, "late");
    buffer_truncate(&index, 0);
    in.has_lease = false; /* neither */
    wire_order_write(WIRE_FORCE_STOP, &in, &index);
    assert_result(LETHE_INVALID, read_order(over(&index)));
    strcpy(in.name, TERMS_PROVIDER); /* both */
    buffer_truncate(&index, 0);
    wire_order_write(WIRE_FORCE_STOP, &in, &index);
    index.bytes[0] = 1;
    assert_result(LETHE_MALFORMED, read_order(over(&index)));
}

static lethe_result read_join(struct cursor cursor)
{
    struct wire_join join;
    return wire_join_read(cursor, &join, NULL);
}

static lethe_result read_joined(struct cursor cursor)
{
    struct wire_joined joined;
    return wire_joined_read(cursor, &joined, NULL);
}

static void joining(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_join in = {{1, 2, 3}, 1 << 30, "[::1]:7311", 12}, out;
    struct wire_joined joined = {"lethe/control+01234567+AQ==", 1000}, joined_out;
    wire_join_write(&in, &index);
    assert_exact(&index, read_join);
    assert_result(LETHE_OK, wire_join_read(over(&index), &out, NULL));
    assert_string_equal(out.address, in.address);
    assert_int_equal(out.leases, 12);
    buffer_truncate(&index, 0);
    wire_joined_write(&joined, &index);
    assert_exact(&index, read_joined);
    assert_result(LETHE_OK, wire_joined_read(over(&index), &joined_out, NULL));
    assert_string_equal(joined_out.token_key, joined.token_key);
    buffer_truncate(&index, 0);
    joined.report_ms = 0;
    wire_joined_write(&joined, &index);
    assert_result(LETHE_MALFORMED, read_joined(over(&index)));
}

static struct wire_report report, report_out;
static lethe_result read_report(struct cursor cursor)
{
    return wire_report_read(cursor, &report_out, NULL);
}

static void reports(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    report = (struct wire_report){
        1, 2, 3, 4, true, 2, {{{{1}}, 5, LEASE_ACTIVE, 0, 1000}, {{{2}}, 6, LEASE_UNWIPED, 2, 0}}};
    wire_report_write(&report, &index);
    assert_exact(&index, read_report);
    assert_int_equal(report_out.count, 2);
    assert_int_equal(report_out.unwiped_bytes, 4);
    assert_true(report_out.last);
    assert_int_equal(report_out.changes[1].generation, 6);
    assert_int_equal(report_out.changes[1].state, LEASE_UNWIPED);
    buffer_truncate(&index, 0);
    report.count = WIRE_CHANGES_MAX;
    for (size_t i = 0; i < WIRE_CHANGES_MAX; i++)
        report.changes[i] = report.changes[0];
    wire_report_write(&report, &index);
    assert_true(index.size_bytes <= WIRE_INDEX_MAX);
    assert_result(LETHE_OK, read_report(over(&index)));
    index.bytes[33] = 1; /* 513 of them */
    assert_result(LETHE_MALFORMED, read_report(over(&index)));
}

static void states_and_causes_fit(void **state)
{
    for (unsigned lease = LEASE_GRANTED; lease <= LEASE_LOST; lease++)
        for (unsigned cause = 0; cause <= LEASE_CAUSE_PROVIDER_LOST; cause++) {
            CLEANUP(buffer_clear) struct buffer index = {0};
            report = (struct wire_report){.count = 1, .changes = {{{{1}}, 1, lease, cause, 0}}};
            wire_report_write(&report, &index);
            bool is_over = lease >= LEASE_WIPING;
            bool fits = lease != LEASE_LOST && is_over == (cause != 0);
            assert_result(fits ? LETHE_OK : LETHE_MALFORMED, read_report(over(&index)));
        }
}

/* ---- entries and refusals ---------------------------------------------------------------------
 */

static void entries(void **state)
{
    CLEANUP(buffer_clear) struct buffer reads = {0};
    CLEANUP(buffer_clear) struct buffer writes = {0};
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t tag[WIRE_TAG_BYTES] = {i, 1};
        wire_read_entry_write(100u + i, &reads);
        wire_write_entry_write(200u + i, tag, &writes);
    }
    struct cursor read = over(&reads), write = over(&writes);
    for (uint8_t i = 0; i < 3; i++) {
        const uint8_t *tag;
        assert_int_equal(wire_read_entry(&read, i), 100 + i);
        assert_int_equal(wire_write_entry(&write, i, &tag), 200 + i);
        assert_int_equal(tag[0], i);
    }
}

static void refusals_keep_result_and_sentence(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct lethe_error why, told;
    error_set(&why, LETHE_NO_SPACE, "no provider has %d bytes", 5);
    wire_refusal_write(&why, &index);
    struct wire_head head = {.type = WIRE_ALLOCATE | WIRE_REPLY, .code = wire_code_of(why.code)};
    assert_result(LETHE_NO_SPACE, wire_refusal_read(&head, over(&index), &told));
    assert_string_equal(told.text, "no provider has 5 bytes");
    struct buffer evil = {.bytes = (char[]){"\x1b[2Jgone"}, .size_bytes = 8};
    assert_result(LETHE_NO_SPACE, wire_refusal_read(&head, over(&evil), &told));
    assert_null(strchr(told.text, '\x1b'));
    head.code = 999;
    assert_result(LETHE_FAILED, wire_refusal_read(&head, over(&index), &told));
    head.code = 0;
    assert_result(LETHE_OK, wire_refusal_read(&head, over(&index), &told));
    memset(why.text, 'x', sizeof why.text - 1);
    why.text[sizeof why.text - 1] = '\0';
    buffer_truncate(&index, 0);
    wire_refusal_write(&why, &index);
    assert_true(index.size_bytes <= WIRE_ERROR_MAX);
}

static void results_have_numbers(void **state)
{
    assert_int_equal(wire_code_of(LETHE_OK), 0);
    assert_int_equal(wire_code_of(LETHE_UNWIPED), 14);
    assert_int_equal(wire_code_of(LETHE_CANCELLED), 1);
    for (uint16_t code = 0; code <= 16; code++)
        assert_int_equal(wire_code_of(wire_result_of(code)), code);
    assert_int_equal(wire_result_of(17), LETHE_FAILED);
    assert_string_equal(wire_type_name(WIRE_WRITE | WIRE_REPLY), "WRITE");
    assert_string_equal(wire_type_name(0x7f), "?");
    assert_true(wire_answered_later(WIRE_RELEASE));
    assert_false(wire_answered_later(WIRE_READ));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_the_documents),
        cmocka_unit_test(roles_are_kept_apart),
        cmocka_unit_test(who_said_nothing_yet_may_say_hello),
        cmocka_unit_test(heads_that_do_not_fit_are_refused),
        cmocka_unit_test(replies_that_do_not_fit_are_refused),
        cmocka_unit_test(hello),
        cmocka_unit_test(attached),
        cmocka_unit_test(allocate),
        cmocka_unit_test(allocated),
        cmocka_unit_test(leases),
        cmocka_unit_test(orders),
        cmocka_unit_test(a_lease_or_a_provider_is_stopped),
        cmocka_unit_test(joining),
        cmocka_unit_test(reports),
        cmocka_unit_test(states_and_causes_fit),
        cmocka_unit_test(entries),
        cmocka_unit_test(refusals_keep_result_and_sentence),
        cmocka_unit_test(results_have_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
