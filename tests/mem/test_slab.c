/* Small secrets: wiped, fenced in, quick, from any thread; and every misuse is caught. */
#include "check.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <lethe/mem.h>

#include "child.h"
#include "mem/arena.h"
#include "mem/slab.h"

static void *must_alloc(size_t size_bytes)
{
    struct lethe_error err = {0};
    void *object;
    assert_ok(slab_alloc(size_bytes, &object, &err), &err);
    return object;
}

/* For children and threads, where an assertion cannot fail the test. */
static void *alloc_or_abort(size_t size_bytes)
{
    void *object;
    if (slab_alloc(size_bytes, &object, NULL) != LETHE_OK)
        abort();
    return object;
}

/* ---- every size ------------------------------------------------------------------------------ */

static void objects_of_every_size_are_zeroed_aligned_and_whole(void **state)
{
    for (size_t size = 1; size <= LETHE_SECRET_MAX_BYTES; size++) {
        uint8_t *object = must_alloc(size);
        assert_int_equal((uintptr_t)object % (size >= 64 ? 64 : 16), 0);
        assert_int_equal(slab_size(object), size);
        assert_true(lethe_is_zero(object, size));
        memset(object, 0xA5, size);
        slab_free(object);
    }
    slab_free(NULL);
}

static void other_sizes_are_refused(void **state)
{
    const size_t sizes[] = {0, LETHE_SECRET_MAX_BYTES + 1, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct lethe_error err = {0};
        void *object = &err;
        assert_result(LETHE_INVALID, slab_alloc(sizes[i], &object, &err));
        assert_null(object);
        assert_non_null(strstr(err.text, "expected 1 to 4096"));
    }
}

/* Z-6: looked at through a pointer that was kept. */
static void freed_objects_are_zero(void **state)
{
    for (size_t size = 1; size <= LETHE_SECRET_MAX_BYTES; size = size * 2 + 1) {
        uint8_t *object = must_alloc(size);
        void *neighbour = must_alloc(size); /* keeps the arena mapped */
        memset(object, 0xA5, size);
        slab_free(object);
        assert_true(lethe_is_zero(object, size + CANARY_BYTES));
        slab_free(neighbour);
    }
}

/* Z-7: arenas lie between pages without access. */
static void write_byte(void *address)
{
    *(volatile uint8_t *)address = 1;
}

