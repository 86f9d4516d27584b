#include "check.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/validate.h"
#include "check_files.h"

static lethe_result identifier(const char *text, struct lethe_error *err)
{
    return validate_identifier("it", text, NAME_PART_MAX, err);
}

static lethe_result model_reference(const char *text, struct lethe_error *err)
{
    return validate_model_reference("it", text, err);
}

static lethe_result hex(const char *text, struct lethe_error *err)
{
    return validate_hex("it", text, 8, err);
}

static lethe_result relative_path(const char *text, struct lethe_error *err)
{
    return validate_relative_path("it", text, err);
}

static lethe_result integer(const char *text, struct lethe_error *err)
{
    int64_t number;
    return validate_integer("it", text, -10, 100, &number, err);
}

/* One applet and what it must take and must not. Every bad text but the empty one holds "Hunter2"
 * or is a few characters long, so that an echo would show. */
static const struct applet {
    lethe_result (*check)(const char *text, struct lethe_error *err);
    size_t longest; /* 0: no such limit */
    const char *good[8], *bad[26];
} applets[] = {
    {identifier,
     NAME_PART_MAX,
     {"a", "Z", "0", "_", "-", "llama-3_8B"},
     {"", "Hunter2 ", "Hunter2/", "Hunter2.", "Hunter2\n", "Hunter2\x7f", "Hunter2\x1b[31m",
      "Hunter2\xc3\xa4",
      "\xff"
      "Hunter2",
      "../Hunter2", "Hunter2:", "Hunter2;", "Hunter2\xe2\x80\xae"}},
    {model_reference,
     MODEL_REFERENCE_MAX,
     {"a", "hf:org/model-7b@q4_0", "https://example.org/a%20b?c=(d)", "a..b", "..a/b..", "/"},
     {"",
      "Hunter2 a",
      "..",
      "Hunter2/..",
      "../Hunter2",
      "a/../Hunter2",
      "Hunter2\"",
      "Hunter2'",
      "Hunter2`id`",
      "Hunter2$(id)",
      "Hunter2\\",
      "Hunter2;id",
      "Hunter2|id",
      "Hunter2&",
      "Hunter2<a",
      "Hunter2>a",
      "Hunter2\n",
      "Hunter2\t",
      "Hunter2\x7f",
      "Hunter2\xc3\xa4",
      "Hunter2\x1b[0m"}},
    {hex,
     8,
     {"01234567", "89abcdef", "00000000"},
     {"", "0123456", "012345678", "0123456G", "0123456A", "0x123456", " 1234567", "-1234567",
      "Hunter2a", "0123456\xc3"}},
    {relative_path,
     1024,
     {"a", "a/b/c.bin", "...", ".hidden", "a..b/..c", "gr\xc3\xbcn/\xf0\x9f\x98\x80", "a b"},
     {"",
      "/",
      "/Hunter2",
      "Hunter2/",
      "a//Hunter2",
      ".",
      "..",
      "./Hunter2",
      "../Hunter2",
      "a/./Hunter2",
      "a/../Hunter2",
      "Hunter2/..",
      "Hunter2/.",
      "Hunter2\\a",
      "Hunter2\na",
      "Hunter2\x1b",
      "Hunter2\x7f",
      "Hunter2\xc2\x9b",
      "Hunter2\xff",
      "Hunter2\xc0\xaf",
      "Hunter2\xed\xa0\x80"}},
    {integer,
     0,
     {"0", "-10", "99", "7", "-1"},
     {"",
      "-11",
      "100",
      "+1",
      " 1",
      "1 ",
      "01",
      "-0",
      "-",
      "--1",
      "0x1",
      "1e1",
      "1.0",
      "Hunter2",
      "1\n",
      "9223372036854775807",
      "9223372036854775808",
      "-9223372036854775809",
      "18446744073709551621",
      "99999999999999999999999999999999999999",
      "\xd9\xa1"}},
};

/* "none aborts, none echoes the bad value" */
static void applets_take_the_good_and_refuse_the_bad(void **state)
{
    for (const struct applet *applet = applets; applet < applets + ARRAY_LEN(applets); applet++) {
        struct lethe_error err = {0};
        for (size_t i = 0; i < ARRAY_LEN(applet->good) && applet->good[i] != NULL; i++)
            assert_ok(applet->check(applet->good[i], &err), &err);
        for (size_t i = 0; i < ARRAY_LEN(applet->bad) && applet->bad[i] != NULL; i++) {
            if (applet->check(applet->bad[i], &err) != LETHE_INVALID)
                fail_msg("applet %zu took \"%s\"", (size_t)(applet - applets), applet->bad[i]);
            assert_memory_equal(err.text, "it ", 2);
            assert_null(strstr(err.text, "Hunter"));
            assert_string_equal(err.hint, "");
        }
        assert_result(LETHE_INVALID, applet->check(NULL, &err));
        assert_result(LETHE_INVALID, applet->check("", NULL));
    }
}

/* Text that runs up to a page nobody may touch: whoever looks behind the limit dies there. */
static void applets_stop_at_their_limit(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (const struct applet *applet = applets; applet < applets + ARRAY_LEN(applets); applet++) {
        if (applet->longest == 0)
            continue;
        struct lethe_error err = {0};
        char *end = pages + page;
        memset(pages, 'a', page); /* one more than allowed, without an end */
        assert_result(LETHE_INVALID, applet->check(end - applet->longest - 1, &err));
        end[-1] = '\0'; /* exactly as many as allowed */
        assert_ok(applet->check(end - applet->longest - 1, &err), &err);
    }
    munmap(pages, 2 * page);
}

