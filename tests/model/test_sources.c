/* Which files make a model, under which names, and which are refused. */
#undef _FORTIFY_SOURCE /* its inline pread would stand in the way of the one below */
#include "model_fixture.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "model/sources.h"

#define SAMPLES TEST_VECTORS "/models/"

static lethe_result collect(struct fixture *f, const char *const *paths, size_t count,
                            struct source_list *out)
{
    f->err = (struct lethe_error){0};
    for (size_t i = 0; i < count; i++)
        TRY(sources_add(out, paths[i], &f->err));
    return sources_order(out, &f->err);
}

static void assert_names(const struct source_list *list, const char *expected)
{
    char names[1024] = "";
    for (size_t i = 0; i < list->count; i++) {
        strcat(names, i == 0 ? "" : " ");
        strcat(names, list->items[i].name);
    }
    assert_string_equal(names, expected);
}

static void assert_refused(struct fixture *f, lethe_result expected, const char *path,
                           const char *why)
{
    CLEANUP(source_list_clear) struct source_list list = {0};
    lethe_result result = collect(f, &path, 1, &list);
    if (result != expected || strstr(f->err.text, why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", lethe_result_name(result), f->err.text, why);
}

static void make_tree(struct fixture *f)
{
    static const char *const folders[] = {"in", "in/b", "in/b/deep", "in/empty", "outside"};
    static const char *const files[] = {"in/z",          "in/a.b",  "in/b/one",
                                        "in/b/deep/two", "in/.dot", "outside/secret"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        assert_int_equal(mkdir(AT(f, folders[i]), 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        put_text(AT(f, files[i]), files[i]);
}

static void directories_give_their_files_in_order(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    const char *paths[] = {AT(f, "in"), AT(f, "outside/secret")};
    CLEANUP(source_list_clear) struct source_list list = {0};
    assert_ok(collect(f, paths, 2, &list), &f->err);
    assert_names(&list, ".dot a.b b/deep/two b/one secret z");

    const char *turned[] = {paths[1], AT(f, "in/")}; /* other order, other spelling: the same */
    CLEANUP(source_list_clear) struct source_list again = {0};
    assert_ok(collect(f, turned, 2, &again), &f->err);
    assert_names(&again, ".dot a.b b/deep/two b/one secret z");
}

static void links_lead_only_to_what_is_inside(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    assert_int_equal(symlink("b/one", AT(f, "in/link")), 0);
    assert_int_equal(symlink("b/deep", AT(f, "in/folder")), 0);
    const char *path = AT(f, "in");
    CLEANUP(source_list_clear) struct source_list list = {0};
    assert_ok(collect(f, &path, 1, &list), &f->err);
    assert_names(&list, ".dot a.b b/deep/two b/one folder/two link z");

    static const char *const away[] = {"../outside/secret", "../outside", "/etc/passwd", "nowhere"};
    static const lethe_result results[] = {LETHE_INVALID, LETHE_INVALID, LETHE_INVALID,
                                           LETHE_NOT_FOUND};
    for (size_t i = 0; i < ARRAY_LEN(away); i++) {
        assert_int_equal(symlink(away[i], AT(f, "in/away")), 0);
        assert_refused(f, results[i], path, "in/away");
        assert_int_equal(unlink(AT(f, "in/away")), 0);
    }
}

/* The person named the link, so it is followed, and the name is the link's. */
static void a_named_link_is_followed(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    assert_int_equal(symlink("outside/secret", AT(f, "model.gguf")), 0);
    assert_int_equal(symlink("in", AT(f, "folder")), 0);
    const char *paths[] = {AT(f, "model.gguf"), AT(f, "folder")};
    CLEANUP(source_list_clear) struct source_list list = {0};
    assert_ok(collect(f, paths, 2, &list), &f->err);
    assert_names(&list, ".dot a.b b/deep/two b/one model.gguf z");
}

static void loops_of_links_end(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    assert_int_equal(symlink(".", AT(f, "in/loop")), 0);
    assert_refused(f, LETHE_LIMIT, AT(f, "in"), "folders in one another");
    assert_int_equal(unlink(AT(f, "in/loop")), 0);
    assert_int_equal(symlink("self", AT(f, "in/self")), 0);
    CLEANUP(source_list_clear) struct source_list list = {0};
    const char *path = AT(f, "in");
    assert_int_not_equal(LETHE_OK, collect(f, &path, 1, &list));
}

static void what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    assert_int_equal(mkfifo(AT(f, "in/pipe"), 0600), 0);
    assert_refused(f, LETHE_INVALID, AT(f, "in"), "neither");
    assert_refused(f, LETHE_INVALID, AT(f, "in/pipe"), "neither");
    assert_refused(f, LETHE_INVALID, "/dev/null", "neither");
    assert_refused(f, LETHE_NOT_FOUND, AT(f, "nowhere"), "nowhere");
    assert_refused(f, LETHE_INVALID, AT(f, "in/empty"), "no file");
}

static void names_that_clash_are_refused(void **state)
{
    struct fixture *f = *state;
    make_tree(f);
    assert_int_equal(mkdir(AT(f, "other"), 0700), 0);
    put_text(AT(f, "other/z"), "another z");
    const char *twice[] = {AT(f, "in"), AT(f, "other")};
    CLEANUP(source_list_clear) struct source_list list = {0};
    assert_result(LETHE_INVALID, collect(f, twice, 2, &list));
    assert_non_null(strstr(f->err.text, "'z'"));

    put_text(AT(f, "other/b"), "a file where the other has a folder");
    assert_int_equal(unlink(AT(f, "other/z")), 0);
    CLEANUP(source_list_clear) struct source_list in_the_way = {0};
    assert_result(LETHE_INVALID, collect(f, twice, 2, &in_the_way));
    assert_non_null(strstr(f->err.text, "'b/deep/two'"));
}

static void names_that_a_manifest_cannot_hold_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"in/new\nline", "in/back\\slash", "in/\xff\xfe",
                                        "in/\x1b[31mred"};
    make_tree(f);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        put_text(AT(f, names[i]), "");
        assert_refused(f, LETHE_INVALID, AT(f, "in"), "name");
        assert_int_equal(unlink(AT(f, names[i])), 0);
    }
}

/* ---- what is in them ------------------------------------------------------------------------- */

static lethe_result encrypt(struct fixture *f, const char *source, bool raw,
                            struct encrypt_summary *summary)
{
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    options.raw = raw;
    f->err = (struct lethe_error){0};
    file_remove_tree(AT_FDCWD, AT(f, "model"), NULL) == LETHE_OK ? (void)0 : fail();
    return model_encrypt(&options, &f->keys->source, summary, &f->err);
}

static void unsound_files_are_refused_unless_raw(void **state)
{
    struct fixture *f = *state;
    put_text(AT(f, "text.gguf"), "this is no GGUF");
    put_text(AT(f, "empty.safetensors"), "");
    put_text(AT(f, "magic.bin"), "GGUF and then nonsense");
    const char *paths[] = {SAMPLES "corrupted_utf8_ggml-vocab-bert-bge.gguf", AT(f, "text.gguf"),
                           AT(f, "empty.safetensors"), AT(f, "magic.bin")};
    struct encrypt_summary summary;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_result(LETHE_MALFORMED, encrypt(f, paths[i], false, &summary));
        assert_non_null(strstr(f->err.text, paths[i]));
        assert_non_null(strstr(f->err.hint, "--raw"));
        assert_int_not_equal(access(AT(f, "model"), F_OK), 0);

        assert_ok(encrypt(f, paths[i], true, &summary), &f->err);
        struct model *model = must_open(f, AT(f, "model"));
        const struct shard *shard = &model_manifest(model)->shards[0];
        assert_int_equal(shard->tensors.type, MODEL_FILE_OTHER);
        assert_int_equal(shard->tensors.count, 0);
        assert_int_equal(shard->kind, SHARD_WEIGHTS);
        must_load_equal(f, model, 0, paths[i]);
        model_close(model);
    }
}

