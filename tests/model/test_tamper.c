/* Whatever is changed in a model directory: a clear refusal, and nothing of the plaintext given
 * out. LETHE_TEST_LONG=1 tries every value of every byte. */
#include "model_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "model/opened.h"

/* ---- helpers --------------------------------------------------------------------------------- */

/* The refusal is one that ends in exit code 3, whoever finds it. */
static void assert_refused(struct fixture *f, const char *model)
{
    f->err = (struct lethe_error){0};
    lethe_result result = open_check_load(f->keys, model, &f->err);
    if (result != LETHE_INTEGRITY && result != LETHE_MALFORMED)
        fail_msg("%s: %s: %s", model, lethe_result_name(result), f->err.text);
    assert_int_equal(f->err.code, result);
    assert_true(f->err.text[0] != '\0');
}

static void assert_fine(struct fixture *f, const char *model)
{
    assert_ok(open_check_load(f->keys, model, &f->err), &f->err);
}

static void xor_byte(const char *path, off_t at, uint8_t bits)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static const char *const small_files[] = {"model/manifest.json", "model/model.sig",
                                          "model/shards/0000.tink", "model/shards/0001.tink"};

static void encrypt_two(struct fixture *f, const char *output, const char *seed)
{
    assert_int_equal(mkdir(AT(f, seed), 0700), 0);
    char a[64];
    char b[64];
    snprintf(a, sizeof a, "%s/a.bin", seed);
    snprintf(b, sizeof b, "%s/b.bin", seed);
    put_pattern(AT(f, a), 60, (uint64_t)seed[0]);
    put_pattern(AT(f, b), 60, (uint64_t)seed[0] + 1);
    const char *source = AT(f, seed);
    struct encrypt_options options = options_for(&source, output);
    options.model = "same";
    struct encrypt_summary summary;
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
}

/* ---- every byte ------------------------------------------------------------------------------ */

/* What is tried on a byte: all other values, or one flipped bit and the changes to which a text
 * format is most likely to be deaf. */
static size_t changes_of(uint8_t byte, size_t at, uint8_t out[255])
{
    size_t count = 0;
    if (getenv("LETHE_TEST_LONG") != NULL) {
        for (unsigned bits = 1; bits < 256; bits++)
            out[count++] = (uint8_t)bits;
        return count;
    }
    out[count++] = (uint8_t)(1u << at % 8);
    static const uint8_t alike[] = {' ', '\t', '\r'};
    for (size_t i = 0; (byte == ' ' || byte == '\n') && i < sizeof alike; i++) {
        if (byte != alike[i])
            out[count++] = byte ^ alike[i];
    }
    return count;
}

static void every_changed_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    size_t tried = 0;
    for (size_t i = 0; i < ARRAY_LEN(small_files); i++) {
        size_t size;
        uint8_t *bytes = get_file(AT(f, small_files[i]), &size);
        for (size_t at = 0; at < size; at++) {
            uint8_t changes[255];
            size_t count = changes_of(bytes[at], at, changes);
            for (size_t c = 0; c < count; c++, tried++) {
                xor_byte(AT(f, small_files[i]), (off_t)at, changes[c]);
                assert_refused(f, AT(f, "model"));
                xor_byte(AT(f, small_files[i]), (off_t)at, changes[c]);
            }
        }
        free(bytes);
    }
    assert_true(tried > 2000);
    assert_fine(f, AT(f, "model"));
}

static void every_cut_and_every_added_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    for (size_t i = 0; i < ARRAY_LEN(small_files); i++) {
        size_t size;
        const char *path = AT(f, small_files[i]);
        uint8_t *bytes = get_file(path, &size);
        for (size_t cut = 0; cut < size; cut += 7) {
            put_file(path, bytes, cut);
            assert_refused(f, AT(f, "model"));
        }
        static const char added[] = {'\0', '\n', ' ', '}'};
        for (size_t a = 0; a < sizeof added; a++) {
            uint8_t *longer = malloc(size + 1);
            memcpy(longer, bytes, size);
            longer[size] = (uint8_t)added[a];
            put_file(path, longer, size + 1);
            assert_refused(f, AT(f, "model"));
            free(longer);
        }
        put_file(path, bytes, size);
        free(bytes);
    }
    assert_fine(f, AT(f, "model"));
}

