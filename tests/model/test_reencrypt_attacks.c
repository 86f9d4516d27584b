/* K-9: whoever can write beside a model while it is being encrypted anew gains nothing: no shard,
 * no key and no state of theirs is taken over, and what is somebody else's is left alone. */
#include "reencrypt_fixture.h"

#include <stdlib.h>

#include "model/sibling.h"
#include "model/tink.h"

static void copy_tree(const char *from, const char *to)
{
    const char *arguments[] = {"cp", "-a", from, to, NULL};
    assert_int_equal(run_program(arguments), 0);
}

static void replace_tree(struct fixture *f, const char *from, const char *to)
{
    assert_ok(file_remove_tree(AT_FDCWD, to, &f->err), &f->err);
    copy_tree(from, to);
}

/* ---- what lies there is changed -------------------------------------------------------------- */

static const char *const files[] = {"state", "model/shards/0000.tink", "model/shards/0001.tink"};

static const char *kept(struct fixture *f, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, KEPT "/%s", name);
    return AT(f, path);
}

/* Puts back what the attack needs; nothing of a run before is left. */
static void set_up(struct fixture *f)
{
    replace_tree(f, AT(f, "backup/model"), AT(f, "model"));
    replace_tree(f, AT(f, "backup/" KEPT), AT(f, KEPT));
}

static void make_backup(struct fixture *f)
{
    make_unfinished(f);
    assert_int_equal(mkdir(AT(f, "backup"), 0700), 0);
    copy_tree(AT(f, "model"), AT(f, "backup/model"));
    copy_tree(AT(f, KEPT), AT(f, "backup/" KEPT));
}

/* Either refused, with the old model whole and what was kept still there; or of no effect. */
static bool is_refused(struct fixture *f)
{
    struct run_result run = {0};
    lethe_result result = reencrypt(f, &run);
    if (result == LETHE_OK) {
        assert_int_equal(must_be_whole(f), 2);
        return false;
    }
    assert_true(result == LETHE_INTEGRITY || result == LETHE_EXISTS);
    assert_true(f->err.hint[0] != '\0');
    assert_int_equal(run.published, 0);
    assert_int_equal(must_be_whole(f), 1);
    assert_int_equal(access(AT(f, KEPT), F_OK), 0);
    return true;
}

static void unchanged_it_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_backup(f);
    set_up(f);
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(run.summary.taken_over, 2);
    assert_int_equal(must_be_whole(f), 2);
}

/* A byte of a shard is always found. One of the state too, but for those whose change only makes
 * what was done count for nothing. */
static void every_byte_changed(void **state)
{
    struct fixture *f = *state;
    size_t stride = getenv("LETHE_TEST_LONG") != NULL ? 1 : 5 * table_stride(3);
    unsigned unnoticed = 0;
    make_backup(f);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        size_t size;
        uint8_t *bytes = get_file(kept(f, files[i]), &size);
        for (size_t at = 0; at < size; at += stride) {
            set_up(f);
            bytes[at] ^= 1;
            put_file(kept(f, files[i]), bytes, size);
            bytes[at] ^= 1;
            bool refused = is_refused(f);
            if (i > 0)
                assert_true(refused);
            unnoticed += !refused;
        }
        free(bytes);
        set_up(f);
    }
    printf("%u changes of the state cost work, and no more\n", unnoticed);
}

static void every_cut_and_every_addition(void **state)
{
    struct fixture *f = *state;
    size_t stride = getenv("LETHE_TEST_LONG") != NULL ? 1 : 29 * table_stride(3);
    make_backup(f);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        size_t size;
        uint8_t *bytes = get_file(kept(f, files[i]), &size);
        for (size_t length = 0; length < size; length += stride) {
            set_up(f);
            assert_int_equal(truncate(kept(f, files[i]), (off_t)length), 0);
            bool refused = is_refused(f);
            if (i > 0)
                assert_true(refused);
        }
        set_up(f);
        bytes = realloc(bytes, size + 100);
        assert_non_null(bytes);
        memset(bytes + size, 0xa5, 100);
        put_file(kept(f, files[i]), bytes, size + 100);
        assert_true(is_refused(f) || i == 0);
        free(bytes);
        set_up(f);
    }
}

