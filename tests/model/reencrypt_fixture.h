/* tests/model/reencrypt_fixture.h -- a model of a few shards, encrypted anew, and stopped on the
 * way where a test wants it. */
#ifndef TESTS_MODEL_REENCRYPT_FIXTURE_H
#define TESTS_MODEL_REENCRYPT_FIXTURE_H

#include "tink_tool.h"

#define KEPT ".model.lethe-unfinished"
#define SHARDS 4u

static const size_t shard_sizes[SHARDS] = {0, 1, 5000, 70000};

/* A clock that runs so fast that every finished shard is put on the state at once. */
static inline uint64_t fast_time(void *context)
{
    static atomic_uint_fast64_t now = 1795176000000000000;
    return atomic_fetch_add(&now, 2000000000);
}
static const struct clock_source fast_clock = {.wall_ns = fixed_time, .monotonic_ns = fast_time};

static inline void put_sources(struct fixture *f)
{
    char path[64];
    mkdir(AT(f, "in"), 0700);
    for (size_t i = 0; i < SHARDS; i++) {
        snprintf(path, sizeof path, "in/%zu.bin", i);
        put_pattern(AT(f, path), shard_sizes[i], i);
    }
}

/* Release 1 of a model of SHARDS shards, and nothing beside it but "in". */
static inline void make_model(struct fixture *f)
{
    const char *source = AT(f, "in");
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    struct encrypt_summary summary;
    assert_ok(file_remove_tree(AT_FDCWD, AT(f, KEPT), &f->err), &f->err);
    assert_ok(file_remove_tree(AT_FDCWD, AT(f, "model"), &f->err), &f->err);
    put_sources(f);
    options.model = "same";
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
}

struct run_result {
    struct reencrypt_summary summary;
    unsigned published;  /* calls */
    lethe_result answer; /* of published */
};

static inline lethe_result count_published(void *context, const struct reencrypt_summary *summary,
                                           struct lethe_error *err)
{
    struct run_result *run = context;
    run->published++;
    return run->answer == LETHE_OK ? LETHE_OK : error_set(err, run->answer, "no record");
}

static inline struct reencrypt_options reencrypt_options(const char *path, struct run_result *run)
{
    return (struct reencrypt_options){.path = path,
                                      .threads = 1,
                                      .clock = &fast_clock,
                                      .random = &random_system,
                                      .published = count_published,
                                      .context = run};
}

static inline lethe_result reencrypt(struct fixture *f, struct run_result *run)
{
    const struct reencrypt_options options = reencrypt_options(AT(f, "model"), run);
    f->err = (struct lethe_error){0};
    return model_reencrypt(&options, &f->keys->source, &run->summary, &f->err);
}

/* All of it holds what it should; gives the release. */
static inline uint64_t must_be_whole(struct fixture *f)
{
    char path[64];
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->count, SHARDS);
    for (size_t i = 0; i < SHARDS; i++) {
        snprintf(path, sizeof path, "in/%zu.bin", i);
        must_load_equal(f, model, i, AT(f, path));
    }
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    uint64_t release = model_manifest(model)->release;
    model_close(model);
    return release;
}

/* A key source that refuses the Nth data key: the run stops there, and keeps what it has. */
static struct {
    unsigned wraps;
    unsigned stop_at;                   /* 0: never */
    void (*before)(struct test_keys *); /* called at that one instead of refusing */
} stopping;

static inline lethe_result stopping_wrap(void *context, const struct key_use *use,
                                         const struct lethe_secret *data_key,
                                         struct buffer *wrapped, struct lethe_error *err)
{
    bool is_state = strcmp(use->purpose, KEY_PURPOSE_REENCRYPT) != 0;
    if (!is_state && ++stopping.wraps == stopping.stop_at) {
        if (stopping.before == NULL)
            return error_set(err, LETHE_UNAVAILABLE, "the key service went away");
        stopping.before(context);
    }
    return test_wrap(context, use, data_key, wrapped, err);
}

static inline lethe_result reencrypt_until(struct fixture *f, unsigned shards_done,
                                           struct run_result *run)
{
    stopping.wraps = 0;
    stopping.stop_at = shards_done + 1;
    f->keys->source.wrap = stopping_wrap;
    lethe_result result = reencrypt(f, run);
    f->keys->source.wrap = test_wrap;
    return result;
}

/* A model, and beside it a re-encryption that was stopped behind two shards. */
static inline void make_unfinished(struct fixture *f)
{
    struct run_result run = {0};
    make_model(f);
    assert_result(LETHE_UNAVAILABLE, reencrypt_until(f, 2, &run));
    assert_int_equal(run.published, 0);
    assert_int_equal(access(AT(f, KEPT "/state"), F_OK), 0);
}

#endif
