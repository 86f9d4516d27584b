/* Links under pressure: peers that read slowly, never, or send what they may not. */
#include "check.h"

#include "base/thread.h"
#include "link_pair.h"
#include "pool/link_core.h"

#define BLOCK 65536u
#define BLOCKS 16u
#define DATA_BYTES (BLOCKS * (size_t)BLOCK)

static uint8_t served[DATA_BYTES], taken[DATA_BYTES];

static int start(void **state)
{
    REQUIRE(start_crypto(state) == 0);
    peers_make();
    for (size_t i = 0; i < sizeof served; i++)
        served[i] = (uint8_t)(i * 13 + (i >> 9));
    return 0;
}

static int finish(void **state)
{
    peers_free();
    return 0;
}

static lethe_result serve(struct link_end *end, const struct link_frame *frame,
                          struct lethe_error *err)
{
    if (frame->head.type == WIRE_READ)
        return reply_read(end, &frame->head, served, BLOCK, err);
    return link_reply(end->link, &frame->head, 0, NULL, err);
}

static void settle(struct link_pair *pair)
{
    for (unsigned i = 0; i < 40; i++)
        assert_result(LETHE_OK, loop_turn(pair->loop, 1, NULL));
}

/* ---- back pressure ----------------------------------------------------------------------------
 */

/* Who asks and does not read makes nobody's memory grow, and gets all of it in the end. */
static void a_slow_reader_is_waited_for(void **state)
{
    struct link_pair pair;
    struct link_counters counters;
    size_t most = 0;
    pair_open(&pair);
    pair.server.on_frame = serve;
    pair.client.room = taken;
    link_pause(pair.client.link, true);
    for (unsigned i = 0; i < 200; i++)
        send_read(&pair.client, BLOCKS);
    for (unsigned i = 0; i < 200; i++) {
        assert_result(LETHE_OK, loop_turn(pair.loop, 1, NULL));
        link_counters(pair.server.link, &counters);
        most = MAX(most, counters.queued_bytes);
    }
    assert_true(pair.server.frames < 100); /* the rest was not even read */
    assert_true(most < LINK_REPLIES_WAITING + 2 * DATA_BYTES);
    assert_int_equal(pair.client.frames, 0);
    link_pause(pair.client.link, false);
    pair_until(&pair, pair.client.frames == 200);
    assert_int_equal(pair.server.released, 200);
    assert_memory_equal(taken, served, DATA_BYTES);
    pair_close(&pair);
}

/* The reply to a READ is what was there when it was asked: the WRITE behind it may not touch the
 * block before it left. */
static void data_are_not_placed_before_replies_left(void **state)
{
    struct link_pair pair;
    struct link_counters counters;
    static uint8_t fresh[DATA_BYTES], seen[DATA_BYTES];
    memset(fresh, 0xee, sizeof fresh);
    uint8_t *before = malloc(DATA_BYTES);
    memcpy(before, served, DATA_BYTES);
    pair_open(&pair);
    pair.server.on_frame = serve;
    pair.server.room = served; /* the same memory is read and written */
    pair.client.room = seen;
    link_pause(pair.client.link, true);
    unsigned asked = 0;
    do { /* until a reply is stuck, but not so much that nothing is read any more */
        send_read(&pair.client, 4);
        asked++;
        pair_until(&pair, pair.server.frames == asked);
        for (unsigned i = 0; i < 3; i++)
            assert_result(LETHE_OK, loop_turn(pair.loop, 1, NULL));
        link_counters(pair.server.link, &counters);
    } while (counters.queued_bytes == 0 && asked < 1000);
    assert_in_range(counters.queued_bytes, 1, LINK_REPLIES_WAITING - 1);
    send_write(&pair.client, fresh, BLOCKS, BLOCK);
    settle(&pair);
    assert_int_equal(pair.server.placed, 0);
    link_pause(pair.client.link, false);
    for (unsigned i = 1; i <= asked; i++) {
        pair_until(&pair, pair.client.frames >= i);
        assert_memory_equal(seen, before, 4 * BLOCK);
    }
    pair_until(&pair, pair.client.frames == asked + 1);
    assert_int_equal(pair.server.placed, 1);
    assert_memory_equal(served, fresh, DATA_BYTES);
    memcpy(served, before, DATA_BYTES);
    free(before);
    pair_close(&pair);
}

