#include "software_cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/arithmetic/kernels.h"
#include "device/cuda_driver.h"

#define SHOWN __attribute__((visibility("default")))

#define DEVICES_MAX 8
#define ALLOCATIONS_MAX 4096
#define CONTEXT_DEPTH 8

enum {
    OK = 0,
    INVALID_VALUE = 1,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500
};

/* No processor takes these: bits 47 to 63 are not all the same. */
#define FIRST_ADDRESS 0x5eed000000000000u
#define ALIGNMENT 256u
#define GAP 4096u
#define JUNK 0xa5

struct CUctx_st {
    int device;
};

struct allocation {
    uint64_t address;
    size_t size_bytes;
    uint8_t *bytes; /* NULL once it is freed */
    int device;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned devices = 2;
static uint64_t device_bytes = (uint64_t)64 << 20;
static struct CUctx_st contexts[DEVICES_MAX];
static unsigned retained[DEVICES_MAX];
static struct allocation allocations[ALLOCATIONS_MAX];
static size_t allocation_count;
static uint64_t next_address = FIRST_ADDRESS;
static struct software_cuda_state state;
static bool lose_wipes;

static __thread struct CUctx_st *current[CONTEXT_DEPTH];
static __thread unsigned depth;

__attribute__((noreturn)) static void undefined(const char *what)
{
    fprintf(stderr, "software cuda: %s\n", what);
    abort();
}

/* ---- faults ---------------------------------------------------------------------------------- */

static struct {
    const char *entry_point;
    unsigned long nth, calls;
    int code;
    bool for_good, failed;
} plan;

static int enter(const char *entry_point)
{
    if (plan.entry_point != NULL && strcmp(plan.entry_point, entry_point) != 0)
        return OK;
    plan.calls++;
    if (plan.nth == 0 || plan.calls < plan.nth || (plan.calls > plan.nth && !plan.for_good))
        return OK;
    plan.failed = true;
    return plan.code;
}

/* In every entry point: takes the lock for its length, and fails if that is the plan. */
static void unlock(pthread_mutex_t **held)
{
    pthread_mutex_unlock(*held);
}
#define ENTER(entry_point)                                                                         \
    pthread_mutex_lock(&lock);                                                                     \
    __attribute__((cleanup(unlock), unused)) pthread_mutex_t *held = &lock;                        \
    int planned = enter(entry_point);                                                              \
    if (planned != OK)                                                                             \
    return planned
#define ENTER_CONTEXT(entry_point)                                                                 \
    ENTER(entry_point);                                                                            \
    if (depth == 0)                                                                                \
    return INVALID_CONTEXT

SHOWN void software_cuda_set(unsigned count, uint64_t bytes_each)
{
    devices = count;
    device_bytes = bytes_each;
}

SHOWN void software_cuda_fail(const char *entry_point, unsigned long nth, int code, bool for_good)
{
    pthread_mutex_lock(&lock);
    plan.entry_point = entry_point;
    plan.nth = nth;
    plan.calls = 0;
    plan.code = code;
    plan.for_good = for_good;
    plan.failed = false;
    pthread_mutex_unlock(&lock);
}

SHOWN unsigned long software_cuda_calls(void)
{
    return plan.calls;
}

SHOWN bool software_cuda_failed(void)
{
    return plan.failed;
}

SHOWN void software_cuda_lose_wipes(bool lose)
{
    lose_wipes = lose;
}

SHOWN void software_cuda_look(struct software_cuda_state *out)
{
    pthread_mutex_lock(&lock);
    *out = state;
    pthread_mutex_unlock(&lock);
}

SHOWN size_t software_cuda_count(const void *bytes, size_t size_bytes)
{
    size_t found = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < allocation_count; i++) {
        const uint8_t *at = allocations[i].bytes;
        const uint8_t *end = at != NULL ? at + allocations[i].size_bytes : NULL;
        for (; at != NULL && (at = memmem(at, (size_t)(end - at), bytes, size_bytes)) != NULL; at++)
            found++;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct allocation *find(uint64_t address, size_t size_bytes)
{
    static __thread size_t last; /* a guess */
    for (size_t i = 0; i < allocation_count; i++) {
        struct allocation *a = &allocations[(last + i) % allocation_count];
        if (address < a->address || address - a->address >= a->size_bytes)
            continue;
        last = (last + i) % allocation_count;
        if (a->bytes == NULL)
            undefined("memory is used after it was freed");
        if (size_bytes > a->size_bytes - (address - a->address))
            undefined("an access goes past the end of an allocation");
        return a;
    }
    undefined("an access to no allocation");
}

static uint8_t *at(uint64_t address, size_t size_bytes)
{
    struct allocation *a = find(address, size_bytes);
    if (depth > 0 && a->device != current[depth - 1]->device)
        undefined("an access to another device's memory");
    return a->bytes + (address - a->address);
}

SHOWN void software_cuda_flip(uint64_t address)
{
    struct allocation *a = find(address, 1);
    a->bytes[address - a->address] ^= 1;
}

/* What a kernel asks for. */
static uint8_t *aligned(uint64_t address, size_t size_bytes)
{
    if (address % size_bytes != 0)
        undefined("a kernel's access is misaligned");
    return at(address, size_bytes);
}

uint8_t gpu_load1(uint64_t address)
{
    return *at(address, 1);
}

static bool wiping; /* the kernel that runs is the one that wipes */

void gpu_store1(uint64_t address, uint8_t value)
{
    uint8_t *to = at(address, 1);
    if (!wiping || !lose_wipes)
        *to = value;
}

uint32_t gpu_load4(uint64_t address)
{
    uint32_t value;
    memcpy(&value, aligned(address, sizeof value), sizeof value);
    return value;
}

void gpu_store4(uint64_t address, uint32_t value)
{
    memcpy(aligned(address, sizeof value), &value, sizeof value);
}

struct words gpu_load16(uint64_t address)
{
    struct words value;
    memcpy(&value, aligned(address, sizeof value), sizeof value);
    return value;
}

void gpu_store16(uint64_t address, struct words value)
{
    uint8_t *to = aligned(address, sizeof value);
    if (!wiping || !lose_wipes)
        memcpy(to, &value, sizeof value);
}

static uint64_t used_on(int device)
{
    uint64_t used = 0;
    for (size_t i = 0; i < allocation_count; i++)
        if (allocations[i].bytes != NULL && allocations[i].device == device)
            used += allocations[i].size_bytes;
    return used;
}

/* When there is no room for more: until then, use after free is told from use of nothing. */
static void forget_freed(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < allocation_count; i++)
        if (allocations[i].bytes != NULL)
            allocations[kept++] = allocations[i];
    allocation_count = kept;
    if (kept == ALLOCATIONS_MAX)
        undefined("too many allocations for this driver");
}

SHOWN int cuMemAlloc_v2(cuda_address *address, size_t size_bytes);
int cuMemAlloc_v2(cuda_address *address, size_t size_bytes)
{
    ENTER_CONTEXT("cuMemAlloc_v2");
    int device = current[depth - 1]->device;
    if (size_bytes == 0)
        return INVALID_VALUE;
    if (size_bytes > device_bytes - used_on(device))
        return CUDA_OUT_OF_MEMORY;
    if (allocation_count == ALLOCATIONS_MAX)
        forget_freed();
    uint8_t *bytes = malloc(size_bytes);
    if (bytes == NULL)
        return CUDA_OUT_OF_MEMORY;
    memset(bytes, JUNK, size_bytes);
    allocations[allocation_count++] = (struct allocation){next_address, size_bytes, bytes, device};
    *address = next_address;
    next_address += (size_bytes + GAP + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    state.allocations++;
    state.bytes += size_bytes;
    return OK;
}

static bool all_zero(const struct allocation *a)
{
    for (size_t i = 0; i < a->size_bytes; i++)
        if (a->bytes[i] != 0)
            return false;
    return true;
}

static bool all_junk(const struct allocation *a)
{
    for (size_t i = 0; i < a->size_bytes; i++)
        if (a->bytes[i] != JUNK)
            return false;
    return true;
}

SHOWN int cuMemFree_v2(cuda_address address);
int cuMemFree_v2(cuda_address address)
{
    ENTER_CONTEXT("cuMemFree_v2");
    struct allocation *a = find(address, 1);
    if (a->address != address)
        undefined("freed by an address in its middle");
    state.dirty_frees += !all_zero(a) && !all_junk(a);
    state.allocations--;
    state.bytes -= a->size_bytes;
    free(a->bytes);
    a->bytes = NULL;
    return OK;
}

SHOWN int cuMemsetD8_v2(cuda_address address, unsigned char value, size_t count);
int cuMemsetD8_v2(cuda_address address, unsigned char value, size_t count)
{
    ENTER_CONTEXT("cuMemsetD8_v2");
    uint8_t *to = at(address, count);
    memset(to, value, count);
    return OK;
}

SHOWN int cuMemcpyHtoD_v2(cuda_address to, const void *from, size_t size_bytes);
int cuMemcpyHtoD_v2(cuda_address to, const void *from, size_t size_bytes)
{
    ENTER_CONTEXT("cuMemcpyHtoD_v2");
    memcpy(at(to, size_bytes), from, size_bytes);
    return OK;
}

SHOWN int cuMemcpyDtoH_v2(void *to, cuda_address from, size_t size_bytes);
int cuMemcpyDtoH_v2(void *to, cuda_address from, size_t size_bytes)
{
    ENTER_CONTEXT("cuMemcpyDtoH_v2");
    memcpy(to, at(from, size_bytes), size_bytes);
    return OK;
}

SHOWN int cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes);
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    ENTER_CONTEXT("cuMemGetInfo_v2");
    *total_bytes = device_bytes;
    *free_bytes = device_bytes - used_on(current[depth - 1]->device);
    return OK;
}

