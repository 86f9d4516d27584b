/* The kernels of the software driver: the functions that GPUs run, thread after thread. */
#include "software_inside.h"

/* ---- kernels --------------------------------------------------------------------------------- */

struct CUfunc_st {
    const char *name;
    void (*run)(const void *task, uint64_t thread);
};

#define RUN(name)                                                                                  \
    static void run_##name(const void *task, uint64_t thread)                                      \
    {                                                                                              \
        if (thread < ((const struct name##_task *)task)->threads)                                  \
            name##_thread(task, thread);                                                           \
    }
DEVICE_KERNELS(RUN)
static struct CUfunc_st functions[] = {
#define FUNCTION(name) {"lethe_" #name, run_##name},
    DEVICE_KERNELS(FUNCTION)};

SHOWN int cuModuleLoadData(cuda_module *module, const void *image);
int cuModuleLoadData(cuda_module *module, const void *image)
{
    ENTER_CONTEXT("cuModuleLoadData");
    if (image == NULL)
        return INVALID_VALUE;
    software.state.modules++;
    *module = (cuda_module)(uintptr_t)&functions;
    return OK;
}

SHOWN int cuModuleUnload(cuda_module module);
int cuModuleUnload(cuda_module module)
{
    ENTER_CONTEXT("cuModuleUnload");
    software.state.modules--;
    return OK;
}

SHOWN int cuModuleGetFunction(cuda_function *function, cuda_module module, const char *name);
int cuModuleGetFunction(cuda_function *function, cuda_module module, const char *name)
{
    ENTER_CONTEXT("cuModuleGetFunction");
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strcmp(functions[i].name, name) == 0) {
            *function = &functions[i];
            return OK;
        }
    return NOT_FOUND;
}

SHOWN int cuLaunchKernel(cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                         unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                         cuda_stream stream, void **arguments, void **extra);
int cuLaunchKernel(cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                   cuda_stream stream, void **arguments, void **extra)
{
    ENTER_CONTEXT("cuLaunchKernel");
    if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_x > 1024 ||
        block_y != 1 || block_z != 1)
        return INVALID_VALUE;
    software.wiping = strcmp(function->name, "lethe_wipe") == 0;
    for (uint64_t thread = 0; thread < (uint64_t)grid_x * block_x; thread++)
        function->run(arguments[0], thread);
    software.wiping = false;
    return OK;
}
