/* CUDA devices, by the driver that is opened at run time. */
#include "device/ops.h"

static size_t count(const char **why)
{
    *why = "this build has no CUDA back end";
    return 0;
}

const struct device_ops device_ops_cuda = {.kind_name = "cuda", .count = count};
