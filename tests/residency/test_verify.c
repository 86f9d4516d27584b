/* Verification: what is seen, by which mode, and what follows from it. */
#include "residency_check.h"

#include "device/ops.h"

#define MIB ((size_t)1 << 20)
#define SIZE (3 * MIB + 4097) /* four chunks, the last one short */

static lethe_result verify(struct site *site, struct lethe_shard *shard,
                           enum lethe_verify_mode mode)
{
    site->err = (struct lethe_error){0};
    return lethe_shard_verify(shard, mode, &site->err);
}

/* A worker that has stopped is replaced by a fresh one, its device's quarantine lifted. */
static void start_anew(struct site *site)
{
    assert_ok(lethe_worker_free(site->worker, &site->err), &site->err);
    assert_ok(lethe_device_release(LETHE_DEVICE_HOST, 0, &site->err), &site->err);
    const struct lethe_worker_options options = site_options(site);
    site->worker = must_create(site, &options);
    assert_ok(lethe_worker_ready(site->worker, &site->err), &site->err);
}

/* ---- changed bytes --------------------------------------------------------------------------- */

static void changed_at(struct site *site, size_t at, enum lethe_verify_mode mode)
{
    struct lethe_shard *shard = must_seal(site, "a", SIZE);
    flip_byte(shard, at);
    assert_result(LETHE_OK, verify(site, shard, LETHE_VERIFY_SIGNATURE)); /* says nothing of them */
    assert_result(LETHE_INTEGRITY, verify(site, shard, mode));
    assert_false(lethe_result_is_retriable(LETHE_INTEGRITY));
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
    start_anew(site);
}

/* CI-007: at the edges of what is authenticated in one piece, too. */
static void one_changed_byte_is_seen_by_full_and_fast(void **state)
{
    static const size_t places[] = {0, 1, 4095, 4096, MIB - 1, MIB, 2 * MIB + 77, SIZE - 1};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        changed_at(*state, places[i], LETHE_VERIFY_FULL);
        changed_at(*state, places[i], LETHE_VERIFY_FAST);
        changed_at(*state, places[i], LETHE_VERIFY_DEFAULT);
    }
}

/* As a debugger, or a stranger with the right to, would write: protections do not matter. */
static void poke(struct lethe_shard *shard, size_t at, uint8_t byte)
{
    int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    uintptr_t address = (uintptr_t)device_memory_address(shard->memory) + at;
    assert_true(mem >= 0);
    assert_int_equal(pwrite(mem, &byte, 1, (off_t)address), 1);
    close(mem);
}

/* CI-007 */
static void what_was_written_from_outside_is_seen(void **state)
{
    struct site *site = *state;
    static const enum lethe_verify_mode modes[] = {LETHE_VERIFY_FAST, LETHE_VERIFY_FULL};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct lethe_shard *shard = must_seal(site, "a", SIZE);
        const uint8_t *bytes = device_memory_address(shard->memory);
        uint8_t old = bytes[MIB + 5];
        poke(shard, MIB + 5, old); /* the same again is no change */
        assert_result(LETHE_OK, verify(site, shard, modes[i]));
        poke(shard, MIB + 5, old ^ 0x80);
        assert_result(LETHE_INTEGRITY, verify(site, shard, modes[i]));
        start_anew(site);
    }
}

/* Though each is one that was sealed. */
static void swapped_chunks_are_seen(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", SIZE);
    uint8_t *bytes = device_memory_address(shard->memory);
    assert_ok(device_set_read_only(shard->memory, false, &site->err), &site->err);
    uint8_t *held = malloc(MIB);
    memcpy(held, bytes, MIB);
    memcpy(bytes, bytes + MIB, MIB);
    memcpy(bytes + MIB, held, MIB);
    free(held);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FAST));
}

/* CI-002: a seal in our own memory that says something else than was signed. */
static void a_changed_seal_is_seen_by_every_mode(void **state)
{
    struct site *site = *state;
    for (int mode = LETHE_VERIFY_DEFAULT; mode <= LETHE_VERIFY_SIGNATURE; mode++) {
        struct lethe_shard *shard = must_seal(site, "a", 5000);
        shard->seal.sealed_at_s++;
        assert_result(LETHE_INTEGRITY, verify(site, shard, (enum lethe_verify_mode)mode));
        assert_non_null(strstr(site->err.text, "signature"));
        start_anew(site);
    }
}