/* ---- devices and contexts -------------------------------------------------------------------- */

SHOWN int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
    ENTER("cuInit");
    const char *count = getenv("SOFTWARE_CUDA_DEVICES"), *bytes = getenv("SOFTWARE_CUDA_BYTES");
    if (count != NULL)
        devices = (unsigned)strtoul(count, NULL, 10);
    if (bytes != NULL)
        device_bytes = strtoull(bytes, NULL, 10);
    if (getenv("SOFTWARE_CUDA_LOSE_WIPES") != NULL)
        lose_wipes = true;
    if (devices > DEVICES_MAX)
        devices = DEVICES_MAX;
    return devices > 0 ? OK : NO_DEVICE;
}

SHOWN int cuDeviceGetCount(int *count);
int cuDeviceGetCount(int *count)
{
    ENTER("cuDeviceGetCount");
    *count = (int)devices;
    return OK;
}

SHOWN int cuDeviceGet(cuda_ordinal *device, int index);
int cuDeviceGet(cuda_ordinal *device, int index)
{
    ENTER("cuDeviceGet");
    if (index < 0 || (unsigned)index >= devices)
        return INVALID_DEVICE;
    *device = index;
    return OK;
}

SHOWN int cuDeviceGetName(char *name, int size, cuda_ordinal device);
int cuDeviceGetName(char *name, int size, cuda_ordinal device)
{
    ENTER("cuDeviceGetName");
    snprintf(name, (size_t)size, "software device %d (no GPU)", device);
    return OK;
}

