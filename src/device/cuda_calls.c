/* The driver's calls, as the rest of the CUDA device uses them: checked, and with clean-up. */
#include <inttypes.h>

#include "base/error.h"
#include "device/cuda.h"

/* As many as the largest GPUs run at once; a kernel that goes over memory in strides needs no more.
 */
#define STRIDE_THREADS ((uint64_t)1 << 18)
#define BYTES_PER_THREAD 16u

lethe_result cuda_enter(const struct cuda_device *device, struct cuda_scope *scope,
                        struct lethe_error *err)
{
    TRY(cuda_check(device->driver, device->driver->context_push(device->context),
                   "making its context current", err));
    scope->driver = device->driver;
    return LETHE_OK;
}

void cuda_leave(struct cuda_scope scope)
{
    cuda_context was;
    if (scope.driver != NULL)
        (void)scope.driver->context_pop(&was);
}

static lethe_result no_memory(const struct cuda_device *device, uint64_t size_bytes,
                              struct lethe_error *err)
{
    size_t free_bytes, total_bytes;
    TRY(cuda_check(device->driver, device->driver->mem_get_info(&free_bytes, &total_bytes),
                   "asking how much memory is free", err));
    return error_set(err, LETHE_NO_MEMORY,
                     "%" PRIu64 " bytes are needed, %zu of %zu are free, if not in one piece",
                     size_bytes, free_bytes, total_bytes);
}

lethe_result cuda_alloc(const struct cuda_device *device, uint64_t size_bytes, cuda_address *out,
                        struct lethe_error *err)
{
    const struct cuda_driver *driver = device->driver;
    cuda_address address;
    cuda_result code = driver->mem_alloc(&address, size_bytes);
    if (code == CUDA_OUT_OF_MEMORY)
        return no_memory(device, size_bytes, err);
    TRY(cuda_check(driver, code, "allocating", err));
    lethe_result result =
        cuda_check(driver, driver->memset_bytes(address, 0, size_bytes), "zeroing", err);
    if (result == LETHE_OK)
        result = cuda_wait(device, err);
    if (result == LETHE_OK)
        *out = address;
    else
        (void)driver->mem_free(address); /* nothing was in it yet */
    return result;
}

static const char *const kernel_names[] = {
#define CUDA_KERNEL(name) #name,
    DEVICE_KERNELS(CUDA_KERNEL)
#undef CUDA_KERNEL
};

lethe_result cuda_run(const struct cuda_device *device, enum cuda_kernel kernel, void *task,
                      struct lethe_error *err)
{
    uint64_t threads = *(const uint64_t *)task;
    uint64_t blocks = (threads + KERNEL_BLOCK_THREADS - 1) / KERNEL_BLOCK_THREADS;
    void *arguments[] = {task};
    REQUIRE(threads > 0 && blocks <= INT32_MAX);
    return cuda_check(device->driver,
                      device->driver->launch(device->kernels[kernel], (unsigned)blocks, 1, 1,
                                             KERNEL_BLOCK_THREADS, 1, 1, 0, NULL, arguments, NULL),
                      kernel_names[kernel], err);
}

lethe_result cuda_wait(const struct cuda_device *device, struct lethe_error *err)
{
    return cuda_check(device->driver, device->driver->context_synchronize(), "waiting for it", err);
}

lethe_result cuda_upload(const struct cuda_device *device, cuda_address to, const void *from,
                         uint64_t size_bytes, struct lethe_error *err)
{
    return cuda_check(device->driver, device->driver->copy_to_device(to, from, size_bytes),
                      "copying to it", err);
}

lethe_result cuda_upload_rows(const struct cuda_device *device,
                              const struct cuda_upload_rows *upload, struct lethe_error *err)
{
    const struct cuda_rows copy = {.from_kind = CUDA_MEMORY_HOST,
                                   .from_host = upload->from,
                                   .from_pitch = upload->from_pitch,
                                   .to_kind = CUDA_MEMORY_DEVICE,
                                   .to_device = upload->to,
                                   .to_pitch = upload->row_bytes,
                                   .row_bytes = upload->row_bytes,
                                   .rows = upload->rows};
    return cuda_check(device->driver, device->driver->copy_rows(&copy), "copying to it", err);
}

