/* Every lease ends, and what it had is zero before anybody else can have it. */
#include "check.h"

#include "tenancy_check.h"

static char first, second;

/* ---- each way to the end (P-5, P-6, P-8, P-10) ----------------------------------------------- */

struct lived {
    struct tenancy_place *place;
    struct lease_terms terms;
    struct attachment *attachment;
    uint8_t *data, *tag; /* of block 5 */
};

/* A lease that is attached and full of 0x6b. */
static struct lived live(const struct tenancy_options *options)
{
    struct lived lived = {.place = place_open(options)};
    struct lethe_error err = {0};
    lived.terms = must_grant(lived.place, 1);
    lived.attachment = must_attach(lived.place, &lived.terms, &first);
    fill_blocks(lived.place, lived.attachment, 8, 0x6b);
    assert_ok(
        tenancy_block(lived.place->tenancy, lived.attachment, 5, &lived.data, &lived.tag, &err),
        &err);
    assert_int_equal(lived.data[7], 0x6b);
    return lived;
}

static void release(struct lived *lived)
{
    struct lethe_error err = {0};
    assert_ok(tenancy_release(lived->place->tenancy, lived->attachment, lived->place->now_ms,
                              hear_done, lived->place, &err),
              &err);
}

static void expire(struct lived *lived)
{
    lived->place->now_ms += lived->terms.ttl_ms;
    assert_true(tenancy_expire(lived->place->tenancy, lived->place->now_ms) == UINT64_MAX);
}

static void force_stop(struct lived *lived)
{
    assert_true(tenancy_stop(lived->place->tenancy, &lived->terms.lease, LEASE_CAUSE_FORCE_STOPPED,
                             lived->place->now_ms));
}

static void ban(struct lived *lived)
{
    assert_result(LETHE_OK, tenancy_ban(lived->place->tenancy, TERMS_CONSUMER, true,
                                        lived->place->now_ms, NULL));
}

static const struct {
    void (*end)(struct lived *lived);
    enum lease_cause cause;
    lethe_result afterwards;
} ways[] = {
    {release, LEASE_CAUSE_RELEASED, LETHE_NOT_FOUND},
    {expire, LEASE_CAUSE_EXPIRED, LETHE_LOST},
    {force_stop, LEASE_CAUSE_FORCE_STOPPED, LETHE_LOST},
    {ban, LEASE_CAUSE_REVOKED, LETHE_REVOKED},
};

static bool all_is_zero(struct tenancy_place *place)
{
    struct pool_arena_counters now = counters_now(place);
    return now.used_bytes == 0 && now.wiping_bytes == 0 && now.free_bytes == now.size_bytes;
}

static void after_each_end_it_is_zero_and_nobody_uses_it(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct lived lived = live(NULL);
        struct tenancy_place *place = lived.place;
        struct tenancy_attached late;
        uint64_t left_ms;
        ways[i].end(&lived);
        assert_result(ways[i].afterwards,
                      tenancy_hold(place->tenancy, lived.attachment, true, NULL));
        assert_result(ways[i].afterwards, tenancy_renew(place->tenancy, lived.attachment,
                                                        place->now_ms, &left_ms, NULL));
        assert_result(i == 3 ? LETHE_REVOKED : LETHE_NOT_FOUND,
                      attach_as(place, &lived.terms, TERMS_CONSUMER, &second, &late));
        assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
        assert_int_equal(change_now(place, 1).cause, ways[i].cause);
        assert_true(lethe_is_zero(lived.data, POOL_BLOCK_DEFAULT));
        assert_true(lethe_is_zero(lived.tag, WIRE_TAG_BYTES));
        assert_true(all_is_zero(place));
        assert_int_equal(place->over_count, ways[i].cause == LEASE_CAUSE_RELEASED ? 0 : 1);
        if (place->over_count == 1)
            assert_int_equal(place->overs[0].cause, ways[i].cause);
        tenancy_detach(place->tenancy, lived.attachment);
        place_close(place);
    }
}

static void wipe_nothing(void *memory, size_t size_bytes)
{
}

