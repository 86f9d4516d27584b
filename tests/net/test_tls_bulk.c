/* Connections for bulk: what they carry, in what records, under which keys (P-3, P-13). */
#include "check.h"

#include <sys/ioctl.h>

#include "crypto/crypto.h"
#include "net/tls_core.h"
#include "tls_pair.h"

#define STREAM_BYTES ((size_t)2 << 20)
#define HEAD_BYTES 32u

static struct identity_files authority, server, client;

static struct tls_context *context_of(const struct identity_files *identity, bool bulk)
{
    const struct tls_options options = {.certificates_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .roots_pem = authority.certificate_pem,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = bulk};
    return pair_context(&options, identity == &server);
}

static void open_sides(bool bulk_a, bool bulk_b, struct side *a, struct side *b)
{
    open_pair(context_of(&server, bulk_a), context_of(&client, bulk_b), "localhost", a, b);
    shake_hands(a, b);
    assert_true(is_done(a) && is_done(b));
}

/* ---- streams --------------------------------------------------------------------------------- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static size_t random_up_to(size_t max)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * 0x2545f4914f6cdd1d) >> 16) % (max + 1);
}

struct stream {
    struct side *from, *to;
    uint8_t *sent, *got;
    size_t sent_bytes, got_bytes;
    size_t wanted; /* OpenSSL wants the same again of who had to wait */
    bool had_to_wait;
};

static void stream_open(struct stream *stream, struct side *from, struct side *to)
{
    *stream = (struct stream){.from = from, .to = to};
    stream->sent = malloc(STREAM_BYTES);
    stream->got = malloc(STREAM_BYTES);
    assert_true(stream->sent != NULL && stream->got != NULL);
    for (size_t i = 0; i < STREAM_BYTES; i++)
        stream->sent[i] = (uint8_t)(random_up_to(255));
}

static void stream_close(struct stream *stream)
{
    assert_int_equal(stream->got_bytes, STREAM_BYTES);
    assert_memory_equal(stream->sent, stream->got, STREAM_BYTES);
    free(stream->sent);
    free(stream->got);
}

/* Up to four parts, of any size, empty ones too. */
static void say_parts(struct stream *stream)
{
    struct iovec parts[4];
    size_t count = random_up_to(4), at = stream->sent_bytes, written;
    for (size_t i = 0; i < count; i++) {
        size_t most = random_up_to(5) == 0 ? 100000 : 500;
        size_t wanted = random_up_to(most);
        parts[i] = (struct iovec){stream->sent + at, MIN(wanted, STREAM_BYTES - at)};
        at += parts[i].iov_len;
    }
    struct side *from = stream->from;
    assert_ok(tls_write_parts(from->connection, parts, count, &written, &from->want, &from->err),
              &from->err);
    assert_true(from->want == TLS_DONE ? stream->sent_bytes + written == at
                                       : from->want == TLS_WANT_WRITE);
    stream->had_to_wait |= from->want != TLS_DONE;
    stream->sent_bytes += written;
}

static void say_plainly(struct stream *stream)
{
    struct side *from = stream->from;
    size_t written;
    if (stream->wanted == 0)
        stream->wanted = MIN(1000 + stream->sent_bytes % 39000, STREAM_BYTES - stream->sent_bytes);
    assert_ok(tls_write(from->connection, stream->sent + stream->sent_bytes, stream->wanted,
                        &written, &from->want, &from->err),
              &from->err);
    stream->sent_bytes += written;
    stream->wanted = written > 0 ? 0 : stream->wanted;
}

static void stream_step(struct stream *stream)
{
    size_t got, wanted = random_up_to(random_up_to(3) == 0 ? 200000 : 2000);
    struct side *from = stream->from, *to = stream->to;
    if (stream->sent_bytes < STREAM_BYTES)
        (from->connection->wire.bulk ? say_parts : say_plainly)(stream);
    if (stream->sent_bytes == STREAM_BYTES || random_up_to(3) == 0)
        assert_ok(tls_flush(from->connection, &from->want, &from->err), &from->err);
    if (stream->got_bytes == STREAM_BYTES)
        return;
    assert_ok(tls_read(to->connection, stream->got + stream->got_bytes,
                       MIN(wanted + 1, STREAM_BYTES - stream->got_bytes), &got, &to->want,
                       &to->err),
              &to->err);
    assert_true(to->want == (got > 0 ? TLS_DONE : TLS_WANT_READ));
    stream->got_bytes += got;
}

static void run_both_ways(struct side *a, struct side *b, bool *had_to_wait)
{
    struct stream there, back;
    stream_open(&there, a, b);
    stream_open(&back, b, a);
    while (there.got_bytes < STREAM_BYTES || back.got_bytes < STREAM_BYTES) {
        stream_step(&there);
        stream_step(&back);
    }
    *had_to_wait = there.had_to_wait || back.had_to_wait;
    stream_close(&there);
    stream_close(&back);
}

