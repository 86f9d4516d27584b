#include "service_check.h"

static void health_is_open(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
    assert_has(check, "\"initialized\":true,\"sealed\":false");
    assert_string_equal(check->content_type, "application/json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {ON_SERVICE(health_is_open)};
    return cmocka_run_group_tests(tests, service_start, NULL);
}
