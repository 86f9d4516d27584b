/* A provider, with consumers that are not who they should be, or ask for what is not theirs. */
#include "check.h"

#include "provider_check.h"

static int start(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    peers_make();
    return 0;
}

static int finish(void **state)
{
    peers_free();
    return 0;
}

/* ---- who is served, and when ----------------------------------------------------------------- */

static void nobody_is_served_before_the_first_report_was_answered(void **state)
{
    struct place *place = place_prepare();
    place->control.holds_reports = true;
    place->options.listen = "127.0.0.1:0";
    place_start(place);
    place_until(place, place->control.reports > 0);
    for (unsigned i = 0; i < 20; i++)
        place_turn(place);
    assert_false(atomic_load(&place->is_ready));
    assert_true(place->control.report.last);
    assert_int_equal(place->control.join.capacity_bytes, 8 << 20);
    assert_int_equal(place->control.join.leases, 0);
    place->control.holds_reports = false;
    assert_result(LETHE_OK, link_reply(place->control.link, &place->control.held, 0, NULL, NULL));
    place_until(place, atomic_load(&place->is_ready));
    assert_string_equal(place->control.join.address, place->address);
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    assert_int_equal(guest->ended, 0);
    assert_memory_equal(guest->boot_id, place->control.join.boot_id, BOOT_ID_BYTES);
    guest_leave(guest);
    place_close(place);
}

/* P-1, P-2 */
static void whoever_proves_nothing_is_not_served(void **state)
{
    struct place *place = place_open();
    static const enum peer wrong[] = {PEER_STRANGER, PEER_NOBODY};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct guest *guest = guest_come(place, wrong[i]);
        assert_int_equal(guest->ended, 1);
        assert_int_equal(guest->reply.request, 0);
        guest_leave(guest);
    }
    place_close(place);
}

static void a_provider_that_the_control_plane_refuses_ends(void **state)
{
    static const lethe_result refusals[] = {LETHE_DENIED, LETHE_REVOKED};
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct place *place = place_prepare();
        place->control.refuses_join = refusals[i];
        place_start(place);
        place_until(place, atomic_load(&place->is_over));
        assert_int_equal(place->result, refusals[i]);
        assert_non_null(strstr(place->err.text, PEER_CONTROL_ID));
        assert_non_null(strstr(place->err.text, "not you"));
        place_close(place);
    }
}

/* P-1: the control plane proves itself before it may instruct. */
static void who_is_not_the_control_plane_is_not_listened_to(void **state)
{
    static const enum peer wrong[] = {PEER_OPERATOR, PEER_STRANGER};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct place *place = place_prepare();
        tls_context_free(place->control_serves);
        place->control_serves = peer_context(wrong[i], true);
        place_start(place);
        place_until(place, atomic_load(&place->is_over));
        assert_int_equal(place->result, LETHE_DENIED);
        assert_int_equal(place->control.joins, 0);
        place_close(place);
    }
}

/* ---- tokens and channels (P-4) --------------------------------------------------------------- */

static void tokens_of_others_open_nothing(void **state)
{
    struct place *place = place_open();
    struct terms_signer stranger;
    struct lease_terms terms = terms_of(place, 1), other;
    uint32_t channel;
    terms_signer_make("lethe/stranger", &stranger);
    assert_result(LETHE_OK, grant(place, &terms));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    struct guest *rival = guest_come(place, PEER_OTHER);
    assert_result(LETHE_DENIED, guest_attach(guest, &terms, &stranger, &channel));
    assert_result(LETHE_DENIED, guest_attach(rival, &terms, &place->signer, &channel));
    other = terms;
    other.boot_id[0] ^= 1;
    assert_result(LETHE_LOST, guest_attach(guest, &other, &place->signer, &channel));
    other = terms;
    other.generation++;
    assert_result(LETHE_NOT_FOUND, guest_attach(guest, &other, &place->signer, &channel));
    channel = must_attach(guest, &terms);
    assert_int_equal(guest->attached.was, LEASE_GRANTED);
    assert_int_equal(guest->attached.blocks, 8);
    /* another consumer's channel, and numbers that nobody has */
    const uint32_t numbers[] = {channel, channel + 1, channel + 64, UINT32_MAX};
    uint8_t *room = calloc(1, POOL_BLOCK_DEFAULT);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        assert_result(LETHE_NOT_FOUND, guest_read(rival, numbers[i], 0, 1, room));
        assert_result(LETHE_NOT_FOUND, guest_write(rival, numbers[i], 0, 1, 7));
        assert_result(LETHE_NOT_FOUND, guest_simple(rival, WIRE_RENEW, numbers[i]));
        assert_result(LETHE_NOT_FOUND, guest_simple(rival, WIRE_RELEASE, numbers[i]));
    }
    assert_result(LETHE_OK, guest_read(guest, channel, 0, 1, room));
    assert_true(lethe_is_zero(room, POOL_BLOCK_DEFAULT));
    free(room);
    guest_leave(guest);
    guest_leave(rival);
    terms_signer_free(&stranger);
    place_close(place);
}

