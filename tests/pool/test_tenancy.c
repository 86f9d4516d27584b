/* Who may have a lease, and who may not. */
#include "check.h"

#include <malloc.h>

#include "tenancy_check.h"

/* Connections, as far as a tenancy knows them. */
static char first, second;

/* ---- tokens that are refused (P-4) ----------------------------------------------------------- */

static lethe_result show(struct tenancy_place *place, const struct lease_terms *terms,
                         const struct terms_signer *by, const char *consumer)
{
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct tenancy_attached attached;
    struct lethe_error err = {0};
    assert_ok(token_sign(terms, &by->signer, &token, &err), &err);
    lethe_result result = attach_bytes(place, &token, consumer, &first, &attached);
    if (result == LETHE_OK)
        tenancy_detach(place->tenancy, attached.attachment);
    return result;
}

static void tokens_of_others_are_refused(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1), other;
    /* forged: signed by somebody else */
    assert_result(LETHE_DENIED, show(place, &terms, &place->stranger, TERMS_CONSUMER));
    /* borrowed */
    assert_result(LETHE_DENIED, show(place, &terms, &place->control, OTHER_CONSUMER));
    /* for another machine, and from before a restart */
    other = terms;
    strcpy(other.provider, "spiffe://pool.test/machine/two");
    assert_result(LETHE_DENIED, show(place, &other, &place->control, TERMS_CONSUMER));
    other = terms;
    other.boot_id[15] ^= 1;
    assert_result(LETHE_LOST, show(place, &other, &place->control, TERMS_CONSUMER));
    assert_int_equal(state_now(place, 1), LEASE_GRANTED);
    assert_result(LETHE_OK, show(place, &terms, &place->control, TERMS_CONSUMER));
    place_close(place);
}

/* Signed, and for who shows it, but not what was granted. */
static void tokens_that_fit_no_lease_are_refused(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    const struct lease_terms terms = must_grant(place, 1);
    struct lease_terms wrong[5] = {terms, terms, terms, terms, terms};
    wrong[0].lease.bytes[7] ^= 1;
    wrong[1].generation++;
    wrong[2].bytes += terms.block_bytes;
    wrong[3].bytes -= terms.block_bytes;
    wrong[4].block_bytes /= 2; /* twice as many blocks */
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_result(LETHE_NOT_FOUND, show(place, &wrong[i], &place->control, TERMS_CONSUMER));
    /* Somebody else's lease is answered as one that is not there. */
    struct lease_terms others = terms_of(2), mine;
    terms_for_other(&others);
    assert_result(LETHE_OK, tenancy_grant(place->tenancy, &others, place->now_ms, NULL));
    mine = others;
    strcpy(mine.consumer, TERMS_CONSUMER);
    strcpy(mine.tenant, "acme");
    assert_result(LETHE_NOT_FOUND, show(place, &mine, &place->control, TERMS_CONSUMER));
    assert_result(LETHE_OK, show(place, &others, &place->control, OTHER_CONSUMER));
    place_close(place);
}

static void every_changed_byte_of_a_token_is_refused(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    CLEANUP(buffer_clear) struct buffer token = {0};
    struct lease_terms terms = must_grant(place, 1);
    struct tenancy_attached attached;
    struct lethe_error err = {0};
    assert_ok(token_sign(&terms, &place->control.signer, &token, &err), &err);
    for (size_t i = 0; i < token.size_bytes; i++) {
        token.bytes[i] ^= 1;
        lethe_result result = attach_bytes(place, &token, TERMS_CONSUMER, &first, &attached);
        assert_true(result == LETHE_MALFORMED || result == LETHE_DENIED);
        token.bytes[i] ^= 1;
    }
    assert_result(LETHE_OK, attach_bytes(place, &token, TERMS_CONSUMER, &first, &attached));
    tenancy_detach(place->tenancy, attached.attachment);
    place_close(place);
}

