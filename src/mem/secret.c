#include <lethe/mem.h>

#include "mem/slab.h"

/* A secret is an object of the slab, which knows its size: there is no struct lethe_secret. */

lethe_result lethe_secret_create(size_t size_bytes, struct lethe_secret **out,
                                 struct lethe_error *err)
{
    void *object;
    lethe_result result = slab_alloc(size_bytes, &object, err);
    *out = object;
    return result;
}

void lethe_secret_free(struct lethe_secret *secret)
{
    slab_free(secret);
}

uint8_t *lethe_secret_bytes(struct lethe_secret *secret)
{
    return (uint8_t *)secret;
}

const uint8_t *lethe_secret_bytes_const(const struct lethe_secret *secret)
{
    return (const uint8_t *)secret;
}

size_t lethe_secret_size(const struct lethe_secret *secret)
{
    return slab_size(secret);
}

bool lethe_secret_equal(const struct lethe_secret *a, const struct lethe_secret *b)
{
    size_t size_bytes = lethe_secret_size(a);
    if (lethe_secret_size(b) != size_bytes)
        return false;
    const volatile uint8_t *left = (const volatile uint8_t *)a;
    const volatile uint8_t *right = (const volatile uint8_t *)b;
    uint8_t difference = 0;
    for (size_t i = 0; i < size_bytes; i++)
        difference |= left[i] ^ right[i];
    return difference == 0;
}