/* ---- segments and shards --------------------------------------------------------------------- */

#define MIB ((size_t)1 << 20)

static void swap_bytes(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void moved_segments_are_refused(void **state)
{
    struct fixture *f = *state;
    put_pattern(AT(f, "a.bin"), 4 * MIB, 3);
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    const char *shard = AT(f, "model/shards/0000.tink");
    size_t size;
    uint8_t *bytes = get_file(shard, &size);
    assert_fine(f, AT(f, "model"));

    swap_bytes(bytes + MIB, bytes + 2 * MIB, MIB); /* swapped */
    put_file(shard, bytes, size);
    assert_refused(f, AT(f, "model"));
    swap_bytes(bytes + MIB, bytes + 2 * MIB, MIB);

    uint8_t *kept = malloc(MIB); /* one twice, in another's place */
    memcpy(kept, bytes + 2 * MIB, MIB);
    memcpy(bytes + 2 * MIB, bytes + MIB, MIB);
    put_file(shard, bytes, size);
    assert_refused(f, AT(f, "model"));
    memcpy(bytes + 2 * MIB, kept, MIB);
    free(kept);

    put_file(shard, bytes, 4 * MIB); /* without the last */
    assert_refused(f, AT(f, "model"));
    put_file(shard, bytes, size);
    assert_fine(f, AT(f, "model"));
    free(bytes);
}

static void exchange(const char *a, const char *b)
{
    assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
}

static void moved_shards_are_refused(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    encrypt_two(f, AT(f, "other"), "on"); /* the same names, keys and sizes */

    exchange(AT(f, "model/shards/0000.tink"), AT(f, "model/shards/0001.tink"));
    assert_refused(f, AT(f, "model"));
    exchange(AT(f, "model/shards/0000.tink"), AT(f, "model/shards/0001.tink"));
    exchange(AT(f, "model/shards/0000.tink"), AT(f, "other/shards/0000.tink"));
    assert_refused(f, AT(f, "model"));
    exchange(AT(f, "model/shards/0000.tink"), AT(f, "other/shards/0000.tink"));
    exchange(AT(f, "model/manifest.json"), AT(f, "other/manifest.json"));
    assert_refused(f, AT(f, "model"));
    exchange(AT(f, "model/model.sig"), AT(f, "other/model.sig"));
    assert_refused(f, AT(f, "model"));
    exchange(AT(f, "model/shards"), AT(f, "other/shards"));
    assert_fine(f, AT(f, "model")); /* now all of it is the other model */
}

static void extra_missing_and_strange_files_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const extras[] = {"model/x", "model/.x", "model/shards/x", "model/shards/.x",
                                         "model/shards/0002.tink"};
    encrypt_two(f, AT(f, "model"), "in");
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        put_text(AT(f, extras[i]), "");
        assert_refused(f, AT(f, "model"));
        assert_int_equal(unlink(AT(f, extras[i])), 0);
        assert_int_equal(mkdir(AT(f, extras[i]), 0700), 0);
        assert_refused(f, AT(f, "model"));
        assert_int_equal(rmdir(AT(f, extras[i])), 0);
        assert_int_equal(symlink("manifest.json", AT(f, extras[i])), 0);
        assert_refused(f, AT(f, "model"));
        assert_int_equal(unlink(AT(f, extras[i])), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(small_files); i++) {
        const char *path = AT(f, small_files[i]);
        assert_int_equal(rename(path, AT(f, "aside")), 0);
        assert_refused(f, AT(f, "model"));
        assert_int_equal(symlink(AT(f, "aside"), path), 0); /* the very bytes, by a link */
        assert_refused(f, AT(f, "model"));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(f, AT(f, "model"));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
        assert_refused(f, AT(f, "model"));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(AT(f, "aside"), path), 0);
    }
    assert_int_equal(rename(AT(f, "model/shards"), AT(f, "aside")), 0);
    assert_refused(f, AT(f, "model"));
    assert_int_equal(symlink("../aside", AT(f, "model/shards")), 0);
    assert_refused(f, AT(f, "model"));
    assert_int_equal(unlink(AT(f, "model/shards")), 0);
    assert_int_equal(rename(AT(f, "aside"), AT(f, "model/shards")), 0);
    assert_fine(f, AT(f, "model"));
}