/* Both directions full at once, neither waits for the other for ever. */
static void floods_in_both_directions_pass(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    pair.server.on_frame = serve;
    pair.server.room = calloc(1, DATA_BYTES);
    pair.client.room = taken;
    for (unsigned i = 0; i < 30; i++) {
        send_write(&pair.client, served, BLOCKS, BLOCK);
        send_read(&pair.client, BLOCKS);
    }
    pair_until(&pair, pair.client.frames == 60);
    assert_int_equal(pair.client.released, 30);
    assert_int_equal(pair.server.released, 30);
    assert_memory_equal(pair.server.room, served, DATA_BYTES);
    free(pair.server.room);
    pair_close(&pair);
}

static void a_paused_link_takes_nothing(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    pair.server.on_frame = serve;
    link_pause(pair.server.link, true);
    for (unsigned i = 0; i < 10; i++)
        send_simple(&pair.client, WIRE_RENEW);
    settle(&pair);
    assert_int_equal(pair.server.frames, 0);
    link_pause(pair.server.link, false);
    pair_until(&pair, pair.client.frames == 10);
    pair_close(&pair);
}

static lethe_result pause_after_each(struct link_end *end, const struct link_frame *frame,
                                     struct lethe_error *err)
{
    link_pause(end->link, true);
    return LETHE_OK;
}

/* Also from within `frame`, with more frames received already. */
static void pausing_from_within_holds_at_once(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    pair.server.on_frame = pause_after_each;
    for (unsigned i = 0; i < 10; i++)
        send_simple(&pair.client, WIRE_RENEW);
    for (unsigned i = 1; i <= 10; i++) {
        pair_until(&pair, pair.server.frames == i);
        settle(&pair);
        assert_int_equal(pair.server.frames, i);
        link_pause(pair.server.link, false);
    }
    pair_close(&pair);
}

/* What one side queues of its own accord has a limit. */
static void too_much_in_the_queue_ends_the_link(void **state)
{
    struct link_pair pair;
    struct lethe_error err = {0};
    lethe_result result = LETHE_OK;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.client_options.queue_bytes_max = 10000;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.opened && pair.client.opened);
    link_pause(pair.server.link, true);
    unsigned sent = 0;
    for (; sent < 1000 && result == LETHE_OK; sent++) {
        const struct wire_head head = {
            .type = WIRE_RENEW, .channel = 1, .request = link_next_request(pair.client.link)};
        result = link_send(pair.client.link, &head, NULL, NULL, &err);
    }
    assert_int_equal(result, LETHE_LIMIT);
    assert_true(sent > 300 && sent < 320);
    const struct wire_head again = {
        .type = WIRE_RENEW, .channel = 1, .request = link_next_request(pair.client.link)};
    assert_result(LETHE_LIMIT, link_send(pair.client.link, &again, NULL, NULL, &err));
    pair_until(&pair, pair.client.ended);
    assert_int_equal(pair.client.why.code, LETHE_LIMIT);
    pair_close(&pair);
}

/* ---- ending -----------------------------------------------------------------------------------
 */

static lethe_result end_it(struct link_end *end, const struct link_frame *frame,
                           struct lethe_error *err)
{
    const struct wire_head over = {.type = WIRE_OVER, .channel = 1, .value = LEASE_CAUSE_REVOKED};
    assert_result(LETHE_OK, link_send(end->link, &over, NULL, NULL, err));
    link_end(end->link, LETHE_REVOKED, "the consumer was revoked");
    link_end(end->link, LETHE_LOST, "another reason");
    assert_result(LETHE_REVOKED, link_send(end->link, &over, NULL, NULL, err));
    return LETHE_OK;
}

/* The first reason holds, `ended` comes once and from outside, and what was said last arrives. */
static void an_ended_link_says_its_last_words(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    pair.server.on_frame = end_it;
    send_simple(&pair.client, WIRE_RENEW);
    send_simple(&pair.client, WIRE_RENEW); /* which nobody hears */
    pair_until(&pair, pair.server.ended && pair.client.ended);
    settle(&pair);
    assert_int_equal(pair.server.ended, 1);
    assert_int_equal(pair.server.frames, 1);
    assert_int_equal(pair.server.why.code, LETHE_REVOKED);
    assert_string_equal(pair.server.why.text, "the consumer was revoked");
    assert_int_equal(pair.client.last.type, WIRE_OVER);
    assert_int_equal(pair.client.why.code, LETHE_UNAVAILABLE);
    pair_close(&pair);
}

static lethe_result refuse_all(struct link_end *end, const struct link_frame *frame,
                               struct lethe_error *err)
{
    return error_set(err, LETHE_FAILED, "I do not like it");
}