/* Content and digest changed together by somebody who cannot sign. */
static void a_changed_digest_does_not_cover_changed_bytes(void **state)
{
    struct site *site = *state;
    struct lethe_seal other;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_shard *another = must_seal(site, "b", 5001);
    lethe_shard_get_seal(another, &other);
    memcpy(shard->seal.digest, other.digest, sizeof other.digest);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FULL));
}

static void there_is_no_such_mode(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 64);
    assert_result(LETHE_INVALID, verify(site, shard, (enum lethe_verify_mode)4));
    assert_result(LETHE_INVALID, verify(site, shard, (enum lethe_verify_mode) - 1));
    assert_string_equal(lethe_verify_mode_name((enum lethe_verify_mode)99), "unknown");
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_READY);
}

/* ---- what follows ---------------------------------------------------------------------------- */

/* W-1 W-2: final, for everything, from everywhere. */
static void a_failure_stops_the_worker_for_good(void **state)
{
    struct site *site = *state;
    struct lethe_shard *good = must_seal(site, "good", 5000);
    struct lethe_shard *bad = must_seal(site, "bad", 5000);
    struct lethe_shard *more;
    struct lethe_execution *execution;
    flip_byte(bad, 17);
    assert_result(LETHE_INTEGRITY, verify(site, bad, LETHE_VERIFY_FAST));
    for (int i = 0; i < 2; i++) {
        assert_result(LETHE_INTEGRITY, verify(site, good, LETHE_VERIFY_FULL));
        assert_result(LETHE_INTEGRITY, verify(site, good, LETHE_VERIFY_SIGNATURE));
        assert_result(LETHE_INTEGRITY, try_seal(site, "more", 64, &more));
        assert_result(LETHE_INTEGRITY, lethe_worker_ready(site->worker, &site->err));
        assert_result(LETHE_INTEGRITY, lethe_worker_scrub(site->worker, &site->err));
        assert_result(LETHE_INTEGRITY,
                      lethe_execution_begin(site->worker, &good, 1, LETHE_VERIFY_DEFAULT,
                                            &execution, &site->err));
        assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
        lethe_worker_stop(site->worker); /* does not make it an ordinary end */
    }
    uint8_t bytes[64] = {0};
    assert_result(LETHE_INTEGRITY,
                  lethe_shard_replace(&good, bytes, sizeof bytes, false, &site->err));
    assert_non_null(good);
    must_evict(site, bad); /* that still works */
    must_evict(site, good);
    assert_int_equal(used_bytes(site), 0);
}