static void what_is_no_model_is_said_to_be_none(void **state)
{
    struct fixture *f = *state;
    struct model *model;
    assert_result(LETHE_NOT_FOUND, model_open(AT(f, "nowhere"), &model, &f->err));
    assert_null(model);
    put_text(AT(f, "file"), "text");
    assert_result(LETHE_MALFORMED, model_open(AT(f, "file"), &model, &f->err));
    assert_int_equal(mkdir(AT(f, "folder"), 0700), 0);
    assert_result(LETHE_MALFORMED, model_open(AT(f, "folder"), &model, &f->err));
}

/* ---- who signed, whose key ------------------------------------------------------------------- */

static void other_signers_and_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    struct test_keys *others = test_keys_create(2);
    struct model *model;
    assert_ok(model_open(AT(f, "model"), &model, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY,
                  model_check_signature(model, sign_pair_public(others->pair), &f->err));

    assert_ok(model_check_signature(model, sign_pair_public(f->keys->pair), &f->err), &f->err);
    uint8_t plain[60];
    memset(plain, 'x', sizeof plain);
    assert_result(LETHE_INTEGRITY,
                  model_load_shard(model, 0, &others->source, plain, &two_threads, &f->err));
    assert_true(lethe_is_zero(plain, sizeof plain));
    model_close(model);
    test_keys_free(others);
}

/* A manifest that was edited and signed again, by someone with another key. */
static void resigned_by_another_is_refused(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    struct test_keys *others = test_keys_create(2);
    struct test_keys *own = f->keys;
    f->keys = others;
    encrypt_two(f, AT(f, "theirs"), "on");
    f->keys = own;
    exchange(AT(f, "model/model.sig"), AT(f, "theirs/model.sig"));
    assert_refused(f, AT(f, "model"));
    assert_refused(f, AT(f, "theirs"));
    test_keys_free(others);
}

static void refused_keys_are_passed_on(void **state)
{
    struct fixture *f = *state;
    static const lethe_result answers[] = {LETHE_REVOKED, LETHE_DENIED, LETHE_NOT_FOUND,
                                           LETHE_UNAVAILABLE};
    encrypt_two(f, AT(f, "model"), "in");
    struct model *model = must_open(f, AT(f, "model"));
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        uint8_t plain[60];
        memset(plain, 'x', sizeof plain);
        f->keys->answer = answers[i];
        assert_result(answers[i],
                      model_load_shard(model, 0, &f->keys->source, plain, &two_threads, &f->err));
        assert_true(lethe_is_zero(plain, sizeof plain));
        assert_result(answers[i], model_verify(model, &f->keys->source, &two_threads, &f->err));
        assert_result(answers[i],
                      model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err));
        const char *source = AT(f, "in");
        const struct encrypt_options options = options_for(&source, AT(f, "new"));
        struct encrypt_summary summary;
        assert_result(answers[i], model_encrypt(&options, &f->keys->source, &summary, &f->err));
        assert_int_equal(count_names(f->directory), 2); /* in, model; nothing begun is left */
    }
    model_close(model);
}

