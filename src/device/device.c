#include "device/device.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "device/ops.h"

/* No process computes on more of a kind than this. */
#define DEVICES_MAX 64u

static const struct device_ops *const kinds[DEVICE_KINDS] = {
    [LETHE_DEVICE_HOST] = &device_ops_host,
    [LETHE_DEVICE_CUDA] = &device_ops_cuda,
};

/* Once opened, a device stays in the list, so that a quarantine outlives whoever found its cause.
 */
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices[DEVICE_KINDS][DEVICES_MAX]; /* devices_lock */

const char *device_kind_name(enum lethe_device_kind kind)
{
    return (size_t)kind < DEVICE_KINDS ? kinds[kind]->kind_name : "unknown";
}

size_t lethe_device_count(enum lethe_device_kind kind, const char **why)
{
    const char *reason = "";
    size_t count = (size_t)kind < DEVICE_KINDS ? kinds[kind]->count(&reason) : 0;
    if (why != NULL)
        *why = reason;
    return MIN(count, DEVICES_MAX);
}

/* ---- open ------------------------------------------------------------------------------------ */

static lethe_result check_index(enum lethe_device_kind kind, size_t index, struct lethe_error *err)
{
    const char *why;
    if ((size_t)kind >= DEVICE_KINDS)
        return error_set(err, LETHE_INVALID, "there is no kind of device with number %d",
                         (int)kind);
    size_t count = lethe_device_count(kind, &why);
    if (count == 0)
        return error_set(err, LETHE_UNAVAILABLE, "there is no %s device: %s",
                         device_kind_name(kind), why);
    if (index < count)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "there is no device %s:%zu: this machine has %zu, from 0",
                     device_kind_name(kind), index, count);
}

static lethe_result make(enum lethe_device_kind kind, size_t index, struct device **out,
                         struct lethe_error *err)
{
    struct device *device = calloc(1, sizeof *device);
    if (device == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a device");
    device->ops = kinds[kind];
    device->index = index;
    snprintf(device->name, sizeof device->name, "%s:%zu", device->ops->kind_name, index);
    lethe_result result = device->ops->open(device, err);
    if (result != LETHE_OK) {
        free(device);
        error_context(err, result, "%s:%zu", kinds[kind]->kind_name, index);
        return result;
    }
    atomic_store(&device->limit_bytes, device->total_bytes);
    *out = device;
    return LETHE_OK;
}

/* Under devices_lock. */
static lethe_result open_listed(enum lethe_device_kind kind, size_t index, struct device **out,
                                struct lethe_error *err)
{
    struct device **place = &devices[kind][index];
    if (*place == NULL)
        TRY(make(kind, index, place, err));
    if (atomic_load(&(*place)->is_quarantined))
        return error_set(err, LETHE_UNAVAILABLE,
                         "%s is quarantined: what it held was not what had been sealed",
                         (*place)->name);
    (*place)->opens++;
    *out = *place;
    return LETHE_OK;
}

lethe_result device_open(enum lethe_device_kind kind, size_t index, struct device **out,
                         struct lethe_error *err)
{
    *out = NULL;
    TRY(check_index(kind, index, err));
    pthread_mutex_lock(&devices_lock);
    lethe_result result = open_listed(kind, index, out, err);
    pthread_mutex_unlock(&devices_lock);
    return result;
}

void device_close(struct device *device)
{
    if (device == NULL)
        return;
    pthread_mutex_lock(&devices_lock);
    REQUIRE(device->opens > 0);
    device->opens--;
    pthread_mutex_unlock(&devices_lock);
}

const char *device_name(const struct device *device)
{
    return device->name;
}

enum lethe_device_kind device_kind(const struct device *device)
{
    return device->ops == kinds[LETHE_DEVICE_HOST] ? LETHE_DEVICE_HOST : LETHE_DEVICE_CUDA;
}

lethe_result device_info(struct device *device, struct device_info *out, struct lethe_error *err)
{
    *out = (struct device_info){.total_bytes = device->total_bytes};
    return error_context(err, device->ops->info(device, out, err), "%s", device->name);
}

/* ---- for everyone ---------------------------------------------------------------------------- */

/* Quarantined or not. */
static lethe_result find(enum lethe_device_kind kind, size_t index, struct device **out,
                         struct lethe_error *err)
{
    TRY(check_index(kind, index, err));
    pthread_mutex_lock(&devices_lock);
    struct device **place = &devices[kind][index];
    lethe_result result = *place != NULL ? LETHE_OK : make(kind, index, place, err);
    *out = *place;
    pthread_mutex_unlock(&devices_lock);
    return result;
}

lethe_result lethe_device_info(enum lethe_device_kind kind, size_t index,
                               struct lethe_device_info *out, struct lethe_error *err)
{
    struct device *device;
    struct device_info info;
    *out = (struct lethe_device_info){0};
    TRY(find(kind, index, &device, err));
    TRY(device_info(device, &info, err));
    out->total_bytes = info.total_bytes;
    out->free_bytes = info.free_bytes;
    out->quarantined = device_is_quarantined(device);
    snprintf(out->name, sizeof out->name, "%s", device->name);
    snprintf(out->model, sizeof out->model, "%s", info.model);
    return LETHE_OK;
}

lethe_result lethe_device_release(enum lethe_device_kind kind, size_t index,
                                  struct lethe_error *err)
{
    struct device *device;
    TRY(find(kind, index, &device, err));
    device_release(device);
    return LETHE_OK;
}

/* ---- how much -------------------------------------------------------------------------------- */

lethe_result device_check_limit(const struct device *device, uint64_t limit_bytes,
                                struct lethe_error *err)
{
    if (limit_bytes > 0 && limit_bytes <= device->total_bytes)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "a limit of %" PRIu64 " bytes for %s: expected 1 to the %" PRIu64
                     " that it has",
                     limit_bytes, device->name, device->total_bytes);
}

