/* Memory of the software driver: every access is checked. */
#include "software_inside.h"

#define ALLOCATIONS_MAX 4096

/* No processor takes these: bits 47 to 63 are not all the same. */
#define FIRST_ADDRESS 0x5eed000000000000u
#define ALIGNMENT 256u
#define GAP 4096u
#define JUNK 0xa5

struct allocation {
    uint64_t address;
    size_t size_bytes;
    uint8_t *bytes; /* NULL once it is freed */
    int device;
};

static struct allocation allocations[ALLOCATIONS_MAX];
static size_t allocation_count;
static uint64_t next_address = FIRST_ADDRESS;

SHOWN size_t software_cuda_count(const void *bytes, size_t size_bytes)
{
    size_t found = 0;
    pthread_mutex_lock(&software.lock);
    for (size_t i = 0; i < allocation_count; i++) {
        const uint8_t *at = allocations[i].bytes;
        const uint8_t *end = at != NULL ? at + allocations[i].size_bytes : NULL;
        for (; at != NULL && (at = memmem(at, (size_t)(end - at), bytes, size_bytes)) != NULL; at++)
            found++;
    }
    pthread_mutex_unlock(&software.lock);
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
            software_undefined("memory is used after it was freed");
        if (size_bytes > a->size_bytes - (address - a->address))
            software_undefined("an access goes past the end of an allocation");
        return a;
    }
    software_undefined("an access to no allocation");
}

static uint8_t *at(uint64_t address, size_t size_bytes)
{
    struct allocation *a = find(address, size_bytes);
    if (software_depth > 0 && a->device != software_current[software_depth - 1]->device)
        software_undefined("an access to another device's memory");
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
        software_undefined("a kernel's access is misaligned");
    return at(address, size_bytes);
}

uint8_t gpu_load1(uint64_t address)
{
    return *at(address, 1);
}

void gpu_store1(uint64_t address, uint8_t value)
{
    uint8_t *to = at(address, 1);
    if (!software.wiping || !software.lose_wipes)
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
    if (!software.wiping || !software.lose_wipes)
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
        software_undefined("too many allocations for this driver");
}

SHOWN int cuMemAlloc_v2(cuda_address *address, size_t size_bytes);
int cuMemAlloc_v2(cuda_address *address, size_t size_bytes)
{
    ENTER_CONTEXT("cuMemAlloc_v2");
    int device = software_current[software_depth - 1]->device;
    if (size_bytes == 0)
        return INVALID_VALUE;
    if (size_bytes > software.device_bytes - used_on(device))
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
    software.state.allocations++;
    software.state.bytes += size_bytes;
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
        software_undefined("freed by an address in its middle");
    software.state.dirty_frees += !all_zero(a) && !all_junk(a);
    software.state.allocations--;
    software.state.bytes -= a->size_bytes;
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

SHOWN int cuMemcpy2D_v2(const struct cuda_rows *copy);
int cuMemcpy2D_v2(const struct cuda_rows *copy)
{
    ENTER_CONTEXT("cuMemcpy2D_v2");
    if (copy->from_kind != CUDA_MEMORY_HOST || copy->to_kind != CUDA_MEMORY_DEVICE ||
        copy->from_pitch < copy->row_bytes || copy->to_pitch < copy->row_bytes ||
        copy->from_pitch > CUDA_PITCH_MAX || copy->from_x + copy->from_y + copy->to_x + copy->to_y)
        return INVALID_VALUE;
    for (size_t row = 0; row < copy->rows; row++)
        memcpy(at(copy->to_device + row * copy->to_pitch, copy->row_bytes),
               (const uint8_t *)copy->from_host + row * copy->from_pitch, copy->row_bytes);
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
    *total_bytes = software.device_bytes;
    *free_bytes = software.device_bytes - used_on(software_current[software_depth - 1]->device);
    return OK;
}

void software_memory_end(int device)
{
    for (size_t i = 0; i < allocation_count; i++) {
        if (allocations[i].device != device || allocations[i].bytes == NULL)
            continue;
        software.state.allocations--;
        software.state.bytes -= allocations[i].size_bytes;
        free(allocations[i].bytes);
        allocations[i].bytes = NULL;
    }
}
