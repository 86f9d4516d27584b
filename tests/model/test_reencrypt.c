/* K-9, K-8: new data keys and new ciphertext for all of a model; stopped anywhere, by anything, the
 * old model is whole, and the next run goes on. */
#include "reencrypt_fixture.h"

#include "faults.h"

/* ---- what it does ---------------------------------------------------------------------------- */

static void copy_tree(const char *from, const char *to)
{
    const char *arguments[] = {"cp", "-a", from, to, NULL};
    assert_int_equal(run_program(arguments), 0);
}

static struct lethe_secret *data_key_of(struct fixture *f, const struct model *model, size_t index)
{
    const struct shard *shard = &model_manifest(model)->shards[index];
    CLEANUP(buffer_clear) struct buffer aad = {0};
    struct lethe_secret *key = NULL;
    manifest_shard_aad(model_manifest(model), shard, &aad);
    const struct key_use use = {.key = shard->key, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    assert_ok(test_unwrap(f->keys, &use, shard->wrapped_key, &key, &f->err), &f->err);
    return key;
}

static void assert_other_file(const char *a, const char *b)
{
    size_t a_size;
    size_t b_size;
    uint8_t *a_bytes = get_file(a, &a_size);
    uint8_t *b_bytes = get_file(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_not_equal(a_bytes + 1, b_bytes + 1, 39);                     /* salt and nonce */
    assert_memory_not_equal(a_bytes + a_size - 16, b_bytes + b_size - 16, 16); /* tag */
    free(a_bytes);
    free(b_bytes);
}

static void every_shard_and_every_key_is_another(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    copy_tree(AT(f, "model"), AT(f, "old"));
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(run.published, 1);
    assert_int_equal(run.summary.release, 2);
    assert_int_equal(run.summary.shards, SHARDS);
    assert_int_equal(run.summary.taken_over, 0);
    assert_null(run.summary.discarded);
    struct model *old = must_open(f, AT(f, "old"));
    struct model *new = must_open(f, AT(f, "model"));
    for (size_t i = 0; i < SHARDS; i++) {
        char path[64];
        const struct shard *a = &model_manifest(old)->shards[i];
        const struct shard *b = &model_manifest(new)->shards[i];
        struct lethe_secret *old_key = data_key_of(f, old, i);
        struct lethe_secret *new_key = data_key_of(f, new, i);
        assert_false(lethe_secret_equal(old_key, new_key));
        assert_string_not_equal(a->wrapped_key, b->wrapped_key);
        assert_memory_equal(a->digest, b->digest, sizeof a->digest);
        assert_string_equal(a->name, b->name);
        lethe_secret_free(old_key);
        lethe_secret_free(new_key);
        snprintf(path, sizeof path, "model/shards/%04zu.tink", i);
        const char *in_new = AT(f, path);
        snprintf(path, sizeof path, "old/shards/%04zu.tink", i);
        assert_other_file(AT(f, path), in_new);
    }
    model_close(old);
    model_close(new);
    assert_int_equal(count_names(f->directory), 3);
}

/* An independent reader of Tink's streams opens what came out. */
static void tink_reads_it(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    char aad[512];
    make_model(f);
    assert_ok(reencrypt(f, &run), &f->err);
    struct model *model = must_open(f, AT(f, "model"));
    for (size_t i = 0; i < SHARDS; i++) {
        char path[64];
        unlink(AT(f, "out"));
        export_keyset(f, model, i, AT(f, "keyset"), aad);
        snprintf(path, sizeof path, "model/shards/%04zu.tink", i);
        assert_int_equal(reader("open", AT(f, "keyset"), aad, AT(f, path), AT(f, "out")), 0);
        snprintf(path, sizeof path, "in/%zu.bin", i);
        assert_same_file(AT(f, "out"), AT(f, path));
    }
    model_close(model);
}

/* Segments and blocks that are just full, and one byte more or less. */
static void sizes_at_the_edges(void **state)
{
    static const size_t segment = ((size_t)1 << 20) - 16;
    static const size_t sizes[] = {4095,
                                   4096,
                                   4097,
                                   segment - 41,
                                   segment - 40,
                                   segment - 39,
                                   2 * segment - 41,
                                   2 * segment - 40,
                                   2 * segment - 39,
                                   ((size_t)3 << 20)};
    struct fixture *f = *state;
    struct run_result run = {0};
    char path[64];
    assert_int_equal(mkdir(AT(f, "edges"), 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        snprintf(path, sizeof path, "edges/%zu.bin", i);
        put_pattern(AT(f, path), sizes[i], i);
    }
    must_encrypt(f, AT(f, "edges"), AT(f, "model"));
    assert_ok(reencrypt(f, &run), &f->err);
    struct model *model = must_open(f, AT(f, "model"));
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        snprintf(path, sizeof path, "edges/%zu.bin", i);
        must_load_equal(f, model, i, AT(f, path));
    }
    model_close(model);
}

/* Three ranges, so that threads hand in out of order and blocks go from one range into the next. */
static void a_large_shard_on_many_threads(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    put_pattern(AT(f, "large.bin"), ((size_t)130 << 20) + 12345, 7);
    must_encrypt(f, AT(f, "large.bin"), AT(f, "model"));
    struct reencrypt_options options = reencrypt_options(AT(f, "model"), &run);
    options.threads = 3;
    assert_ok(model_reencrypt(&options, &f->keys->source, &run.summary, &f->err), &f->err);
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->release, 2);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    must_load_equal(f, model, 0, AT(f, "large.bin"));
    model_close(model);
}

/* ---- stopped, and gone on with ------------------------------------------------------------------
 */

static ino_t inode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void it_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    struct reencrypt_status status;
    make_unfinished(f);
    assert_non_null(strstr(f->err.hint, "2 of 4 shards are done"));
    assert_int_equal(must_be_whole(f), 1);
    assert_int_equal(count_names(AT(f, KEPT "/model/shards")), 2);
    ino_t first = inode_of(AT(f, KEPT "/model/shards/0000.tink"));

