/* What happens in the middle of a call. A device's operations are replaced by ones that do what the
 * host's do, and meanwhile stop the worker, look at it, or remember what they were given. */
#include "kv_check.h"

#include "crypto/memory_search.h"
#include "device/ops.h"
#include "residency/kv_core.h"

#define MIB ((size_t)1 << 20)

static struct device_ops ops; /* of host:0, while a test has it */
static struct site *looked_at;

static struct device_ops *take_ops(struct site *site)
{
    ops = device_ops_host;
    looked_at = site;
    site->worker->devices[0]->ops = &ops;
    return &ops;
}

static void give_ops(struct site *site)
{
    site->worker->devices[0]->ops = &device_ops_host;
}

/* ---- stopped meanwhile ----------------------------------------------------------------------- */

static lethe_result check_and_stop(const struct device_memory *memory, const struct device_key *key,
                                   unsigned threads, const uint8_t *tags, struct lethe_error *err)
{
    lethe_worker_stop(looked_at->worker);
    return device_ops_host.check_tags(memory, key, threads, tags, err);
}

static lethe_result digest_and_stop(const struct device_memory *memory, enum device_digest kind,
                                    unsigned threads, uint8_t *digest, struct lethe_error *err)
{
    lethe_worker_stop(looked_at->worker);
    return device_ops_host.digest(memory, kind, threads, digest, err);
}

/* W-1: the bytes were right, and yet nobody goes on. */
static void stopped_while_it_verifies(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_execution *execution;
    take_ops(site)->check_tags = check_and_stop;
    assert_result(LETHE_DENIED, lethe_execution_begin(site->worker, &shard, 1, LETHE_VERIFY_FAST,
                                                      &execution, &site->err));
    give_ops(site);
    assert_null(execution);
    must_evict(site, shard); /* nobody holds it */
}

static void stopped_while_it_verifies_one(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    take_ops(site)->check_tags = check_and_stop;
    lethe_result result = lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err);
    give_ops(site);
    assert_result(LETHE_DENIED, result);
    assert_recorded(0, site, "\"event\":\"seal_verified\"");
}

/* W-1: and nothing of what was being sealed is left. */
static void stopped_while_it_seals(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard;
    take_ops(site)->digest = digest_and_stop;
    lethe_result result = try_seal(site, "a", 5000, &shard);
    give_ops(site);
    assert_result(LETHE_DENIED, result);
    assert_null(shard);
    assert_int_equal(used_bytes(site), 0);
    assert_recorded(0, site, "\"event\":\"vram_sealed\"");
}

/* ---- looked at meanwhile --------------------------------------------------------------------- */

static enum lethe_worker_state state_seen;
static size_t shards_seen;

static lethe_result digest_and_look(const struct device_memory *memory, enum device_digest kind,
                                    unsigned threads, uint8_t *digest, struct lethe_error *err)
{
    const uint8_t nonce[32] = {0};
    char *note = NULL;
    state_seen = lethe_worker_state(looked_at->worker);
    if (lethe_worker_statement(looked_at->worker, nonce, &note, err) == LETHE_OK)
        shards_seen = strstr(note, "\nshard ") != NULL;
    free(note);
    return device_ops_host.digest(memory, kind, threads, digest, err);
}

/* VP-006: what is not sealed yet is not said to be resident. */
static void a_statement_while_a_shard_is_sealed(void **state)
{
    struct site *site = *state;
    shards_seen = 99;
    take_ops(site)->digest = digest_and_look;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    assert_int_equal(shards_seen, 0);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_int_equal(shards_seen, 1);
    give_ops(site);
    must_evict(site, shard);
}

/* W-1: a worker has stopped before it takes the time to find out what the bytes are now. */
static void stopped_before_the_forgery_is_described(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    flip_byte(shard, 9);
    take_ops(site)->digest = digest_and_look;
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err));
    give_ops(site);
    assert_int_equal(state_seen, LETHE_WORKER_STOPPED);
}

/* ---- elsewhere than on the host -------------------------------------------------------------- */

/* CI-007: where kernels of the engine share the device with the key, tags are not enough. */
static void by_default_what_is_not_on_the_host_is_digested(void **state)
{
    struct site *site = *state;
    struct lethe_worker_metrics metrics;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    take_ops(site)->is_host = false;
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_DEFAULT, &site->err), &site->err);
    give_ops(site);
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FULL], 1);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FAST], 0);
    must_evict(site, shard);
}

