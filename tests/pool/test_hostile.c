/* P-12: whatever a provider does with what it was given, none of it is ever taken for data. */
#include "pool_site.h"

#include <pthread.h>
#include <stdatomic.h>

#include "chance.h"

#define KIB 1024u
#define BLOCK (4u * KIB)
#define BLOCKS 64u
#define BYTES ((size_t)BLOCKS * BLOCK)

static uint8_t model[BYTES], got[BYTES];

static void must_write(struct pool_site *site, struct lethe_pool_lease *lease, uint64_t salt)
{
    site_fill(model, BYTES, salt);
    assert_ok(lethe_pool_write(lease, 0, model, BYTES, &site->err), &site->err);
}

static void must_read(struct pool_site *site, struct lethe_pool_lease *lease)
{
    memset(got, 0xee, BYTES);
    assert_ok(lethe_pool_read(lease, 0, got, BYTES, &site->err), &site->err);
    assert_memory_equal(got, model, BYTES);
}

static uint64_t tricks_of(struct pool_site *site, unsigned provider)
{
    struct hostile_counters count;
    hostile_count(site->providers[provider], &count);
    return count.tricks;
}

/* Lies about content: the answer has the right form. */
static const enum hostile_trick lies[] = {HOSTILE_CHANGE, HOSTILE_CHANGE_TAG,  HOSTILE_STALE,
                                          HOSTILE_SWAP,   HOSTILE_OTHER_LEASE, HOSTILE_ZEROS};
/* What no answer may be. */
static const enum hostile_trick breaches[] = {
    HOSTILE_FEWER, HOSTILE_MORE, HOSTILE_REORDER,  HOSTILE_TWICE,     HOSTILE_WRONG_TYPE,
    HOSTILE_CUT,   HOSTILE_BUSY, HOSTILE_NONSENSE, HOSTILE_CUT_WITHIN};

static void a_lie_is_seen(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    struct lethe_pool_lease *other = site_lease(site, BYTES, BLOCK, 1);
    must_write(site, other, 77);
    must_write(site, lease, 1);
    must_write(site, lease, 2);
    hostile_play_on(site->providers[0], true, false);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        uint64_t before = tricks_of(site, 0);
        print_message("%s\n", hostile_trick_name(lies[i]));
        hostile_play(site->providers[0], lies[i], 1, false);
        memset(got, 0xee, BYTES);
        assert_result(LETHE_INTEGRITY, lethe_pool_read(lease, 0, got, BYTES, &site->err));
        assert_true(lethe_is_zero(got, BYTES));
        assert_result(LETHE_INTEGRITY,
                      lethe_pool_read(lease, BLOCK + 7, got, 20, &site->err)); /* a part */
        assert_true(lethe_is_zero(got, 20));
        assert_result(LETHE_INTEGRITY, lethe_pool_write(lease, 5, "x", 1, &site->err));
        assert_true(tricks_of(site, 0) > before);
        hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
        must_read(site, lease); /* the right one is taken all the same */
    }
    site_release(site, other);
    site_release(site, lease);
}

/* Of two copies the honest one is read, and the other's is written again. */
static void a_lie_is_repaired(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    struct lethe_pool_copy_state copies[2];
    must_write(site, lease, 1);
    must_write(site, lease, 2);
    hostile_play_on(site->providers[1], true, false);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        uint64_t before = tricks_of(site, 1);
        hostile_play(site->providers[1], lies[i], 1, false);
        for (unsigned j = 0; j < 4; j++)
            must_read(site, lease);
        for (size_t at = 100; at < BYTES; at += 3 * BLOCK) {
            assert_ok(lethe_pool_read(lease, at, got, 200, &site->err), &site->err);
            assert_memory_equal(got, model + at, 200);
            assert_ok(lethe_pool_write(lease, at, model + at, 99, &site->err), &site->err);
        }
        assert_true(tricks_of(site, 1) > before || lies[i] == HOSTILE_OTHER_LEASE);
    }
    assert_int_equal(lethe_pool_copies(lease, copies, 2), 2);
    assert_true(copies[1].repaired_blocks + copies[1].stale_blocks > 0);
    assert_int_equal(copies[0].stale_blocks, 0);
    site_release(site, lease);
}

/* An answer that breaks a rule ends the connection; the next one has the right answer. */
static void a_breach_ends_a_connection(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
        print_message("%s\n", hostile_trick_name(breaches[i]));
        for (unsigned writes = 0; writes < 2; writes++) {
            uint64_t before = tricks_of(site, 0);
            must_write(site, lease, i);
            hostile_play_on(site->providers[0], writes == 0, writes == 1);
            hostile_play(site->providers[0], breaches[i], 1, true);
            if (writes)
                must_write(site, lease, 100 + i);
            must_read(site, lease);
            assert_true(tricks_of(site, 0) > before);
            hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
        }
    }
    site_release(site, lease);
}

