/* tests/device/software_check.h -- for tests that only the software driver makes possible. */
#ifndef TESTS_SOFTWARE_CHECK_H
#define TESTS_SOFTWARE_CHECK_H

#include "device_check.h"

#include "software_cuda.h"

struct device_under_test under_test = {.kind = LETHE_DEVICE_CUDA};

__attribute__((unused)) static struct software_cuda_state look(void)
{
    struct software_cuda_state state;
    software_cuda_look(&state);
    return state;
}

/* For cmocka_run_group_tests. */
__attribute__((unused)) static int open_device(void **state)
{
    return start_crypto(state) == 0 &&
                   device_open(under_test.kind, 0, &under_test.device, &err) == LETHE_OK
               ? 0
               : -1;
}

#endif
