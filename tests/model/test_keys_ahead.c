/* Keys of many shards are asked for at once, made or opened; and when that fails nothing is left.
 */
#include "model_fixture.h"

#include "model/files_ahead.h"
#include "model/reencrypt.h"

#define SHARDS 600u /* KEYS_AHEAD_MAX is 256: three calls */

/* Of the source that the tests below ask. */
static struct {
    unsigned calls[2];   /* of wrap_all, and of unwrap_all */
    unsigned fails_from; /* this call of wrap_all, and all behind it; 0: none does */
} many;
enum { WRAP, UNWRAP };

static lethe_result wrap_all(void *context, const struct key_wrap *items, size_t count,
                             struct lethe_error *err)
{
    assert_in_range(count, 2, KEYS_AHEAD_MAX);
    if (++many.calls[WRAP] >= many.fails_from && many.fails_from != 0)
        return error_set(err, LETHE_UNAVAILABLE, "out of reach");
    for (size_t i = 0; i < count; i++)
        TRY(test_wrap(context, &items[i].use, items[i].data_key, items[i].wrapped, err));
    return LETHE_OK;
}

static lethe_result unwrap_all(void *context, const struct key_unwrap *items, size_t count,
                               struct lethe_error *err)
{
    assert_in_range(count, 2, KEYS_AHEAD_MAX);
    many.calls[UNWRAP]++;
    for (size_t i = 0; i < count; i++)
        TRY(test_unwrap(context, &items[i].use, items[i].wrapped, items[i].data_key, err));
    return LETHE_OK;
}

/* No shard is asked for alone, unless it is by itself. */
static lethe_result no_wrap(void *context, const struct key_use *use,
                            const struct lethe_secret *data_key, struct buffer *wrapped,
                            struct lethe_error *err)
{
    fail_msg("the key of shard %s was wrapped alone", use->shard);
    return LETHE_FAILED;
}

static lethe_result no_unwrap(void *context, const struct key_use *use, const char *wrapped,
                              struct lethe_secret **data_key, struct lethe_error *err)
{
    fail_msg("the key of shard %s was opened alone", use->shard);
    return LETHE_FAILED;
}

static void ask_for_many(struct fixture *f)
{
    memset(&many, 0, sizeof many);
    f->keys->source.wrap_all = wrap_all;
    f->keys->source.unwrap_all = unwrap_all;
    f->keys->source.wrap = no_wrap;
    f->keys->source.unwrap = no_unwrap;
}

static void make_sources(struct fixture *f)
{
    assert_int_equal(mkdir(AT(f, "sources"), 0700), 0);
    for (size_t i = 0; i < SHARDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "sources/%03zu.bin", i);
        put_pattern(AT(f, name), 100 + i, i);
    }
}

static void assert_calls(unsigned wrapped, unsigned unwrapped)
{
    assert_int_equal(many.calls[WRAP], wrapped);
    assert_int_equal(many.calls[UNWRAP], unwrapped);
    memset(many.calls, 0, sizeof many.calls);
}

/* Z-2: each shard has a key of its own, and opens with it, however its key was asked for. */
static void keys_are_asked_for_together(void **state)
{
    struct fixture *f = *state;
    uint8_t place[100 + SHARDS];
    struct files_ahead ahead = {0};
    const struct model_work in_order = {.threads = 1, .ahead = &ahead};
    make_sources(f);
    ask_for_many(f);
    must_encrypt(f, AT(f, "sources"), AT(f, "model"));
    assert_calls(3, 0);
    struct model *model = must_open(f, AT(f, "model"));
    for (size_t i = 1; i < SHARDS; i++)
        assert_string_not_equal(model_manifest(model)->shards[i].wrapped_key,
                                model_manifest(model)->shards[i - 1].wrapped_key);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    assert_calls(0, 3);
    for (size_t i = 0; i < SHARDS; i++)
        assert_ok(model_load_file(model, i, &f->keys->source, place, &in_order, &f->err), &f->err);
    assert_calls(0, 3);
    files_ahead_clear(&ahead);
    assert_ok(model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err), &f->err);
    assert_calls(0, 3);
    model_close(model);
}

static lethe_result ignore(void *context, const struct reencrypt_summary *summary,
                           struct lethe_error *err)
{
    return LETHE_OK;
}

static lethe_result reencrypt(struct fixture *f, struct reencrypt_summary *summary)
{
    const struct reencrypt_options options = {.path = AT(f, "model"),
                                              .threads = 2,
                                              .clock = &clock_system,
                                              .random = &random_system,
                                              .published = ignore};
    return model_reencrypt(&options, &f->keys->source, summary, &f->err);
}

/* L-6: a batch that fails leaves no half of a model; what was there before stays as it was. */
static void a_batch_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct encrypt_summary summary;
    const char *source = AT(f, "sources");
    const struct encrypt_options options = options_for(&source, AT(f, "model"));
    make_sources(f);
    ask_for_many(f);
    many.fails_from = 2;
    assert_result(LETHE_UNAVAILABLE, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    assert_int_equal(access(AT(f, "model"), F_OK), -1);
    assert_int_equal(count_names(f->directory), 1);

    many.fails_from = 0;
    must_encrypt(f, AT(f, "sources"), AT(f, "model"));
    struct reencrypt_summary renewed;
    memset(many.calls, 0, sizeof many.calls);
    many.fails_from = 2;
    f->keys->source.wrap = test_wrap; /* of the state's own key */
    f->keys->source.unwrap = test_unwrap;
    f->keys->rotations = 1;
    assert_result(LETHE_UNAVAILABLE, reencrypt(f, &renewed));
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->release, 1);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    model_close(model);
    many.fails_from = 0;
    assert_ok(reencrypt(f, &renewed),
              &f->err); /* goes on, but for what a thread was in the middle of */
    assert_in_range(renewed.taken_over, KEYS_AHEAD_MAX - 2, KEYS_AHEAD_MAX);
    model = must_open(f, AT(f, "model"));
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    model_close(model);
}

/* Z-2: no key waits for its shard while much else is sealed. */
static void keys_do_not_wait_behind_large_shards(void **state)
{
    struct manifest manifest = {.count = 4};
    struct shard shards[4] = {{.size = KEYS_AHEAD_BYTES}, {.size = 1}, {.size = 1}, {.size = 1}};
    static const bool skip[4] = {false, true, false, false};
    size_t chosen[KEYS_AHEAD_MAX];
    manifest.shards = shards;
    assert_int_equal(keys_ahead_choose(&manifest, NULL, 0, chosen), 2);
    assert_int_equal(keys_ahead_choose(&manifest, skip, 0, chosen), 2);
    assert_int_equal(chosen[1], 2);
    assert_int_equal(keys_ahead_choose(&manifest, NULL, 1, chosen), 3);
    shards[0].size++;
    assert_int_equal(keys_ahead_choose(&manifest, NULL, 0, chosen), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_asked_for_together),
        TEST(a_batch_that_fails_leaves_nothing),
        TEST(keys_do_not_wait_behind_large_shards),
    };
    return cmocka_run_group_tests_name("keys ahead", tests, NULL, NULL);
}