static void arenas_lie_between_guards(void **state)
{
    void *object = must_alloc(32);
    struct pages *pages = &arena_of(object)->pages;
    assert_child_succeeds(write_byte, pages->bytes);
    assert_child_dies(write_byte, pages->bytes - 1, SIGSEGV, "");
    assert_child_dies(write_byte, pages->bytes + pages->size_bytes, SIGSEGV, "");
    assert_int_equal(pages->protections, LETHE_LOCKED | LETHE_UNDUMPABLE | LETHE_FORK_BLIND);
    slab_free(object);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void free_twice(void *size_bytes)
{
    void *object = alloc_or_abort((size_t)size_bytes);
    slab_free(object);
    slab_free(object);
}

static void free_twice_with_others_between(void *size_bytes)
{
    void *objects[200];
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        objects[i] = alloc_or_abort((size_t)size_bytes);
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        slab_free(objects[i]); /* the first have left the magazine by now */
    slab_free(objects[0]);
}

static void *free_it(void *object)
{
    slab_free(object);
    return NULL;
}

static void free_in_two_threads_at_once(void *size_bytes)
{
    for (int i = 0; i < 1000; i++) {
        void *object = alloc_or_abort((size_t)size_bytes);
        pthread_t threads[2];
        for (int t = 0; t < 2; t++)
            child_require(pthread_create(&threads[t], NULL, free_it, object) == 0);
        for (int t = 0; t < 2; t++)
            pthread_join(threads[t], NULL);
    }
}

static void overflow_by_one(void *size_bytes)
{
    uint8_t *object = alloc_or_abort((size_t)size_bytes);
    object[(size_t)size_bytes] ^= 1;
    slab_free(object);
}

static void overflow_the_canary(void *size_bytes)
{
    uint8_t *object = alloc_or_abort((size_t)size_bytes);
    object[(size_t)size_bytes + CANARY_BYTES - 1] ^= 0x80;
    slab_free(object);
}

static void write_after_free(void *size_bytes)
{
    uint8_t *object = alloc_or_abort((size_t)size_bytes);
    slab_free(object);
    object[(size_t)size_bytes / 2] = 1;
    (void)alloc_or_abort((size_t)size_bytes);
}

static void free_from_inside(void *size_bytes)
{
    slab_free((uint8_t *)alloc_or_abort((size_t)size_bytes) + 16);
}

static void free_of_somebody_elses(void *size_bytes)
{
    uint8_t *mapped = mmap(NULL, 4 * ARENA_SPAN_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    slab_free(mapped + 2 * ARENA_SPAN_BYTES);
}

static void wipe_all_but_one_byte(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    ((uint8_t *)memory)[size_bytes - 1] = 1;
}

static void free_where_wiping_fails(void *unused)
{
    host.wipe = wipe_all_but_one_byte;
    slab_free(alloc_or_abort(1000));
}

static void misuse_aborts(void **state)
{
    static const struct {
        void (*misuse)(void *size_bytes);
        const char *said;
    } rows[] = {
        {free_twice, "freed twice"},
        {free_twice_with_others_between, "freed twice"},
        {free_in_two_threads_at_once, "freed twice"},
        {overflow_by_one, "written to behind its end"},
        {overflow_the_canary, "written to behind its end"},
        {write_after_free, "written to after it was freed"},
        {free_from_inside, "freed by an address inside of it"},
        {free_of_somebody_elses, "never allocated"},
        {free_where_wiping_fails, "not zero after it was wiped"},
    };
    const size_t sizes[] = {1, 16, 17, 32, 33, 64, 100, 1000, 4095, 4096};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
            assert_child_dies(rows[i].misuse, (void *)sizes[s], SIGABRT, rows[i].said);
}

/* ---- many ------------------------------------------------------------------------------------ */

static uint64_t locked_bytes(void)
{
    struct lethe_error err = {0};
    struct lethe_mem_budget budget;
    assert_ok(lethe_mem_budget(&budget, &err), &err);
    return budget.lock_used_bytes;
}

/* More than an arena holds; each is filled with its own number, so that an overlap would show. */
static void many_objects_do_not_overlap_and_give_their_arenas_back(void **state)
{
    enum { COUNT = 9000 };
    static uint32_t *objects[COUNT];
    slab_free(must_alloc(24));
    uint64_t locked_before = locked_bytes();
    for (uint32_t i = 0; i < COUNT; i++) {
        objects[i] = must_alloc(24);
        for (size_t j = 0; j < 6; j++)
            objects[i][j] = i;
    }
    uint64_t locked_during = locked_bytes();
    for (uint32_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < 6; j++)
            assert_int_equal(objects[i][j], i);
        slab_free(objects[i]);
    }
    assert_true(locked_during == 0 || locked_during >= locked_before + 3 * ARENA_SLOT_BYTES);
    assert_true(locked_bytes() <= locked_before + ARENA_SLOT_BYTES);
}

/* ---- no system call -------------------------------------------------------------------------- */

static void allocate_without_system_calls(void *unused)
{
    void *objects[12];
    for (size_t round = 0; round < 3; round++) {
        if (round == 1) /* what else than read, write and exit is called now, kills */
            child_require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
        for (size_t size = 1; size <= LETHE_SECRET_MAX_BYTES; size = size * 2 + 1) {
            for (size_t i = 0; i < ARRAY_LEN(objects); i++)
                objects[i] = alloc_or_abort(size);
            for (size_t i = 0; i < ARRAY_LEN(objects); i++)
                slab_free(objects[i]);
        }
    }
    syscall(SYS_exit, 0); /* this thread, our only one: the process's exit call is not allowed */
}

static void allocate_anew_without_system_calls(void *unused)
{
    child_require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    (void)alloc_or_abort(32); /* in a child, which needs an arena first: the control */
}

static void the_fast_path_makes_no_system_call(void **state)
{
    if (HAS_SANITIZER) {
        print_message("sanitizers make system calls of their own\n");
        skip();
    }
    assert_child_succeeds(allocate_without_system_calls, NULL);
    assert_child_dies(allocate_anew_without_system_calls, NULL, SIGKILL, "");
}

/* ---- threads --------------------------------------------------------------------------------- */

/* Objects wander between threads through this table. */
static _Atomic(uint8_t *) exchange[64];

static void check_and_free(uint8_t *object)
{
    if (object == NULL)
        return;
    size_t size = slab_size(object);
    for (size_t i = 1; i < size; i++)
        if (object[i] != object[0])
            abort();
    slab_free(object);
}

static void *hammer(void *seed)
{
    uint64_t x = (uintptr_t)seed * 0x9E3779B97F4A7C15u;
    for (int i = 0; i < 40000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        size_t size = (size_t)1 << x % 13;
        uint8_t *object = alloc_or_abort(size - size / 3);
        if (!lethe_is_zero(object, slab_size(object)))
            abort();
        memset(object, (int)(x >> 40) | 1, slab_size(object));
        check_and_free(atomic_exchange(&exchange[x >> 32 & 63], object));
    }
    return NULL;
}

static void threads_share_and_free_one_anothers_objects(void **state)
{
    pthread_t threads[6];
    for (uintptr_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ARRAY_LEN(exchange); i++)
        check_and_free(atomic_exchange(&exchange[i], NULL));
}

static pthread_key_t last_key;

static void *leave_objects_behind(void *unused)
{
    void *objects[40];
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        objects[i] = alloc_or_abort(500);
    for (size_t i = 1; i < ARRAY_LEN(objects); i++)
        slab_free(objects[i]);
    pthread_setspecific(last_key, objects[0]); /* freed when the thread is nearly gone */
    return NULL;
}

/* What an ending thread has in its magazines goes back: a thousand threads need no more than one.
 */
static void ending_threads_leave_nothing_behind(void **state)
{
    assert_int_equal(pthread_key_create(&last_key, slab_free), 0);
    uint64_t locked_after_first = 0;
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, leave_objects_behind, NULL), 0);
        pthread_join(thread, NULL);
        if (i == 0)
            locked_after_first = locked_bytes();
    }
    assert_int_equal(locked_bytes(), locked_after_first);
    pthread_key_delete(last_key);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static struct lethe_secret *must_keep(const char *text)
{
    struct lethe_error err = {0};
    struct lethe_secret *secret;
    assert_ok(lethe_secret_create(strlen(text), &secret, &err), &err);
    memcpy(lethe_secret_bytes(secret), text, strlen(text));
    return secret;
}