static void who_never_answers_as_he_should_is_unavailable(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 200;
    site_reopen(site, &options);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    must_write(site, lease, 1);
    for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
        if (breaches[i] == HOSTILE_REORDER || breaches[i] == HOSTILE_TWICE ||
            breaches[i] == HOSTILE_CUT_WITHIN)
            continue; /* some of those answers are right */
        hostile_play(site->providers[0], breaches[i], 1, false);
        assert_result(LETHE_UNAVAILABLE, lethe_pool_read(lease, 0, got, BLOCK, &site->err));
        assert_true(lethe_is_zero(got, BLOCK));
    }
    hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
    for (unsigned i = 0; i < 100; i++) /* it is dialled less often by now */
        if (lethe_pool_read(lease, 0, got, BLOCK, &site->err) == LETHE_OK)
            break;
    assert_memory_equal(got, model, BLOCK);
    site_release(site, lease);
}

/* Being let in is no success: who refuses everything is not dialled again at once, for ever. */
static void who_refuses_everything_is_dialled_ever_less_often(void **state)
{
    struct pool_site *site = *state;
    struct hostile_counters before, after;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    must_write(site, lease, 1);
    hostile_count(site->providers[0], &before);
    hostile_play(site->providers[0], HOSTILE_BUSY, 1, false);
    assert_result(LETHE_UNAVAILABLE, lethe_pool_read(lease, 0, got, BLOCK, &site->err));
    hostile_count(site->providers[0], &after);
    assert_in_range(after.attached - before.attached, 2, 16); /* 10 ms, 20, 40, ... of 2 s */
    hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
    must_read(site, lease);
    site_release(site, lease);
}

/* Says that it has written, and has not. */
static void a_forgetful_provider_is_seen(void **state)
{
    struct pool_site *site = *state;
    for (unsigned copies = 1; copies <= 2; copies++) {
        struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, copies);
        must_write(site, lease, 1);
        hostile_play_on(site->providers[0], false, true);
        hostile_play(site->providers[0], HOSTILE_FORGET, 1, false);
        must_write(site, lease, 2);
        hostile_play(site->providers[0], HOSTILE_HONEST, 0, false);
        if (copies == 2) {
            must_read(site, lease);
            must_read(site, lease);
        } else {
            assert_result(LETHE_INTEGRITY, lethe_pool_read(lease, 0, got, BYTES, &site->err));
        }
        site_release(site, lease);
    }
}

/* P-12: another consumer's lease of the same provider, sealed with another key, never opens; and
 * plaintext is nowhere. */
static void nothing_is_plain(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    must_write(site, lease, 5);
    assert_ok(lethe_pool_write(lease, 77, "a needle in a haystack", 22, &site->err), &site->err);
    for (unsigned i = 0; i < 2; i++) {
        assert_false(hostile_sees(site->providers[i], "needle", 6));
        for (size_t at = 0; at < BYTES; at += BLOCK)
            assert_false(hostile_sees(site->providers[i], model + at + 100, 12));
    }
    site_release(site, lease);
}

/* Two writes of the same bytes are two texts: nothing shows that they are the same. */
static void the_same_again_looks_different(void **state)
{
    struct pool_site *site = *state;
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 1);
    must_write(site, lease, 1);
    must_write(site, lease, 1);
    hostile_play_on(site->providers[0], true, false);
    hostile_play(site->providers[0], HOSTILE_STALE, 1, true); /* the same bytes, an older version */
    assert_result(LETHE_INTEGRITY, lethe_pool_read(lease, 0, got, BLOCK, &site->err));
    must_read(site, lease);
    site_release(site, lease);
}

/* ---- a model --------------------------------------------------------------------------------- */

struct step {
    struct lethe_pool_piece piece;
    bool is_write;
    uint8_t bytes[2 * BLOCK];
};
#define STEPS 16u

/* One liar, one that is honest and badly connected; a thread of its own. */
struct disturber {
    pthread_t thread;
    struct pool_site *site;
    atomic_bool stops;
    unsigned seed;
};

static void disturb(struct disturber *disturber)
{
    static const enum hostile_trick faults[] = {HOSTILE_CUT, HOSTILE_CUT_WITHIN, HOSTILE_BUSY,
                                                HOSTILE_TWICE, HOSTILE_WRONG_TYPE};
    struct hostile **providers = disturber->site->providers;
    unsigned dice = (unsigned)rand_r(&disturber->seed), which = dice / 8 % 2;
    switch (dice % 8) {
    case 0:
        hostile_play(providers[0], faults[dice / 16 % ARRAY_LEN(faults)], 1 + dice / 128 % 40,
                     true);
        break;
    case 1:
        hostile_cut(providers[which]);
        break;
    case 2:
        hostile_unplug(providers[which], true);
        site_sleep_ms(1 + dice / 16 % 20);
        hostile_unplug(providers[which], false);
        break;
    default:
        hostile_play(providers[1], (enum hostile_trick)(dice / 16 % HOSTILE_SILENT),
                     1 + dice / 512 % 40, false);
    }
}

