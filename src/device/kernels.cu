/* What each thread does is in device/arithmetic/kernels.h; here it becomes kernels. */
#include "device/arithmetic/kernels.h"

#define KERNEL(name)                                                                               \
    extern "C" __global__ void __launch_bounds__(KERNEL_BLOCK_THREADS)                             \
        lethe_##name(const struct name##_task task)                                                \
    {                                                                                              \
        const uint64_t thread = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;                   \
        if (thread < task.threads)                                                                 \
            name##_thread(&task, thread);                                                          \
    }
DEVICE_KERNELS(KERNEL)
