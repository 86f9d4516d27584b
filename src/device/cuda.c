/* CUDA devices, by the driver that is opened at run time: plain device memory. */
#include "device/cuda.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/cuda_image.h"

static size_t count(const char **why)
{
    static const char no_answer[] = "its driver does not say how many there are",
                      none[] = "its driver sees none";
    const struct cuda_driver *driver = cuda_driver(why);
    int found;
    if (driver == NULL)
        return 0;
    *why = no_answer;
    if (driver->device_get_count(&found) != 0 || found < 0)
        return 0;
    *why = found == 0 ? none : "";
    return (size_t)found;
}

/* ---- open ------------------------------------------------------------------------------------ */

static const char *const kernel_symbols[] = {
#define CUDA_KERNEL(name) "lethe_" #name,
    DEVICE_KERNELS(CUDA_KERNEL)
#undef CUDA_KERNEL
};

/* With its context current. */
static lethe_result load_kernels(struct cuda_device *device, struct lethe_error *err)
{
    const struct cuda_driver *driver = device->driver;
    TRY(cuda_check(driver, driver->module_load(&device->module, cuda_image()),
                   "loading the kernels", err));
    for (size_t i = 0; i < CUDA_KERNELS; i++)
        TRY(cuda_check(
            driver,
            driver->module_get_function(&device->kernels[i], device->module, kernel_symbols[i]),
            kernel_symbols[i], err));
    return cuda_alloc(device, sizeof(uint32_t), &device->found, err);
}

static lethe_result prepare(struct cuda_device *device, struct lethe_error *err)
{
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(device, &scope, err));
    lethe_result result = load_kernels(device, err);
    if (result != LETHE_OK && device->module != NULL) {
        (void)device->driver->module_unload(device->module);
        device->module = NULL;
    }
    return result;
}

static lethe_result retain(struct cuda_device *cuda, size_t index, uint64_t *total_bytes,
                           struct lethe_error *err)
{
    const struct cuda_driver *driver = cuda->driver;
    size_t total;
    TRY(cuda_check(driver, driver->device_get(&cuda->ordinal, (int)index), "finding it", err));
    TRY(cuda_check(driver, driver->device_total_mem(&total, cuda->ordinal), "asking for its size",
                   err));
    *total_bytes = total;
    TRY(cuda_check(driver, driver->primary_context_retain(&cuda->context, cuda->ordinal),
                   "opening its primary context", err));
    lethe_result result = prepare(cuda, err);
    if (result != LETHE_OK)
        (void)driver->primary_context_release(cuda->ordinal);
    return result;
}

static lethe_result cuda_open(struct device *device, struct lethe_error *err)
{
    const char *why;
    const struct cuda_driver *driver = cuda_driver(&why);
    if (driver == NULL)
        return error_set(err, LETHE_UNAVAILABLE, "%s", why);
    CLEANUP(memory_free) struct cuda_device *cuda = calloc(1, sizeof *cuda);
    if (cuda == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a device");
    cuda->driver = driver;
    cuda->used_bytes = &device->used_bytes;
    TRY(retain(cuda, device->index, &device->total_bytes, err));
    pthread_mutex_init(&cuda->found_lock, NULL);
    device->private = MOVE(cuda);
    return LETHE_OK;
}

static lethe_result info(struct device *device, struct device_info *out, struct lethe_error *err)
{
    const struct cuda_device *cuda = device->private;
    size_t free_bytes, total_bytes;
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(cuda, &scope, err));
    TRY(cuda_check(cuda->driver,
                   cuda->driver->device_get_name(out->model, (int)sizeof out->model, cuda->ordinal),
                   "asking for its name", err));
    out->model[sizeof out->model - 1] = '\0';
    TRY(cuda_check(cuda->driver, cuda->driver->mem_get_info(&free_bytes, &total_bytes),
                   "asking how much memory is free", err));
    out->free_bytes = free_bytes;
    out->total_bytes = total_bytes;
    return LETHE_OK;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static lethe_result alloc(struct device_memory *memory, const struct device_request *request,
                          struct lethe_error *err)
{
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    CLEANUP(memory_free) struct cuda_memory *cuda = calloc(1, sizeof *cuda);
    if (cuda == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a handle");
    TRY(cuda_enter(cuda_device_of(memory), &scope, err));
    TRY(cuda_alloc(cuda_device_of(memory), request->size_bytes, &cuda->address, err));
    memory->private = MOVE(cuda);
    return LETHE_OK;
}

static lethe_result wipe(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                         struct lethe_error *err)
{
    struct cuda_device *device = cuda_device_of(memory);
    cuda_address address = cuda_address_of(memory) + offset;
    bool is_zero;
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(device, &scope, err));
    TRY(cuda_wipe(device, address, size_bytes, err));
    TRY(cuda_is_zero(device, address, size_bytes, &is_zero, err));
    if (is_zero)
        return LETHE_OK;
    return error_set(err, LETHE_UNWIPED, "%" PRIu64 " bytes were wiped but are not zero",
                     size_bytes);
}

static lethe_result give_back(const struct device_memory *memory, struct lethe_error *err)
{
    const struct cuda_device *device = cuda_device_of(memory);
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(device, &scope, err));
    return cuda_check(device->driver, device->driver->mem_free(cuda_address_of(memory)), "freeing",
                      err);
}

