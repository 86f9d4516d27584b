/* tests/failing_memory.h -- the Nth allocation fails, for tests that go through every N.
 *
 * A program says which functions may fail, FAILS(calloc) and so on, and is linked with --wrap for
 * just these. Thread rule: one thread allocates while calls_left is set. */
#ifndef TESTS_FAILING_MEMORY_H
#define TESTS_FAILING_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static unsigned calls_left; /* until one fails; 0: none does */
static bool has_failed;

static bool fails_now(void)
{
    if (calls_left == 0 || --calls_left > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

/* Parameters and arguments of what may fail; tsearch stands for the C library's own allocation. */
#define FAILS_calloc (size_t count, size_t size_bytes), (count, size_bytes)
#define FAILS_malloc (size_t size_bytes), (size_bytes)
#define FAILS_realloc (void *memory, size_t size_bytes), (memory, size_bytes)
#define FAILS_reallocarray                                                                         \
    (void *array, size_t count, size_t size_bytes), (array, count, size_bytes)
#define FAILS_tsearch                                                                              \
    (const void *key, void **root, int (*compare)(const void *, const void *)), (key, root, compare)

#define FAILS_AS(name, parameters, arguments)                                                      \
    void *__real_##name parameters;                                                                \
    void *__wrap_##name parameters;                                                                \
    void *__wrap_##name parameters                                                                 \
    {                                                                                              \
        return fails_now() ? NULL : __real_##name arguments;                                       \
    }
#define FAILS_WITH(name, ...) FAILS_AS(name, __VA_ARGS__)
#define FAILS(name) FAILS_WITH(name, FAILS_##name)

#endif