/* Once its lease has ended a token is worth nothing, and a lease of the same number neither. */
static void tokens_are_not_replayed(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1), again;
    static struct wire_report report;
    assert_result(LETHE_OK, show(place, &terms, &place->control, TERMS_CONSUMER));
    assert_true(tenancy_stop(place->tenancy, &terms.lease, LEASE_CAUSE_FORCE_STOPPED, 0));
    assert_result(LETHE_NOT_FOUND, show(place, &terms, &place->control, TERMS_CONSUMER));
    assert_int_equal(state_in_the_end(place, 1), LEASE_RECLAIMED);
    assert_result(LETHE_NOT_FOUND, show(place, &terms, &place->control, TERMS_CONSUMER));
    again = terms;
    again.generation++;
    assert_result(LETHE_EXISTS, tenancy_grant(place->tenancy, &again, place->now_ms, NULL));
    tenancy_report(place->tenancy, false, place->now_ms, &report);
    tenancy_reported(place->tenancy, &report);
    assert_ok(tenancy_grant(place->tenancy, &again, place->now_ms, NULL), &(struct lethe_error){0});
    assert_result(LETHE_NOT_FOUND, show(place, &terms, &place->control, TERMS_CONSUMER));
    assert_result(LETHE_OK, show(place, &again, &place->control, TERMS_CONSUMER));
    place_close(place);
}

static void without_a_control_plane_nobody_attaches(void **state)
{
    struct tenancy_place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    struct tenancy_options options = place_options(place);
    struct lethe_error err = {0};
    terms_signer_make("lethe/control", &place->control);
    assert_ok(tenancy_create(&options, &place->tenancy, &err), &err);
    struct lease_terms terms = must_grant(place, 1);
    assert_result(LETHE_UNAVAILABLE, show(place, &terms, &place->control, TERMS_CONSUMER));
    place_close(place);
}

/* ---- grants that are refused ----------------------------------------------------------------- */

static void grants_that_cannot_be_kept_are_refused(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1), other;
    struct pool_arena_counters before = counters_now(place);
    assert_result(LETHE_EXISTS, tenancy_grant(place->tenancy, &terms, place->now_ms, NULL));
    other = terms_of(2);
    other.boot_id[0] ^= 1;
    assert_result(LETHE_INVALID, tenancy_grant(place->tenancy, &other, place->now_ms, NULL));
    other = terms_of(2);
    strcpy(other.provider, "spiffe://pool.test/machine/two");
    assert_result(LETHE_INVALID, tenancy_grant(place->tenancy, &other, place->now_ms, NULL));
    other = terms_of(2);
    other.bytes = (uint64_t)8 << 20; /* and tags */
    assert_result(LETHE_NO_SPACE, tenancy_grant(place->tenancy, &other, place->now_ms, NULL));
    other.ttl_ms = UINT64_MAX;
    assert_result(LETHE_INVALID, tenancy_grant(place->tenancy, &other, place->now_ms, NULL));
    other = terms_of(2);
    tenancy_drain(place->tenancy, true);
    assert_result(LETHE_UNAVAILABLE, tenancy_grant(place->tenancy, &other, place->now_ms, NULL));
    assert_int_equal(counters_now(place).used_bytes, before.used_bytes);
    assert_int_equal(tenancy_leases(place->tenancy), 1);
    tenancy_drain(place->tenancy, false);
    must_grant(place, 2);
    place_close(place);
}

static void there_is_a_most_of_leases(void **state)
{
    struct tenancy_options options = place_options(NULL);
    options.leases_max = 3;
    struct tenancy_place *place = place_open(&options);
    for (uint32_t i = 1; i <= 3; i++)
        must_grant(place, i);
    struct lease_terms fourth = terms_of(4), third = terms_of(3);
    static struct wire_report report;
    assert_result(LETHE_LIMIT, tenancy_grant(place->tenancy, &fourth, place->now_ms, NULL));
    tenancy_stop(place->tenancy, &third.lease, LEASE_CAUSE_RELEASED, place->now_ms);
    assert_int_equal(state_in_the_end(place, 3), LEASE_RECLAIMED);
    /* until the control plane has heard of its end, it counts */
    assert_result(LETHE_LIMIT, tenancy_grant(place->tenancy, &fourth, place->now_ms, NULL));
    tenancy_report(place->tenancy, false, place->now_ms, &report);
    tenancy_reported(place->tenancy, &report);
    must_grant(place, 4);
    place_close(place);
}

/* ---- data ------------------------------------------------------------------------------------ */

static void block_numbers_past_the_end_are_refused(void **state)
{
    static const uint64_t past[] = {8, 9, UINT32_MAX, (uint64_t)1 << 32, UINT64_MAX};
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1);
    struct attachment *attachment = must_attach(place, &terms, &first);
    struct lethe_error err = {0};
    uint8_t *data, *tag;
    assert_ok(tenancy_hold(place->tenancy, attachment, false, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(past); i++)
        assert_result(LETHE_INVALID,
                      tenancy_block(place->tenancy, attachment, past[i], &data, &tag, NULL));
    assert_ok(tenancy_block(place->tenancy, attachment, 7, &data, &tag, &err), &err);
    assert_int_equal(attachment_block_bytes(attachment), POOL_BLOCK_DEFAULT);
    tenancy_let_go(place->tenancy, attachment, false);
    tenancy_detach(place->tenancy, attachment);
    place_close(place);
}