/* W-1: in the whole process, until an operator lifts it. */
static void a_quarantined_device_takes_nothing_new(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    options.name = "w1";
    struct lethe_worker *other = must_create(site, &options);
    struct lethe_shard *theirs, *more;
    uint8_t bytes[64] = {1};
    const struct lethe_placement placement = {.id = "theirs"};
    assert_ok(lethe_shard_seal(other, &placement, bytes, sizeof bytes, false, &theirs, &site->err),
              &site->err);

    struct lethe_shard *bad = must_seal(site, "bad", 5000);
    flip_byte(bad, 17);
    assert_result(LETHE_INTEGRITY, verify(site, bad, LETHE_VERIFY_FAST));
    const struct lethe_placement late = {.id = "late"};
    assert_result(LETHE_UNAVAILABLE,
                  lethe_shard_seal(other, &late, bytes, sizeof bytes, false, &more, &site->err));
    struct lethe_worker *third = NULL;
    options.name = "w2";
    assert_result(LETHE_UNAVAILABLE, lethe_worker_create(&options, &third, &site->err));
    assert_null(third);
    /* What the other worker has is still what was sealed. */
    assert_ok(lethe_shard_verify(theirs, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_device_release(LETHE_DEVICE_HOST, 0, &site->err), &site->err);
    assert_ok(lethe_shard_seal(other, &late, bytes, sizeof bytes, false, &more, &site->err),
              &site->err);
    assert_ok(lethe_worker_free(other, &site->err), &site->err);
}

/* W-1: durable when the call returns, with all that is known. */
static void a_failure_is_on_record_before_the_call_returns(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal;
    char now[65] = "";
    uint8_t digest[32];
    struct lethe_shard *shard = must_seal(site, "bad", 5000);
    lethe_shard_get_seal(shard, &seal);
    flip_byte(shard, 17);
    assert_ok(device_digest(shard->memory, DEVICE_FSVERITY, 1, digest, &site->err), &site->err);
    hex_encode(digest, sizeof digest, now);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FAST));

    struct buffer text = site_log_on_disk(site); /* nothing was synced since */
    const char *const failed[] = {"\"event\":\"seal_verification_failed\"",
                                  "\"severity\":\"critical\"",
                                  "\"shard\":\"bad\"",
                                  "\"tenant\":\"acme\"",
                                  "\"worker\":\"w0\"",
                                  "\"reason\":\"bytes 0 to 5000 are not what was sealed\"",
                                  seal.digest,
                                  now,
                                  NULL};
    const char *const quarantined[] = {"\"event\":\"device_quarantined\"", "\"device\":\"host:0\"",
                                       "\"severity\":\"critical\"", NULL};
    assert_int_equal(count_lines(&text, failed), 1);
    assert_int_equal(count_lines(&text, quarantined), 1);
    buffer_clear(&text);
}

/* W-1: fail closed. */
static void a_log_that_fails_lets_nothing_pass(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "bad", 5000);
    flip_byte(shard, 17);
    atomic_store(&site->log_fails, true);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FAST));
    assert_non_null(strstr(site->err.hint, "not on record"));
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
    assert_true(device_is_quarantined(site->worker->devices[0]));
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_SIGNATURE));
    atomic_store(&site->log_fails, false);
}

/* The same without a log at all. */
static void without_a_log_all_is_as_with_one(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    options.log = NULL;
    struct lethe_worker *silent = must_create(site, &options);
    struct lethe_shard *shard;
    uint8_t bytes[64] = {1};
    assert_ok(lethe_shard_seal(silent, &(struct lethe_placement){.id = "a"}, bytes, sizeof bytes,
                               false, &shard, &site->err),
              &site->err);
    flip_byte(shard, 3);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FAST));
    assert_int_equal(lethe_worker_state(silent), LETHE_WORKER_STOPPED);
    assert_ok(lethe_worker_free(silent, &site->err), &site->err);
    assert_int_equal(count_records(site, "seal_verification_failed"), 0);
}

/* ---- a device that does not answer ----------------------------------------------------------- */

static lethe_result no_tags(const struct device_memory *memory, const struct device_key *key,
                            unsigned threads, const uint8_t *tags, struct lethe_error *err)
{
    return error_set(err, LETHE_UNAVAILABLE, "the device fell off the bus");
}

/* W-2: no verification is no failed one; but nobody gets to execute. */
static void a_device_that_fails_is_no_forgery(void **state)
{
    struct site *site = *state;
    struct device_ops broken = device_ops_host;
    struct lethe_execution *execution;
    broken.check_tags = no_tags;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    site->worker->devices[0]->ops = &broken;
    assert_result(LETHE_UNAVAILABLE, verify(site, shard, LETHE_VERIFY_FAST));
    assert_result(
        LETHE_UNAVAILABLE,
        lethe_execution_begin(site->worker, &shard, 1, LETHE_VERIFY_FAST, &execution, &site->err));
    assert_null(execution);
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_READY);
    site->worker->devices[0]->ops = &device_ops_host;
    assert_result(LETHE_OK, verify(site, shard, LETHE_VERIFY_FAST));
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.verification_failures[LETHE_VERIFY_FAST], 2);
    must_evict(site, shard); /* the failed execution holds nothing */
}

/* ---- contract -------------------------------------------------------------------------------- */

