/* Memory of a worker's devices, taken and given back on record. */
#include <string.h>

#include "base/error.h"
#include "residency/inside.h"

/* Longer ids are cut: a label is for reading. */
static struct lethe_label label_for(const struct worker_request *request)
{
    struct lethe_label label = {0};
    strncat(label.tenant, request->tenant, sizeof label.tenant - 1);
    strncat(label.id, request->id, sizeof label.id - 1);
    return label;
}

static void record_allocated(const struct lethe_worker *worker, const struct device *device,
                             const struct worker_request *request)
{
    struct device_capacity capacity;
    device_capacity(device, &capacity);
    const struct audit_event event =
        audit_vram_allocated(request->size_bytes, request->size_bytes, capacity.available_bytes,
                             capacity.used_bytes, device_name(device), worker->name);
    worker_emit(worker, request->tenant, "", &event);
}

static void record_refused(const struct lethe_worker *worker, const struct device *device,
                           const struct worker_request *request, const char *reason)
{
    struct device_capacity capacity;
    device_capacity(device, &capacity);
    const struct audit_event event = audit_vram_allocation_failed(
        request->size_bytes, capacity.available_bytes, reason, device_name(device), worker->name);
    worker_emit(worker, request->tenant, "", &event);
}

lethe_result worker_alloc(struct lethe_worker *worker, const struct worker_request *request,
                          struct device_memory **out, struct lethe_error *err)
{
    struct lethe_error why = {0};
    struct device *device;
    *out = NULL;
    TRY(worker_device(worker, request->device, &device, err));
    const struct device_request wanted = {.size_bytes = request->size_bytes,
                                          .class_ = request->class_,
                                          .label = label_for(request),
                                          .optional = worker->optional};
    lethe_result result = device_alloc(device, &wanted, out, &why);
    if (result == LETHE_OK) {
        record_allocated(worker, device, request);
        return LETHE_OK;
    }
    record_refused(worker, device, request, why.text);
    if (err != NULL)
        *err = why;
    return result;
}

lethe_result worker_release(struct lethe_worker *worker, const char *id, const char *tenant,
                            struct device_memory *memory, struct lethe_error *err)
{
    if (memory == NULL)
        return LETHE_OK;
    struct device *device = device_of(memory);
    uint64_t size_bytes = device_memory_size(memory);
    lethe_result result = device_free(memory, err);
    struct device_capacity capacity;
    device_capacity(device, &capacity);
    const struct audit_event event =
        audit_vram_deallocated(id, result == LETHE_OK ? size_bytes : 0, capacity.used_bytes,
                               device_name(device), worker->name, result == LETHE_OK);
    worker_emit(worker, tenant, "", &event);
    return result;
}
