/* Model signatures: lists, what is signed, and checking files against it. */
#include "oms_signing.h"

#include "model/oms_format.h"

static const uint8_t some_digest[SHA256_BYTES] = {0xab, 0xcd};

static void add(struct oms_list *list, const char *path, uint64_t start, uint64_t end)
{
    struct lethe_error err = {0};
    assert_ok(oms_list_add(list, &(struct oms_range){path, start, end}, some_digest, &err), &err);
}

static struct oms_list empty_list(uint64_t shard_bytes)
{
    return (struct oms_list){
        .whole_files = shard_bytes == 0,
        .shard_bytes = shard_bytes,
        .subject = strdup("m"),
    };
}

/* ---- lists and statements -------------------------------------------------------------------- */

static void pieces_are_ordered_by_components_and_numbers(void **state)
{
    static const char *const expected[] = {"a/b:0:10",  "a/b:10:15", "a/c:0:1",   "a.b:0:10",
                                           "a.b:10:20", "a.b:20:30", "a.b:30:31", "b:0:2"};
    struct lethe_error err = {0};
    CLEANUP(oms_list_clear) struct oms_list list = empty_list(10);
    CLEANUP(buffer_clear) struct buffer payload = {0};
    add(&list, "b", 0, 2);
    add(&list, "a.b", 30, 31);
    add(&list, "a.b", 10, 20);
    add(&list, "a/c", 0, 1);
    add(&list, "a.b", 0, 10);
    add(&list, "a/b", 10, 15);
    add(&list, "a.b", 20, 30);
    add(&list, "a/b", 0, 10);
    assert_ok(oms_statement(&list, &payload, &err), &err);
    const char *at = payload.bytes;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        char name[64];
        snprintf(name, sizeof name, "{\"name\":\"%s\",", expected[i]);
        at = strstr(at, name);
        if (at == NULL)
            fail_msg("%s is missing, or out of order", expected[i]);
    }
}

static void statement_is_the_text_of_the_format(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(oms_list_clear) struct oms_list list = empty_list(0);
    CLEANUP(buffer_clear) struct buffer payload = {0};
    list.subject[0] = '"';
    add(&list, "one", 0, 0);
    assert_ok(oms_statement(&list, &payload, &err), &err);
    /* The root by: printf 'abcd%060d' 0 | xxd -r -p | sha256sum */
    assert_string_equal(
        payload.bytes,
        "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"\\\"\","
        "\"digest\":{\"sha256\":"
        "\"969eb1c17fa7b6f45d3773fc8b7534324c828779173e7aa1fe9fdfdd333bed8d\"}}],"
        "\"predicateType\":\"https://model_signing/signature/v1.0\",\"predicate\":{\"resources\":["
        "{\"name\":\"one\",\"digest\":"
        "\"abcd000000000000000000000000000000000000000000000000000000000000\","
        "\"algorithm\":\"sha256\"}],\"serialization\":{\"method\":\"files\","
        "\"hash_type\":\"sha256\",\"allow_symlinks\":false,\"ignore_paths\":[\"model.sig\"]}}}");
}

static void lists_that_leave_something_out_are_not_signed(void **state)
{
    static const struct {
        uint64_t shard_bytes;
        struct oms_range ranges[3];
    } wrong[] = {
        {10, {{NULL}}},
        {10, {{"a", 1, 10}}},                         /* not from 0 */
        {10, {{"a", 0, 10}, {"a", 11, 12}}},          /* a gap */
        {10, {{"a", 0, 10}, {"a", 9, 12}}},           /* an overlap */
        {10, {{"a", 0, 10}, {"a", 0, 10}}},           /* twice */
        {10, {{"a", 0, 9}, {"a", 9, 12}}},            /* a short piece before the last */
        {10, {{"a", 0, 11}}},                         /* a long piece */
        {10, {{"a", 0, 0}}},                          /* an empty piece */
        {10, {{"a", 5, 3}}},                          /* backwards */
        {10, {{"a", 0, 10}, {"b", 10, 20}}},          /* another file's start */
        {0, {{"a", 0, 0}, {"b", 0, 0}, {"a", 0, 0}}}, /* twice */
        {0, {{"a", 0, 5}}},                           /* a range of a whole file */
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct lethe_error err = {0};
        CLEANUP(oms_list_clear) struct oms_list list = empty_list(wrong[i].shard_bytes);
        CLEANUP(buffer_clear) struct buffer payload = {0};
        for (size_t j = 0; j < 3 && wrong[i].ranges[j].path != NULL; j++)
            add(&list, wrong[i].ranges[j].path, wrong[i].ranges[j].start, wrong[i].ranges[j].end);
        assert_result(LETHE_INVALID, oms_statement(&list, &payload, &err));
        assert_null(payload.bytes);
    }
}