static void integers_keep_their_range(void **state)
{
    struct lethe_error err = {0};
    int64_t number = 5;
    assert_ok(validate_integer("it", "-9223372036854775808", INT64_MIN, INT64_MAX, &number, &err),
              &err);
    assert_true(number == INT64_MIN);
    assert_ok(validate_integer("it", "9223372036854775806", INT64_MIN, INT64_MAX, &number, &err),
              &err);
    assert_true(number == INT64_MAX - 1);
    assert_result(LETHE_INVALID, validate_integer("it", "9223372036854775807", INT64_MIN, INT64_MAX,
                                                  &number, &err));
    assert_result(LETHE_INVALID, validate_integer("it", "9223372036854775808", INT64_MIN, INT64_MAX,
                                                  &number, &err));
    assert_true(number == INT64_MAX - 1); /* untouched by a refusal */
    assert_string_equal(err.text, "it is not a plain decimal number from -9223372036854775808 to "
                                  "9223372036854775806");
}

static void prompts_are_counted_in_characters(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer prompt = {0};
    assert_ok(validate_prompt("prompt", "", 0, &err), &err);
    for (int i = 0; i < PROMPT_MAX; i++)
        buffer_text(&prompt, "\xf0\x9f\x98\x80");
    assert_ok(validate_prompt("prompt", prompt.bytes, prompt.size_bytes, &err), &err);
    buffer_byte(&prompt, 'x');
    assert_result(LETHE_INVALID, validate_prompt("prompt", prompt.bytes, prompt.size_bytes, &err));
    assert_non_null(strstr(err.text, "longer than 100000 characters"));

    assert_result(LETHE_INVALID, validate_prompt("prompt", "Hunter2\0", 8, &err));
    assert_string_equal(err.text, "prompt is not UTF-8, or NUL, at byte 8");
    assert_result(LETHE_INVALID, validate_prompt("prompt", "Hunter2\xed\xa0\x80", 10, &err));
    assert_result(LETHE_INVALID, validate_prompt("prompt", "\xe2\x82", 2, &err));
    assert_ok(validate_prompt("prompt", "\n\t fine \x1b too", 13, &err), &err);
}

/* A directory with a root, a file in it, a neighbour with the same beginning, and ways out. */
static char *make_tree(void)
{
    char *directory = temp_dir();
    struct lethe_error err = {0};
    assert_ok(file_make_directories(path_in(directory, "root/in"), 0700, &err), &err);
    assert_ok(file_make_directories(path_in(directory, "root-other"), 0700, &err), &err);
    put_file(path_in(directory, "root/in/file"), "x", 1);
    put_file(path_in(directory, "root-other/file"), "x", 1);
    assert_int_equal(symlink("in/file", path_in(directory, "root/stays")), 0);
    assert_int_equal(symlink("../root-other/file", path_in(directory, "root/leaves")), 0);
    assert_int_equal(symlink("loop", path_in(directory, "root/loop")), 0);
    return directory;
}

static void paths_are_followed_before_they_are_judged(void **state)
{
    static const struct {
        const char *path;
        lethe_result result;
        const char *resolved; /* below the root */
    } rows[] = {
        {"root/in/file", LETHE_OK, "/in/file"},
        {"root/in/../in//./file", LETHE_OK, "/in/file"},
        {"root/stays", LETHE_OK, "/in/file"},
        {"root-other/../root/in/file", LETHE_OK, "/in/file"},
        {"root", LETHE_OK, ""},
        {"root/leaves", LETHE_INVALID, NULL},
        {"root/../root-other/file", LETHE_INVALID, NULL},
        {"root-other/file", LETHE_INVALID, NULL},
        {"root/..", LETHE_INVALID, NULL},
        {"root/in/none", LETHE_NOT_FOUND, NULL},
        {"root/loop", LETHE_IO, NULL},
        {"root/in/file/Hunter2", LETHE_IO, NULL},
    };
    CLEANUP(memory_free) char *directory = make_tree();
    CLEANUP(memory_free) char *root = path_join(directory, "root");
    CLEANUP(memory_free) char *real_root = realpath(root, NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        CLEANUP(memory_free) char *path = path_join(directory, rows[i].path);
        CLEANUP(memory_free) char *resolved = NULL;
        assert_result(rows[i].result, validate_path_inside("it", root, path, &resolved, &err));
        assert_int_equal(resolved != NULL, rows[i].result == LETHE_OK);
        if (resolved != NULL) {
            assert_memory_equal(resolved, real_root, strlen(real_root));
            assert_string_equal(resolved + strlen(real_root), rows[i].resolved);
        } else {
            assert_null(strstr(err.text, rows[i].path));
        }
    }
}

static void everything_is_inside_the_root_directory(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *resolved = NULL;
    assert_ok(validate_path_inside("it", "/", "/proc", &resolved, &err), &err);
    assert_string_equal(resolved, "/proc");
    char *none = NULL;
    assert_result(LETHE_INVALID, validate_path_inside("it", "/", "", &none, &err));
    assert_result(LETHE_INVALID, validate_path_inside("it", "/", NULL, &none, &err));
    assert_result(LETHE_NOT_FOUND, validate_path_inside("it", "/no/root", "/proc", &none, &err));
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applets_take_the_good_and_refuse_the_bad),
        cmocka_unit_test(applets_stop_at_their_limit),
        cmocka_unit_test(integers_keep_their_range),
        cmocka_unit_test(prompts_are_counted_in_characters),
        cmocka_unit_test(paths_are_followed_before_they_are_judged),
        cmocka_unit_test(everything_is_inside_the_root_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