lethe_result device_set_limit(struct device *device, uint64_t limit_bytes, struct lethe_error *err)
{
    TRY(device_check_limit(device, limit_bytes, err));
    uint64_t current = atomic_load(&device->limit_bytes);
    while (limit_bytes < current &&
           !atomic_compare_exchange_weak(&device->limit_bytes, &current, limit_bytes))
        ;
    return LETHE_OK;
}

void device_capacity(const struct device *device, struct device_capacity *out)
{
    out->limit_bytes = atomic_load_explicit(&device->limit_bytes, memory_order_relaxed);
    out->used_bytes = atomic_load_explicit(&device->used_bytes, memory_order_relaxed);
    out->available_bytes =
        out->used_bytes < out->limit_bytes ? out->limit_bytes - out->used_bytes : 0;
}

static lethe_result reserve(struct device *device, uint64_t size_bytes, struct lethe_error *err)
{
    uint64_t used = atomic_load(&device->used_bytes);
    do {
        uint64_t limit = atomic_load(&device->limit_bytes);
        uint64_t available = used < limit ? limit - used : 0;
        if (size_bytes > available)
            return error_set(err, LETHE_NO_MEMORY,
                             "%s: %" PRIu64 " bytes are needed, %" PRIu64 " of %" PRIu64
                             " are available",
                             device->name, size_bytes, available, limit);
    } while (!atomic_compare_exchange_weak(&device->used_bytes, &used, used + size_bytes));
    return LETHE_OK;
}

static void unreserve(struct device *device, uint64_t size_bytes)
{
    uint64_t before = atomic_fetch_sub(&device->used_bytes, size_bytes);
    REQUIRE(before >= size_bytes); /* RP-002 */
}

void device_quarantine(struct device *device)
{
    atomic_store(&device->is_quarantined, true);
}

bool device_is_quarantined(const struct device *device)
{
    return atomic_load(&device->is_quarantined);
}

void device_release(struct device *device)
{
    atomic_store(&device->is_quarantined, false);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static lethe_result check_request(const struct device *device, const struct device_request *request,
                                  struct lethe_error *err)
{
    if (device_is_quarantined(device))
        return error_set(err, LETHE_UNAVAILABLE, "%s is quarantined", device->name);
    if (request->size_bytes == 0)
        return error_set(err, LETHE_INVALID, "%s: memory of no bytes", device->name);
    return LETHE_OK;
}

lethe_result device_alloc(struct device *device, const struct device_request *request,
                          struct device_memory **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_request(device, request, err));
    CLEANUP(memory_free) struct device_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a handle");
    TRY(reserve(device, request->size_bytes, err));
    *memory = (struct device_memory){.device = device, .size_bytes = request->size_bytes};
    lethe_result result = device->ops->alloc(memory, request, err);
    if (result != LETHE_OK) {
        unreserve(device, request->size_bytes);
        return error_context(err, result, "%s: %" PRIu64 " bytes", device->name,
                             request->size_bytes);
    }
    *out = MOVE(memory);
    return LETHE_OK;
}

lethe_result device_free(struct device_memory *memory, struct lethe_error *err)
{
    if (memory == NULL)
        return LETHE_OK;
    struct device *device = memory->device;
    lethe_result result = device->ops->free(memory, err);
    if (result == LETHE_OK)
        unreserve(device, memory->size_bytes);
    free(memory);
    return error_context(err, result, "%s", device->name);
}

