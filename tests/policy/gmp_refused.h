/* tests/policy/gmp_refused.h -- a test fails as soon as GMP allocates: without memory it would end
 * the process. */
#ifndef TESTS_POLICY_GMP_REFUSED_H
#define TESTS_POLICY_GMP_REFUSED_H

#include <gmp.h>

static void *gmp_allocates(size_t size_bytes)
{
    fail_msg("GMP allocates %zu bytes", size_bytes);
    return NULL;
}

static void *gmp_reallocates(void *memory, size_t old_bytes, size_t new_bytes)
{
    return gmp_allocates(new_bytes);
}

static void gmp_frees(void *memory, size_t size_bytes)
{
    fail_msg("GMP frees %zu bytes", size_bytes);
}

static int gmp_refuse(void **state)
{
    mp_set_memory_functions(gmp_allocates, gmp_reallocates, gmp_frees);
    return 0;
}

#endif