SHOWN int cuDeviceTotalMem_v2(size_t *bytes, cuda_ordinal device);
int cuDeviceTotalMem_v2(size_t *bytes, cuda_ordinal device)
{
    ENTER("cuDeviceTotalMem_v2");
    *bytes = device_bytes;
    return OK;
}

SHOWN int cuDevicePrimaryCtxRetain(cuda_context *context, cuda_ordinal device);
int cuDevicePrimaryCtxRetain(cuda_context *context, cuda_ordinal device)
{
    ENTER("cuDevicePrimaryCtxRetain");
    contexts[device].device = device;
    retained[device]++;
    state.retained++;
    *context = &contexts[device];
    return OK;
}

/* The last release takes all memory of the context with it. */
SHOWN int cuDevicePrimaryCtxRelease_v2(cuda_ordinal device);
int cuDevicePrimaryCtxRelease_v2(cuda_ordinal device)
{
    ENTER("cuDevicePrimaryCtxRelease_v2");
    if (retained[device] == 0)
        return INVALID_CONTEXT;
    state.retained--;
    if (--retained[device] > 0)
        return OK;
    for (size_t i = 0; i < allocation_count; i++) {
        if (allocations[i].device != device || allocations[i].bytes == NULL)
            continue;
        state.allocations--;
        state.bytes -= allocations[i].size_bytes;
        free(allocations[i].bytes);
        allocations[i].bytes = NULL;
    }
    return OK;
}

SHOWN int cuCtxPushCurrent_v2(cuda_context context);
int cuCtxPushCurrent_v2(cuda_context context)
{
    ENTER("cuCtxPushCurrent_v2");
    if (depth == CONTEXT_DEPTH || context == NULL || retained[context->device] == 0)
        return INVALID_CONTEXT;
    current[depth++] = context;
    state.contexts++;
    return OK;
}

SHOWN int cuCtxPopCurrent_v2(cuda_context *context);
int cuCtxPopCurrent_v2(cuda_context *context)
{
    pthread_mutex_lock(&lock);
    __attribute__((cleanup(unlock), unused)) pthread_mutex_t *held = &lock;
    if (depth == 0)
        return INVALID_CONTEXT;
    *context = current[--depth];
    state.contexts--;
    return OK;
}

SHOWN int cuCtxSynchronize(void);
int cuCtxSynchronize(void)
{
    ENTER_CONTEXT("cuCtxSynchronize");
    return OK;
}

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
    state.modules++;
    *module = (cuda_module)(uintptr_t)&functions;
    return OK;
}

SHOWN int cuModuleUnload(cuda_module module);
int cuModuleUnload(cuda_module module)
{
    ENTER_CONTEXT("cuModuleUnload");
    state.modules--;
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
    wiping = strcmp(function->name, "lethe_wipe") == 0;
    for (uint64_t thread = 0; thread < (uint64_t)grid_x * block_x; thread++)
        function->run(arguments[0], thread);
    wiping = false;
    return OK;
}

/* ---- errors ---------------------------------------------------------------------------------- */

SHOWN int cuGetErrorName(cuda_result result, const char **name);
int cuGetErrorName(cuda_result result, const char **name)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {{INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
                 {CUDA_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
                 {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
                 {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
                 {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
                 {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
                 {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                 {719, "CUDA_ERROR_LAUNCH_FAILED"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].code == result) {
            *name = names[i].name;
            return OK;
        }
    *name = NULL;
    return INVALID_VALUE;
}
