#include "check.h"

#include "base/thread.h"
#include "link_pair.h"

static int start(void **state)
{
    REQUIRE(start_crypto(state) == 0);
    peers_make();
    return 0;
}

static int finish(void **state)
{
    peers_free();
    return 0;
}

static uint8_t *pattern(size_t size_bytes, uint8_t seed)
{
    uint8_t *bytes = malloc(size_bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 12) + seed);
    return bytes;
}

/* ---- who is there (P-1, P-2) ------------------------------------------------------------------
 */

static void both_prove_who_they_are(void **state)
{
    struct link_pair pair;
    pair_open(&pair);
    assert_string_equal(pair.server.peer.text, TERMS_CONSUMER);
    assert_string_equal(pair.server.peer.tenant, "acme");
    assert_string_equal(pair.client.peer.text, TERMS_PROVIDER);
    assert_string_equal(link_peer(pair.client.link)->text, TERMS_PROVIDER);
    pair_close(&pair);
}

static void who_is_not_believed_gets_no_link(void **state)
{
    static const struct {
        enum peer server, client;
        const char *expected, *why;
        bool server_denies;
    } cases[] = {
        {PEER_PROVIDER, PEER_CONSUMER, PEER_CONTROL_ID, "was expected", false},
        {PEER_CONSUMER, PEER_CONSUMER, TERMS_PROVIDER, "was expected", false},
        {PEER_STRANGER, PEER_CONSUMER, PEER_CONTROL_ID, "is not believed", true},
        {PEER_NOBODY, PEER_CONSUMER, TERMS_PROVIDER, "", false},
        {PEER_PROVIDER, PEER_STRANGER, TERMS_PROVIDER, "does not believe our", true},
        {PEER_PROVIDER, PEER_NOBODY, TERMS_PROVIDER, NULL, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct link_pair pair;
        pair_prepare(&pair, cases[i].server, cases[i].client);
        pair_connect(&pair, cases[i].expected);
        pair_until(&pair, pair.server.ended && pair.client.ended);
        if (cases[i].why != NULL) {
            assert_int_equal(pair.client.why.code, LETHE_DENIED);
            if (strstr(pair.client.why.text, cases[i].why) == NULL)
                fail_msg("case %zu: %s", i, pair.client.why.text);
            assert_true(pair.client.opened == 0 || cases[i].server_denies);
        }
        if (cases[i].server_denies)
            assert_int_equal(pair.server.why.code, LETHE_DENIED);
        assert_true(pair.server.opened == 0 || !cases[i].server_denies);
        pair_close(&pair);
    }
}

static void what_cannot_be_dialled_is_said(void **state)
{
    static const char *const bad[] = {"",         "localhost",     "host:port",       "a:1/b",
                                      "a b:1",    "127.0.0.1:0",   "127.0.0.1:65536", ":1",
                                      "user@a:1", "127.0.0.1:1?x", "[::1:1"};
    struct link_pair pair;
    struct lethe_error err = {0};
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (link_dial(&pair.client_options, bad[i], TERMS_PROVIDER, &pair.client.link, &err) !=
            LETHE_INVALID)
            fail_msg("%s: %s", bad[i], err.text);
    assert_result(LETHE_INVALID, link_dial(&pair.client_options, pair.address, "provider",
                                           &pair.client.link, &err));
    assert_result(LETHE_UNAVAILABLE, link_dial(&pair.client_options, "nowhere.invalid:1",
                                               TERMS_PROVIDER, &pair.client.link, &err));
    close(pair.listener);
    assert_ok(
        link_dial(&pair.client_options, pair.address, TERMS_PROVIDER, &pair.client.link, &err),
        &err);
    pair_until(&pair, pair.client.ended);
    assert_int_equal(pair.client.why.code, LETHE_UNAVAILABLE);
    pair.listener = -1;
    pair_close(&pair);
}

static lethe_result welcome(struct link_end *end, const struct link_frame *frame,
                            struct lethe_error *err)
{
    static const uint8_t boot_id[BOOT_ID_BYTES] = {1, 2, 3};
    if (frame->head.type == WIRE_HELLO)
        return link_welcome(end->link, frame, WIRE_BY_CONSUMER, boot_id, err);
    return LETHE_OK;
}

static void hello_says_what_the_peer_is(void **state)
{
    struct link_pair pair;
    struct lethe_error err;
    uint8_t boot_id[BOOT_ID_BYTES];
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.peer = WIRE_UNKNOWN;
    pair.server.on_frame = welcome;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.opened && pair.client.opened);
    assert_int_equal(link_role(pair.server.link), WIRE_UNKNOWN);
    assert_ok(link_hello(pair.client.link, &err), &err);
    pair_until(&pair, pair.client.frames == 1);
    assert_int_equal(link_role(pair.server.link), WIRE_CONSUMER);
    assert_int_equal(pair.client.last.type, WIRE_HELLO | WIRE_REPLY);
    assert_result(LETHE_OK, wire_boot_read(cursor_over(pair.client.index, 16), boot_id, &err));
    assert_int_equal(boot_id[2], 3);
    assert_ok(link_hello(pair.client.link, &err), &err); /* twice */
    pair_until(&pair, pair.server.ended);
    assert_int_equal(pair.server.why.code, LETHE_MALFORMED);
    pair_close(&pair);
}

