/* What our side asks of a driver and leaves with it, and that the software driver would notice. */
#include "software_check.h"

#include <dlfcn.h>
#include <signal.h>

#include "check_child.h"
#include "device/cuda_driver.h"

/* ---- what is asked of a driver --------------------------------------------------------------- */

static char asked[64][64];
static size_t asked_count;

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name)
{
    if (asked_count < ARRAY_LEN(asked))
        snprintf(asked[asked_count++], sizeof asked[0], "%s", name);
    return __real_dlsym(library, name);
}

/* VP-002, VP-003: managed, mapped and pinned memory cannot be used by who never looks them up. The
 * list is all that is looked up, and every name in it is of a call that is needed. */
static void no_managed_or_pinned_memory_is_ever_asked_for(void **state)
{
    static const char *const allowed[] = {"cuInit",
                                          "cuDeviceGetCount",
                                          "cuDeviceGet",
                                          "cuDeviceGetName",
                                          "cuDeviceTotalMem_v2",
                                          "cuDevicePrimaryCtxRetain",
                                          "cuDevicePrimaryCtxRelease_v2",
                                          "cuCtxPushCurrent_v2",
                                          "cuCtxPopCurrent_v2",
                                          "cuCtxSynchronize",
                                          "cuModuleLoadData",
                                          "cuModuleUnload",
                                          "cuModuleGetFunction",
                                          "cuMemGetInfo_v2",
                                          "cuMemAlloc_v2",
                                          "cuMemFree_v2",
                                          "cuMemsetD8_v2",
                                          "cuMemcpyHtoD_v2",
                                          "cuMemcpy2D_v2",
                                          "cuMemcpyDtoH_v2",
                                          "cuLaunchKernel",
                                          "cuGetErrorName"};
    assert_int_equal(asked_count, ARRAY_LEN(allowed)); /* by the first use of the driver, once */
    for (size_t i = 0; i < asked_count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < ARRAY_LEN(allowed); j++)
            found += strcmp(asked[i], allowed[j]) == 0;
        assert_int_equal(found, 1);
    }
}

static void a_thread_keeps_the_context_it_had(void **state)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    cuda_result (*push)(cuda_context), (*pop)(cuda_context *),
        (*retain)(cuda_context *, cuda_ordinal), (*release)(cuda_ordinal);
    *(void **)&push = __real_dlsym(library, "cuCtxPushCurrent_v2");
    *(void **)&pop = __real_dlsym(library, "cuCtxPopCurrent_v2");
    *(void **)&retain = __real_dlsym(library, "cuDevicePrimaryCtxRetain");
    *(void **)&release = __real_dlsym(library, "cuDevicePrimaryCtxRelease_v2");
    cuda_context others, popped = NULL;
    assert_int_equal(retain(&others, 1), 0);
    assert_int_equal(push(others), 0);
    free_ok(memory_of(100)); /* of device 0: the software driver ends us if it is 1's */
    assert_int_equal(pop(&popped), 0);
    assert_ptr_equal(popped, others);
    assert_int_equal(look().contexts, 0);
    assert_int_equal(release(1), 0);
    dlclose(library);
}

/* ---- residue --------------------------------------------------------------------------------- */

/* Z-3: what an allocation held is gone before the driver has it back. */
static void freed_memory_holds_nothing(void **state)
{
    uint8_t secret[64];
    fill_random(secret, sizeof secret);
    struct device_memory *memory = memory_of(100000);
    uint64_t dirty = look().dirty_frees;
    put(memory, 77777, secret, sizeof secret);
    assert_int_equal(software_cuda_count(secret, sizeof secret), 1); /* it would be found */
    free_ok(memory);
    assert_int_equal(software_cuda_count(secret, sizeof secret), 0);
    assert_int_equal(look().dirty_frees, dirty);
}

static void use_key(const uint8_t key_bytes[32])
{
    uint8_t tags[16];
    struct device_memory *memory = memory_of(1000);
    struct device_key *key = key_of(key_bytes);
    assert_ok(device_tags(memory, key, 1, tags, &err), &err);
    device_key_free(key);
    free_ok(memory);
}

/* Keys and what is made of them are wiped on the device before a call returns. When wipes are lost
 * the driver sees that memory come back with something in it: so there was something to wipe. */
