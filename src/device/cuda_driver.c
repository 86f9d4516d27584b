#include "device/cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "base/error.h"
#include "device/cuda_image.h"

static pthread_once_t opened = PTHREAD_ONCE_INIT;
static struct cuda_driver driver;
static bool works;
static char fault[160];

static const struct {
    const char *symbol;
    size_t at; /* in struct cuda_driver */
} entry_points[] = {
#define CUDA_ENTRY_POINT(field, symbol, arguments) {symbol, offsetof(struct cuda_driver, field)},
    CUDA_ENTRY_POINTS(CUDA_ENTRY_POINT)
#undef CUDA_ENTRY_POINT
};

static bool find_entry_points(void *library)
{
    for (size_t i = 0; i < ARRAY_LEN(entry_points); i++) {
        void *found = dlsym(library, entry_points[i].symbol);
        if (found == NULL) {
            snprintf(fault, sizeof fault, "its driver has no %s", entry_points[i].symbol);
            return false;
        }
        *(void **)((char *)&driver + entry_points[i].at) = found;
    }
    return true;
}

static const char *name_of(const struct cuda_driver *from, cuda_result result)
{
    const char *name = NULL;
    if (from->get_error_name(result, &name) != 0 || name == NULL)
        return "an error that the driver has no name for";
    return name;
}

/* The library is never closed: it has threads of its own. */
static void open_driver(void)
{
    if (cuda_image_size() == 0) {
        snprintf(fault, sizeof fault, "this build has no GPU kernels (it was made without nvcc)");
        return;
    }
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(fault, sizeof fault,
                 "this machine has no libcuda.so.1, which comes with NVIDIA's "
                 "driver");
        return;
    }
    if (!find_entry_points(library))
        return;
    cuda_result result = driver.init(0);
    works = result == 0;
    if (!works)
        snprintf(fault, sizeof fault, "its driver does not start: %s", name_of(&driver, result));
}

const struct cuda_driver *cuda_driver(const char **why)
{
    REQUIRE(pthread_once(&opened, open_driver) == 0);
    *why = fault;
    return works ? &driver : NULL;
}

lethe_result cuda_check(const struct cuda_driver *from, cuda_result result, const char *what,
                        struct lethe_error *err)
{
    if (result == 0)
        return LETHE_OK;
    return error_set(err, result == CUDA_OUT_OF_MEMORY ? LETHE_NO_MEMORY : LETHE_UNAVAILABLE,
                     "%s: %s", what, name_of(from, result));
}
