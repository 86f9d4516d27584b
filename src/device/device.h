/* device/device.h -- where weights and caches live: host RAM, or plain memory of a CUDA device.
 *
 * A device is opened once per process, whoever asks, so that what it holds is counted in one place.
 * Memory is a handle: its address is never in an error or a log (MS-001), every access is an offset
 * and a length that are checked against the handle's size (MS-002, MS-007), and every size is
 * checked for overflow (MS-003, MS-006). Freeing wipes first and proves it; a device that fails
 * meanwhile is reported, and never aborts (MS-004, MS-005).
 *
 * Host memory is a guarded region. CUDA memory is plain device memory: no managed memory, no
 * zero-copy, no pinned host memory (VP-002, VP-003).
 *
 * Thread rule: everything may be called from any thread; different ranges of one memory may be used
 * at the same time; who frees memory or a key is the last to use it. */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <lethe/device.h>
#include <lethe/mem.h>

#include "base/base.h"
#include "mem/slab.h"

#define DEVICE_KINDS 2
const char *device_kind_name(enum lethe_device_kind kind); /* "host", "cuda" */

struct device;

/* The device `index` of that kind (IV-002: LETHE_INVALID names how many there are).
 * LETHE_UNAVAILABLE: there is no driver, or it does not answer; or the device is quarantined. */
LETHE_MUST_CHECK lethe_result device_open(enum lethe_device_kind kind, size_t index,
                                          struct device **out, struct lethe_error *err);
void device_close(struct device *device); /* NULL is fine */
DEFINE_CLEANUP(device_close, struct device *);

#define DEVICE_NAME_SIZE 24
const char *device_name(const struct device *device); /* "host:0", "cuda:1" */
enum lethe_device_kind device_kind(const struct device *device);

struct device_info {
    char model[64]; /* "NVIDIA H100 80GB HBM3"; for the host, its processor */
    uint64_t total_bytes;
    uint64_t free_bytes; /* as the system says, whoever uses the rest */
};
LETHE_MUST_CHECK lethe_result device_info(struct device *device, struct device_info *out,
                                          struct lethe_error *err);

/* What one process may use of it: at most total_bytes; the smallest limit set counts, from then on.
 * LETHE_INVALID, which can be asked for before. */