static void keys_do_not_stay_on_the_device(void **state)
{
    uint8_t key_bytes[32];
    fill_random(key_bytes, sizeof key_bytes);
    const struct software_cuda_state before = look();
    use_key(key_bytes);
    assert_int_equal(look().dirty_frees, before.dirty_frees);
    assert_int_equal(look().allocations, before.allocations);
    assert_int_equal(software_cuda_count(key_bytes, sizeof key_bytes), 0);

    software_cuda_lose_wipes(true);
    use_key(key_bytes); /* its memory held only zeros, and passes */
    software_cuda_lose_wipes(false);
    assert_true(look().dirty_frees > before.dirty_frees);
}

/* ---- the software driver itself: it notices ------------------------------------------------- */

static uint64_t an_address;

static void read_directly(void *context)
{
    signal(SIGSEGV, SIG_DFL);
    (void)*(volatile uint8_t *)(uintptr_t)an_address;
}

typedef cuda_result copy_function(void *, cuda_address, size_t);
typedef cuda_result free_function(cuda_address);

static void *entry_point(const char *name)
{
    return __real_dlsym(dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), name);
}

static void make_current(void)
{
    cuda_result (*push)(cuda_context), (*retain)(cuda_context *, cuda_ordinal);
    cuda_context context;
    signal(SIGABRT, SIG_DFL);
    *(void **)&push = entry_point("cuCtxPushCurrent_v2");
    *(void **)&retain = entry_point("cuDevicePrimaryCtxRetain");
    CHILD_REQUIRE(retain(&context, 0) == 0 && push(context) == 0);
}

static void copy_too_much(void *context)
{
    uint8_t out[200];
    copy_function *copy;
    make_current();
    *(void **)&copy = entry_point("cuMemcpyDtoH_v2");
    CHILD_REQUIRE(copy(out, an_address, 100) == 0);
    copy(out, an_address, 101);
}

static void free_twice(void *context)
{
    free_function *release;
    make_current();
    *(void **)&release = entry_point("cuMemFree_v2");
    CHILD_REQUIRE(release(an_address) == 0);
    release(an_address);
}

static void free_the_middle(void *context)
{
    free_function *release;
    make_current();
    *(void **)&release = entry_point("cuMemFree_v2");
    release(an_address + 16);
}

static void copy_without_context(void *context)
{
    uint8_t out[1];
    copy_function *copy;
    *(void **)&copy = entry_point("cuMemcpyDtoH_v2");
    CHILD_REQUIRE(copy(out, an_address, 1) == 201);
}

static void what_a_gpu_would_not_survive_is_noticed(void **state)
{
    struct device_memory *memory = memory_of(100);
    an_address = (uint64_t)(uintptr_t)device_memory_address(memory);
    assert_killed_by(SIGSEGV, child_status(read_directly, NULL));
    assert_killed_by(SIGABRT, child_status(copy_too_much, NULL));
    assert_killed_by(SIGABRT, child_status(free_twice, NULL));
    assert_killed_by(SIGABRT, child_status(free_the_middle, NULL));
    assert_exited(0, child_status(copy_without_context, NULL));
    free_ok(memory);
}

/* Anything but a zero in a memory is found by the digest and the tags that are computed there. */
static void a_fault_of_the_memory_is_found(void **state)
{
    const uint8_t key_bytes[32] = {5};
    uint8_t before[32], after[32], tags[16];
    struct device_memory *memory = memory_of(9000);
    struct device_key *key = key_of(key_bytes);
    assert_ok(device_digest(memory, DEVICE_FSVERITY, 1, before, &err), &err);
    assert_ok(device_tags(memory, key, 1, tags, &err), &err);
    software_cuda_flip((uint64_t)(uintptr_t)device_memory_address(memory) + 8999);
    assert_ok(device_digest(memory, DEVICE_FSVERITY, 1, after, &err), &err);
    assert_memory_not_equal(before, after, 32);
    assert_refused(LETHE_INTEGRITY, device_check_tags(memory, key, 1, tags, &err), memory);
    device_key_free(key);
    free_ok(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_managed_or_pinned_memory_is_ever_asked_for),
        cmocka_unit_test(a_thread_keeps_the_context_it_had),
        cmocka_unit_test(freed_memory_holds_nothing),
        cmocka_unit_test(keys_do_not_stay_on_the_device),
        cmocka_unit_test(what_a_gpu_would_not_survive_is_noticed),
        cmocka_unit_test(a_fault_of_the_memory_is_found),
    };
    return cmocka_run_group_tests(tests, open_device, NULL);
}