/* Using a model whose signature nobody checked is a mistake in our own code, and ends it. */
static void loading_needs_a_checked_signature(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    struct model *model;
    assert_ok(model_open(AT(f, "model"), &model, &f->err), &f->err);
    pid_t child = fork();
    if (child == 0) {
        uint8_t plain[60];
        (void)!freopen("/dev/null", "w", stderr);
        (void)!model_load_shard(model, 0, &f->keys->source, plain, &two_threads, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    model_close(model);
}

/* ---- nothing is left behind ------------------------------------------------------------------ */

static void a_failed_load_wipes_all_of_the_destination(void **state)
{
    struct fixture *f = *state;
    put_pattern(AT(f, "a.bin"), 5 * MIB, 3);
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    uint8_t *plain = malloc(5 * MIB);
    static const unsigned threads[] = {1, 2};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        struct model *model = must_open(f, AT(f, "model"));
        const struct model_work work = {.threads = threads[i]};
        xor_byte(AT(f, "model/shards/0000.tink"), 4 * MIB + 99, 1); /* the last but one */
        memset(plain, 'x', 5 * MIB);
        assert_result(LETHE_INTEGRITY,
                      model_load_shard(model, 0, &f->keys->source, plain, &work, &f->err));
        assert_non_null(strstr(f->err.text, "segment 5 of 6"));
        assert_true(lethe_is_zero(plain, 5 * MIB));
        xor_byte(AT(f, "model/shards/0000.tink"), 4 * MIB + 99, 1);
        assert_ok(model_load_shard(model, 0, &f->keys->source, plain, &work, &f->err), &f->err);
        assert_false(lethe_is_zero(plain, 5 * MIB));
        model_close(model);
    }
    free(plain);
}

static void a_failed_decrypt_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    xor_byte(AT(f, "model/shards/0001.tink"), 50, 1);
    struct model *model = must_open(f, AT(f, "model"));
    assert_result(LETHE_INTEGRITY,
                  model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err));
    assert_int_equal(count_names(f->directory), 2);
    assert_result(LETHE_INTEGRITY, model_verify(model, &f->keys->source, &two_threads, &f->err));
    assert_result(LETHE_INTEGRITY, model_verify_cipher(model, &two_threads, &f->err));
    model_close(model);
}

/* What changes after the model was opened is noticed, too. */
static void changes_behind_an_open_model_are_noticed(void **state)
{
    struct fixture *f = *state;
    uint8_t plain[60];
    encrypt_two(f, AT(f, "model"), "in");
    struct model *model = must_open(f, AT(f, "model"));
    const char *shard = AT(f, "model/shards/0000.tink");
    size_t size;
    uint8_t *bytes = get_file(shard, &size);
    put_file(shard, bytes, size - 1);
    assert_result(LETHE_INTEGRITY,
                  model_load_shard(model, 0, &f->keys->source, plain, &two_threads, &f->err));
    put_file(shard, bytes, size);
    assert_int_equal(rename(shard, AT(f, "aside")), 0);
    assert_int_equal(symlink(AT(f, "aside"), shard), 0);
    assert_int_not_equal(
        LETHE_OK, model_load_shard(model, 0, &f->keys->source, plain, &two_threads, &f->err));
    free(bytes);
    model_close(model);
}

/* A shard that opens, but is not what the manifest's digest says: the signer erred, or lied. */
static void a_wrong_digest_is_found_by_verify(void **state)
{
    struct fixture *f = *state;
    encrypt_two(f, AT(f, "model"), "in");
    struct model *model = must_open(f, AT(f, "model"));
    ((struct manifest *)model_manifest(model))->shards[1].digest[5] ^= 1;
    uint8_t plain[60];
    assert_ok(model_load_shard(model, 1, &f->keys->source, plain, &two_threads, &f->err), &f->err);
    assert_result(LETHE_INTEGRITY, model_check_digest(model, 1, plain, 1, &f->err));
    assert_result(LETHE_INTEGRITY, model_verify(model, &f->keys->source, &two_threads, &f->err));
    model_close(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_changed_byte_is_refused),
        TEST(every_cut_and_every_added_byte_is_refused),
        TEST(moved_segments_are_refused),
        TEST(moved_shards_are_refused),
        TEST(extra_missing_and_strange_files_are_refused),
        TEST(what_is_no_model_is_said_to_be_none),
        TEST(other_signers_and_keys_are_refused),
        TEST(resigned_by_another_is_refused),
        TEST(refused_keys_are_passed_on),
        TEST(loading_needs_a_checked_signature),
        TEST(a_failed_load_wipes_all_of_the_destination),
        TEST(a_failed_decrypt_leaves_nothing),
        TEST(changes_behind_an_open_model_are_noticed),
        TEST(a_wrong_digest_is_found_by_verify),
    };
    return cmocka_run_group_tests_name("tamper", tests, NULL, NULL);
}