static void an_owner_can_end_it_by_its_result(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    pair.server.on_frame = refuse_all;
    send_simple(&pair.client, WIRE_RENEW);
    pair_until(&pair, pair.server.ended && pair.client.ended);
    assert_int_equal(pair.server.why.code, LETHE_FAILED);
    pair_close(&pair);
}

/* Pieces are released whatever becomes of the link: ended, freed, or cut by the peer. */
static void pieces_are_always_released(void **state)
{
    for (unsigned way = 0; way < 3; way++) {
        struct link_pair pair;
        pair_open(&pair);
        pair.server.room = calloc(1, DATA_BYTES);
        link_pause(pair.server.link, true);
        for (unsigned i = 0; i < 20; i++)
            send_write(&pair.client, served, BLOCKS, BLOCK);
        settle(&pair);
        assert_true(pair.client.released < 20);
        if (way == 0)
            link_end(pair.client.link, LETHE_CANCELLED, "enough");
        else if (way == 1)
            link_free(MOVE(pair.client.link));
        else
            link_free(MOVE(pair.server.link));
        if (way != 1)
            pair_until(&pair, pair.client.ended);
        assert_int_equal(pair.client.released, 20);
        free(MOVE(pair.server.room));
        link_free(MOVE(pair.server.link)); /* it still had the room */
        pair_close(&pair);
    }
}

/* A link that is freed while it has something to do is not heard of again. */
static void freeing_takes_back_what_was_posted(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    send_simple(&pair.client, WIRE_RENEW);
    link_end(pair.client.link, LETHE_CANCELLED, "enough");
    link_free(MOVE(pair.client.link));
    settle(&pair);
    assert_int_equal(pair.client.ended, 0);
    pair_close(&pair);
}

static void connections_that_break_are_noticed(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    shutdown(tls_fd(pair.server.link->tls), SHUT_RDWR); /* no goodbye */
    pair_until(&pair, pair.client.ended && pair.server.ended);
    assert_int_equal(pair.client.why.code, LETHE_UNAVAILABLE);
    assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
    pair_close(&pair);
}

/* ---- deadlines --------------------------------------------------------------------------------
 */

static void silence_ends_a_link_that_minds(void **state)
{
    struct link_pair pair;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.idle_ms = 50;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.ended && pair.client.ended);
    assert_int_equal(pair.server.opened, 1);
    assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
    assert_non_null(strstr(pair.server.why.text, "nothing was heard"));
    pair_close(&pair);
}

/* A pause is the owner's, and no silence of the peer's. */
static void a_paused_link_does_not_mind_silence(void **state)
{
    struct link_pair pair;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.idle_ms = 40;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.opened);
    link_pause(pair.server.link, true);
    uint64_t until_ms = loop_now_ms(pair.loop) + 600;
    pair_until(&pair, loop_now_ms(pair.loop) > until_ms);
    assert_int_equal(pair.server.ended, 0);
    link_pause(pair.server.link, false);
    pair_until(&pair, pair.server.ended);
    assert_non_null(strstr(pair.server.why.text, "nothing was heard"));
    pair_close(&pair);
}

/* Whose owner takes nothing, for whatever reason, does not stay for a peer that has gone: with or
 * without something that was not read. */
static void a_paused_link_notices_that_its_peer_has_gone(void **state)
{
    for (unsigned unread = 0; unread < 3; unread++) {
        struct link_pair pair;
        pair_open(&pair);
        pair.server.on_frame = serve;
        link_pause(pair.server.link, true);
        for (unsigned i = 0; i < unread; i++)
            send_read(&pair.client, 1);
        settle(&pair);
        assert_int_equal(pair.server.ended, 0);
        link_free(MOVE(pair.client.link));
        pair_until(&pair, pair.server.ended);
        assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
        assert_int_equal(pair.server.frames, 0);
        pair_close(&pair);
    }
}

/* Who never takes its replies is given up. */
static void who_takes_nothing_is_given_up(void **state)
{
    struct link_pair pair;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.idle_ms = 100;
    pair.server.on_frame = serve;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.opened && pair.client.opened);
    link_pause(pair.client.link, true);
    for (unsigned i = 0; i < 50; i++)
        send_read(&pair.client, BLOCKS);
    pair_until(&pair, pair.server.ended);
    assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
    pair_close(&pair);
}

