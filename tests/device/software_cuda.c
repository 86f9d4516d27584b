/* Faults, devices, contexts and errors of the software driver. */
#include "software_inside.h"

struct software software = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .devices = 2, .device_bytes = (uint64_t)64 << 20};
__thread struct CUctx_st *software_current[CONTEXT_DEPTH];
__thread unsigned software_depth;

static struct CUctx_st contexts[DEVICES_MAX];
static unsigned retained[DEVICES_MAX];

void software_undefined(const char *what)
{
    fprintf(stderr, "software cuda: %s\n", what);
    abort();
}

void software_unlock(pthread_mutex_t **held)
{
    pthread_mutex_unlock(*held);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static struct {
    const char *entry_point;
    unsigned long nth, calls;
    int code;
    bool for_good, failed;
} plan;

int software_enter(const char *entry_point)
{
    if (plan.entry_point != NULL && strcmp(plan.entry_point, entry_point) != 0)
        return OK;
    plan.calls++;
    if (plan.nth == 0 || plan.calls < plan.nth || (plan.calls > plan.nth && !plan.for_good))
        return OK;
    plan.failed = true;
    return plan.code;
}

SHOWN void software_cuda_set(unsigned count, uint64_t bytes_each)
{
    software.devices = count;
    software.device_bytes = bytes_each;
}

SHOWN void software_cuda_fail(const char *entry_point, unsigned long nth, int code, bool for_good)
{
    pthread_mutex_lock(&software.lock);
    plan.entry_point = entry_point;
    plan.nth = nth;
    plan.calls = 0;
    plan.code = code;
    plan.for_good = for_good;
    plan.failed = false;
    pthread_mutex_unlock(&software.lock);
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
    software.lose_wipes = lose;
}

SHOWN void software_cuda_look(struct software_cuda_state *out)
{
    pthread_mutex_lock(&software.lock);
    *out = software.state;
    pthread_mutex_unlock(&software.lock);
}

/* ---- software.devices and contexts
 * -------------------------------------------------------------------- */

SHOWN int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
    ENTER("cuInit");
    const char *count = getenv("SOFTWARE_CUDA_DEVICES"), *bytes = getenv("SOFTWARE_CUDA_BYTES");
    if (count != NULL)
        software.devices = (unsigned)strtoul(count, NULL, 10);
    if (bytes != NULL)
        software.device_bytes = strtoull(bytes, NULL, 10);
    if (getenv("SOFTWARE_CUDA_LOSE_WIPES") != NULL)
        software.lose_wipes = true;
    if (software.devices > DEVICES_MAX)
        software.devices = DEVICES_MAX;
    return software.devices > 0 ? OK : NO_DEVICE;
}

SHOWN int cuDeviceGetCount(int *count);
int cuDeviceGetCount(int *count)
{
    ENTER("cuDeviceGetCount");
    *count = (int)software.devices;
    return OK;
}

SHOWN int cuDeviceGet(cuda_ordinal *device, int index);
int cuDeviceGet(cuda_ordinal *device, int index)
{
    ENTER("cuDeviceGet");
    if (index < 0 || (unsigned)index >= software.devices)
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
    *bytes = software.device_bytes;
    return OK;
}

SHOWN int cuDevicePrimaryCtxRetain(cuda_context *context, cuda_ordinal device);
int cuDevicePrimaryCtxRetain(cuda_context *context, cuda_ordinal device)
{
    ENTER("cuDevicePrimaryCtxRetain");
    contexts[device].device = device;
    retained[device]++;
    software.state.retained++;
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
    software.state.retained--;
    if (--retained[device] > 0)
        return OK;
    software_memory_end(device);
    return OK;
}

SHOWN int cuCtxPushCurrent_v2(cuda_context context);
int cuCtxPushCurrent_v2(cuda_context context)
{
    ENTER("cuCtxPushCurrent_v2");
    if (software_depth == CONTEXT_DEPTH || context == NULL || retained[context->device] == 0)
        return INVALID_CONTEXT;
    software_current[software_depth++] = context;
    software.state.contexts++;
    return OK;
}

SHOWN int cuCtxPopCurrent_v2(cuda_context *context);
int cuCtxPopCurrent_v2(cuda_context *context)
{
    pthread_mutex_lock(&software.lock);
    __attribute__((cleanup(software_unlock), unused)) pthread_mutex_t *held = &software.lock;
    if (software_depth == 0)
        return INVALID_CONTEXT;
    *context = software_current[--software_depth];
    software.state.contexts--;
    return OK;
}

SHOWN int cuCtxSynchronize(void);
int cuCtxSynchronize(void)
{
    ENTER_CONTEXT("cuCtxSynchronize");
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