/* CI-007: in the contract's profile, verification is the full digest whatever is asked for. */
static void the_contract_knows_the_full_digest_only(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    options.profile = LETHE_SEAL_CONTRACT;
    struct lethe_worker *worker = must_create(site, &options);
    struct lethe_shard *shard;
    uint8_t *bytes = weights_of(SIZE, 1);
    assert_ok(lethe_shard_seal(worker, &(struct lethe_placement){.id = "a"}, bytes, SIZE, true,
                               &shard, &site->err),
              &site->err);
    free(bytes);
    assert_null(shard->tags);
    assert_result(LETHE_OK, verify(site, shard, LETHE_VERIFY_FAST));
    assert_result(LETHE_OK, verify(site, shard, LETHE_VERIFY_DEFAULT));
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(worker, &metrics);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FULL], 2);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FAST], 0);
    assert_recorded(2, site, "\"event\":\"seal_verified\"", "\"mode\":\"full\"");
    flip_byte(shard, SIZE - 1);
    assert_result(LETHE_INTEGRITY, verify(site, shard, LETHE_VERIFY_FAST));
    assert_ok(lethe_worker_free(worker, &site->err), &site->err);
}

/* ---- scrub ----------------------------------------------------------------------------------- */

/* CI-007: in turn, so that each is digested before any is a second time. */
static void scrubbing_comes_to_every_shard(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shards[3];
    assert_result(LETHE_NOT_FOUND, lethe_worker_scrub(site->worker, &site->err));
    for (size_t i = 0; i < 3; i++) {
        char id[] = {(char)('a' + i), '\0'};
        shards[i] = must_seal(site, id, 5000);
    }
    assert_result(LETHE_OK, verify(site, shards[0], LETHE_VERIFY_FULL)); /* now it is the last */
    assert_result(LETHE_OK, verify(site, shards[1], LETHE_VERIFY_FAST)); /* which is no digest */
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < 3; i++)
            assert_ok(lethe_worker_scrub(site->worker, &site->err), &site->err);
    assert_recorded(3, site, "\"shard\":\"a\"", "\"mode\":\"full\"");
    assert_recorded(2, site, "\"shard\":\"b\"", "\"mode\":\"full\"");
    assert_recorded(2, site, "\"shard\":\"c\"", "\"mode\":\"full\"");

    flip_byte(shards[1], 3); /* found within one round */
    for (size_t i = 0; i < 3 && lethe_worker_state(site->worker) != LETHE_WORKER_STOPPED; i++)
        (void)!lethe_worker_scrub(site->worker, &site->err);
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
}

/* CI-007: the one that was digested so longest ago, whatever tags were checked since. */
static void scrubbing_takes_the_one_that_waits_longest(void **state)
{
    struct site *site = *state;
    struct lethe_shard *first = must_seal(site, "a", 5000);
    (void)must_seal(site, "b", 5000);
    assert_result(LETHE_OK, verify(site, first, LETHE_VERIFY_FAST));
    assert_ok(lethe_worker_scrub(site->worker, &site->err), &site->err);
    assert_recorded(1, site, "\"shard\":\"a\"", "\"mode\":\"full\"");
    assert_ok(lethe_worker_scrub(site->worker, &site->err), &site->err);
    assert_recorded(1, site, "\"shard\":\"b\"", "\"mode\":\"full\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_changed_byte_is_seen_by_full_and_fast),
        TEST(what_was_written_from_outside_is_seen),
        TEST(swapped_chunks_are_seen),
        TEST(a_changed_seal_is_seen_by_every_mode),
        TEST(a_changed_digest_does_not_cover_changed_bytes),
        TEST(there_is_no_such_mode),
        TEST(a_failure_stops_the_worker_for_good),
        TEST(a_quarantined_device_takes_nothing_new),
        TEST(a_failure_is_on_record_before_the_call_returns),
        TEST(a_log_that_fails_lets_nothing_pass),
        TEST(without_a_log_all_is_as_with_one),
        TEST(a_device_that_fails_is_no_forgery),
        TEST(the_contract_knows_the_full_digest_only),
        TEST(scrubbing_comes_to_every_shard),
        TEST(scrubbing_takes_the_one_that_waits_longest),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
