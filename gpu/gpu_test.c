/* lethe-gpu-test: the tests of tests/device, on every GPU of a machine. */
#include "../tests/device/device_check.h"

#include "gpu.h"

extern const struct device_tests memory_tests, compute_tests, large_tests, capacity_tests;

/* Limits last: they stay. */
static const struct {
    const char *name;
    const struct device_tests *tests;
} groups[] = {
    {"memory", &memory_tests},
    {"compute", &compute_tests},
    {"large", &large_tests},
    {"capacity", &capacity_tests},
};

struct device_under_test under_test;

int device_check_open(void **state)
{
    if (device_open(under_test.kind, under_test.index, &under_test.device, &err) == LETHE_OK)
        return 0;
    printf("# %s\n", err.text);
    return -1;
}

int device_check_close(void **state)
{
    device_close(under_test.device);
    return 0;
}

static void run_on(size_t index)
{
    struct lethe_device_info info;
    under_test = (struct device_under_test){.kind = LETHE_DEVICE_CUDA, .index = index};
    if (lethe_device_info(LETHE_DEVICE_CUDA, index, &info, &err) == LETHE_OK)
        printf("# %s: %s, %" PRIu64 " MiB, %" PRIu64 " MiB free\n", info.name, info.model,
               info.total_bytes >> 20, info.free_bytes >> 20);
    else
        printf("# cuda:%zu: %s\n", index, err.text);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        char name[64];
        snprintf(name, sizeof name, "cuda:%zu %s", index, groups[i].name);
        _cmocka_run_group_tests(name, groups[i].tests->tests, groups[i].tests->count,
                                device_check_open, device_check_close);
    }
}

static const struct gpu_program program = {
    .name = "lethe-gpu-test",
    .help =
        "lethe-gpu-test [--device N]\n"
        "\n"
        "Runs the tests of Lethe's devices on every GPU of this machine, or on one: memory, "
        "bounds\n"
        "and wipes; digests, GMAC and AES-256-GCM against OpenSSL; capacity. Prints TAP.\n"
        "Needs NVIDIA's driver (libcuda.so.1) and up to 2 GiB of free memory on a GPU and on the\n"
        "host. Touches no memory but its own.\n"
        "\n"
        "Exit: 0 all passed, 1 some failed, 2 usage, 5 there is no GPU.\n",
};

int main(int argc, char **argv)
{
    size_t only, count = gpu_program_start(&program, argc, argv, &only);
    printf("TAP version 13\n");
    for (size_t i = 0; i < count; i++)
        if (only == count || only == i)
            run_on(i);
    printf("1..%u\n# %u of %u passed, %u failed, %u skipped: %s\n", tap.run,
           tap.run - tap.failed - tap.skipped, tap.run, tap.failed, tap.skipped,
           tap.failed == 0 ? "good" : "NOT GOOD");
    return tap.failed == 0 ? 0 : 1;
}