static void paths_that_leave_the_directory_are_not_listed(void **state)
{
    static const char *const wrong[] = {"", ".", "..", "/a", "a/", "a//b", "a/../b", "./a", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        CLEANUP(oms_list_clear) struct oms_list list = empty_list(10);
        assert_result(LETHE_INVALID,
                      oms_list_add(&list, &(struct oms_range){wrong[i], 0, 1}, some_digest, NULL));
        assert_int_equal(list.count, 0);
    }
}

/* DSSE protocol.md: type, then body, each behind its length in decimal. */
static void pae_is_that_of_dsse(void **state)
{
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    oms_pae("hello world", 11, &encoded);
    assert_string_equal(encoded.bytes, "DSSEv1 28 application/vnd.in-toto+json 11 hello world");
}

/* ---- other people's bundles ------------------------------------------------------------------ */

static const char *const fixtures[] = {
    TEST_VECTORS "/oms/v1.0.1-elliptic-key",
    TEST_VECTORS "/oms/v1.1.0-elliptic-key",
};
static const struct oms_file fixture_files[] = {{"signme-2", 8}, {"signme-1", 9}};

static void open_fixture(const char *directory, struct oms_list *list)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *path = path_join(directory, "model.sig");
    CLEANUP(buffer_clear) struct buffer bundle = get_file(path);
    CLEANUP(sign_public_free)
    struct sign_public *key = public_from_file(TEST_VECTORS "/oms/keys/signing-key-pub.pem");
    assert_ok(oms_open(bundle.bytes, bundle.size_bytes, key, list, &err), &err);
}

static void upstream_fixtures_verify(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(fixtures); i++) {
        struct lethe_error err = {0};
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        CLEANUP(fd_close) int fd = open_directory(fixtures[i]);
        open_fixture(fixtures[i], &list);
        assert_true(list.whole_files);
        assert_int_equal(list.as_written, i == 1); /* upstream's newer form is ours, to the byte */
        assert_string_equal(list.subject, strrchr(fixtures[i], '/') + 1);
        assert_int_equal(list.count, 2);
        assert_string_equal(list.resources[0].path, "signme-1");
        assert_ok(oms_check_cover(&list, fixture_files, 2, &err), &err);
        assert_ok(oms_check_content(&list, &(struct oms_work){.dir_fd = fd}, &err), &err);
    }
}

static void cover_is_exact(void **state)
{
    static const struct oms_file more[] = {{"signme-1", 9}, {"ignore-me", 0}, {"signme-2", 8}};
    static const struct oms_file other[] = {{"signme-1", 9}, {"signme-3", 8}};
    static const struct oms_file twice[] = {{"signme-1", 9}, {"signme-1", 9}, {"signme-2", 8}};
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    open_fixture(fixtures[0], &list);
    assert_result(LETHE_OK, oms_check_cover(&list, fixture_files, 2, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, more, 3, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, other, 2, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, twice, 3, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, fixture_files, 1, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, NULL, 0, NULL));
}

static void cover_sees_bytes_behind_the_last_piece(void **state)
{
    CLEANUP(oms_list_clear) struct oms_list list = empty_list(10);
    add(&list, "a", 0, 10);
    add(&list, "a", 10, 15);
    assert_result(LETHE_OK, oms_check_cover(&list, &(struct oms_file){"a", 15}, 1, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, &(struct oms_file){"a", 16}, 1, NULL));
    assert_result(LETHE_INTEGRITY, oms_check_cover(&list, &(struct oms_file){"a", 14}, 1, NULL));
}