static void model_names_follow_the_first_source(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *file;
        const char *model;
    } cases[] = {
        {"llama-3.1-8b.Q4_K.gguf.bin", "llama-3-1-8b-Q4_K-gguf"},
        {"plain", "plain"},
        {".hidden", "-hidden"},
        {"sp ace.bin", "sp-ace"},
        {"a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23456789.bin",
         "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g234"},
    };
    struct encrypt_summary summary;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_text(AT(f, cases[i].file), "x");
        assert_ok(encrypt(f, AT(f, cases[i].file), false, &summary), &f->err);
        assert_string_equal(summary.model, cases[i].model);
    }
    assert_int_equal(mkdir(AT(f, "llama-3.1"), 0700), 0);
    put_text(AT(f, "llama-3.1/weights.bin"), "x");
    assert_ok(encrypt(f, AT(f, "llama-3.1/"), false, &summary), &f->err);
    assert_string_equal(summary.model, "llama-3-1");
}

static void bad_options_are_refused(void **state)
{
    struct fixture *f = *state;
    put_text(AT(f, "a"), "x");
    const char *source = AT(f, "a");
    struct encrypt_summary summary;
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    options.tenant = "no/tenant";
    assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    options = options_for(&source, AT(f, "model"));
    options.model = "";
    assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    options = options_for(&source, AT(f, "model"));
    options.source_count = 0;
    assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    static const char *const outputs[] = {"", "/", ".", "..", "x/.."};
    for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
        options = options_for(&source, outputs[i]);
        assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    }
    options = options_for(&source, AT(f, "no/such/folder"));
    assert_result(LETHE_NOT_FOUND, model_encrypt(&options, &f->keys->source, &summary, &f->err));
}