static void any_parts_arrive_as_they_were(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        struct side a, b;
        bool had_to_wait;
        open_sides(i & 1, i & 2, &a, &b);
        run_both_ways(&a, &b, &had_to_wait);
        if (i == 3)
            assert_true(had_to_wait); /* the pipe was full at times */
        close_pair(&a, &b);
    }
}

/* ---- records --------------------------------------------------------------------------------- */

static size_t bytes_waiting(const struct side *side)
{
    int waiting = 0;
    assert_int_equal(ioctl(tls_fd(side->connection), FIONREAD, &waiting), 0);
    return (size_t)waiting;
}

/* P-13: a header and its block share records, and nothing goes out in small pieces. */
static void records_are_full_and_wait_for_the_flush(void **state)
{
    struct side a, b;
    static uint8_t block[4096], sealed[TLS_BATCH_BYTES];
    uint8_t head[HEAD_BYTES] = {1};
    const struct iovec parts[] = {{head, sizeof head}, {block, sizeof block}};
    size_t written, content = 16 * (sizeof head + sizeof block), records = 0;
    open_sides(true, true, &a, &b);
    for (unsigned i = 0; i < 16; i++) {
        assert_result(LETHE_OK, tls_write_parts(a.connection, parts, 2, &written, &a.want, NULL));
        assert_int_equal(written, sizeof head + sizeof block);
    }
    assert_int_equal(bytes_waiting(&b), 0);
    assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
    assert_int_equal(a.want, TLS_DONE);
    ssize_t got = recv(tls_fd(b.connection), sealed, sizeof sealed, 0);
    assert_true(got > (ssize_t)content);
    for (size_t at = 0; at < (size_t)got; records++) {
        size_t size = (size_t)sealed[at + 3] << 8 | sealed[at + 4];
        size_t inner = size - 17; /* the type, and the tag */
        assert_int_equal(inner, MIN(content, TLS_RECORD_BYTES));
        content -= inner;
        at += 5 + size;
    }
    assert_int_equal(content, 0);
    assert_int_equal(records, 5);
    close_pair(&a, &b);
}

/* What is a record's worth begins one, and is not copied to lie behind what came before. */
static void long_parts_begin_a_record(void **state)
{
    struct side a, b;
    static uint8_t block[2 * TLS_RECORD_BYTES + 100], sealed[TLS_BATCH_BYTES];
    uint8_t head[HEAD_BYTES] = {1};
    const struct iovec parts[] = {{head, sizeof head}, {block, sizeof block}};
    const size_t contents[] = {sizeof head, TLS_RECORD_BYTES, TLS_RECORD_BYTES, 100};
    size_t written, at = 0;
    open_sides(true, true, &a, &b);
    assert_result(LETHE_OK, tls_write_parts(a.connection, parts, 2, &written, &a.want, NULL));
    assert_int_equal(written, sizeof head + sizeof block);
    assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
    assert_int_equal(a.want, TLS_DONE);
    ssize_t got = recv(tls_fd(b.connection), sealed, sizeof sealed, 0);
    for (size_t i = 0; i < ARRAY_LEN(contents); at += 5 + contents[i] + 17, i++) {
        assert_true(at + 5 <= (size_t)got);
        assert_int_equal((size_t)sealed[at + 3] << 8 | sealed[at + 4], contents[i] + 17);
    }
    assert_int_equal(at, got);
    close_pair(&a, &b);
}

/* It came with the last bytes, and the socket has nothing more. */
static void a_goodbye_behind_bytes_is_heard(void **state)
{
    struct side a, b;
    uint8_t bytes[100] = {1}, roomy[200];
    size_t count;
    open_sides(true, true, &a, &b);
    assert_result(LETHE_OK, tls_write(a.connection, bytes, sizeof bytes, &count, &a.want, NULL));
    assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
    tls_finish(a.connection);
    assert_result(LETHE_OK, tls_read(b.connection, roomy, sizeof roomy, &count, &b.want, NULL));
    assert_int_equal(count, sizeof bytes);
    assert_result(LETHE_OK, tls_read(b.connection, bytes, sizeof bytes, &count, &b.want, NULL));
    assert_int_equal(count, 0);
    assert_int_equal(b.want, TLS_CLOSED);
    close_pair(&a, &b);
}

