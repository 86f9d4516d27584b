/* What goes wrong around residency: devices that fail, memory that cannot be had or wiped, a
 * process that is killed. Nothing is left, nothing is counted twice, nothing passes that was not
 * checked. */
#include "residency_check.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "crypto/memory_search.h"
#include "device/ops.h"
#include "mem/host.h"

#define MIB ((size_t)1 << 20)

/* ---- devices that fail while they free ------------------------------------------------------- */

/* The memory is really given back, so that a leak checker has nothing to say. */
static lethe_result free_and_fail(struct device_memory *memory, struct lethe_error *err)
{
    (void)!device_ops_host.free(memory, NULL);
    return error_set(err, LETHE_UNAVAILABLE, "the device fell off the bus");
}

/* MS-004 MS-005 RP-005: reported, on record, never an abort; and the worker goes on. */
static void a_device_that_fails_to_free(void **state)
{
    struct site *site = *state;
    struct device_ops broken = device_ops_host;
    broken.free = free_and_fail;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    site->worker->devices[0]->ops = &broken;
    assert_result(LETHE_UNAVAILABLE, lethe_shard_evict(shard, &site->err));
    assert_non_null(strstr(site->err.text, "host:0"));
    site->worker->devices[0]->ops = &device_ops_host;
    assert_recorded(1, site, "\"event\":\"vram_deallocated\"", "\"freed_bytes\":0",
                    "\"wiped\":false");
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.evicted, 1);
    assert_int_equal(metrics.evict_failures, 1);
    assert_int_equal(metrics.shards, 0);
    assert_int_equal(metrics.capacity.used_bytes, 5000); /* nobody knows whose it is now */
    must_evict(site, must_seal(site, "a", 5000));        /* the id is free again */
    atomic_fetch_sub(&site->worker->devices[0]->used_bytes, 5000);
}

/* MS-005: freeing a worker evicts all there is, and gives the first failure. */
static void a_worker_is_freed_whatever_fails(void **state)
{
    struct site *site = *state;
    struct device_ops broken = device_ops_host;
    struct lethe_worker_options options = site_options(site);
    struct lethe_shard *shard;
    uint8_t bytes[100] = {1};
    broken.free = free_and_fail;
    options.name = "w1";
    struct lethe_worker *worker = must_create(site, &options);
    struct device *device = worker->devices[0];
    static const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_ok(lethe_shard_seal(worker, &(struct lethe_placement){.id = ids[i]}, bytes,
                                   sizeof bytes, false, &shard, &site->err),
                  &site->err);
    device->ops = &broken;
    assert_result(LETHE_UNAVAILABLE, lethe_worker_free(worker, &site->err));
    device->ops = &device_ops_host;
    assert_recorded(3, site, "\"event\":\"vram_deallocated\"", "\"worker\":\"w1\"",
                    "\"wiped\":false");
    atomic_store(&device->used_bytes, 0);
}

/* ---- memory that cannot be wiped ------------------------------------------------------------- */

/* A region's; secrets are wiped as ever, or the process would end. */
static void wipe_no_pages(void *pages, size_t size_bytes)
{
    if (size_bytes != 8192)
        memset(pages, 0, size_bytes);
}

/* Z-3: not shown to be zero, so nobody else gets it, and the record says so. */
static void memory_that_is_not_zero_is_kept_from_everyone(void **state)
{
    struct site *site = *state;
    const struct host real = host;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    host.wipe = wipe_no_pages;
    lethe_result result = lethe_shard_evict(shard, &site->err);
    host = real;
    assert_result(LETHE_UNWIPED, result);
    assert_int_equal(used_bytes(site), 5000);
    assert_recorded(1, site, "\"event\":\"vram_deallocated\"", "\"freed_bytes\":0",
                    "\"wiped\":false");
    atomic_store(&site->worker->devices[0]->used_bytes, 0);
}

/* Z-5: then there is no new content either. */
static void nothing_is_sealed_over_what_is_not_zero(void **state)
{
    struct site *site = *state;
    const struct host real = host;
    uint8_t bytes[64] = {1};
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    host.wipe = wipe_no_pages;
    lethe_result result = lethe_shard_replace(&shard, bytes, sizeof bytes, false, &site->err);
    host = real;
    assert_result(LETHE_UNWIPED, result);
    assert_null(shard);
    assert_recorded(1, site, "\"event\":\"checkpoint_replaced\"", "\"verified\":false");
    assert_recorded(1, site, "\"event\":\"vram_sealed\"");
    atomic_store(&site->worker->devices[0]->used_bytes, 0);
}

