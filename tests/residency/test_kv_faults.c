/* The Nth allocation fails, for every N: the error says so, nothing has changed, nothing leaks. */
#include "failing_memory.h"
#include "kv_check.h"

FAILS(calloc)
FAILS(malloc)
FAILS(reallocarray)
FAILS(tsearch)

/* A life of two sessions, each call tried again until it works. Once something has failed nothing
 * does any more, so a second failure of the same call is a defect. */
#define WITH_PATIENCE(call)                                                                        \
    do {                                                                                           \
        lethe_result patient = (call);                                                             \
        if (patient != LETHE_OK) {                                                                 \
            assert_int_equal(patient, LETHE_NO_MEMORY);                                            \
            assert_true(has_failed && kv->err.text[0] != '\0');                                    \
            assert_ok(call, &kv->err);                                                             \
        }                                                                                          \
    } while (0)

static void live(struct kv_site *kv, const struct lethe_spill *spill)
{
    struct lethe_kv_options options = cache_options(2);
    struct lethe_kv *sessions[2];
    struct lethe_kv_view view;
    uint64_t ends[2][LAYERS] = {{0}};
    uint8_t *seed;
    void *buffer;
    options.spill = spill;
    WITH_PATIENCE(lethe_kv_cache_create(kv->site->worker, &options, &kv->cache, &kv->err));
    for (unsigned i = 0; i < 2; i++) {
        struct lethe_kv_session_options of = {.tenant = i != 0 ? "bolt" : "acme", .session = "s"};
        WITH_PATIENCE(lethe_kv_open(kv->cache, &of, 0, &sessions[i], &kv->err));
        WITH_PATIENCE(lethe_kv_buffer(sessions[i], 5000, &buffer, &kv->err));
        WITH_PATIENCE(lethe_kv_seed(sessions[i], 32, &seed, &kv->err));
    }
    for (unsigned i = 0; i < 80; i++) {
        uint64_t *end = ends[i % 2];
        for (uint32_t layer = 0; layer < LAYERS; layer++, end++) {
            WITH_PATIENCE(append_layer(sessions[i % 2], 1 + i % 2, layer, *end, 1, &kv->err));
            ++*end;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        bool same;
        WITH_PATIENCE(gather_is(sessions[i], 1 + i, 1, 0, 40, &same, &kv->err));
        assert_true(same);
        WITH_PATIENCE(lethe_kv_truncate(sessions[i], 6, &kv->err));
        WITH_PATIENCE(lethe_kv_read_begin(sessions[i], 0, &view, &kv->err));
        assert_true(view_is(&view, 1 + i, 0, 0, 6));
        lethe_kv_read_end(&view);
        if (i == 0)
            WITH_PATIENCE(lethe_kv_reset(sessions[i], &kv->err));
        must_end(kv, sessions[i]);
    }
    assert_int_equal(counters_of(kv).used_blocks, 0);
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
}

static void live_in_memory(struct kv_site *kv)
{
    struct lethe_spill_memory *memory;
    WITH_PATIENCE(lethe_spill_memory_create(0, &memory, &kv->err));
    const struct lethe_spill table = lethe_spill_memory_table(memory);
    live(kv, &table);
    lethe_spill_memory_free(memory);
}

static void live_in_a_file(struct kv_site *kv)
{
    struct lethe_kv_options options = cache_options(2);
    struct lethe_spill_file *file;
    WITH_PATIENCE(
        lethe_spill_file_create("/tmp", lethe_kv_spill_bytes(&options), 0, &file, &kv->err));
    const struct lethe_spill table = lethe_spill_file_table(file);
    live(kv, &table);
    lethe_spill_file_free(file);
}

static void every_allocation_may_fail(void **state)
{
    struct kv_site *kv = *state;
    static void (*const lives[])(struct kv_site *) = {live_in_memory, live_in_a_file};
    for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
        unsigned at = 0;
        do {
            has_failed = false;
            calls_left = ++at;
            lives[i](kv);
            calls_left = 0;
            assert_ok(audit_sync(kv->site->log, &kv->err), &kv->err);
        } while (has_failed);
        assert_true(at > 50);
    }
    assert_int_equal(used_bytes(kv->site), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {kv_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