static void a_handshake_has_a_deadline(void **state)
{
    struct link_pair pair;
    struct lethe_error err = {0};
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.client_options.handshake_ms = 50;
    pair.server_options.handshake_ms = 50;
    /* Somebody listens and says nothing, and somebody dials and says nothing. */
    assert_ok(
        link_dial(&pair.client_options, pair.address, TERMS_PROVIDER, &pair.client.link, &err),
        &err);
    int silent[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, silent), 0);
    assert_ok(link_accept(&pair.server_options, silent[0], &pair.server.link, &err), &err);
    pair_until(&pair, pair.server.ended && pair.client.ended);
    assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
    assert_int_equal(pair.client.why.code, LETHE_UNAVAILABLE);
    assert_int_equal(pair.server.opened + pair.client.opened, 0);
    close(silent[1]);
    pair_close(&pair);
}

static lethe_result welcome_it(struct link_end *end, const struct link_frame *frame,
                               struct lethe_error *err)
{
    return link_welcome(end->link, frame, WIRE_BY_CONSUMER, NULL, err);
}

/* Who is believed and says nothing, or says it byte by byte, does not keep its place. */
static void hello_has_the_same_deadline(void **state)
{
    struct link_pair pair;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.peer = WIRE_UNKNOWN;
    pair.server_options.handshake_ms = 500;
    pair.server_options.idle_ms = 3600000;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.ended);
    assert_int_equal(pair.server.opened, 1);
    assert_int_equal(pair.server.why.code, LETHE_UNAVAILABLE);
    assert_non_null(strstr(pair.server.why.text, "HELLO"));
    pair_close(&pair);
}

/* After it, the deadline is no more. */
static void who_said_hello_may_be_silent(void **state)
{
    struct link_pair pair;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.peer = WIRE_UNKNOWN;
    pair.server_options.handshake_ms = 300;
    pair.server.on_frame = welcome_it;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.client.opened);
    assert_result(LETHE_OK, link_hello(pair.client.link, NULL));
    pair_until(&pair, pair.client.frames == 1);
    uint64_t until_ms = loop_now_ms(pair.loop) + 600;
    pair_until(&pair, loop_now_ms(pair.loop) > until_ms);
    assert_int_equal(pair.server.ended, 0);
    pair_close(&pair);
}

/* ---- broken rules -----------------------------------------------------------------------------
 */

/* What an honest link never sends: put into its outbox behind its back. */
static void send_raw(struct link_end *end, struct wire_head head, const char *index)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    if (index != NULL)
        buffer_text(&bytes, index);
    assert_result(LETHE_OK, outbox_add(&end->link->out, &head, &bytes, NULL, NULL));
    loop_post(end->link->options.loop, &end->link->turn);
}