/* Z-3: a block that passes through host memory on its way to a store is wiped there. */
static void nothing_stays_where_a_block_passed_through(void **state)
{
    struct site *site = *state;
    struct kv_site kv = {.site = site};
    uint8_t row[ROW_BYTES];
    take_ops(site)->is_host = false;
    must_spilling_cache(&kv, 1);
    assert_non_null(kv.cache->plain);
    struct lethe_kv *session = must_open_kv(&kv, "acme", "s1");
    for (uint64_t token = 0; token < 2 * BLOCK_TOKENS; token++)
        for (uint32_t layer = 0; layer < LAYERS; layer++) {
            fill_row(row, 5, layer, 0, token);
            assert_ok(lethe_kv_append(session, layer, row, row, 1, &kv.err), &kv.err);
        }
    assert_true(counters_of(&kv).spills > 0);
    assert_true(lethe_is_zero(lethe_region_bytes(kv.cache->plain), BLOCK_BYTES));
    assert_ok(lethe_kv_gather(session, 0, 0, 1, row, NULL, &kv.err), &kv.err); /* and back */
    assert_true(is_row(row, 5, 0, 0, 0));
    assert_true(lethe_is_zero(lethe_region_bytes(kv.cache->plain), BLOCK_BYTES));
    must_end(&kv, session);
    assert_ok(lethe_kv_cache_free(kv.cache, &kv.err), &kv.err);
    lethe_spill_memory_free(kv.memory);
    give_ops(site);
}

/* ---- keys and tags --------------------------------------------------------------------------- */

static struct needle tags_found;
static uint8_t *tags_at;
static long keys_alive;

static lethe_result remember_tags(const struct device_memory *memory, const struct device_key *key,
                                  unsigned threads, uint8_t *tags, struct lethe_error *err)
{
    TRY(device_ops_host.tags(memory, key, threads, tags, err));
    tags_found = needle_of(tags, DEVICE_TAG_BYTES);
    tags_at = tags;
    return LETHE_OK;
}

static lethe_result count_key(struct device_key *key, const struct lethe_secret *bytes,
                              struct lethe_error *err)
{
    keys_alive++;
    return device_ops_host.key_create(key, bytes, err);
}

static void count_key_cleared(struct device_key *key)
{
    keys_alive--;
    device_ops_host.key_clear(key);
}

/* CI-006: who has the tags, or what they are made with, can forge the bytes. In one place while
 * there is a shard, in none once it was replaced or is gone. */
static void tags_and_their_key_go_with_the_shard(void **state)
{
    struct site *site = *state;
    struct device_ops *at = take_ops(site);
    at->tags = remember_tags;
    at->key_create = count_key;
    at->key_clear = count_key_cleared;
    struct lethe_shard *shard = must_seal(site, "a", 2 * MIB);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_int_equal(keys_alive, 1);
    assert_int_equal(count_in_own_memory(&tags_found), 1);
    const struct needle before = tags_found;
    uint8_t *bytes = weights_of(MIB, 2);
    assert_ok(lethe_shard_replace(&shard, bytes, MIB, true, &site->err), &site->err);
    free(bytes);
    assert_int_equal(keys_alive, 1);
    assert_int_equal(count_in_own_memory(&before), 0);
    assert_int_equal(count_in_own_memory(&tags_found), 1);
    must_evict(site, shard);
    give_ops(site);
    assert_int_equal(keys_alive, 0);
    assert_int_equal(count_in_own_memory(&tags_found), 0);
}

static lethe_result pretend_tags(const struct device_memory *memory, const struct device_key *key,
                                 unsigned threads, uint8_t *tags, struct lethe_error *err)
{
    memset(tags, 0x5a, DEVICE_TAG_BYTES);
    tags_at = tags;
    return LETHE_OK;
}

/* As the kernel finds it; a child would find nothing there in any case. */
static bool is_readable(const void *address)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool readable = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

static lethe_result pretend_check(const struct device_memory *memory, const struct device_key *key,
                                  unsigned threads, const uint8_t *tags, struct lethe_error *err)
{
    return is_readable(tags) && tags[0] == 0x5a ? LETHE_OK
                                                : error_set(err, LETHE_INTEGRITY, "other tags");
}

/* CI-006: many tags are in a region that is closed unless somebody verifies. Of memory that is not
 * really there: it would be large. */
