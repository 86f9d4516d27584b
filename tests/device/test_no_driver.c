/* Why there is no CUDA device here: built once without kernels (EXPECTED says so), and run once
 * beside a driver that is too old. */
#include "device_check.h"

#include <dlfcn.h>

struct device_under_test under_test;

static void the_reason_is_clear(void **state)
{
    struct device *device = (struct device *)1;
    struct lethe_device_info info;
    const char *why, *expected = getenv("EXPECTED_REASON");
    if (expected == NULL)
        expected = EXPECTED;
    assert_int_equal(lethe_device_count(LETHE_DEVICE_CUDA, &why), 0);
    assert_non_null(strstr(why, expected));
    assert_int_equal(lethe_device_count(LETHE_DEVICE_CUDA, NULL), 0);
    assert_refused(LETHE_UNAVAILABLE, device_open(LETHE_DEVICE_CUDA, 0, &device, &err), NULL);
    assert_null(device);
    assert_non_null(strstr(err.text, expected));
    assert_refused(LETHE_UNAVAILABLE, lethe_device_info(LETHE_DEVICE_CUDA, 0, &info, &err), NULL);
    assert_int_equal(lethe_device_count(LETHE_DEVICE_HOST, &why), 1); /* which works all the same */
}

int main(void)
{
    if (strcmp(EXPECTED, "libcuda.so.1") == 0 && getenv("EXPECTED_REASON") == NULL &&
        dlopen("libcuda.so.1", RTLD_NOW) != NULL) {
        printf("this machine has a driver\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_reason_is_clear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
