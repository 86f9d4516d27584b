/* A document that could not be held is neither malformed nor another: at every allocation that
 * fails the answer is the whole document, or that there is no memory. */
#include "check.h"
#include "failing_memory.h"

#include "base/json.h"

FAILS(malloc)

#define TEXT_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Long texts, so that buffers grow in the middle of one. */
static const char document[] = "{\"created\":\"2026-11-20T12:00:00Z" TEXT_64 TEXT_64 TEXT_64
                               "\",\"list\":[1,2.5,true,null,\"" TEXT_64 TEXT_64 "\"],\"" TEXT_64
                               "\":{\"a\":\"\\u00e9" TEXT_64 "\"}}";

static void a_document_is_whole_or_there_is_no_memory(void **state)
{
    struct lethe_error err = {0};
    json_t *whole, *tree;
    assert_ok(json_parse(document, sizeof document - 1, &whole, &err), &err);
    unsigned failures = 0;
    do {
        calls_left = failures + 1;
        has_failed = false;
        lethe_result result = json_parse(document, sizeof document - 1, &tree, &err);
        calls_left = 0;
        assert_result(has_failed ? LETHE_NO_MEMORY : LETHE_OK, result);
        assert_true(has_failed ? tree == NULL : json_equal(tree, whole));
        json_decref(tree);
        failures += has_failed;
    } while (has_failed);
    assert_true(failures > 10);
    json_decref(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_whole_or_there_is_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