static void secrets_know_their_bytes_and_size(void **state)
{
    struct lethe_secret *secret = must_keep("not a real key");
    assert_int_equal(lethe_secret_size(secret), 14);
    assert_memory_equal(lethe_secret_bytes_const(secret), "not a real key", 14);
    lethe_secret_free(secret);
    lethe_secret_free(NULL);
    assert_result(LETHE_INVALID, lethe_secret_create(0, &secret, NULL));
    assert_null(secret);
    assert_result(LETHE_INVALID, lethe_secret_create(4097, &secret, NULL));
}

static void secrets_are_equal_by_content_and_size(void **state)
{
    struct lethe_secret *a = must_keep("0123456789abcdef0"), *b = must_keep("0123456789abcdef0");
    struct lethe_secret *shorter = must_keep("0123456789abcdef");
    assert_true(lethe_secret_equal(a, b));
    assert_false(lethe_secret_equal(a, shorter));
    assert_false(lethe_secret_equal(shorter, a));
    for (size_t i = 0; i < lethe_secret_size(a); i++) {
        for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 1)) {
            lethe_secret_bytes(b)[i] ^= bit;
            assert_false(lethe_secret_equal(a, b));
            lethe_secret_bytes(b)[i] ^= bit;
        }
    }
    lethe_secret_free(a);
    lethe_secret_free(b);
    lethe_secret_free(shorter);
}

static void secrets_are_wiped_and_flushed_where_configured(void **state)
{
    struct lethe_error err = {0};
    lethe_result result = lethe_wipe_flush_caches(true, &err);
    freed_objects_are_zero(state);
    assert_int_equal(lethe_wipe_flush_caches(false, &err), LETHE_OK);
    if (result != LETHE_OK) {
        print_message("%s\n", err.text);
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_every_size_are_zeroed_aligned_and_whole),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(freed_objects_are_zero),
        cmocka_unit_test(arenas_lie_between_guards),
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(many_objects_do_not_overlap_and_give_their_arenas_back),
        cmocka_unit_test(the_fast_path_makes_no_system_call),
        cmocka_unit_test(threads_share_and_free_one_anothers_objects),
        cmocka_unit_test(ending_threads_leave_nothing_behind),
        cmocka_unit_test(secrets_know_their_bytes_and_size),
        cmocka_unit_test(secrets_are_equal_by_content_and_size),
        cmocka_unit_test(secrets_are_wiped_and_flushed_where_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
