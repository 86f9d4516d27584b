/* Queues that call: whatever is done is told on the pool's own thread, which submits more. */
#include "pool_site.h"

#include <stdatomic.h>

#include "base/thread.h"

#define BLOCK 4096u
#define BLOCKS 16u
#define ROUNDS 50u

struct run {
    struct pool_site *site;
    struct lethe_pool_queue *queue;
    struct lethe_pool_lease *lease;
    uint8_t bytes[BLOCK], out[BLOCK];
    unsigned done;
    lethe_result last;
    atomic_uint is_over;
};

static void submit(struct run *run, bool writes, uint64_t block)
{
    const struct lethe_pool_piece piece = {
        .offset = block * BLOCK, .bytes = writes ? run->bytes : run->out, .size_bytes = BLOCK};
    const struct lethe_pool_submission submission = {.operation = writes ? LETHE_POOL_WRITE
                                                                         : LETHE_POOL_READ,
                                                     .lease = run->lease,
                                                     .pieces = &piece,
                                                     .count = 1,
                                                     .cookie = &run->done};
    struct lethe_error err = {0};
    assert_ok(lethe_pool_submit(run->queue, &submission, &err), &err);
}

static void end(struct run *run)
{
    atomic_store(&run->is_over, 1);
    word_wake(&run->is_over);
}

static void wait_for_end(struct run *run)
{
    while (atomic_load(&run->is_over) == 0)
        word_wait(&run->is_over, 0);
}

/* Writes a block, reads it, goes on with the next. */
static void go_on(void *context, const struct lethe_pool_completion *completion)
{
    struct run *run = context;
    bool was_write = run->done++ % 2 == 0;
    uint64_t block = run->done / 2 % BLOCKS;
    run->last = completion->result;
    if (completion->result != LETHE_OK || completion->cookie != &run->done ||
        (!was_write && memcmp(run->bytes, run->out, BLOCK) != 0) || run->done == 2 * ROUNDS) {
        end(run);
        return;
    }
    if (!was_write) {
        site_fill(run->bytes, BLOCK, run->done);
        memset(run->out, 0, BLOCK);
    }
    submit(run, !was_write, block);
}

static struct run *begin(struct pool_site *site, lethe_pool_done *done)
{
    struct run *run = calloc(1, sizeof *run);
    REQUIRE(run != NULL);
    run->site = site;
    run->lease = site_lease(site, BLOCKS * BLOCK, BLOCK, 1);
    assert_ok(lethe_pool_queue_create(site->pool, &run->queue, &site->err), &site->err);
    lethe_pool_queue_call(run->queue, done, run);
    site_fill(run->bytes, BLOCK, 0);
    return run;
}

static void finish(struct run *run)
{
    lethe_pool_queue_free(run->queue); /* waits for calls */
    site_release(run->site, run->lease);
    free(run);
}

static void each_call_leads_to_the_next(void **state)
{
    struct run *run = begin(*state, go_on);
    submit(run, true, 0);
    wait_for_end(run);
    assert_result(LETHE_OK, run->last);
    assert_int_equal(run->done, 2 * ROUNDS);
    finish(run);
}

static void count(void *context, const struct lethe_pool_completion *completion)
{
    struct run *run = context;
    run->last = completion->result;
    run->done++;
}

/* Nothing is called, and nothing is lost, once the queue is gone. */
static void freeing_a_queue_waits_for_its_calls(void **state)
{
    struct run *run = begin(*state, count);
    for (unsigned i = 0; i < 10; i++)
        submit(run, true, i);
    lethe_pool_queue_free(MOVE(run->queue));
    assert_int_equal(run->done, 10);
    assert_result(LETHE_OK, run->last);
    finish(run);
}

static void what_fails_is_told_with_the_reason(void **state)
{
    struct pool_site *site = *state;
    struct run *run = begin(site, go_on);
    hostile_play(site->providers[0], HOSTILE_CHANGE, 1, false);
    submit(run, true, 0);
    wait_for_end(run);
    assert_result(LETHE_INTEGRITY, run->last);
    assert_int_equal(run->done, 2);
    assert_true(lethe_is_zero(run->out, BLOCK));
    finish(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(each_call_leads_to_the_next),
        SITE_TEST(freeing_a_queue_waits_for_its_calls),
        SITE_TEST(what_fails_is_told_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