static void *disturb_on(void *context)
{
    struct disturber *disturber = context;
    while (!atomic_load(&disturber->stops)) {
        disturb(disturber);
        site_sleep_ms(20);
    }
    return NULL;
}

/* Of blocks that no other step has; a part of a block is never written with another. */
static void make_step(struct step *step, uint64_t first_block, uint64_t number)
{
    bool is_whole = chance(2) == 0;
    step->is_write = chance(2) == 0;
    step->piece.offset = first_block * BLOCK + (is_whole ? 0 : chance(BLOCK));
    step->piece.size_bytes =
        is_whole ? BLOCK * (1 + chance(2)) : 1 + chance(BLOCK - step->piece.offset % BLOCK);
    step->piece.bytes = step->bytes;
    site_fill(step->bytes, step->piece.size_bytes, number);
}

/* What failed has changed nothing; what is read is what was written last, or nothing at all. */
static void check_step(const struct step *step, lethe_result result, uint64_t *failed)
{
    uint8_t *at = model + step->piece.offset;
    if (result != LETHE_OK) {
        assert_true(result == LETHE_INTEGRITY || result == LETHE_LOST);
        ++*failed;
    } else if (step->is_write) {
        memcpy(at, step->bytes, step->piece.size_bytes);
    } else {
        assert_memory_equal(at, step->bytes, step->piece.size_bytes);
    }
}

static void run_steps(struct pool_site *site, struct lethe_pool_lease *lease,
                      struct lethe_pool_queue *queue, uint64_t number, uint64_t *failed)
{
    static struct step steps[STEPS];
    static struct lethe_pool_completion done[STEPS];
    for (size_t i = 0; i < STEPS; i++) {
        make_step(&steps[i], BLOCKS / STEPS * i + chance(2), number + i);
        const struct lethe_pool_submission submission = {steps[i].is_write ? LETHE_POOL_WRITE
                                                                           : LETHE_POOL_READ,
                                                         lease, &steps[i].piece, 1, &steps[i]};
        assert_ok(lethe_pool_submit(queue, &submission, &site->err), &site->err);
    }
    for (size_t taken = 0, count; taken < STEPS; taken += count) {
        assert_ok(lethe_pool_complete(queue, done, STEPS, 20000, &count, &site->err), &site->err);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            check_step(done[i].cookie, done[i].result, failed);
    }
}

/* Random operations with faults all the time: no wrong byte ever, and the right ones at the end. */
static void a_model_has_the_same_bytes(void **state)
{
    struct pool_site *site = *state;
    bool is_long = getenv("LETHE_TEST_LONG") != NULL;
    uint64_t count = is_long ? 1000000 : HAS_SANITIZER ? 5000 : 20000, failed = 0;
    struct lethe_pool_options options = site_pool_options(site);
    options.timeout_ms = 20000;
    site_reopen(site, &options);
    struct lethe_pool_lease *lease = site_lease(site, BYTES, BLOCK, 2);
    struct lethe_pool_queue *queue;
    chance_seed_by_time();
    assert_ok(lethe_pool_queue_create(site->pool, &queue, &site->err), &site->err);
    must_write(site, lease, 1);
    hostile_play_on(site->providers[1], true, false);
    struct disturber disturber = {.site = site, .seed = (unsigned)chance(UINT32_MAX)};
    assert_int_equal(pthread_create(&disturber.thread, NULL, disturb_on, &disturber), 0);
    for (uint64_t number = 0; number < count; number += STEPS)
        run_steps(site, lease, queue, number, &failed);
    atomic_store(&disturber.stops, true);
    pthread_join(disturber.thread, NULL);
    for (unsigned i = 0; i < 2; i++)
        hostile_play(site->providers[i], HOSTILE_HONEST, 0, false);
    must_read(site, lease);
    print_message("%llu of %llu refused, %llu lies\n", (unsigned long long)failed,
                  (unsigned long long)count, (unsigned long long)tricks_of(site, 1));
    assert_true(failed < count / 10);
    lethe_pool_queue_free(queue);
    site_release(site, lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(a_lie_is_seen),
        SITE_TEST(a_lie_is_repaired),
        SITE_TEST(a_breach_ends_a_connection),
        SITE_TEST(who_never_answers_as_he_should_is_unavailable),
        SITE_TEST(who_refuses_everything_is_dialled_ever_less_often),
        SITE_TEST(a_forgetful_provider_is_seen),
        SITE_TEST(nothing_is_plain),
        SITE_TEST(the_same_again_looks_different),
        SITE_TEST(a_model_has_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