static void many_tags_are_out_of_reach_between_verifications(void **state)
{
    struct site *site = *state;
    struct device *device = site->worker->devices[0];
    struct device_memory memory = {.device = device, .size_bytes = 300 * MIB};
    struct seal_tags *tags;
    take_ops(site)->tags = pretend_tags;
    ops.check_tags = pretend_check;
    assert_ok(seal_tags_create(&memory, 1, &tags, &site->err), &site->err);
    assert_false(is_readable(tags_at));
    assert_ok(seal_tags_check(tags, &memory, 1, &site->err), &site->err);
    assert_false(is_readable(tags_at));
    seal_tags_free(tags);
    give_ops(site);
}

/* ---- compared and wiped ---------------------------------------------------------------------- */

bool __real_bytes_equal(const void *a, const void *b, size_t size_bytes);
bool __wrap_bytes_equal(const void *a, const void *b, size_t size_bytes);
void __real_lethe_wipe(void *memory, size_t size_bytes);
void __wrap_lethe_wipe(void *memory, size_t size_bytes);

static struct {
    unsigned compared;   /* 32 bytes, with what a seal says */
    unsigned wiped;      /* of the right signature          */
    unsigned tags_wiped; /* of the size of one              */
    uint8_t right[32];
    bool spoils; /* wiping leaves something */
} helpers;

bool __wrap_bytes_equal(const void *a, const void *b, size_t size_bytes)
{
    helpers.compared += size_bytes == 32 && memcmp(a, helpers.right, 32) == 0;
    return __real_bytes_equal(a, b, size_bytes);
}

void __wrap_lethe_wipe(void *memory, size_t size_bytes)
{
    helpers.wiped += size_bytes == 32 && memcmp(memory, helpers.right, 32) == 0;
    helpers.tags_wiped += size_bytes == DEVICE_TAG_BYTES;
    __real_lethe_wipe(memory, size_bytes);
    if (helpers.spoils && size_bytes > 1)
        ((uint8_t *)memory)[size_bytes / 2] = 1;
}

/* CI-003 CI-006: right or wrong, all 32 bytes go through the comparison that takes the same time,
 * and the right signature, which a forger would like to have, is wiped. */
static void signatures_are_compared_in_constant_time(void **state)
{
    struct site *site = *state;
    struct lethe_seal seal;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    lethe_shard_get_seal(shard, &seal);
    memset(&helpers, 0, sizeof helpers);
    memcpy(helpers.right, seal.signature, sizeof helpers.right);
    for (unsigned wrong = 0; wrong <= 33; wrong += 11) {
        struct lethe_seal other = seal;
        if (wrong < 32)
            other.signature[wrong] ^= 1;
        assert_result(wrong < 32 ? LETHE_INTEGRITY : LETHE_OK,
                      lethe_seal_check(site->worker, &other, &site->err));
        assert_int_equal(helpers.compared, wrong / 11 + 1);
        assert_int_equal(helpers.wiped, wrong / 11 + 1);
    }
    must_evict(site, shard);
}

/* CI-006: what a tag should be, when a byte was changed, is not left for who changed it. */
static void computed_tags_are_wiped(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 4 * MIB);
    memset(&helpers, 0, sizeof helpers);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err), &site->err);
    assert_int_equal(helpers.tags_wiped, 4);
    flip_byte(shard, 3);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err));
    assert_true(helpers.tags_wiped > 4);
}

/* Z-3: a range is read back after it was wiped. */
static void a_range_that_is_not_zero_is_noticed(void **state)
{
    struct site *site = *state;
    struct device_memory *memory;
    const struct device_request request = {
        .size_bytes = 8192, .class_ = LETHE_CLASS_CONTENT, .optional = LETHE_LOCKED};
    assert_ok(device_alloc(site->worker->devices[0], &request, &memory, &site->err), &site->err);
    memset(&helpers, 0, sizeof helpers);
    helpers.spoils = true;
    lethe_result result = device_wipe(memory, 100, 1000, &site->err);
    helpers.spoils = false;
    assert_result(LETHE_UNWIPED, result);
    assert_ok(device_wipe(memory, 100, 1000, &site->err), &site->err);
    assert_ok(device_free(memory, &site->err), &site->err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(stopped_while_it_verifies),
        TEST(stopped_while_it_verifies_one),
        TEST(stopped_while_it_seals),
        TEST(a_statement_while_a_shard_is_sealed),
        TEST(stopped_before_the_forgery_is_described),
        TEST(by_default_what_is_not_on_the_host_is_digested),
        TEST(nothing_stays_where_a_block_passed_through),
        TEST(tags_and_their_key_go_with_the_shard),
        TEST(many_tags_are_out_of_reach_between_verifications),
        TEST(signatures_are_compared_in_constant_time),
        TEST(computed_tags_are_wiped),
        TEST(a_range_that_is_not_zero_is_noticed),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