    struct model *model = must_open(f, AT(f, "model"));
    assert_ok(model_reencrypt_status(model, &f->keys->source, &status, &f->err), &f->err);
    assert_true(status.unfinished);
    assert_int_equal(status.shards, SHARDS);
    assert_int_equal(status.left_shards, 2);
    assert_int_equal(status.left_bytes, shard_sizes[2] + shard_sizes[3]);
    model_close(model);

    unsigned unwrapped = f->keys->unwrapped;
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(run.summary.taken_over, 2);
    assert_int_equal(f->keys->unwrapped - unwrapped, 3); /* the state's key, and two shards' */
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(inode_of(AT(f, "model/shards/0000.tink")), first);
    assert_int_equal(count_names(f->directory), 2);

    model = must_open(f, AT(f, "model"));
    assert_ok(model_reencrypt_status(model, &f->keys->source, &status, &f->err), &f->err);
    assert_false(status.unfinished);
    assert_int_equal(status.left_shards, SHARDS);
    model_close(model);
}

static void restart_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_unfinished(f);
    struct reencrypt_options options = reencrypt_options(AT(f, "model"), &run);
    options.restart = true;
    assert_ok(model_reencrypt(&options, &f->keys->source, &run.summary, &f->err), &f->err);
    assert_int_equal(run.summary.taken_over, 0);
    assert_string_equal(run.summary.discarded, "--restart");
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(count_names(f->directory), 2);
}

static atomic_bool cancelled;

static void cancel(struct test_keys *keys)
{
    atomic_store(&cancelled, true);
}

static void a_cancelled_run_keeps_what_it_has(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    stopping.wraps = 0;
    stopping.stop_at = 3;
    stopping.before = cancel;
    f->keys->source.wrap = stopping_wrap;
    struct reencrypt_options options = reencrypt_options(AT(f, "model"), &run);
    options.cancelled = &cancelled;
    assert_result(LETHE_CANCELLED,
                  model_reencrypt(&options, &f->keys->source, &run.summary, &f->err));
    assert_non_null(strstr(f->err.hint, "2 of 4 shards are done"));
    stopping.before = NULL;
    atomic_store(&cancelled, false);
    f->keys->source.wrap = test_wrap;
    assert_int_equal(count_names(AT(f, KEPT "/model/shards")), 2); /* no half of the third */
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(run.summary.taken_over, 2);
    assert_int_equal(must_be_whole(f), 2);
}

