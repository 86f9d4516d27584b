/* device/cuda.h -- the inside of a CUDA device, for the files that make it. Not for other rooms.
 *
 * Thread rule: as device/device.h. Every call makes the device's primary context current on its
 * thread, and puts back what was current before. Work is in the order of the default stream, and
 * has ended when a call returns. */
#ifndef DEVICE_CUDA_H
#define DEVICE_CUDA_H

#include <pthread.h>

#include "device/arithmetic/kernels.h"
#include "device/cuda_driver.h"
#include "device/ops.h"

enum cuda_kernel {
#define CUDA_KERNEL(name) CUDA_KERNEL_##name,
    DEVICE_KERNELS(CUDA_KERNEL)
#undef CUDA_KERNEL
        CUDA_KERNELS
};

struct cuda_device {
    const struct cuda_driver *driver;
    cuda_ordinal ordinal;
    cuda_context context;
    cuda_module module;
    cuda_function kernels[CUDA_KERNELS];
    _Atomic uint64_t *used_bytes; /* of struct device: memory that could not be given back */
    pthread_mutex_t found_lock;
    cuda_address found; /* found_lock: four bytes for find_nonzero */
};

struct cuda_memory {
    cuda_address address;
};

static inline struct cuda_device *cuda_device_of(const struct device_memory *memory)
{
    return memory->device->private;
}

static inline cuda_address cuda_address_of(const struct device_memory *memory)
{
    return ((const struct cuda_memory *)memory->private)->address;
}

/* The context is current while a variable of this kind is in scope. */
struct cuda_scope {
    const struct cuda_driver *driver; /* NULL: not entered */
};
LETHE_MUST_CHECK lethe_result cuda_enter(const struct cuda_device *device, struct cuda_scope *scope,
                                         struct lethe_error *err);
void cuda_leave(struct cuda_scope scope);
DEFINE_CLEANUP(cuda_leave, struct cuda_scope);

/* All of the following need the context to be current. */

/* LETHE_NO_MEMORY says needed and free. Zeroed. */
LETHE_MUST_CHECK lethe_result cuda_alloc(const struct cuda_device *device, uint64_t size_bytes,
                                         cuda_address *out, struct lethe_error *err);
/* `task` is the kernel's structure, whose first member is the number of threads. Waits for nothing.
 */
LETHE_MUST_CHECK lethe_result cuda_run(const struct cuda_device *device, enum cuda_kernel kernel,
                                       void *task, struct lethe_error *err);
/* Waits for all that was launched, and says whether it failed. */
LETHE_MUST_CHECK lethe_result cuda_wait(const struct cuda_device *device, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cuda_upload(const struct cuda_device *device, cuda_address to,
                                          const void *from, uint64_t size_bytes,
                                          struct lethe_error *err);
/* Rows of host memory that lie from_pitch bytes apart (CUDA_PITCH_MAX at most), one behind the
 * other.
 */
struct cuda_upload_rows {
    cuda_address to;
    const void *from;
    uint64_t from_pitch;
    uint64_t row_bytes, rows;
};
LETHE_MUST_CHECK lethe_result cuda_upload_rows(const struct cuda_device *device,
                                               const struct cuda_upload_rows *upload,
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cuda_download(const struct cuda_device *device, void *to,
                                            cuda_address from, uint64_t size_bytes,
                                            struct lethe_error *err);
/* Wipes by a kernel; does not prove it. */
LETHE_MUST_CHECK lethe_result cuda_wipe(const struct cuda_device *device, cuda_address address,
                                        uint64_t size_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cuda_is_zero(struct cuda_device *device, cuda_address address,
                                           uint64_t size_bytes, bool *is_zero,
                                           struct lethe_error *err);

/* Device memory for one call, wiped and freed at its end by cuda_scratch_end(), whose failure the
 * call reports; clean-up on other paths does the same without telling. */
struct cuda_scratch {
    const struct cuda_device *device; /* NULL: none */
    cuda_address address;
    uint64_t size_bytes;
};
LETHE_MUST_CHECK lethe_result cuda_scratch_begin(const struct cuda_device *device,
                                                 uint64_t size_bytes, struct cuda_scratch *out,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result cuda_scratch_end(struct cuda_scratch *scratch,
                                               struct lethe_error *err);
static inline void cuda_scratch_at_scope_end(struct cuda_scratch *scratch)
{
    (void)!cuda_scratch_end(scratch, NULL);
}

/* cuda_digest.c and cuda_gcm.c: as in struct device_ops. */
lethe_result cuda_digest(const struct device_memory *memory, enum device_digest kind,
                         unsigned threads, uint8_t *digest, struct lethe_error *err);
lethe_result cuda_key_create(struct device_key *key, const struct lethe_secret *bytes,
                             struct lethe_error *err);
void cuda_key_clear(struct device_key *key);
lethe_result cuda_tags(const struct device_memory *memory, const struct device_key *key,
                       unsigned threads, uint8_t *tags, struct lethe_error *err);
lethe_result cuda_check_tags(const struct device_memory *memory, const struct device_key *key,
                             unsigned threads, const uint8_t *tags, struct lethe_error *err);
lethe_result cuda_open_segments(struct device_memory *memory, const struct device_key *key,
                                const struct device_segment *segments, size_t count, size_t *failed,
                                struct lethe_error *err);

#endif