static void a_full_pipe_is_waited_for(void **state)
{
    struct side a, b;
    static uint8_t block[4 << 20];
    const struct iovec part = {block, sizeof block};
    size_t written;
    open_sides(true, true, &a, &b);
    assert_result(LETHE_OK, tls_write_parts(a.connection, &part, 1, &written, &a.want, NULL));
    assert_int_equal(a.want, TLS_WANT_WRITE);
    assert_true(written < sizeof block);
    assert_result(LETHE_OK, tls_write_parts(a.connection, &part, 1, &written, &a.want, NULL));
    assert_int_equal(a.want, TLS_WANT_WRITE); /* nothing was taken in between */
    assert_int_equal(written, 0);
    assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
    assert_int_equal(a.want, TLS_WANT_WRITE);
    close_pair(&a, &b);
}

/* ---- new keys -------------------------------------------------------------------------------- */

struct updates {
    unsigned sent, received;
};

static void count_updates(int is_write, int version, int type, const void *bytes, size_t size_bytes,
                          SSL *native, void *context)
{
    struct updates *updates = context;
    if (type == SSL3_RT_HANDSHAKE && size_bytes > 0 &&
        *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
        *(is_write ? &updates->sent : &updates->received) += 1;
}

static void count_updates_of(const struct side *side, struct updates *updates)
{
    *updates = (struct updates){0};
    SSL_set_msg_callback(side->connection->native, count_updates);
    SSL_set_msg_callback_arg(side->connection->native, updates);
}

/* P-3: under load in both directions nothing is lost when keys change. Each side counts what it
 * sends itself. */
static void keys_are_renewed_under_load(void **state)
{
    static const struct {
        uint64_t a, b; /* records per key */
        bool bulk_b;
    } cases[] = {{10, 10, true}, {7, TLS_RECORDS_PER_KEY, true}, {1, 3, true}, {10, 10, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side a, b;
        struct updates of_a, of_b;
        bool had_to_wait;
        open_sides(true, cases[i].bulk_b, &a, &b);
        count_updates_of(&a, &of_a);
        count_updates_of(&b, &of_b);
        tls_set_records_per_key(a.connection, cases[i].a);
        tls_set_records_per_key(b.connection, cases[i].b);
        run_both_ways(&a, &b, &had_to_wait);
        size_t least = STREAM_BYTES / TLS_RECORD_BYTES - 1;
        assert_true(of_a.sent >= least / cases[i].a);
        assert_int_equal(of_a.sent, of_b.received);
        assert_int_equal(of_b.sent, of_a.received);
        if (cases[i].bulk_b)
            assert_true(of_b.sent >= least / cases[i].b);
        else
            assert_int_equal(of_b.sent, 0);
        close_pair(&a, &b);
    }
}

/* As other programs may. */
static void peers_may_ask_for_new_keys(void **state)
{
    struct side a, b;
    struct updates of_a;
    struct stream there, back;
    unsigned asked = 0;
    open_sides(true, true, &a, &b);
    count_updates_of(&a, &of_a);
    stream_open(&there, &a, &b);
    stream_open(&back, &b, &a);
    while (there.got_bytes < STREAM_BYTES || back.got_bytes < STREAM_BYTES) {
        stream_step(&there);
        if (back.sent_bytes < STREAM_BYTES && random_up_to(10) == 0)
            asked += (unsigned)SSL_key_update(b.connection->native, SSL_KEY_UPDATE_REQUESTED);
        stream_step(&back);
    }
    assert_true(asked > 10);
    assert_true(of_a.received > 10);
    /* With what it says next: one answer may stand for two questions. */
    assert_true(of_a.sent > of_a.received / 2 && of_a.sent <= of_a.received);
    stream_close(&there);
    stream_close(&back);
    close_pair(&a, &b);
}

static void keys_stay_for_2_to_the_24_records(void **state)
{
    struct side a, b;
    struct updates of_a;
    bool had_to_wait;
    open_sides(true, true, &a, &b);
    assert_int_equal(a.connection->records_per_key, 1u << 24);
    count_updates_of(&a, &of_a);
    run_both_ways(&a, &b, &had_to_wait);
    assert_int_equal(of_a.sent + of_a.received, 0);
    assert_true(a.connection->records_written >= STREAM_BYTES / TLS_RECORD_BYTES);
    /* At the end of its key, and the one after. */
    a.connection->records_written = (1u << 24) - 1;
    for (unsigned i = 0; i < 2; i++) {
        size_t written;
        assert_result(LETHE_OK, tls_write(a.connection, "x", 1, &written, &a.want, NULL));
        assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
        assert_int_equal(of_a.sent, i);
    }
    close_pair(&a, &b);
}

/* ---- attacks --------------------------------------------------------------------------------- */

/* Somebody on the line changes one bit of what was sent. */
static void changed_records_end_the_connection(void **state)
{
    for (size_t i = 0; i < 40; i++) {
        struct side a, b;
        static uint8_t bytes[20000], sealed[TLS_BATCH_BYTES];
        size_t written, read_bytes;
        open_sides(true, i % 2 == 0, &a, &b);
        int line[2], old = tls_fd(b.connection);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, line), 0);
        assert_result(LETHE_OK,
                      tls_write(a.connection, bytes, sizeof bytes, &written, &a.want, NULL));
        assert_result(LETHE_OK, tls_flush(a.connection, &a.want, NULL));
        ssize_t got = recv(old, sealed, sizeof sealed, 0);
        assert_true(got > (ssize_t)sizeof bytes);
        size_t second = 5 + TLS_RECORD_BYTES + 17;
        size_t at = second + 5 + random_up_to((size_t)got - second - 6);
        sealed[at] ^= (uint8_t)(1u << random_up_to(7));
        assert_int_equal(dup2(line[0], old), old);
        assert_int_equal(send(line[1], sealed, (size_t)got, 0), got);
        lethe_result result = LETHE_OK;
        size_t heard = 0;
        for (unsigned turn = 0; turn < 4 && result == LETHE_OK; turn++) {
            result = tls_read(b.connection, sealed, sizeof sealed, &read_bytes, &b.want, &b.err);
            heard += read_bytes;
        }
        assert_int_equal(result, LETHE_MALFORMED);
        assert_true(heard <= TLS_RECORD_BYTES); /* the record before it was sound */
        assert_result(LETHE_IO, tls_read(b.connection, sealed, 1, &read_bytes, &b.want, NULL));
        assert_result(LETHE_IO, tls_flush(b.connection, &b.want, NULL));
        close_pair(&a, &b);
        close(line[0]);
        close(line[1]);
    }
}