/* Nothing was finished, so nothing is worth keeping. */
static void a_run_that_did_nothing_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    assert_result(LETHE_UNAVAILABLE, reencrypt_until(f, 0, &run));
    assert_string_equal(f->err.hint, "");
    assert_int_equal(count_names(f->directory), 2);
    f->keys->answer = LETHE_REVOKED;
    assert_result(LETHE_REVOKED, reencrypt(f, &run));
    f->keys->answer = LETHE_OK;
    assert_int_equal(count_names(f->directory), 2);
    assert_int_equal(must_be_whole(f), 1);
}

/* The model is in place, the record of it is not: the next run makes up for it. */
static void a_record_that_failed_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {.answer = LETHE_IO};
    make_model(f);
    assert_result(LETHE_IO, reencrypt(f, &run));
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(access(AT(f, KEPT), F_OK), 0);
    struct run_result next = {0};
    assert_ok(reencrypt(f, &next), &f->err);
    assert_true(next.summary.was_done);
    assert_int_equal(next.published, 1);
    assert_int_equal(next.summary.release, 2);
    assert_memory_equal(next.summary.manifest_digest, run.summary.manifest_digest, 0);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(count_names(f->directory), 2);
}

/* ---- keys that are rotated ------------------------------------------------------------------- */

static void rotate(struct test_keys *keys)
{
    keys->rotations++;
}

static void all_under(struct fixture *f, uint64_t version)
{
    struct model_age age;
    struct model *model = must_open(f, AT(f, "model"));
    for (size_t i = 0; i < SHARDS; i++)
        assert_int_equal(model_manifest(model)->shards[i].key_version, version);
    assert_ok(model_age(model, &f->keys->source, &age, &f->err), &f->err);
    assert_int_equal(age.old_shards, 0);
    model_close(model);
}

static void a_rotation_in_between_makes_it_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    struct model_age age;
    make_unfinished(f);
    f->keys->rotations = 1;
    struct model *model = must_open(f, AT(f, "model"));
    assert_ok(model_age(model, &f->keys->source, &age, &f->err), &f->err);
    assert_int_equal(age.old_shards, SHARDS); /* what is unfinished counts for nothing */
    model_close(model);
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(run.summary.taken_over, 0);
    assert_non_null(strstr(run.summary.discarded, "rotated"));
    assert_int_equal(must_be_whole(f), 2);
    all_under(f, 2);
}

static void a_rotation_on_the_way_makes_shards_anew(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    stopping.before = rotate;
    assert_ok(reencrypt_until(f, 2, &run), &f->err);
    stopping.before = NULL;
    assert_int_equal(stopping.wraps, SHARDS + 2); /* two were made anew */
    assert_int_equal(must_be_whole(f), 2);
    all_under(f, 2);
    assert_int_equal(count_names(f->directory), 2);
}

static lethe_result always_newer(void *context, const char *key, uint64_t *version,
                                 struct lethe_error *err)
{
    *version = 1000;
    return LETHE_OK;
}

static void endless_rotation_ends(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    f->keys->source.newest = always_newer;
    assert_result(LETHE_CONFLICT, reencrypt(f, &run));
    f->keys->source.newest = test_newest;
    assert_int_equal(must_be_whole(f), 1);
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(count_names(f->directory), 2);
}

/* ---- every step ------------------------------------------------------------------------------ */

static struct {
    uint64_t taken_over;
    unsigned was_done;
} seen;

/* The model is one or the other; the next run ends with the new one, and nothing beside it. */
static void must_be_repaired(struct fixture *f, bool published_before)
{
    struct run_result run = {0};
    uint64_t release = must_be_whole(f);
    bool kept = access(AT(f, KEPT), F_OK) == 0;
    if (release == 2 && !kept) { /* all was done and on record, but for removing */
        assert_true(published_before);
        assert_ok(reencrypt(f, &run), &f->err);
        assert_int_equal(must_be_whole(f), 3);
    } else {
        assert_ok(reencrypt(f, &run), &f->err);
        assert_int_equal(must_be_whole(f), 2);
        assert_int_equal(run.summary.was_done, release == 2);
    }
    assert_int_equal(run.published, 1);
    assert_int_equal(count_names(f->directory), 2);
    seen.taken_over = MAX(seen.taken_over, run.summary.taken_over);
    seen.was_done += run.summary.was_done;
}