lethe_result cuda_download(const struct cuda_device *device, void *to, cuda_address from,
                           uint64_t size_bytes, struct lethe_error *err)
{
    return cuda_check(device->driver, device->driver->copy_to_host(to, from, size_bytes),
                      "copying from it", err);
}

static uint64_t stride_threads(uint64_t size_bytes)
{
    return MIN(size_bytes / BYTES_PER_THREAD + 1, STRIDE_THREADS);
}

lethe_result cuda_wipe(const struct cuda_device *device, cuda_address address, uint64_t size_bytes,
                       struct lethe_error *err)
{
    struct wipe_task task = {
        .threads = stride_threads(size_bytes), .address = address, .size_bytes = size_bytes};
    TRY(cuda_run(device, CUDA_KERNEL_wipe, &task, err));
    return cuda_wait(device, err);
}

/* Under found_lock. */
static lethe_result look(struct cuda_device *device, cuda_address address, uint64_t size_bytes,
                         uint32_t *found, struct lethe_error *err)
{
    struct find_nonzero_task task = {.threads = stride_threads(size_bytes),
                                     .address = address,
                                     .size_bytes = size_bytes,
                                     .found = device->found};
    *found = 0;
    TRY(cuda_upload(device, device->found, found, sizeof *found, err));
    *found = 1;
    TRY(cuda_run(device, CUDA_KERNEL_find_nonzero, &task, err));
    TRY(cuda_wait(device, err));
    return cuda_download(device, found, device->found, sizeof *found, err);
}

lethe_result cuda_is_zero(struct cuda_device *device, cuda_address address, uint64_t size_bytes,
                          bool *is_zero, struct lethe_error *err)
{
    uint32_t found = 1;
    pthread_mutex_lock(&device->found_lock);
    lethe_result result = look(device, address, size_bytes, &found, err);
    pthread_mutex_unlock(&device->found_lock);
    *is_zero = result == LETHE_OK && found == 0;
    return result;
}

lethe_result cuda_scratch_begin(const struct cuda_device *device, uint64_t size_bytes,
                                struct cuda_scratch *out, struct lethe_error *err)
{
    cuda_address address;
    lethe_result result = cuda_alloc(device, size_bytes, &address, err);
    if (result != LETHE_OK)
        return error_context(err, result, "memory to compute in");
    *out = (struct cuda_scratch){.device = device, .address = address, .size_bytes = size_bytes};
    return LETHE_OK;
}

/* By the driver itself, when the kernel could not be. */
static lethe_result wipe_anyhow(const struct cuda_device *device, cuda_address address,
                                uint64_t size_bytes, struct lethe_error *err)
{
    if (cuda_wipe(device, address, size_bytes, NULL) == LETHE_OK)
        return LETHE_OK;
    TRY(cuda_check(device->driver, device->driver->memset_bytes(address, 0, size_bytes),
                   "wiping memory to compute in", err));
    return cuda_wait(device, err);
}

/* Memory that could not be wiped is not given back; what was not given back counts as used. */
lethe_result cuda_scratch_end(struct cuda_scratch *scratch, struct lethe_error *err)
{
    const struct cuda_device *device = scratch->device;
    if (device == NULL)
        return LETHE_OK;
    scratch->device = NULL;
    lethe_result result = wipe_anyhow(device, scratch->address, scratch->size_bytes, err);
    if (result == LETHE_OK)
        result =
            cuda_check(device->driver, device->driver->mem_free(scratch->address), "freeing", err);
    if (result != LETHE_OK)
        atomic_fetch_add(device->used_bytes, scratch->size_bytes);
    return result;
}