static void a_connection_has_at_most_64_leases_and_numbers_are_not_used_again(void **state)
{
    struct place *place = place_prepare();
    place->options.memory_bytes = (uint64_t)16 << 20;
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    struct lease_terms terms[65];
    uint32_t channels[65], last = 0;
    for (uint32_t i = 0; i < 65; i++) {
        terms[i] = terms_of(place, i + 1);
        terms[i].bytes = terms[i].block_bytes = POOL_BLOCK_MIN;
        assert_result(LETHE_OK, grant(place, &terms[i]));
    }
    for (uint32_t i = 0; i < 64; i++) {
        channels[i] = must_attach(guest, &terms[i]);
        assert_true(channels[i] > last);
        last = channels[i];
    }
    assert_result(LETHE_LIMIT, guest_attach(guest, &terms[64], &place->signer, &channels[64]));
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RELEASE, channels[10]));
    channels[64] = must_attach(guest, &terms[64]);
    assert_true(channels[64] > last);
    assert_result(LETHE_NOT_FOUND, guest_simple(guest, WIRE_RENEW, channels[10]));
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RENEW, channels[64]));
    guest_leave(guest);
    place_close(place);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void what_is_written_is_read_with_its_tags(void **state)
{
    struct place *place = place_open();
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    struct lease_terms terms = terms_of(place, 1);
    uint8_t *room = calloc(8, POOL_BLOCK_DEFAULT);
    assert_result(LETHE_OK, grant(place, &terms));
    uint32_t channel = must_attach(guest, &terms);
    assert_result(LETHE_OK, guest_write(guest, channel, 0, 8, 0x40));
    assert_result(LETHE_OK, guest_write(guest, channel, 3, 2, 0x80));
    assert_result(LETHE_OK, guest_read(guest, channel, 0, 8, room));
    for (size_t i = 0; i < 8; i++) {
        uint8_t expected = (uint8_t)((i == 3 || i == 4 ? 0x80 : 0x40) + i);
        assert_int_equal(room[i * POOL_BLOCK_DEFAULT], expected);
        assert_memory_equal(room + i * POOL_BLOCK_DEFAULT, room + i * POOL_BLOCK_DEFAULT + 1,
                            POOL_BLOCK_DEFAULT - 1);
        assert_int_equal(guest->index[i * WIRE_TAG_BYTES], (uint8_t)(i ^ 0x3c));
        assert_int_equal(guest->index[i * WIRE_TAG_BYTES + 15], (uint8_t)(i ^ 0x3c));
    }
    assert_result(LETHE_OK, guest_simple(guest, WIRE_RENEW, channel));
    assert_true(guest->reply.value > 50000 && guest->reply.value <= 60000);
    free(room);
    guest_leave(guest);
    place_close(place);
}

