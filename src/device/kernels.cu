/* What each thread does is in device/arithmetic/kernels.h; here it becomes kernels. */
#include "device/arithmetic/kernels.h"

/* Registers for so many blocks at once: with fewer, fewer loads are under way. */
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ < 800
#define BLOCKS_AT_ONCE 1
#else
#define BLOCKS_AT_ONCE 3
#endif

#define KERNEL(name)                                                                               \
    extern "C" __global__ void __launch_bounds__(KERNEL_BLOCK_THREADS, BLOCKS_AT_ONCE)             \
        lethe_##name(const struct name##_task task)                                                \
    {                                                                                              \
        const uint64_t thread = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;                   \
        if (thread < task.threads)                                                                 \
            name##_thread(&task, thread);                                                          \
    }
DEVICE_KERNELS(KERNEL)
