/* device/ops.h -- what a kind of device must be able to do, for device.c, which checks every
 * argument before it calls any of these. The inside of struct device and struct device_memory. */
#ifndef DEVICE_OPS_H
#define DEVICE_OPS_H

#include <stdatomic.h>

#include "device/device.h"

struct device_ops {
    const char *kind_name;
    size_t (*count)(const char **why);
    /* Fills `private` and total_bytes. */
    lethe_result (*open)(struct device *device, struct lethe_error *err);
    lethe_result (*info)(struct device *device, struct device_info *out, struct lethe_error *err);
    size_t segments_at_once;
    bool is_host;

    /* Fills `private`; zeroed. */
    lethe_result (*alloc)(struct device_memory *memory, const struct device_request *request,
                          struct lethe_error *err);
    /* Wipes all, proves it, gives back: LETHE_UNWIPED and LETHE_UNAVAILABLE as device_free. */
    lethe_result (*free)(struct device_memory *memory, struct lethe_error *err);
    void *(*address)(struct device_memory *memory);
    lethe_result (*write)(struct device_memory *memory, uint64_t offset, const void *bytes,
                          uint64_t size_bytes, struct lethe_error *err);
    lethe_result (*read)(const struct device_memory *memory, uint64_t offset, void *out,
                         uint64_t size_bytes, struct lethe_error *err);
    lethe_result (*wipe)(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                         struct lethe_error *err);
    lethe_result (*is_zero)(const struct device_memory *memory, uint64_t offset,
                            uint64_t size_bytes, bool *is_zero, struct lethe_error *err);
    lethe_result (*set_read_only)(struct device_memory *memory, bool read_only,
                                  struct lethe_error *err);

    lethe_result (*digest)(const struct device_memory *memory, enum device_digest kind,
                           unsigned threads, uint8_t *digest, struct lethe_error *err);
    lethe_result (*key_create)(struct device_key *key, const struct lethe_secret *bytes,
                               struct lethe_error *err);
    void (*key_clear)(struct device_key *key);
    lethe_result (*tags)(const struct device_memory *memory, const struct device_key *key,
                         unsigned threads, uint8_t *tags, struct lethe_error *err);
    lethe_result (*check_tags)(const struct device_memory *memory, const struct device_key *key,
                               unsigned threads, const uint8_t *tags, struct lethe_error *err);
    lethe_result (*open_segments)(struct device_memory *memory, const struct device_key *key,
                                  const struct device_segment *segments, size_t count,
                                  size_t *failed, struct lethe_error *err);
};
extern const struct device_ops device_ops_host;
extern const struct device_ops device_ops_cuda;

struct device {
    const struct device_ops *ops;
    size_t index;
    char name[DEVICE_NAME_SIZE];
    void *private;
    uint64_t total_bytes;
    unsigned opens; /* devices_lock in device.c */
    _Atomic uint64_t limit_bytes;
    _Atomic uint64_t used_bytes;
    atomic_bool is_quarantined;
};

struct device_memory {
    struct device *device;
    uint64_t size_bytes;
    void *private;
};

struct device_key {
    struct device *device;
    void *private;
};

/* The nonce of a chunk. */
static inline void device_chunk_nonce(uint64_t index, uint8_t nonce[12])
{
    for (size_t i = 0; i < 12; i++)
        nonce[i] = i < 4 ? 0 : (uint8_t)(index >> (8 * (11 - i)));
}

#endif