static void other_kinds_of_files(void **state)
{
    struct fixture *f = *state;
    make_backup(f);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        set_up(f);
        assert_int_equal(rename(kept(f, files[i]), AT(f, "elsewhere")), 0);
        assert_true(is_refused(f)); /* gone */
        assert_int_equal(symlink(AT(f, "elsewhere"), kept(f, files[i])), 0);
        assert_true(is_refused(f));
        unlink(kept(f, files[i]));
        assert_int_equal(mkfifo(kept(f, files[i]), 0600), 0);
        assert_true(is_refused(f));
        unlink(kept(f, files[i]));
        assert_int_equal(mkdir(kept(f, files[i]), 0700), 0);
        assert_true(is_refused(f));
        rmdir(kept(f, files[i]));
        unlink(AT(f, "elsewhere"));
    }
}

static void directories_that_lead_elsewhere(void **state)
{
    static const char *const directories[] = {"model", "model/shards"};
    struct fixture *f = *state;
    make_backup(f);
    for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
        set_up(f);
        assert_int_equal(rename(kept(f, directories[i]), AT(f, "elsewhere")), 0);
        assert_true(is_refused(f));
        assert_int_equal(symlink(AT(f, "elsewhere"), kept(f, directories[i])), 0);
        assert_true(is_refused(f));
        unlink(kept(f, directories[i]));
        assert_ok(file_remove_tree(AT_FDCWD, AT(f, "elsewhere"), &f->err), &f->err);
    }
}

static void files_that_do_not_belong(void **state)
{
    static const char *const more[] = {"more", "model/more", "model/shards/more.tink",
                                       "model/shards/0009.tink", "model/shards/.hidden"};
    struct fixture *f = *state;
    make_backup(f);
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        set_up(f);
        put_text(kept(f, more[i]), "x");
        assert_true(is_refused(f));
        assert_int_equal(access(kept(f, more[i]), F_OK), 0);
    }
    /* What a run leaves that died in the middle of a shard, or of the signature: made anew. */
    static const char *const ours[] = {"model/shards/0003.tink", "model/manifest.json",
                                       "model/model.sig", "model/.lethe-tmp-0123456789abcdef"};
    set_up(f);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        put_text(kept(f, ours[i]), "x");
    assert_false(is_refused(f));
}

/* Their contents are good, and were ours, but of another shard. */
static void shards_that_change_places(void **state)
{
    struct fixture *f = *state;
    make_backup(f);
    set_up(f);
    assert_int_equal(
        renameat2(AT_FDCWD, kept(f, files[1]), AT_FDCWD, kept(f, files[2]), RENAME_EXCHANGE), 0);
    assert_true(is_refused(f));
}

/* ---- a state that is not of this model ------------------------------------------------------- */

/* The header names the model that the records are of, and the key service is asked with it. */
static void a_state_of_another_model(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    size_t size;
    make_backup(f);
    make_model(f); /* the same sources, encrypted once more */
    replace_tree(f, AT(f, "backup/" KEPT), AT(f, KEPT));
    assert_ok(reencrypt(f, &run), &f->err);
    assert_int_equal(run.summary.taken_over, 0);
    assert_non_null(strstr(run.summary.discarded, "changed"));
    assert_int_equal(must_be_whole(f), 2);

    make_model(f);
    replace_tree(f, AT(f, "backup/" KEPT), AT(f, KEPT));
    uint8_t *manifest = get_file(AT(f, "model/manifest.json"), &size);
    uint8_t digest[SHA256_BYTES];
    sha256(manifest, size, digest);
    free(manifest);
    uint8_t *text = get_file(kept(f, "state"), &size);
    memcpy(text + 8, digest, sizeof digest); /* it claims to be of this one */
    put_file(kept(f, "state"), text, size);
    free(text);
    assert_true(is_refused(f));
    assert_non_null(strstr(f->err.hint, "--restart"));
}