/* The control: without the wipe the same look finds the bytes, and the lease is told as unwiped. */
static void without_the_wipe_the_bytes_are_found_and_the_pages_are_kept_back(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct tenancy_options options = place_options(NULL);
        options.arena.wipe = wipe_nothing;
        struct lived lived = live(&options);
        ways[i].end(&lived);
        assert_int_equal(state_in_the_end(lived.place, 1), LEASE_UNWIPED);
        assert_int_equal(lived.data[7], 0x6b);
        assert_int_equal(lived.tag[7], 0x6b);
        assert_int_equal(counters_now(lived.place).unwiped_bytes, 8 * POOL_BLOCK_DEFAULT + 4096);
        assert_int_equal(counters_now(lived.place).used_bytes, 0);
        tenancy_detach(lived.place->tenancy, lived.attachment);
        place_close(lived.place);
    }
}

static uint8_t *planted;

static void wipe_and_plant(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    uint8_t *bytes = memory;
    if (bytes <= planted && planted < bytes + size_bytes)
        *planted = 0x80;
}

static void one_byte_that_comes_back_is_found_told_and_never_granted(void **state)
{
    struct tenancy_options options = place_options(NULL);
    options.arena.wipe = wipe_and_plant;
    struct lived lived = live(&options);
    struct tenancy_place *place = lived.place;
    planted = lived.data + POOL_BLOCK_DEFAULT - 1;
    release(&lived);
    assert_int_equal(state_in_the_end(place, 1), LEASE_UNWIPED);
    assert_int_equal(atomic_load(&place->done), LETHE_UNWIPED + 1);
    tenancy_detach(place->tenancy, lived.attachment);
    for (uint32_t i = 2; i < 1000; i++) {
        struct lease_terms terms = terms_of(i);
        uint8_t *data, *tag;
        if (tenancy_grant(place->tenancy, &terms, place->now_ms, NULL) != LETHE_OK)
            break;
        struct attachment *attachment = must_attach(place, &terms, &second);
        for (uint64_t block = 0; block < 8; block++) {
            assert_result(LETHE_OK,
                          tenancy_block(place->tenancy, attachment, block, &data, &tag, NULL));
            assert_true(planted < data || planted >= data + POOL_BLOCK_DEFAULT);
        }
        tenancy_detach(place->tenancy, attachment);
    }
    assert_int_equal(counters_now(place).unwiped_bytes, 8 * POOL_BLOCK_DEFAULT + 4096);
    place_close(place);
}

static void release_is_done_when_it_is_wiped(void **state)
{
    struct lived lived = live(NULL);
    release(&lived);
    while (atomic_load(&lived.place->done) == 0)
        usleep(200);
    assert_int_equal(atomic_load(&lived.place->done), LETHE_OK + 1);
    assert_true(lethe_is_zero(lived.data, POOL_BLOCK_DEFAULT));
    assert_result(LETHE_NOT_FOUND, tenancy_release(lived.place->tenancy, lived.attachment,
                                                   lived.place->now_ms, hear_done, NULL, NULL));
    tenancy_detach(lived.place->tenancy, lived.attachment);
    place_close(lived.place);
}

/* ---- held while it ends ---------------------------------------------------------------------- */

/* Nothing is wiped while TLS still reads from it; who does not let go is cut off, again and again.
 */
static void what_is_held_is_wiped_only_when_it_is_let_go(void **state)
{
    struct lived lived = live(NULL);
    struct tenancy_place *place = lived.place;
    struct lethe_error err = {0};
    assert_ok(tenancy_hold(place->tenancy, lived.attachment, false, &err), &err);
    assert_ok(tenancy_hold(place->tenancy, lived.attachment, true, &err), &err);
    place->now_ms += lived.terms.ttl_ms;
    assert_true(tenancy_expire(place->tenancy, place->now_ms) == place->now_ms + TENANCY_GRACE_MS);
    assert_int_equal(place->over_count, 1);
    assert_int_equal(place->cut_count, 0);
    tenancy_let_go(place->tenancy, lived.attachment, true);
    place->now_ms += TENANCY_GRACE_MS - 1;
    tenancy_expire(place->tenancy, place->now_ms);
    assert_int_equal(place->cut_count, 0);
    tenancy_expire(place->tenancy, ++place->now_ms);
    assert_int_equal(place->cut_count, 1);
    assert_ptr_equal(place->cuts[0], &first);
    place->now_ms += TENANCY_GRACE_MS;
    tenancy_expire(place->tenancy, place->now_ms);
    assert_int_equal(place->cut_count, 2);
    assert_int_equal(state_now(place, 1), LEASE_WIPING);
    assert_int_equal(lived.data[7], 0x6b);
    assert_int_equal(counters_now(place).wiping_bytes, 0);
    tenancy_let_go(place->tenancy, lived.attachment, false);
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    assert_true(tenancy_expire(place->tenancy, place->now_ms) == UINT64_MAX);
    tenancy_detach(place->tenancy, lived.attachment);
    place_close(place);
}