void device_discard(struct device_memory *memory)
{
    (void)!device_free(memory, NULL);
}

uint64_t device_memory_size(const struct device_memory *memory)
{
    return memory->size_bytes;
}

struct device *device_of(const struct device_memory *memory)
{
    return memory->device;
}

void *device_memory_address(struct device_memory *memory)
{
    return memory->device->ops->address(memory);
}

bool device_memory_is_host(const struct device_memory *memory)
{
    return memory->device->ops->is_host;
}

/* MS-007: compared by subtraction, so that nothing wraps. */
static lethe_result check_range(const struct device_memory *memory, uint64_t offset_bytes,
                                uint64_t size_bytes, struct lethe_error *err)
{
    if (size_bytes <= memory->size_bytes && offset_bytes <= memory->size_bytes - size_bytes)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "%" PRIu64 " bytes at %" PRIu64 " are outside of memory of %" PRIu64 " bytes",
                     size_bytes, offset_bytes, memory->size_bytes);
}

lethe_result device_write(struct device_memory *memory, uint64_t offset_bytes, const void *bytes,
                          uint64_t size_bytes, struct lethe_error *err)
{
    TRY(check_range(memory, offset_bytes, size_bytes, err));
    return memory->device->ops->write(memory, offset_bytes, bytes, size_bytes, err);
}

lethe_result device_read(const struct device_memory *memory, uint64_t offset_bytes, void *out,
                         uint64_t size_bytes, struct lethe_error *err)
{
    TRY(check_range(memory, offset_bytes, size_bytes, err));
    return memory->device->ops->read(memory, offset_bytes, out, size_bytes, err);
}

lethe_result device_wipe(struct device_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                         struct lethe_error *err)
{
    TRY(check_range(memory, offset_bytes, size_bytes, err));
    return memory->device->ops->wipe(memory, offset_bytes, size_bytes, err);
}

lethe_result device_is_zero(const struct device_memory *memory, uint64_t offset_bytes,
                            uint64_t size_bytes, bool *is_zero, struct lethe_error *err)
{
    *is_zero = false;
    TRY(check_range(memory, offset_bytes, size_bytes, err));
    return memory->device->ops->is_zero(memory, offset_bytes, size_bytes, is_zero, err);
}

lethe_result device_set_read_only(struct device_memory *memory, bool read_only,
                                  struct lethe_error *err)
{
    return memory->device->ops->set_read_only(memory, read_only, err);
}

/* ---- digest, authenticate, decrypt ----------------------------------------------------------- */

lethe_result device_digest(const struct device_memory *memory, enum device_digest kind,
                           unsigned threads, uint8_t digest[DEVICE_DIGEST_BYTES],
                           struct lethe_error *err)
{
    REQUIRE(threads > 0);
    return memory->device->ops->digest(memory, kind, threads, digest, err);
}

lethe_result device_key_create(struct device *device, const struct lethe_secret *bytes,
                               struct device_key **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(memory_free) struct device_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key");
    key->device = device;
    TRY(device->ops->key_create(key, bytes, err));
    *out = MOVE(key);
    return LETHE_OK;
}

void device_key_free(struct device_key *key)
{
    if (key == NULL)
        return;
    key->device->ops->key_clear(key);
    free(key);
}

lethe_result device_tags(const struct device_memory *memory, const struct device_key *key,
                         unsigned threads, uint8_t *tags, struct lethe_error *err)
{
    REQUIRE(threads > 0 && key->device == memory->device);
    return memory->device->ops->tags(memory, key, threads, tags, err);
}

lethe_result device_check_tags(const struct device_memory *memory, const struct device_key *key,
                               unsigned threads, const uint8_t *tags, struct lethe_error *err)
{
    REQUIRE(threads > 0 && key->device == memory->device);
    return memory->device->ops->check_tags(memory, key, threads, tags, err);
}

lethe_result device_open_segments(struct device_memory *memory, const struct device_key *key,
                                  const struct device_segment *segments, size_t count,
                                  size_t *failed, struct lethe_error *err)
{
    size_t nobody_asked;
    REQUIRE(key->device == memory->device);
    for (size_t i = 0; i < count; i++)
        TRY(check_range(memory, segments[i].offset_bytes, segments[i].plain_bytes, err));
    return memory->device->ops->open_segments(memory, key, segments, count,
                                              failed != NULL ? failed : &nobody_asked, err);
}

size_t device_segments_at_once(const struct device *device)
{
    return device->ops->segments_at_once;
}