/* Gives how many steps there were. */
static long try_step(struct fixture *f, enum fault fault, long step)
{
    struct run_result run = {0};
    make_model(f);
    faults_arm(fault, step);
    lethe_result result = reencrypt(f, &run);
    long count = faults_disarm();
    if (result == LETHE_OK)
        assert_int_equal(must_be_whole(f), 2);
    else
        assert_true(f->err.code == result && f->err.text[0] != '\0');
    if (fault == FAULT_FULL && result != LETHE_OK)
        assert_result(LETHE_NO_SPACE, result);
    must_be_repaired(f, run.published > 0);
    return count;
}

/* A sample has each step, with one of the faults. */
static void every_step_may_fail(void **state)
{
    static const enum fault kinds[] = {FAULT_ONCE, FAULT_FULL, FAULT_BROKEN};
    long stride = (long)table_stride(ARRAY_LEN(kinds));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        memset(&seen, 0, sizeof seen);
        long step = stride == 1 ? 1 : 1 + (long)i, tried = 0;
        for (; try_step(*state, kinds[i], step) >= step; step += stride)
            tried++;
        assert_true(tried * stride > 40);
        assert_int_equal(seen.taken_over, SHARDS);
        printf("%ld steps failed\n", tried);
    }
}

static lethe_result leave_marker(void *context, const struct reencrypt_summary *summary,
                                 struct lethe_error *err)
{
    return mkdir(context, 0700) == 0 ? LETHE_OK : error_from_errno(err, "marking");
}

static int die_while_reencrypting(const char *directory, long step)
{
    char path[128];
    char marker[128];
    struct lethe_error err = {0};
    struct reencrypt_summary summary;
    struct test_keys *keys = test_keys_create(1);
    snprintf(path, sizeof path, "%s/model", directory);
    snprintf(marker, sizeof marker, "%s/in/marker", directory);
    struct reencrypt_options options = reencrypt_options(path, NULL);
    options.published = leave_marker;
    options.context = marker;
    faults_arm(FAULT_KILL, step);
    lethe_result result = model_reencrypt(&options, &keys->source, &summary, &err);
    faults_disarm();
    test_keys_free(keys);
    return result == LETHE_OK ? 0 : 1;
}

static int reencrypt_and_die(const struct fixture *f, long step)
{
    char number[24];
    snprintf(number, sizeof number, "%ld", step);
    char *arguments[] = {(char *)"test", (char *)"die", (char *)f->directory, number, NULL};
    pid_t child;
    int status;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void killed_at_every_step(void **state)
{
    struct fixture *f = *state;
    memset(&seen, 0, sizeof seen);
    long step = 1, stride = (long)table_stride(2);
    for (;; step += stride) {
        make_model(f);
        int status = reencrypt_and_die(f, step);
        bool published = rmdir(AT(f, "in/marker")) == 0;
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            assert_true(published);
            break;
        }
        assert_int_equal(WTERMSIG(status), SIGKILL);
        must_be_repaired(f, published);
    }
    printf("killed at %ld steps\n", (step - 1) / stride);
    assert_int_equal(seen.taken_over, SHARDS);
    assert_true(step > 40 && seen.was_done > 0);
}

/* Killed again and again, each time one step further, it still arrives. */
static void killed_on_and_on_it_arrives(void **state)
{
    struct fixture *f = *state;
    make_model(f);
    for (long step = 20; step < 400; step++) {
        int status = reencrypt_and_die(f, step);
        rmdir(AT(f, "in/marker"));
        if (must_be_whole(f) == 1)
            assert_true(WIFSIGNALED(status));
        else
            return;
    }
    fail_msg("it never arrives");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "die") == 0)
        return die_while_reencrypting(argv[2], atol(argv[3]));
    const struct CMUnitTest tests[] = {
        TEST(every_shard_and_every_key_is_another),
        TEST(tink_reads_it),
        TEST(sizes_at_the_edges),
        TEST(a_large_shard_on_many_threads),
        TEST(it_goes_on_where_it_stopped),
        TEST(restart_begins_anew),
        TEST(a_cancelled_run_keeps_what_it_has),
        TEST(a_run_that_did_nothing_leaves_nothing),
        TEST(a_record_that_failed_is_made_up_for),
        TEST(a_rotation_in_between_makes_it_begin_anew),
        TEST(a_rotation_on_the_way_makes_shards_anew),
        TEST(endless_rotation_ends),
        TEST(every_step_may_fail),
        TEST(killed_at_every_step),
        TEST(killed_on_and_on_it_arrives),
    };
    return cmocka_run_group_tests_name("reencrypt", tests, NULL, NULL);
}