static void a_role_that_is_not_wanted_is_refused(void **state)
{
    struct link_pair pair;
    struct lethe_error err;
    pair_prepare(&pair, PEER_PROVIDER, PEER_CONSUMER);
    pair.server_options.peer = WIRE_UNKNOWN;
    pair.server.on_frame = welcome;
    pair.client_options.self = WIRE_OPERATOR;
    pair_connect(&pair, TERMS_PROVIDER);
    pair_until(&pair, pair.server.opened && pair.client.opened);
    assert_ok(link_hello(pair.client.link, &err), &err);
    pair_until(&pair, pair.server.ended && pair.client.ended);
    assert_int_equal(pair.server.why.code, LETHE_DENIED);
    pair_close(&pair);
}

/* ---- data -------------------------------------------------------------------------------------
 */

static void data_go_where_they_belong(void **state)
{
    static const struct {
        uint16_t blocks;
        uint32_t block_bytes;
        size_t piece_bytes;
    } cases[] = {{1, 4096, 0},    {3, 4096, 100},     {1, 65536, 65536}, {64, 65536, 65536},
                 {4, 1 << 20, 0}, {256, 4096, 16384}, {2, 65536, 1000},  {16, 65536, 1 << 17}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct link_pair pair;
        size_t size = (size_t)cases[i].blocks * cases[i].block_bytes;
        uint8_t *data = pattern(size, (uint8_t)i);
        pair_open(&pair);
        pair.server.room = calloc(1, size);
        pair.server.piece_bytes = MAX(cases[i].piece_bytes, size / LINK_PIECES_MAX);
        send_write(&pair.client, data, cases[i].blocks, cases[i].block_bytes);
        pair_until(&pair, pair.server.frames == 1);
        assert_int_equal(pair.client.released, 1);
        /* Pieces were given from the end. */
        for (size_t at = 0, left = size; left > 0;) {
            size_t piece = MIN(MAX(pair.server.piece_bytes, 1u), left);
            if (cases[i].piece_bytes == 0 && pair.server.piece_bytes == 0)
                piece = left;
            assert_memory_equal(pair.server.room + left - piece, data + at, piece);
            at += piece;
            left -= piece;
        }
        free(pair.server.room);
        free(data);
        pair_close(&pair);
    }
}

static uint8_t *served;
static lethe_result serve_reads(struct link_end *end, const struct link_frame *frame,
                                struct lethe_error *err)
{
    if (frame->head.type == WIRE_READ)
        return reply_read(end, &frame->head, served, 65536, err);
    return link_reply(end->link, &frame->head, 0, NULL, err);
}

static void blocks_are_read(void **state)
{
    struct link_pair pair;
    served = pattern(64 * 65536, 5);
    pair_open(&pair);
    pair.server.on_frame = serve_reads;
    pair.client.room = calloc(1, 64 * 65536);
    send_read(&pair.client, 64);
    pair_until(&pair, pair.client.frames == 1);
    assert_int_equal(pair.server.released, 1);
    assert_memory_equal(pair.client.room, served, 64 * 65536);
    free(pair.client.room);
    free(served);
    pair_close(&pair);
}

/* What finds no room is thrown away, and what is behind it is understood. */
static void refused_data_are_thrown_away(void **state)
{
    struct link_pair pair;
    uint8_t *data = pattern(1 << 20, 1);
    pair_open(&pair);
    send_write(&pair.client, data, 16, 65536);
    send_simple(&pair.client, WIRE_RENEW);
    pair_until(&pair, pair.server.frames == 2);
    assert_int_equal(pair.server.refused, 1);
    assert_int_equal(pair.server.last.type, WIRE_RENEW);
    free(data);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_prove_who_they_are),
        cmocka_unit_test(who_is_not_believed_gets_no_link),
        cmocka_unit_test(what_cannot_be_dialled_is_said),
        cmocka_unit_test(hello_says_what_the_peer_is),
        cmocka_unit_test(a_role_that_is_not_wanted_is_refused),
        cmocka_unit_test(data_go_where_they_belong),
        cmocka_unit_test(blocks_are_read),
        cmocka_unit_test(refused_data_are_thrown_away),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