/* Also what a connection holds whose lease another had taken over. */
static void a_reader_of_before_a_takeover_is_waited_for_too(void **state)
{
    struct lived lived = live(NULL);
    struct tenancy_place *place = lived.place;
    struct lethe_error err = {0};
    assert_ok(tenancy_hold(place->tenancy, lived.attachment, false, &err), &err);
    struct attachment *new = must_attach(place, &lived.terms, &second);
    assert_result(LETHE_OK,
                  tenancy_release(place->tenancy, new, place->now_ms, hear_done, place, NULL));
    place->now_ms += TENANCY_GRACE_MS;
    tenancy_expire(place->tenancy, place->now_ms);
    assert_int_equal(place->cut_count, 1);
    assert_ptr_equal(place->cuts[0], &first);
    assert_int_equal(lived.data[7], 0x6b);
    tenancy_let_go(place->tenancy, lived.attachment, false);
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    assert_true(lethe_is_zero(lived.data, POOL_BLOCK_DEFAULT));
    tenancy_detach(place->tenancy, lived.attachment);
    tenancy_detach(place->tenancy, new);
    place_close(place);
}

/* ---- time (P-5) ------------------------------------------------------------------------------ */

/* Leases run out in their order, whether somebody has them or not. */
static void leases_expire_to_the_millisecond(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lethe_error err = {0};
    for (uint32_t i = 1; i <= 6; i++) {
        struct lease_terms terms = terms_of(i);
        terms.ttl_ms = 1000 * (i * 5 % 7); /* 5, 3, 1, 6, 4, 2 s */
        assert_ok(tenancy_grant(place->tenancy, &terms, place->now_ms, &err), &err);
    }
    uint64_t start_ms = place->now_ms;
    for (uint64_t at_s = 1; at_s <= 6; at_s++) {
        assert_true(tenancy_expire(place->tenancy, start_ms + 1000 * at_s - 1) ==
                    start_ms + 1000 * at_s);
        uint64_t next_ms = tenancy_expire(place->tenancy, start_ms + 1000 * at_s);
        assert_true(next_ms == (at_s == 6 ? UINT64_MAX : start_ms + 1000 * (at_s + 1)));
        unsigned running = 0;
        for (uint32_t i = 1; i <= 6; i++)
            running += state_now(place, i) == LEASE_GRANTED;
        assert_int_equal(running, 6 - at_s);
    }
    place_close(place);
}

/* What has run out is refused also before anybody has looked at the clock for it. */
static void what_has_run_out_is_refused_at_once(void **state)
{
    struct lived lived = live(NULL);
    struct tenancy_place *place = lived.place;
    struct tenancy_attached late;
    uint64_t left_ms;
    place->now_ms += lived.terms.ttl_ms;
    assert_result(LETHE_LOST,
                  tenancy_renew(place->tenancy, lived.attachment, place->now_ms, &left_ms, NULL));
    assert_result(LETHE_NOT_FOUND, attach_as(place, &lived.terms, TERMS_CONSUMER, &second, &late));
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    tenancy_detach(place->tenancy, lived.attachment);
    place_close(place);
}

static uint64_t must_renew(struct lived *lived)
{
    uint64_t left_ms = 0;
    struct lethe_error err = {0};
    assert_ok(tenancy_renew(lived->place->tenancy, lived->attachment, lived->place->now_ms,
                            &left_ms, &err),
              &err);
    return left_ms;
}