/* Z-5: the same of state, which is empty then. */
static void no_state_comes_in_over_what_is_not_zero(void **state)
{
    struct site *site = *state;
    const struct host real = host;
    uint8_t bytes[64] = {1};
    struct lethe_state *adam;
    assert_ok(lethe_state_create(site->worker, &(struct lethe_placement){.id = "adam"}, 5000, &adam,
                                 &site->err),
              &site->err);
    assert_ok(lethe_state_write(adam, 0, bytes, sizeof bytes, &site->err), &site->err);
    host.wipe = wipe_no_pages;
    lethe_result result = lethe_state_replace(adam, bytes, sizeof bytes, false, &site->err);
    host = real;
    assert_result(LETHE_UNWIPED, result);
    assert_result(LETHE_LOST, lethe_state_read(adam, 0, bytes, 1, &site->err));
    assert_int_equal(used_bytes(site), 5000);
    assert_recorded(1, site, "\"event\":\"checkpoint_replaced\"", "\"verified\":false");
    assert_ok(lethe_state_free(adam, &site->err), &site->err);
    atomic_store(&site->worker->devices[0]->used_bytes, 0);
}

/* ---- memory that cannot be had --------------------------------------------------------------- */

static struct {
    bool armed;
    long at;
    atomic_long count;
} memory;

static bool memory_fails_now(void)
{
    return memory.armed && atomic_fetch_add(&memory.count, 1) + 1 == memory.at;
}

/* OpenSSL alone calls malloc, and what it does without memory is its own. */
#define FAILING(name, parameters, arguments)                                                       \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        return memory_fails_now() ? NULL : __real_##name arguments;                                \
    }
FAILING(calloc, (size_t count, size_t size_bytes), (count, size_bytes))
FAILING(realloc, (void *old, size_t size_bytes), (old, size_bytes))
FAILING(aligned_alloc, (size_t alignment, size_t size_bytes), (alignment, size_bytes))

static void *mmap_failing(void *address, size_t size_bytes, int access, int flags, int fd,
                          off_t offset)
{
    if (!memory_fails_now())
        return mmap(address, size_bytes, access, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

/* All that a server does with weights. The first failure ends it. */
static lethe_result a_day(struct site *site, struct lethe_worker *worker, uint8_t *bytes)
{
    struct lethe_shard *shard = NULL;
    struct lethe_group *group = NULL;
    struct lethe_execution *execution = NULL;
    struct lethe_state *adam = NULL;
    char *note = NULL;
    const struct lethe_group_member members[] = {
        {.placement = {.id = "b"}, .bytes = bytes, .size_bytes = 9000},
        {.placement = {.id = "c"}, .bytes = bytes, .size_bytes = 300}};
    const uint8_t nonce[32] = {0};
    TRY(lethe_worker_ready(worker, &site->err));
    TRY(lethe_shard_seal(worker, &(struct lethe_placement){.id = "a"}, bytes, 300 * 4096, false,
                         &shard, &site->err));
    TRY(lethe_group_seal(worker, "g", members, 2, &group, &site->err));
    lethe_result result = lethe_group_verify(group, LETHE_VERIFY_FULL, &site->err);
    if (result == LETHE_OK)
        result =
            lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_FAST, &execution, &site->err);
    if (result == LETHE_OK)
        result = lethe_execution_verify(execution, &site->err);
    lethe_execution_end(execution);
    if (result == LETHE_OK)
        result = lethe_state_create(worker, &(struct lethe_placement){.id = "s"}, 300, &adam,
                                    &site->err);
    if (result == LETHE_OK)
        result = lethe_state_replace(adam, bytes, 400, false, &site->err);
    if (result == LETHE_OK)
        result = lethe_worker_statement(worker, nonce, &note, &site->err);
    free(note);
    lethe_result freed = lethe_state_free(adam, &site->err);
    lethe_result evicted = lethe_group_evict(group, &site->err);
    if (result == LETHE_OK)
        result = lethe_shard_replace(&shard, bytes, 400, false, &site->err);
    assert_result(LETHE_OK, freed);
    assert_result(LETHE_OK, evicted);
    return result;
}

static lethe_result try_a_day(struct site *site, uint8_t *bytes)
{
    struct lethe_worker_options options = site_options(site);
    struct lethe_worker *worker;
    options.name = "w1";
    TRY(lethe_worker_create(&options, &worker, &site->err));
    lethe_result result = a_day(site, worker, bytes);
    bool was_stopped = lethe_worker_state(worker) == LETHE_WORKER_STOPPED;
    assert_ok(lethe_worker_free(worker, NULL), &site->err);
    assert_false(was_stopped); /* want of memory is no forgery */
    return result;
}

/* MS-004 W-2: the Nth allocation fails, for every N: a clear, retriable error, and nothing left. */
static void out_of_memory_at_every_allocation(void **state)
{
    struct site *site = *state;
    const struct host real = host;
    uint8_t *bytes = weights_of(300 * 4096, 2); /* not those that are searched for below */
    assert_ok(try_a_day(site, bytes), &site->err);
    unsigned refused = 0;
    for (memory.at = 1;; memory.at++) {
        site->err = (struct lethe_error){0};
        atomic_store(&memory.count, 0);
        host.mmap = mmap_failing;
        memory.armed = true;
        lethe_result result = try_a_day(site, bytes);
        memory.armed = false;
        host = real;
        bool was_reached = atomic_load(&memory.count) >= memory.at;
        if (result != LETHE_OK && result != LETHE_NO_MEMORY && result != LETHE_UNPROTECTED)
            fail_msg("allocation %ld: %s: %s", memory.at, lethe_result_name(result),
                     site->err.text);
        if (result != LETHE_OK)
            assert_string_not_equal(site->err.text, "");
        refused += result != LETHE_OK;
        assert_int_equal(used_bytes(site), 0);
        assert_false(device_is_quarantined(site->worker->devices[0]));
        if (!was_reached)
            break;
    }
    assert_true(refused > 20);
    assert_ok(try_a_day(site, bytes), &site->err);
    free(bytes);
}

/* ---- residue --------------------------------------------------------------------------------- */

/* Z-3 RP-005: no eight bytes in a row of the weights are anywhere in the process after eviction;
 * the search finds them while they are there. */
static void nothing_of_the_weights_is_left(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 3 * MIB);
    static const size_t places[] = {0, 4096, 1234567, 3 * MIB - 48};
    struct needle needles[ARRAY_LEN(places)];
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        needles[i] =
            needle_of((const uint8_t *)device_memory_address(shard->memory) + places[i], 32);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    for (size_t i = 0; i < ARRAY_LEN(needles); i++)
        assert_true(count_in_own_memory(&needles[i]) == 1);
    must_evict(site, shard);
    for (size_t i = 0; i < ARRAY_LEN(needles); i++)
        assert_int_equal(count_in_own_memory(&needles[i]), 0);
}