static void who_is_gone_is_noticed_at_the_flush(void **state)
{
    struct side a, b;
    size_t written;
    open_sides(true, true, &a, &b);
    tls_free(MOVE(b.connection));
    assert_result(LETHE_OK, tls_write(a.connection, "x", 1, &written, &a.want, NULL));
    assert_result(LETHE_IO, tls_flush(a.connection, &a.want, NULL));
    assert_result(LETHE_IO, tls_flush(a.connection, &a.want, NULL));
    close_pair(&a, &b);
}

/* What it said before is heard at once, whatever the last read made of the socket. */
static void last_words_are_heard(void **state)
{
    struct side a, b;
    char heard[8];
    size_t written, got;
    open_sides(true, true, &a, &b);
    for (unsigned i = 0; i < 2; i++) {
        assert_result(LETHE_OK, tls_write(b.connection, "bye", 3, &written, &b.want, NULL));
        assert_result(LETHE_OK, tls_flush(b.connection, &b.want, NULL));
        if (i == 0)
            assert_result(LETHE_OK,
                          tls_read(a.connection, heard, sizeof heard, &got, &a.want, NULL));
    }
    tls_free(MOVE(b.connection));
    assert_result(LETHE_OK, tls_write(a.connection, "x", 1, &written, &a.want, NULL));
    assert_result(LETHE_IO, tls_flush(a.connection, &a.want, NULL));
    assert_result(LETHE_OK, tls_read(a.connection, heard, sizeof heard, &got, &a.want, NULL));
    assert_int_equal(got, 3);
    assert_result(LETHE_OK, tls_read(a.connection, heard, sizeof heard, &got, &a.want, NULL));
    assert_int_equal(a.want, TLS_CLOSED);
    close_pair(&a, &b);
}

static int make_identities(void **state)
{
    struct lethe_error err;
    assert_ok(crypto_start(&err), &err);
    certificate_make(NULL, "authority", NULL, 10, &authority);
    certificate_make(&authority, "server", "DNS:localhost", 10, &server);
    certificate_make(&authority, "client", "URI:spiffe://example.org/client", 10, &client);
    return 0;
}

static int free_identities(void **state)
{
    certificate_free(&authority);
    certificate_free(&server);
    certificate_free(&client);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_parts_arrive_as_they_were),
        cmocka_unit_test(records_are_full_and_wait_for_the_flush),
        cmocka_unit_test(long_parts_begin_a_record),
        cmocka_unit_test(a_goodbye_behind_bytes_is_heard),
        cmocka_unit_test(a_full_pipe_is_waited_for),
        cmocka_unit_test(keys_are_renewed_under_load),
        cmocka_unit_test(peers_may_ask_for_new_keys),
        cmocka_unit_test(keys_stay_for_2_to_the_24_records),
        cmocka_unit_test(changed_records_end_the_connection),
        cmocka_unit_test(who_is_gone_is_noticed_at_the_flush),
        cmocka_unit_test(last_words_are_heard),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