/* P-4: what one consumer writes is not where another's lies. */
static void leases_do_not_share_memory(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct attachment *attachments[4];
    struct lethe_error err = {0};
    for (uint32_t i = 0; i < 4; i++) {
        struct lease_terms terms = must_grant(place, i + 1);
        attachments[i] = must_attach(place, &terms, &first);
        fill_blocks(place, attachments[i], 8, (uint8_t)(0xa0 + i));
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_ok(tenancy_hold(place->tenancy, attachments[i], false, &err), &err);
        for (uint64_t block = 0; block < 8; block++) {
            uint8_t *data, *tag;
            assert_ok(tenancy_block(place->tenancy, attachments[i], block, &data, &tag, &err),
                      &err);
            assert_int_equal(data[0], 0xa0 + i);
            assert_memory_equal(data, data + 1, POOL_BLOCK_DEFAULT - 1);
            assert_int_equal(tag[15], 0xa0 + i);
        }
        tenancy_let_go(place->tenancy, attachments[i], false);
        tenancy_detach(place->tenancy, attachments[i]);
    }
    place_close(place);
}

/* ---- freeze, resume, take over (P-9) --------------------------------------------------------- */

static void a_lease_freezes_with_its_connection_and_is_resumed_by_its_consumer(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1);
    struct tenancy_attached attached;
    struct lethe_error err = {0};
    uint8_t *data, *tag;
    struct attachment *attachment = must_attach(place, &terms, &first);
    fill_blocks(place, attachment, 8, 0x5a);
    assert_int_equal(state_now(place, 1), LEASE_ACTIVE);
    tenancy_detach(place->tenancy, attachment);
    assert_int_equal(state_now(place, 1), LEASE_FROZEN);
    assert_result(LETHE_DENIED, attach_as(place, &terms, OTHER_CONSUMER, &second, &attached));
    place->now_ms += 59999;
    assert_result(LETHE_OK, attach_as(place, &terms, TERMS_CONSUMER, &second, &attached));
    assert_int_equal(attached.told.was, LEASE_FROZEN);
    assert_int_equal(attached.told.blocks, 8);
    assert_int_equal(attached.told.block_bytes, POOL_BLOCK_DEFAULT);
    assert_int_equal(attached.left_ms, 1);
    assert_ok(tenancy_hold(place->tenancy, attached.attachment, false, &err), &err);
    assert_ok(tenancy_block(place->tenancy, attached.attachment, 3, &data, &tag, &err), &err);
    assert_int_equal(data[100], 0x5a);
    tenancy_let_go(place->tenancy, attached.attachment, false);
    tenancy_detach(place->tenancy, attached.attachment);
    assert_int_equal(place->over_count, 0);
    place_close(place);
}

static void who_attaches_again_takes_it_over(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1);
    struct attachment *old = must_attach(place, &terms, &first);
    struct attachment *new = must_attach(place, &terms, &second);
    struct lethe_error err = {0};
    uint64_t left_ms;
    assert_int_equal(place->over_count, 1);
    assert_ptr_equal(place->overs[0].owner, &first);
    assert_int_equal(place->overs[0].channel, 3);
    assert_int_equal(place->overs[0].cause, LEASE_CAUSE_NONE);
    assert_result(LETHE_CONFLICT, tenancy_hold(place->tenancy, old, false, NULL));
    assert_result(LETHE_CONFLICT, tenancy_hold(place->tenancy, old, true, NULL));
    assert_result(LETHE_CONFLICT,
                  tenancy_renew(place->tenancy, old, place->now_ms, &left_ms, NULL));
    assert_result(LETHE_CONFLICT,
                  tenancy_release(place->tenancy, old, place->now_ms, hear_done, place, NULL));
    assert_ok(tenancy_hold(place->tenancy, new, true, &err), &err);
    tenancy_let_go(place->tenancy, new, true);
    tenancy_detach(place->tenancy, old); /* freezes nothing */
    assert_int_equal(state_now(place, 1), LEASE_ACTIVE);
    tenancy_detach(place->tenancy, new);
    assert_int_equal(state_now(place, 1), LEASE_FROZEN);
    place_close(place);
}