/* At every edge, and past it; a refused WRITE changes nothing, and the connection goes on. */
static void block_numbers_and_sizes_past_the_edge_are_refused(void **state)
{
    struct place *place = place_open();
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    struct lease_terms terms = terms_of(place, 1);
    uint8_t *room = calloc(8, POOL_BLOCK_DEFAULT);
    static uint8_t small[16 * POOL_BLOCK_MIN];
    memset(small, 0xee, sizeof small);
    assert_result(LETHE_OK, grant(place, &terms));
    uint32_t channel = must_attach(guest, &terms);
    const uint64_t past[] = {8, 9, 1000, UINT32_MAX, (uint64_t)1 << 32, UINT64_MAX - 7};
    for (size_t i = 0; i < ARRAY_LEN(past); i++) {
        assert_result(LETHE_INVALID, guest_read(guest, channel, past[i], 1, room));
        assert_result(LETHE_INVALID, guest_write(guest, channel, past[i], 1, 0xee));
    }
    assert_result(LETHE_INVALID, guest_read(guest, channel, 7, 2, room));
    assert_result(LETHE_INVALID,
                  guest_write(guest, channel, 7, 2, 0xee)); /* not the first either */
    assert_result(LETHE_INVALID, guest_read(guest, channel, UINT64_MAX, 1, room));
    /* blocks of another size than the lease's */
    assert_result(LETHE_INVALID,
                  guest_wait(guest, guest_send_write(guest, channel, 0, 1, POOL_BLOCK_MIN, small)));
    assert_result(LETHE_INVALID, guest_wait(guest, guest_send_write(guest, channel, 0, 16,
                                                                    POOL_BLOCK_MIN, small)));
    assert_result(LETHE_OK, guest_read(guest, channel, 0, 8, room));
    assert_true(lethe_is_zero(room, 8 * (size_t)POOL_BLOCK_DEFAULT));
    free(room);
    guest_leave(guest);
    place_close(place);
}

static void more_than_one_reply_carries_is_refused(void **state)
{
    struct place *place = place_prepare();
    place->options.memory_bytes = (uint64_t)16 << 20;
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    struct guest *guest = guest_come(place, PEER_CONSUMER);
    struct lease_terms terms = terms_of(place, 1);
    terms.bytes = 6 << 20;
    terms.block_bytes = 1 << 20;
    uint8_t *room = calloc(1, WIRE_BLOCK_DATA_MAX);
    assert_result(LETHE_OK, grant(place, &terms));
    uint32_t channel = must_attach(guest, &terms);
    assert_result(LETHE_INVALID, guest_read(guest, channel, 0, 5, room));
    assert_result(LETHE_OK, guest_read(guest, channel, 2, 4, room));
    free(room);
    guest_leave(guest);
    place_close(place);
}

/* One certificate does not get every place; a place that becomes free is had again. */
static void an_identity_has_its_share_of_the_connections(void **state)
{
    struct place *place = place_prepare();
    place->options.connections_per_identity = 2;
    place_start(place);
    place_until(place, atomic_load(&place->is_ready));
    struct guest *guests[2] = {guest_come(place, PEER_CONSUMER), guest_come(place, PEER_CONSUMER)};
    assert_int_equal(guests[1]->reply.code, 0);
    struct guest *late = guest_come(place, PEER_CONSUMER), *other = guest_come(place, PEER_OTHER);
    assert_int_equal(wire_result_of(late->reply.code), LETHE_LIMIT);
    place_until(place, late->ended == 1);
    assert_int_equal(other->reply.code, 0);
    guest_leave(guests[0]);
    do {
        guest_leave(late);
        late = guest_come(place, PEER_CONSUMER);
    } while (late->reply.request != 1 || late->reply.code != 0);
    guest_leave(late);
    guest_leave(other);
    guest_leave(guests[1]);
    place_close(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_served_before_the_first_report_was_answered),
        cmocka_unit_test(an_identity_has_its_share_of_the_connections),
        cmocka_unit_test(whoever_proves_nothing_is_not_served),
        cmocka_unit_test(a_provider_that_the_control_plane_refuses_ends),
        cmocka_unit_test(who_is_not_the_control_plane_is_not_listened_to),
        cmocka_unit_test(tokens_of_others_open_nothing),
        cmocka_unit_test(a_connection_has_at_most_64_leases_and_numbers_are_not_used_again),
        cmocka_unit_test(what_is_written_is_read_with_its_tags),
        cmocka_unit_test(block_numbers_and_sizes_past_the_edge_are_refused),
        cmocka_unit_test(more_than_one_reply_carries_is_refused),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