/* What is not proven to be zero is not given back: who would get it next could read it. */
static lethe_result cuda_free(struct device_memory *memory, struct lethe_error *err)
{
    lethe_result result = wipe(memory, 0, memory->size_bytes, err);
    if (result == LETHE_OK)
        result = give_back(memory, err);
    free(memory->private);
    memory->private = NULL;
    return result == LETHE_OK || result == LETHE_UNWIPED ? result : LETHE_UNAVAILABLE;
}

static void *address(struct device_memory *memory)
{
    return (void *)(uintptr_t)cuda_address_of(memory);
}

static lethe_result cuda_write(struct device_memory *memory, uint64_t offset, const void *bytes,
                               uint64_t size_bytes, struct lethe_error *err)
{
    const struct cuda_device *device = cuda_device_of(memory);
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    if (size_bytes == 0)
        return LETHE_OK;
    TRY(cuda_enter(device, &scope, err));
    TRY(cuda_upload(device, cuda_address_of(memory) + offset, bytes, size_bytes, err));
    return cuda_wait(device, err);
}

static lethe_result cuda_read(const struct device_memory *memory, uint64_t offset, void *out,
                              uint64_t size_bytes, struct lethe_error *err)
{
    const struct cuda_device *device = cuda_device_of(memory);
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    if (size_bytes == 0)
        return LETHE_OK;
    TRY(cuda_enter(device, &scope, err));
    return cuda_download(device, out, cuda_address_of(memory) + offset, size_bytes, err);
}

static lethe_result is_zero(const struct device_memory *memory, uint64_t offset,
                            uint64_t size_bytes, bool *out, struct lethe_error *err)
{
    struct cuda_device *device = cuda_device_of(memory);
    CLEANUP(cuda_leave) struct cuda_scope scope = {0};
    TRY(cuda_enter(device, &scope, err));
    return cuda_is_zero(device, cuda_address_of(memory) + offset, size_bytes, out, err);
}

static lethe_result set_read_only(struct device_memory *memory, bool read_only,
                                  struct lethe_error *err)
{
    return LETHE_OK; /* kernels can always write */
}

const struct device_ops device_ops_cuda = {
    .kind_name = "cuda",
    .count = count,
    .open = cuda_open,
    .info = info,
    .segments_at_once = 64, /* of a MiB, so that every multiprocessor has work */
    .is_host = false,
    .alloc = alloc,
    .free = cuda_free,
    .address = address,
    .write = cuda_write,
    .read = cuda_read,
    .wipe = wipe,
    .is_zero = is_zero,
    .set_read_only = set_read_only,
    .digest = cuda_digest,
    .key_create = cuda_key_create,
    .key_clear = cuda_key_clear,
    .tags = cuda_tags,
    .check_tags = cuda_check_tags,
    .open_segments = cuda_open_segments,
};