/* Nothing that is still on its way changes a block after another connection has the lease. */
static void a_lease_that_is_being_written_is_taken_over_only_when_that_has_ended(void **state)
{
    struct tenancy_place *place = place_open(NULL);
    struct lease_terms terms = must_grant(place, 1);
    struct attachment *old = must_attach(place, &terms, &first);
    struct tenancy_attached attached;
    struct lethe_error err = {0};
    assert_ok(tenancy_hold(place->tenancy, old, true, &err), &err);
    assert_result(LETHE_BUSY, attach_as(place, &terms, TERMS_CONSUMER, &second, &attached));
    assert_int_equal(place->over_count, 1); /* so that it ends soon */
    assert_result(LETHE_BUSY, attach_as(place, &terms, TERMS_CONSUMER, &second, &attached));
    assert_int_equal(place->over_count, 1);
    assert_int_equal(state_now(place, 1), LEASE_FROZEN);
    tenancy_let_go(place->tenancy, old, true);
    assert_result(LETHE_CONFLICT, tenancy_hold(place->tenancy, old, true, NULL));
    assert_result(LETHE_OK, attach_as(place, &terms, TERMS_CONSUMER, &second, &attached));
    /* Reading changes nothing: it holds nobody up. */
    assert_ok(tenancy_hold(place->tenancy, attached.attachment, false, &err), &err);
    struct attachment *third = must_attach(place, &terms, &first);
    tenancy_let_go(place->tenancy, attached.attachment, false);
    tenancy_detach(place->tenancy, old);
    tenancy_detach(place->tenancy, attached.attachment);
    tenancy_detach(place->tenancy, third);
    place_close(place);
}

/* ---- what it costs --------------------------------------------------------------------------- */

#define MANY_CONSUMERS 200u
#define LEASES_EACH 16u

/* Bookkeeping is under 1 KiB a lease, and 16 bytes a block, also when every lease is attached. */
static void bookkeeping_is_small(void **state)
{
    static struct attachment *attachments[MANY_CONSUMERS * LEASES_EACH];
    struct tenancy_options options = place_options(NULL);
    options.arena.size_bytes = (uint64_t)64 << 20;
    options.leases_max = MANY_CONSUMERS * LEASES_EACH;
    size_t before = mallinfo2().uordblks;
    struct tenancy_place *place = place_open(&options);
    for (uint32_t i = 0; i < options.leases_max; i++) {
        struct lease_terms terms = terms_of(i + 1);
        struct tenancy_attached attached;
        snprintf(terms.consumer, sizeof terms.consumer, "spiffe://pool.test/tenant/acme/c%u",
                 i / LEASES_EACH);
        terms.block_bytes = POOL_BLOCK_MIN;
        terms.bytes = 2 * POOL_BLOCK_MIN;
        assert_result(LETHE_OK, tenancy_grant(place->tenancy, &terms, place->now_ms, NULL));
        assert_result(LETHE_OK, attach_as(place, &terms, terms.consumer, &first, &attached));
        attachments[i] = attached.attachment;
    }
    size_t used = mallinfo2().uordblks - before;
    print_message("%zu bytes a lease\n", used / options.leases_max);
    assert_true(HAS_SANITIZER || used / options.leases_max < 1024);
    for (uint32_t i = 0; i < options.leases_max; i++)
        tenancy_detach(place->tenancy, attachments[i]);
    place_close(place);
    assert_int_equal(pool_arena_bytes_for(65536, POOL_BLOCK_DEFAULT),
                     65536ull * (POOL_BLOCK_DEFAULT + 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_others_are_refused),
        cmocka_unit_test(tokens_that_fit_no_lease_are_refused),
        cmocka_unit_test(every_changed_byte_of_a_token_is_refused),
        cmocka_unit_test(tokens_are_not_replayed),
        cmocka_unit_test(without_a_control_plane_nobody_attaches),
        cmocka_unit_test(grants_that_cannot_be_kept_are_refused),
        cmocka_unit_test(there_is_a_most_of_leases),
        cmocka_unit_test(block_numbers_past_the_end_are_refused),
        cmocka_unit_test(leases_do_not_share_memory),
        cmocka_unit_test(a_lease_freezes_with_its_connection_and_is_resumed_by_its_consumer),
        cmocka_unit_test(who_attaches_again_takes_it_over),
        cmocka_unit_test(a_lease_that_is_being_written_is_taken_over_only_when_that_has_ended),
        cmocka_unit_test(bookkeeping_is_small),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