/* ---- our own, from files to files ------------------------------------------------------------ */

static void sign_directory(const char *directory, unsigned threads, struct buffer *bundle,
                           const struct sign_pair *pair)
{
    struct lethe_error err = {0};
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    struct oms_work how = {.dir_fd = fd, .threads = threads};
    assert_ok(oms_hash_files(&how, model_files, ARRAY_LEN(model_files), &list, &err), &err);
    bundle_of_list(&list, pair, bundle);
}

static void what_is_signed_verifies(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = model_directory();
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    sign_directory(directory, 0, &bundle, pair);
    assert_ok(oms_open(bundle.bytes, bundle.size_bytes, sign_pair_public(pair), &list, &err), &err);
    assert_true(list.as_written);
    assert_false(list.whole_files);
    assert_int_equal(list.shard_bytes, OMS_SHARD_BYTES);
    assert_string_equal(list.subject, "a \"model\"");
    assert_int_equal(list.count, 3);
    assert_int_equal(list.resources[0].end, 5000);
    assert_ok(oms_check_cover(&list, model_files, ARRAY_LEN(model_files), &err), &err);
    for (unsigned threads = 0; threads < 5; threads++) {
        struct oms_work how = {.dir_fd = fd, .threads = threads};
        assert_ok(oms_check_content(&list, &how, &err), &err);
    }
}

static void change_at(const char *directory, const char *name, off_t offset)
{
    CLEANUP(memory_free) char *path = path_join(directory, name);
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

/* Each byte that is changed is seen, and put back is fine again. */
static void changed_files_are_noticed(void **state)
{
    CLEANUP(memory_free) char *directory = model_directory();
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    struct oms_work how = {.dir_fd = fd, .threads = 2};
    struct lethe_error err = {0};
    assert_ok(oms_hash_files(&how, model_files, ARRAY_LEN(model_files), &list, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(model_files); i++) {
        off_t last = (off_t)model_files[i].size_bytes - 1;
        for (off_t at = 0; at <= last; at += MAX(last / 7, 1)) {
            change_at(directory, model_files[i].path, at);
            assert_result(LETHE_INTEGRITY, oms_check_content(&list, &how, &err));
            assert_non_null(strstr(err.text, model_files[i].path));
            change_at(directory, model_files[i].path, at);
            assert_ok(oms_check_content(&list, &how, &err), &err);
        }
    }
    CLEANUP(memory_free) char *path = path_join(directory, "a/b");
    assert_int_equal(truncate(path, 4999), 0);
    assert_result(LETHE_INTEGRITY, oms_check_content(&list, &how, &err));
    assert_int_equal(unlink(path), 0);
    assert_result(LETHE_INTEGRITY, oms_check_content(&list, &how, &err));
}

static void replace_with_link(const char *directory, const char *name, const char *target)
{
    CLEANUP(memory_free) char *path = path_join(directory, name);
    CLEANUP(memory_free) char *away = path_join(directory, target);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(target, path), 0);
}

static void symlinks_are_not_followed(void **state)
{
    static const struct {
        const char *name, *target;
    } links[] = {{"a.b", "same-content"}, {"a", "same-folder"}};
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        CLEANUP(memory_free) char *directory = model_directory();
        CLEANUP(fd_close) int fd = open_directory(directory);
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        CLEANUP(oms_list_clear) struct oms_list again = {0};
        struct oms_work how = {.dir_fd = fd, .threads = 1};
        struct lethe_error err = {0};
        assert_ok(oms_hash_files(&how, model_files, ARRAY_LEN(model_files), &list, &err), &err);
        replace_with_link(directory, links[i].name, links[i].target);
        assert_result(LETHE_INTEGRITY, oms_check_content(&list, &how, &err));
        assert_non_null(strstr(err.text, "symbolic link"));
        assert_result(LETHE_INTEGRITY,
                      oms_hash_files(&how, model_files, ARRAY_LEN(model_files), &again, &err));
    }
}