LETHE_MUST_CHECK lethe_result device_check_limit(const struct device *device, uint64_t limit_bytes,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result device_set_limit(struct device *device, uint64_t limit_bytes,
                                               struct lethe_error *err);
/* Without a system call. */
struct device_capacity {
    uint64_t limit_bytes;
    uint64_t used_bytes;
    uint64_t available_bytes;
};
void device_capacity(const struct device *device, struct device_capacity *out);

/* W-1: from now on, device_open and device_alloc of this process refuse it; what is there stays
 * readable and can be freed. Released by an operator's decision only. */
void device_quarantine(struct device *device);
bool device_is_quarantined(const struct device *device);
void device_release(struct device *device);

/* ---- memory ---------------------------------------------------------------------------------- */

struct device_memory;

struct device_request {
    uint64_t size_bytes; /* at least 1 */
    enum lethe_class class_;
    struct lethe_label label;
    unsigned optional; /* host: enum lethe_protection to go without, if need be */
};
/* Zeroed. LETHE_NO_MEMORY says needed and available (RP-001, RP-004); LETHE_UNPROTECTED as
 * lethe_region_create; LETHE_UNAVAILABLE: quarantined, or the device failed. */
LETHE_MUST_CHECK lethe_result device_alloc(struct device *device,
                                           const struct device_request *request,
                                           struct device_memory **out, struct lethe_error *err);
/* Wipes, reads back, gives back; the handle is gone whatever the result. LETHE_UNWIPED: not zero,
 * so the memory was kept from everyone, and still counts as used. LETHE_UNAVAILABLE: the device
 * failed, and whether it was wiped is not known. NULL is fine. */
LETHE_MUST_CHECK lethe_result device_free(struct device_memory *memory, struct lethe_error *err);
/* The same where there is nobody to tell. */
void device_discard(struct device_memory *memory);
DEFINE_CLEANUP(device_discard, struct device_memory *);

uint64_t device_memory_size(const struct device_memory *memory);
struct device *device_of(const struct device_memory *memory);
/* Host: the bytes. CUDA: what a kernel takes as a pointer. Only for whoever computes with it. */
void *device_memory_address(struct device_memory *memory);
/* Whether a processor may read and write at that address. */
bool device_memory_is_host(const struct device_memory *memory);

/* LETHE_INVALID: out of bounds. LETHE_UNAVAILABLE: the device failed. */
LETHE_MUST_CHECK lethe_result device_write(struct device_memory *memory, uint64_t offset_bytes,
                                           const void *bytes, uint64_t size_bytes,
                                           struct lethe_error *err);
LETHE_MUST_CHECK lethe_result device_read(const struct device_memory *memory, uint64_t offset_bytes,
                                          void *out, uint64_t size_bytes, struct lethe_error *err);
/* Wipes a range and proves it: LETHE_UNWIPED. */
LETHE_MUST_CHECK lethe_result device_wipe(struct device_memory *memory, uint64_t offset_bytes,
                                          uint64_t size_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result device_is_zero(const struct device_memory *memory,
                                             uint64_t offset_bytes, uint64_t size_bytes,
                                             bool *is_zero, struct lethe_error *err);
/* Host: nobody, this process included, can write it by accident until it is set back, or freed.
 * CUDA has no such thing, and does nothing. */
LETHE_MUST_CHECK lethe_result device_set_read_only(struct device_memory *memory, bool read_only,
                                                   struct lethe_error *err);

/* ---- digest and authenticate, where the bytes are ------------------------------------------- */

#define DEVICE_DIGEST_BYTES 32u
enum device_digest {
    DEVICE_FSVERITY, /* crypto/tree.h: parallel */
    DEVICE_SHA256,   /* FIPS 180-4: for peers that need it; serial */
};
/* Of the first size_bytes, computed on the device from what it holds (CI-004). `threads` is for
 * devices that compute on the host's processors (at least 1). */
LETHE_MUST_CHECK lethe_result device_digest(const struct device_memory *memory,
                                            enum device_digest kind, unsigned threads,
                                            uint8_t digest[DEVICE_DIGEST_BYTES],
                                            struct lethe_error *err);

/* A key made ready for AES-256-GCM and GMAC on a device. What is on the host is in the slab; on
 * CUDA it is uploaded for a call, and wiped there before the call returns. */
struct device_key;
LETHE_MUST_CHECK lethe_result device_key_create(struct device *device,
                                                const struct lethe_secret *key,
                                                struct device_key **out, struct lethe_error *err);
void device_key_free(struct device_key *key); /* NULL is fine */
DEFINE_CLEANUP(device_key_free, struct device_key *);

/* One GMAC tag per chunk of a MiB (the last may be shorter), under the nonce 0x00000000 || be64
 * (index of the chunk). So a key serves one memory, once sealed. */
#define DEVICE_CHUNK_BYTES ((uint64_t)1 << 20)
#define DEVICE_TAG_BYTES 16u
static inline uint64_t device_chunk_count(uint64_t size_bytes)
{
    return (size_bytes + DEVICE_CHUNK_BYTES - 1) / DEVICE_CHUNK_BYTES;
}
/* `tags`: device_chunk_count(size) * DEVICE_TAG_BYTES of guarded memory. */
LETHE_MUST_CHECK lethe_result device_tags(const struct device_memory *memory,
                                          const struct device_key *key, unsigned threads,
                                          uint8_t *tags, struct lethe_error *err);
/* LETHE_INTEGRITY names the first chunk found that does not fit. Compares in constant time. */
LETHE_MUST_CHECK lethe_result device_check_tags(const struct device_memory *memory,
                                                const struct device_key *key, unsigned threads,
                                                const uint8_t *tags, struct lethe_error *err);

/* ---- decrypt into place ---------------------------------------------------------------------- */

struct device_segment {
    const uint8_t *nonce; /* 12 bytes                                             */
    const void *cipher;   /* plain_bytes, and DEVICE_TAG_BYTES of tag behind them */
    uint64_t plain_bytes;
    uint64_t offset_bytes; /* of the plaintext in the memory */
};
/* Opens all of them; CUDA: uploads ciphertext and decrypts there, so that plaintext is never on the
 * host. LETHE_INTEGRITY: a tag does not fit, and the plaintext of all these segments is wiped;
 * *failed (which may be NULL) is then the first of them. */
LETHE_MUST_CHECK lethe_result device_open_segments(struct device_memory *memory,
                                                   const struct device_key *key,
                                                   const struct device_segment *segments,
                                                   size_t count, size_t *failed,
                                                   struct lethe_error *err);
/* How many segments are worth giving to one call: 1 where threads share the work. */
size_t device_segments_at_once(const struct device *device);

#endif