/* Someone appends to the source after it was found and before it was read. */
static const char *file_to_change;

static lethe_result change_and_wrap(void *context, const struct key_use *use,
                                    const struct lethe_secret *data_key, struct buffer *wrapped,
                                    struct lethe_error *err)
{
    put_text(file_to_change, "other bytes of the same file, and more of them");
    return test_wrap(context, use, data_key, wrapped, err);
}

static void a_source_that_changes_is_refused(void **state)
{
    struct fixture *f = *state;
    put_text(AT(f, "a"), "these bytes");
    file_to_change = AT(f, "a");
    f->keys->source.wrap = change_and_wrap;
    struct encrypt_summary summary;
    assert_result(LETHE_CONFLICT, encrypt(f, AT(f, "a"), false, &summary));
    assert_int_equal(count_names(f->directory), 1);
}

/* Another program cuts the source short just before its Nth piece is read. */
static struct {
    const char *path; /* NULL: nobody does */
    unsigned reads_left;
} cutter;

static void cut_when_due(void)
{
    if (cutter.path != NULL && cutter.reads_left-- == 0) {
        assert_int_equal(truncate(cutter.path, 5), 0);
        cutter.path = NULL;
    }
}

__attribute__((visibility("default"))) ssize_t pread(int fd, void *out, size_t size_bytes,
                                                     off_t offset)
{
    cut_when_due();
    return syscall(SYS_pread64, fd, out, size_bytes, offset);
}

/* What a reader does with a mapping before it looks into it, and with memory for what it reads. */
__attribute__((visibility("default"))) int madvise(void *memory, size_t size_bytes, int advice)
{
    if (advice == MADV_DONTDUMP)
        cut_when_due();
    return (int)syscall(SYS_madvise, memory, size_bytes, advice);
}

/* Not a signal, nor taken for a forgery. One thread, so that the order is the same each time. */
static void a_source_that_is_cut_short_meanwhile_is_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buffer_clear) struct buffer file = {0};
    unsigned refused = 0;
    assert_ok(
        file_read_all(AT_FDCWD, SAMPLES "ollama_llama-2-tiny-random.gguf", 4 << 20, &file, &f->err),
        &f->err);
    for (unsigned reads = 0;; reads++) {
        put_file(AT(f, "a.gguf"), file.bytes, file.size_bytes);
        const char *source = AT(f, "a.gguf");
        struct encrypt_options options = options_for(&source, AT(f, "out"));
        struct encrypt_summary summary;
        options.threads = 1;
        cutter.reads_left = reads;
        cutter.path = source;
        lethe_result result = model_encrypt(&options, &f->keys->source, &summary, &f->err);
        bool untouched = cutter.path != NULL;
        cutter.path = NULL;
        if (untouched) {
            assert_ok(result, &f->err);
            break;
        }
        assert_result(LETHE_CONFLICT, result);
        assert_int_equal(count_names(f->directory), 1);
        refused++;
    }
    printf("cut short at %u reads\n", refused);
    assert_true(refused >= 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directories_give_their_files_in_order),
        TEST(links_lead_only_to_what_is_inside),
        TEST(a_named_link_is_followed),
        TEST(loops_of_links_end),
        TEST(what_is_no_file_is_refused),
        TEST(names_that_clash_are_refused),
        TEST(names_that_a_manifest_cannot_hold_are_refused),
        TEST(unsound_files_are_refused_unless_raw),
        TEST(model_names_follow_the_first_source),
        TEST(bad_options_are_refused),
        TEST(a_source_that_changes_is_refused),
        TEST(a_source_that_is_cut_short_meanwhile_is_refused),
    };
    return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