static void pipes_and_folders_are_no_files(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = model_directory();
    CLEANUP(memory_free) char *path = path_join(directory, "pipe");
    CLEANUP(fd_close) int fd = open_directory(directory);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it to read would block for ever */
    static const char *const names[] = {"pipe", "a"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(oms_list_clear) struct oms_list list = {0};
        struct oms_file file = {names[i], 1};
        struct oms_work how = {.dir_fd = fd};
        assert_result(LETHE_INTEGRITY, oms_hash_files(&how, &file, 1, &list, &err));
        assert_non_null(strstr(err.text, "not a regular file"));
    }
}

/* `shards` has no words for an empty file, so such a model is signed file by file. */
static void an_empty_file_is_signed_too(void **state)
{
    static const struct oms_file files[] = {{"a/c", 1}, {"empty", 0}};
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = model_directory();
    CLEANUP(memory_free) char *path = path_join(directory, "empty");
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(sign_pair_free) struct sign_pair *pair = fresh_pair(SIGNATURE_ECDSA_P256);
    CLEANUP(buffer_clear) struct buffer bundle = {0};
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    CLEANUP(oms_list_clear) struct oms_list opened = {0};
    struct oms_work how = {.dir_fd = fd};
    put_file(path, "", 0);
    assert_ok(oms_hash_files(&how, files, 2, &list, &err), &err);
    assert_true(list.whole_files);
    bundle_of_list(&list, pair, &bundle);
    assert_ok(oms_open(bundle.bytes, bundle.size_bytes, sign_pair_public(pair), &opened, &err),
              &err);
    assert_true(opened.as_written);
    assert_ok(oms_check_cover(&opened, files, 2, &err), &err);
    assert_ok(oms_check_content(&opened, &how, &err), &err);
    put_file(path, "x", 1);
    assert_result(LETHE_INTEGRITY, oms_check_content(&opened, &how, &err));
}

struct count {
    _Atomic uint64_t bytes;
};

static void count_bytes(void *context, uint64_t bytes)
{
    ((struct count *)context)->bytes += bytes;
}

/* 64 MiB and a byte: two pieces; the digests are those of sha256() over the same zeros. */
static void a_large_file_is_cut_into_pieces(void **state)
{
    enum { SIZE = (64 << 20) + 1 };
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *directory = temp_dir();
    CLEANUP(memory_free) char *path = path_join(directory, "large");
    CLEANUP(fd_close) int fd = open_directory(directory);
    CLEANUP(memory_free) uint8_t *zeros = calloc(1, SIZE - 1);
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    struct count count = {0};
    struct oms_progress progress = {count_bytes, &count};
    struct oms_work how = {.dir_fd = fd, .threads = 2, .progress = &progress};
    put_file(path, "", 0);
    assert_int_equal(truncate(path, SIZE), 0);
    assert_ok(oms_hash_files(&how, &(struct oms_file){"large", SIZE}, 1, &list, &err), &err);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.resources[0].end, SIZE - 1);
    assert_int_equal(list.resources[1].end, SIZE);
    assert_int_equal(count.bytes, SIZE);
    uint8_t digest[SHA256_BYTES];
    sha256(zeros, SIZE - 1, digest);
    assert_memory_equal(list.resources[0].digest, digest, sizeof digest);
    sha256(zeros, 1, digest);
    assert_memory_equal(list.resources[1].digest, digest, sizeof digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_ordered_by_components_and_numbers),
        cmocka_unit_test(statement_is_the_text_of_the_format),
        cmocka_unit_test(lists_that_leave_something_out_are_not_signed),
        cmocka_unit_test(paths_that_leave_the_directory_are_not_listed),
        cmocka_unit_test(pae_is_that_of_dsse),
        cmocka_unit_test(upstream_fixtures_verify),
        cmocka_unit_test(cover_is_exact),
        cmocka_unit_test(cover_sees_bytes_behind_the_last_piece),
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(changed_files_are_noticed),
        cmocka_unit_test(symlinks_are_not_followed),
        cmocka_unit_test(pipes_and_folders_are_no_files),
        cmocka_unit_test(an_empty_file_is_signed_too),
        cmocka_unit_test(a_large_file_is_cut_into_pieces),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