/* Another key service's, with the same names. */
static void a_state_of_another_home(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_backup(f);
    struct test_keys *mine = f->keys;
    f->keys = test_keys_create(2);
    make_model(f);
    replace_tree(f, AT(f, "backup/" KEPT), AT(f, KEPT));
    assert_true(is_refused(f));
    replace_tree(f, AT(f, "backup/model"), AT(f, "model"));
    assert_result(LETHE_INTEGRITY, reencrypt(f, &run)); /* the model is not this home's either */
    assert_int_equal(run.published, 0);
    test_keys_free(f->keys);
    f->keys = mine;
}

/* ---- somebody who knows an old data key ------------------------------------------------------ */

/* Other weights under the old data key, in place of a shard: every tag fits. */
static void forge_shard(struct fixture *f, size_t index)
{
    char path[64];
    struct model *model = must_open(f, AT(f, "model"));
    const struct shard *shard = &model_manifest(model)->shards[index];
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(tink_stream_free) struct tink_stream *stream = NULL;
    CLEANUP(memory_free) uint8_t *file = malloc(shard->cipher_size);
    CLEANUP(memory_free) uint8_t *plain = pattern(shard->size, 99);
    manifest_shard_aad(model_manifest(model), shard, &aad);
    const struct key_use use = {.key = shard->key, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    assert_ok(test_unwrap(f->keys, &use, shard->wrapped_key, &key, &f->err), &f->err);
    const struct tink_binding binding = {.key = key, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    assert_ok(
        tink_seal_begin(&tink_shard_parameters, &binding, &random_system, file, &stream, &f->err),
        &f->err);
    const struct tink_segment segment = tink_segment_at(&tink_shard_parameters, shard->size, 0);
    assert_result(LETHE_OK, tink_seal_segment(stream, &segment, plain, file + 40));
    snprintf(path, sizeof path, "model/%s", shard->file);
    put_file(AT(f, path), file, shard->cipher_size);
    assert_ok(model_load_shard(model, index, &f->keys->source, plain, &two_threads, &f->err),
              &f->err); /* it loads: this is what a compromise means */
    model_close(model);
}

static void forged_weights_are_not_made_good(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    forge_shard(f, 2);
    assert_result(LETHE_INTEGRITY, reencrypt(f, &run));
    assert_non_null(strstr(f->err.text, "not what its digest says"));
    assert_int_equal(run.published, 0);
    assert_result(LETHE_INTEGRITY, reencrypt(f, &run)); /* and not on the second try */
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->release, 1);
    model_close(model);
}

/* ---- others at the same time ----------------------------------------------------------------- */

static lethe_result encrypt_over(struct fixture *f)
{
    const char *source = AT(f, "in");
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    struct encrypt_summary summary;
    options.model = "same";
    options.force = true;
    return model_encrypt(&options, &f->keys->source, &summary, &f->err);
}

static lethe_result rewrap(struct fixture *f)
{
    struct rewrap_summary summary;
    const struct rewrap_options options = {
        .path = AT(f, "model"), .clock = &clock_system, .random = &random_system};
    return model_rewrap(&options, &f->keys->source, &summary, &f->err);
}

static struct fixture *busy_fixture;

/* In the middle of a run. */
static void all_others_are_locked_out(struct test_keys *keys)
{
    struct fixture *f = busy_fixture;
    struct fixture other = {.keys = keys};
    struct run_result run = {0};
    struct reencrypt_status status;
    memcpy(other.directory, f->directory, sizeof other.directory);
    keys->source.wrap = test_wrap;
    assert_result(LETHE_BUSY, reencrypt(&other, &run));
    assert_result(LETHE_BUSY, encrypt_over(&other));
    assert_result(LETHE_BUSY, rewrap(&other));
    struct model *model = must_open(&other, AT(&other, "model")); /* reading goes on */
    assert_ok(model_reencrypt_status(model, &keys->source, &status, &other.err), &other.err);
    assert_true(status.unfinished);
    assert_int_equal(status.left_shards, SHARDS - 2);
    model_close(model);
    keys->source.wrap = stopping_wrap;
    for (struct known_path *next; other.paths != NULL; other.paths = next) {
        next = other.paths->next;
        free(other.paths);
    }
}

static void one_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    busy_fixture = f;
    stopping.before = all_others_are_locked_out;
    assert_ok(reencrypt_until(f, 2, &run), &f->err);
    stopping.before = NULL;
    assert_int_equal(must_be_whole(f), 2);
    assert_int_equal(count_names(f->directory), 2);
}