/* ttl 60 s, life 3600 s from when the token was made. */
static void renewing_ends_with_the_token_and_not_before(void **state)
{
    struct lived lived = live(NULL);
    struct tenancy_place *place = lived.place;
    uint64_t start_ms = place->now_ms;
    struct tenancy_attached again;
    for (uint64_t at_s = 30; at_s <= 3540; at_s += 30) {
        place->now_ms = start_ms + 1000 * at_s;
        assert_int_equal(must_renew(&lived), 60000);
        assert_true(tenancy_expire(place->tenancy, place->now_ms) == place->now_ms + 60000);
    }
    place->now_ms = start_ms + 3570000;
    assert_int_equal(must_renew(&lived), 30000);
    place->now_ms = start_ms + 3590000;
    assert_int_equal(must_renew(&lived), 10000);
    /* showing it again makes it no younger; nor does one that was made with it and kept */
    tenancy_detach(place->tenancy, lived.attachment);
    assert_result(LETHE_OK, attach_as(place, &lived.terms, TERMS_CONSUMER, &first, &again));
    lived.attachment = again.attachment;
    assert_int_equal(must_renew(&lived), 10000);
    struct lease_terms kept = lived.terms;
    kept.nonce[0] ^= 1;
    kept.issued_ms += 100000;
    lived.attachment = must_attach(place, &kept, &first);
    tenancy_detach(place->tenancy, again.attachment);
    assert_int_equal(must_renew(&lived), 60000);
    place->now_ms = start_ms + 3600000 + 45000;
    assert_int_equal(must_renew(&lived), 55000);
    place->now_ms = start_ms + 3600000 + 100000;
    assert_true(tenancy_expire(place->tenancy, place->now_ms) == UINT64_MAX);
    tenancy_detach(place->tenancy, lived.attachment);
    place_close(place);
}

/* A control plane whose clock has gone ahead gives nobody more than a life from now on. */
static void a_token_from_the_future_lives_from_now_on(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lived lived = {.place = place, .terms = must_grant(place, 1)};
    lived.terms.issued_ms += (uint64_t)365 * 24 * 3600 * 1000;
    lived.terms.life_ms = 70000;
    lived.attachment = must_attach(place, &lived.terms, &first);
    place->now_ms += 50000;
    assert_int_equal(must_renew(&lived), 20000);
    lived.terms.issued_ms = 0; /* and one whose clock has gone back takes nothing away */
    struct attachment *again = must_attach(place, &lived.terms, &second);
    tenancy_detach(place->tenancy, lived.attachment);
    lived.attachment = again;
    assert_int_equal(must_renew(&lived), 60000);
    tenancy_detach(place->tenancy, lived.attachment);
    place_close(place);
}

/* ---- ban (P-10) ------------------------------------------------------------------------------ */