static void broken_rules_end_the_link(void **state)
{
    static const struct {
        struct wire_head head;
        const char *index, *why;
    } cases[] = {
        {{.type = 99, .request = 1}, NULL, "of type 99"},
        {{.type = WIRE_RENEW, .flags = 1, .channel = 1, .request = 1}, NULL, "flag"},
        {{.type = WIRE_RENEW, .channel = 1, .request = 0}, NULL, "no notice"},
        {{.type = WIRE_RENEW, .request = 1}, NULL, "no channel"},
        {{.type = WIRE_RENEW, .channel = 1, .request = 1}, "index", "index is too long"},
        {{.type = WIRE_GRANT, .request = 1}, NULL, "may not send"},
        {{.type = WIRE_OVER, .channel = 1}, NULL, "may not send"},
        {{.type = WIRE_OVER | WIRE_REPLY, .request = 1}, NULL, "asked"},
        {{.type = WIRE_READ, .channel = 1, .code = 2, .request = 1}, "12345678", "index does not"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct link_pair pair;
        pair_open(&pair);
        send_raw(&pair.client, cases[i].head, cases[i].index);
        pair_until(&pair, pair.server.ended && pair.client.ended);
        assert_int_equal(pair.server.why.code, LETHE_MALFORMED);
        if (strstr(pair.server.why.text, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, pair.server.why.text);
        assert_int_equal(pair.server.frames, 0);
        pair_close(&pair);
    }
}

static void numbers_count_up_and_replies_have_been_asked_for(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    send_raw(&pair.client, (struct wire_head){.type = WIRE_RENEW, .channel = 1, .request = 5},
             NULL);
    pair_until(&pair, pair.server.frames == 1);
    send_raw(&pair.client, (struct wire_head){.type = WIRE_RENEW, .channel = 1, .request = 5},
             NULL);
    pair_until(&pair, pair.server.ended);
    assert_non_null(strstr(pair.server.why.text, "not greater"));
    pair_close(&pair);
    pair_open(&pair);
    send_raw(&pair.server,
             (struct wire_head){.type = WIRE_RENEW | WIRE_REPLY, .channel = 1, .request = 1}, NULL);
    pair_until(&pair, pair.client.ended);
    assert_non_null(strstr(pair.client.why.text, "was not asked"));
    pair_close(&pair);
}

static void requests_that_wait_for_an_answer_are_counted(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    for (unsigned i = 0; i < LINK_LATER_MAX; i++)
        send_simple(&pair.client, WIRE_RELEASE);
    pair_until(&pair, pair.server.frames == LINK_LATER_MAX);
    const struct wire_head first = {.type = WIRE_RELEASE, .channel = 1, .request = 1};
    struct lethe_error err;
    assert_ok(link_reply(pair.server.link, &first, 0, NULL, &err), &err);
    send_simple(&pair.client, WIRE_RELEASE);
    settle(&pair);
    assert_int_equal(pair.server.ended, 0);
    send_simple(&pair.client, WIRE_RELEASE);
    pair_until(&pair, pair.server.ended);
    assert_int_equal(pair.server.why.code, LETHE_MALFORMED);
    pair_close(&pair);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static void *run_loop(void *context)
{
    assert_result(LETHE_OK, loop_run(context, NULL));
    return NULL;
}

/* Each end on a loop and a thread of its own; many small frames and large ones among them. */
static void two_threads_exchange_many_frames(void **state)
{
    enum { ROUNDS = 2000 };
    struct link_pair pair;
    struct loop *away;
    pthread_t thread;
    struct lethe_error err = {0};
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    assert_result(LETHE_OK, loop_create(&away, NULL));
    pair.server_options.loop = away;
    pair.server.on_frame = serve;
    pair.server.room = calloc(1, DATA_BYTES);
    pair.client.room = taken;
    pair_connect(&pair, TERMS_PROVIDER);
    assert_result(LETHE_OK, thread_start(&thread, run_loop, away, NULL));
    pair_until(&pair, pair.client.opened);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 100 == 0)
            send_write(&pair.client, served, BLOCKS, BLOCK);
        else if (i % 100 == 50)
            send_read(&pair.client, BLOCKS);
        else
            send_simple(&pair.client, WIRE_RENEW);
        if (i % 40 == 0)
            pair_until(&pair, pair.client.frames + 200 > i);
    }
    pair_until(&pair, pair.client.frames == ROUNDS);
    assert_memory_equal(taken, served, DATA_BYTES);
    link_end(pair.client.link, LETHE_CANCELLED, "done");
    pair_until(&pair, pair.client.ended);
    loop_stop(away);
    pthread_join(thread, NULL);
    assert_ok(loop_turn(away, 100, &err), &err);
    assert_memory_equal(pair.server.room, served, DATA_BYTES);
    link_free(MOVE(pair.server.link));
    free(pair.server.room);
    loop_free(away);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_reader_is_waited_for),
        cmocka_unit_test(data_are_not_placed_before_replies_left),
        cmocka_unit_test(floods_in_both_directions_pass),
        cmocka_unit_test(a_paused_link_takes_nothing),
        cmocka_unit_test(pausing_from_within_holds_at_once),
        cmocka_unit_test(too_much_in_the_queue_ends_the_link),
        cmocka_unit_test(an_ended_link_says_its_last_words),
        cmocka_unit_test(an_owner_can_end_it_by_its_result),
        cmocka_unit_test(pieces_are_always_released),
        cmocka_unit_test(freeing_takes_back_what_was_posted),
        cmocka_unit_test(connections_that_break_are_noticed),
        cmocka_unit_test(silence_ends_a_link_that_minds),
        cmocka_unit_test(a_paused_link_does_not_mind_silence),
        cmocka_unit_test(a_paused_link_notices_that_its_peer_has_gone),
        cmocka_unit_test(who_takes_nothing_is_given_up),
        cmocka_unit_test(a_handshake_has_a_deadline),
        cmocka_unit_test(hello_has_the_same_deadline),
        cmocka_unit_test(who_said_hello_may_be_silent),
        cmocka_unit_test(broken_rules_end_the_link),
        cmocka_unit_test(numbers_count_up_and_replies_have_been_asked_for),
        cmocka_unit_test(requests_that_wait_for_an_answer_are_counted),
        cmocka_unit_test(two_threads_exchange_many_frames),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