/* CI-006: the seal key is in guarded memory only, and gone with its worker; so are the tags. */
static void no_key_is_left(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    struct lethe_shard *shard;
    uint8_t *bytes = weights_of(2 * MIB, 1);
    options.name = "w1";
    struct lethe_worker *worker = must_create(site, &options);
    assert_ok(lethe_shard_seal(worker, &(struct lethe_placement){.id = "a"}, bytes, 2 * MIB, true,
                               &shard, &site->err),
              &site->err);
    free(bytes);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    const struct needle key = needle_of(lethe_secret_bytes(worker->seal_key), 32);
    assert_int_equal(count_in_own_memory(&key), 1);
    assert_int_equal(count_except(&key, lethe_secret_bytes(worker->seal_key)), 0);
    assert_ok(lethe_worker_free(worker, &site->err), &site->err);
    assert_int_equal(count_in_own_memory(&key), 0);
}

/* ---- a process that is killed ---------------------------------------------------------------- */

/* VP-001: nothing of it is on disk, and whoever comes next can go on, the log included. */
static void a_killed_process_leaves_nothing(void **state)
{
    struct site *site = *state;
    assert_ok(audit_close(site->log, &site->err), &site->err);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lethe_error err = {0};
        if (audit_open(&site->node->options, &site->log, &err) != LETHE_OK)
            _exit(1);
        site->recorder.log = site->log;
        const struct lethe_worker_options options = site_options(site);
        struct lethe_worker *worker;
        struct lethe_shard *shard;
        uint8_t *bytes = weights_of(MIB, 5);
        if (lethe_worker_create(&options, &worker, &err) != LETHE_OK ||
            lethe_shard_seal(worker, &(struct lethe_placement){.id = "a"}, bytes, MIB, true, &shard,
                             &err) != LETHE_OK)
            _exit(2);
        (void)!write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    site->log = must_open(site->node);
    site->recorder.log = site->log;
    must_evict(site, must_seal(site, "a", MIB));

    uint8_t *bytes = weights_of(MIB, 5);
    struct buffer text = site_log_text(site);
    assert_null(memmem(text.bytes, text.size_bytes, bytes + 100, 16));
    buffer_clear(&text);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_device_that_fails_to_free),
        TEST(a_worker_is_freed_whatever_fails),
        TEST(memory_that_is_not_zero_is_kept_from_everyone),
        TEST(nothing_is_sealed_over_what_is_not_zero),
        TEST(no_state_comes_in_over_what_is_not_zero),
        TEST(out_of_memory_at_every_allocation),
        TEST(nothing_of_the_weights_is_left),
        TEST(no_key_is_left),
        TEST(a_killed_process_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