/* Whoever replaces the model makes what is unfinished useless, and removes it. */
static void what_replaces_the_model_removes_it(void **state)
{
    struct fixture *f = *state;
    make_unfinished(f);
    assert_ok(encrypt_over(f), &f->err);
    assert_int_equal(count_names(f->directory), 2);
    make_unfinished(f);
    f->keys->rotations = 1;
    assert_ok(rewrap(f), &f->err);
    assert_int_equal(count_names(f->directory), 2);
    f->keys->rotations = 0;
}

static void what_is_not_ours_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct run_result run = {0};
    make_model(f);
    put_text(AT(f, KEPT), "a file");
    assert_result(LETHE_EXISTS, reencrypt(f, &run));
    unlink(AT(f, KEPT));
    assert_int_equal(symlink(AT(f, "in"), AT(f, KEPT)), 0);
    assert_result(LETHE_EXISTS, reencrypt(f, &run));
    unlink(AT(f, KEPT));
    assert_int_equal(mkdir(AT(f, KEPT), 0700), 0);
    put_text(AT(f, KEPT "/state"), "somebody's own notes");
    struct reencrypt_options options = reencrypt_options(AT(f, "model"), &run);
    options.restart = true;
    assert_result(LETHE_EXISTS, model_reencrypt(&options, &f->keys->source, &run.summary, &f->err));
    assert_non_null(strstr(f->err.hint, "move it away"));
    assert_ok(encrypt_over(f), &f->err);
    size_t size;
    uint8_t *notes = get_file(AT(f, KEPT "/state"), &size);
    assert_memory_equal(notes, "somebody's own notes", size);
    free(notes);
}

/* ---- plaintext ------------------------------------------------------------------------------- */

static bool any_file_holds(struct fixture *f, const char *directory, const char *text)
{
    const char *arguments[] = {"grep", "-r", "-q", "-F", text, directory, NULL};
    return run_program(arguments) == 0;
}

/* E-1 */
static void plaintext_is_never_on_the_disk(void **state)
{
    static const char text[] = "these bytes are the weights of the model";
    struct fixture *f = *state;
    struct run_result run = {0};
    assert_int_equal(mkdir(AT(f, "in"), 0700), 0);
    assert_int_equal(mkdir(AT(f, "place"), 0700), 0);
    put_text(AT(f, "in/0.bin"), text);
    put_text(AT(f, "in/1.bin"), text);
    assert_true(any_file_holds(f, AT(f, "in"), text));
    must_encrypt(f, AT(f, "in"), AT(f, "place/model"));
    stopping.wraps = 0;
    stopping.stop_at = 2;
    f->keys->source.wrap = stopping_wrap;
    const struct reencrypt_options options = reencrypt_options(AT(f, "place/model"), &run);
    assert_result(LETHE_UNAVAILABLE,
                  model_reencrypt(&options, &f->keys->source, &run.summary, &f->err));
    f->keys->source.wrap = test_wrap;
    assert_int_equal(count_names(AT(f, "place")), 2);
    assert_false(any_file_holds(f, AT(f, "place"), text));
    assert_ok(model_reencrypt(&options, &f->keys->source, &run.summary, &f->err), &f->err);
    assert_false(any_file_holds(f, AT(f, "place"), text));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unchanged_it_is_taken_over),
        TEST(every_byte_changed),
        TEST(every_cut_and_every_addition),
        TEST(other_kinds_of_files),
        TEST(directories_that_lead_elsewhere),
        TEST(files_that_do_not_belong),
        TEST(shards_that_change_places),
        TEST(a_state_of_another_model),
        TEST(a_state_of_another_home),
        TEST(forged_weights_are_not_made_good),
        TEST(one_at_a_time),
        TEST(what_replaces_the_model_removes_it),
        TEST(what_is_not_ours_is_left_alone),
        TEST(plaintext_is_never_on_the_disk),
    };
    return cmocka_run_group_tests_name("reencrypt attacks", tests, NULL, NULL);
}
