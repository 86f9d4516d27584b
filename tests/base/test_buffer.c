#include "check.h"

#include <sys/resource.h>

#include "base/buffer.h"
#include "check_child.h"

static void what_was_appended_is_there_with_a_nul_behind(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer buffer = {0};
    buffer_text(&buffer, "ab");
    buffer_byte(&buffer, 'c');
    buffer_format(&buffer, "%03d", 7);
    buffer_append(&buffer, "", 0);
    assert_ok(buffer_result(&buffer, &err), &err);
    assert_int_equal(buffer.size_bytes, 6);
    assert_string_equal(buffer.bytes, "abc007");
    buffer_truncate(&buffer, 2);
    assert_string_equal(buffer.bytes, "ab");
    buffer_clear(&buffer);
    assert_int_equal(buffer.size_bytes, 0);
    assert_null(buffer.bytes);
}

static void growth_keeps_every_byte(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = {0};
    for (unsigned i = 0; i < 100000; i++)
        buffer_byte(&buffer, (uint8_t)(i * 7));
    assert_int_equal(buffer.size_bytes, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal((uint8_t)buffer.bytes[i], (uint8_t)(i * 7));
    assert_true(buffer.capacity_bytes < 300000);
}

static void prefixes_are_little_endian(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = {0};
    buffer_prefixed(&buffer, "xyz", 3);
    buffer_prefixed(&buffer, NULL, 0);
    assert_int_equal(buffer.size_bytes, 11);
    assert_memory_equal(buffer.bytes, "\3\0\0\0xyz\0\0\0\0", 11);
}

static void the_limit_is_a_failure_that_stays(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer buffer = {0};
    buffer_text(&buffer, "kept");
    buffer_append(&buffer, "never read", BUFFER_LIMIT_BYTES);
    assert_result(LETHE_LIMIT, buffer_result(&buffer, &err));
    buffer_text(&buffer, "more");
    buffer_format(&buffer, "%d", 1);
    assert_result(LETHE_LIMIT, buffer_result(&buffer, &err));
    assert_string_equal(buffer.bytes, "kept");

    CLEANUP(buffer_clear) struct buffer other = {0};
    buffer_prefixed(&other, "never read", SIZE_MAX);
    assert_result(LETHE_LIMIT, buffer_result(&other, &err));
    assert_int_equal(other.size_bytes, 0);
}

static void append_without_memory(void *context)
{
    struct rlimit limit = {(rlim_t)256 << 20, (rlim_t)256 << 20};
    CHILD_REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    struct buffer buffer = {0};
    char chunk[65536] = {0};
    while (buffer.failure == LETHE_OK)
        buffer_append(&buffer, chunk, sizeof chunk);
    CHILD_REQUIRE(buffer_result(&buffer, NULL) == LETHE_NO_MEMORY);
    CHILD_REQUIRE(buffer.size_bytes > 0 && buffer.bytes[buffer.size_bytes] == '\0');
}

static void no_memory_is_an_error(void **state)
{
#if defined(__SANITIZE_ADDRESS__)
    print_message("AddressSanitizer needs more address space than this test leaves\n");
    skip();
#endif
    assert_exited(0, child_status(append_without_memory, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_there_with_a_nul_behind),
        cmocka_unit_test(growth_keeps_every_byte),
        cmocka_unit_test(prefixes_are_little_endian),
        cmocka_unit_test(the_limit_is_a_failure_that_stays),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
