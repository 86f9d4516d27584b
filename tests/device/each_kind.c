/* Runs a file's DEVICE_TESTS on the host and on a device of the software driver. */
#include "device_check.h"

extern const struct device_tests TESTS;

struct device_under_test under_test;

int device_check_open(void **state)
{
    if (crypto_start(&err) == LETHE_OK &&
        device_open(under_test.kind, under_test.index, &under_test.device, &err) == LETHE_OK)
        return 0;
    fprintf(stderr, "%s\n", err.text);
    return -1;
}

int device_check_close(void **state)
{
    device_close(under_test.device);
    return 0;
}

int main(void)
{
    int failed = 0;
    for (size_t kind = 0; kind < DEVICE_KINDS; kind++) {
        under_test = (struct device_under_test){.kind = (enum lethe_device_kind)kind};
        printf("on %s:\n", device_kind_name(under_test.kind));
        fflush(stdout);
        failed += _cmocka_run_group_tests("device", TESTS.tests, TESTS.count, device_check_open,
                                          device_check_close);
    }
    return failed;
}