static void a_banned_consumer_loses_all_and_others_nothing(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms one = must_grant(place, 1), two = must_grant(place, 2), others = terms_of(3);
    struct tenancy_attached late;
    struct lethe_error err = {0};
    terms_for_other(&others);
    assert_ok(tenancy_grant(place->tenancy, &others, place->now_ms, &err), &err);
    struct attachment *attachment = must_attach(place, &one, &first);
    assert_false(tenancy_is_banned(place->tenancy, TERMS_CONSUMER));
    assert_ok(tenancy_ban(place->tenancy, TERMS_CONSUMER, true, place->now_ms, &err), &err);
    assert_ok(tenancy_ban(place->tenancy, TERMS_CONSUMER, true, place->now_ms, &err), &err);
    assert_true(tenancy_is_banned(place->tenancy, TERMS_CONSUMER));
    assert_false(tenancy_is_banned(place->tenancy, OTHER_CONSUMER));
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    assert_int_equal(state_in_the_end(place, 2), LEASE_RECLAIMED);
    assert_int_equal(state_now(place, 3), LEASE_GRANTED);
    assert_result(LETHE_REVOKED, attach_as(place, &two, TERMS_CONSUMER, &first, &late));
    struct lease_terms more = terms_of(4);
    assert_result(LETHE_REVOKED, tenancy_grant(place->tenancy, &more, place->now_ms, NULL));
    assert_ok(tenancy_ban(place->tenancy, TERMS_CONSUMER, false, place->now_ms, &err), &err);
    assert_false(tenancy_is_banned(place->tenancy, TERMS_CONSUMER));
    assert_result(LETHE_NOT_FOUND, attach_as(place, &two, TERMS_CONSUMER, &first, &late));
    must_grant(place, 4);
    /* one who has nothing here */
    assert_ok(tenancy_ban(place->tenancy, "spiffe://pool.test/none", true, place->now_ms, &err),
              &err);
    assert_true(tenancy_is_banned(place->tenancy, "spiffe://pool.test/none"));
    tenancy_detach(place->tenancy, attachment);
    place_close(place);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* A change is told until it was acknowledged; what changed in between is told again. */
static void changes_are_told_until_they_are_acknowledged(void **state)
{
    static struct wire_report report, again;
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1);
    tenancy_report(place->tenancy, false, place->now_ms, &report);
    assert_int_equal(report.count, 1);
    assert_true(report.last);
    assert_int_equal(report.changes[0].state, LEASE_GRANTED);
    assert_int_equal(report.changes[0].generation, 1);
    assert_int_equal(report.changes[0].left_ms, 60000);
    assert_int_equal(report.used_bytes, 8 * POOL_BLOCK_DEFAULT + 4096);
    tenancy_report(place->tenancy, false, place->now_ms, &again);
    assert_int_equal(again.count, 1);
    struct attachment *attachment = must_attach(place, &terms, &first);
    tenancy_reported(place->tenancy, &again); /* of what was before */
    tenancy_report(place->tenancy, false, place->now_ms, &report);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.changes[0].state, LEASE_ACTIVE);
    tenancy_reported(place->tenancy, &report);
    tenancy_report(place->tenancy, false, place->now_ms, &report);
    assert_int_equal(report.count, 0);
    tenancy_report(place->tenancy, true, place->now_ms, &report);
    assert_int_equal(report.count, 1);
    tenancy_detach(place->tenancy, attachment);
    place_close(place);
}

static void many_changes_are_told_in_parts(void **state)
{
    static struct wire_report report;
    struct tenancy_options options = place_options(NULL);
    options.arena.size_bytes = (uint64_t)16 << 20;
    struct tenancy_place *place = place_open(&options);
    size_t told = 0, parts = 0;
    for (uint32_t i = 0; i < 1300; i++) {
        struct lease_terms terms = terms_of(i);
        terms.bytes = terms.block_bytes = POOL_BLOCK_MIN;
        assert_result(LETHE_OK, tenancy_grant(place->tenancy, &terms, place->now_ms, NULL));
    }
    assert_int_equal(tenancy_leases(place->tenancy), 1300);
    do {
        tenancy_report(place->tenancy, parts == 0, place->now_ms, &report);
        tenancy_reported(place->tenancy, &report);
        told += report.count;
        parts++;
        assert_true(report.last == (told == 1300));
    } while (!report.last);
    assert_int_equal(parts, 3);
    place_close(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_each_end_it_is_zero_and_nobody_uses_it),
        cmocka_unit_test(without_the_wipe_the_bytes_are_found_and_the_pages_are_kept_back),
        cmocka_unit_test(one_byte_that_comes_back_is_found_told_and_never_granted),
        cmocka_unit_test(release_is_done_when_it_is_wiped),
        cmocka_unit_test(what_is_held_is_wiped_only_when_it_is_let_go),
        cmocka_unit_test(a_reader_of_before_a_takeover_is_waited_for_too),
        cmocka_unit_test(leases_expire_to_the_millisecond),
        cmocka_unit_test(what_has_run_out_is_refused_at_once),
        cmocka_unit_test(renewing_ends_with_the_token_and_not_before),
        cmocka_unit_test(a_token_from_the_future_lives_from_now_on),
        cmocka_unit_test(a_banned_consumer_loses_all_and_others_nothing),
        cmocka_unit_test(changes_are_told_until_they_are_acknowledged),
        cmocka_unit_test(many_changes_are_told_in_parts),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
