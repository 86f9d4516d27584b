/* mem/pages.h -- whole pages between inaccessible ones, with protections that were checked.
 *
 * What regions and arenas are made of:
 *
 *     | no access | bytes ... (aligned) | no access | trailer ... | no access |
 *
 * The trailer, if asked for, is plain memory for what is known about the bytes. */
#ifndef MEM_PAGES_H
#define MEM_PAGES_H

#include <lethe/mem.h>

#include "base/base.h"

struct pages_request {
    size_t size_bytes;    /* a multiple of PAGE_BYTES                                       */
    size_t align_bytes;   /* of the first byte: a power of two, at least PAGE_BYTES         */
    size_t trailer_bytes; /* a multiple of PAGE_BYTES, or 0; begins a page behind the bytes */
    unsigned optional;    /* enum lethe_protection: go without, if need be                  */
    bool secret;          /* from memfd_secret where the kernel has it; without a trailer   */
    bool huge;            /* in huge pages where the kernel has them                        */
    bool closed;          /* without access, once all else is done                          */
};

struct pages {
    uint8_t *bytes;
    size_t size_bytes;
    void *reservation; /* everything, the inaccessible pages too */
    size_t reserved_bytes;
    unsigned protections; /* enum lethe_protection: what it really has */
    enum lethe_locked_by locked_by;
    bool is_secret_memory;
    uint64_t epoch; /* of the process that made it */
};

/* Zeroed, readable and writable unless closed. LETHE_UNPROTECTED, LETHE_LIMIT, LETHE_NO_MEMORY as
 * lethe_region_create. */
LETHE_MUST_CHECK lethe_result pages_create(const struct pages_request *request, struct pages *out,
                                           struct lethe_error *err);
/* The caller has wiped them, or they were inherited. */
void pages_free(const struct pages *pages);

/* Where a process that has drawn this wishes its first pages to end. */
uintptr_t pages_first_place(uint64_t random);

/* True in a forked child for what its parent made: the child sees zeros there, or nothing. */
bool pages_are_inherited(const struct pages *pages);

#endif
