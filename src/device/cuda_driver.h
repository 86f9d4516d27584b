/* device/cuda_driver.h -- as much of NVIDIA's driver API as is used, without its headers.
 *
 * libcuda.so.1 comes with the driver, never with Lethe, and is opened at run time. The list below
 * is all that is ever looked up: plain device memory, copies from and to ordinary host memory, and
 * launches. There is nothing in it for managed, mapped or pinned memory (VP-002, VP-003). Names
 * with _v2 are what the library exports for the calls that documentation lists without it. */
#ifndef DEVICE_CUDA_DRIVER_H
#define DEVICE_CUDA_DRIVER_H

#include "base/base.h"

typedef int cuda_result;       /* CUresult */
typedef int cuda_ordinal;      /* CUdevice */
typedef uint64_t cuda_address; /* CUdeviceptr */
typedef struct CUctx_st *cuda_context;
typedef struct CUmod_st *cuda_module;
typedef struct CUfunc_st *cuda_function;
typedef struct CUstream_st *cuda_stream;

#define CUDA_OUT_OF_MEMORY 2 /* CUDA_ERROR_OUT_OF_MEMORY */

/* CUDA_MEMCPY2D_v2: rows that lie so many bytes apart, which a copy of each would make slow. */
#define CUDA_MEMORY_HOST 1
#define CUDA_MEMORY_DEVICE 2
#define CUDA_PITCH_MAX ((uint64_t)INT32_MAX) /* as the least that GPUs can */
struct cuda_rows {
    size_t from_x, from_y;
    int from_kind;
    const void *from_host;
    cuda_address from_device;
    void *from_array;
    size_t from_pitch;
    size_t to_x, to_y;
    int to_kind;
    void *to_host;
    cuda_address to_device;
    void *to_array;
    size_t to_pitch;
    size_t row_bytes, rows;
};
_Static_assert(sizeof(struct cuda_rows) == 128, "as the driver has it");

/* X(field, symbol, arguments) */
#define CUDA_ENTRY_POINTS(X)                                                                       \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(device_get_count, "cuDeviceGetCount", (int *count))                                          \
    X(device_get, "cuDeviceGet", (cuda_ordinal * device, int index))                               \
    X(device_get_name, "cuDeviceGetName", (char *name, int size, cuda_ordinal device))             \
    X(device_total_mem, "cuDeviceTotalMem_v2", (size_t * bytes, cuda_ordinal device))              \
    X(primary_context_retain, "cuDevicePrimaryCtxRetain",                                          \
      (cuda_context * context, cuda_ordinal device))                                               \
    X(primary_context_release, "cuDevicePrimaryCtxRelease_v2", (cuda_ordinal device))              \
    X(context_push, "cuCtxPushCurrent_v2", (cuda_context context))                                 \
    X(context_pop, "cuCtxPopCurrent_v2", (cuda_context * context))                                 \
    X(context_synchronize, "cuCtxSynchronize", (void))                                             \
    X(module_load, "cuModuleLoadData", (cuda_module * module, const void *image))                  \
    X(module_unload, "cuModuleUnload", (cuda_module module))                                       \
    X(module_get_function, "cuModuleGetFunction",                                                  \
      (cuda_function * function, cuda_module module, const char *name))                            \
    X(mem_get_info, "cuMemGetInfo_v2", (size_t * free_bytes, size_t * total_bytes))                \
    X(mem_alloc, "cuMemAlloc_v2", (cuda_address * address, size_t bytes))                          \
    X(mem_free, "cuMemFree_v2", (cuda_address address))                                            \
    X(memset_bytes, "cuMemsetD8_v2", (cuda_address address, unsigned char value, size_t count))    \
    X(copy_to_device, "cuMemcpyHtoD_v2", (cuda_address to, const void *from, size_t bytes))        \
    X(copy_rows, "cuMemcpy2D_v2", (const struct cuda_rows *copy))                                  \
    X(copy_to_host, "cuMemcpyDtoH_v2", (void *to, cuda_address from, size_t bytes))                \
    X(launch, "cuLaunchKernel",                                                                    \
      (cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,                  \
       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,                \
       cuda_stream stream, void **arguments, void **extra))                                        \
    X(get_error_name, "cuGetErrorName", (cuda_result result, const char **name))

#define CUDA_ENTRY_POINT(field, symbol, arguments) cuda_result(*field) arguments;
struct cuda_driver {
    CUDA_ENTRY_POINTS(CUDA_ENTRY_POINT)
};
#undef CUDA_ENTRY_POINT

/* Opened and started by the first call; NULL where it cannot be, and then *why says so in static
 * text. Any thread. */
const struct cuda_driver *cuda_driver(const char **why);

/* LETHE_OK for 0; LETHE_NO_MEMORY for CUDA_OUT_OF_MEMORY; LETHE_UNAVAILABLE "<what>: <the driver's
 * name for it>" for everything else. */
LETHE_MUST_CHECK lethe_result cuda_check(const struct cuda_driver *driver, cuda_result result,
                                         const char *what, struct lethe_error *err);

#endif
