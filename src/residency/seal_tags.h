/* residency/seal_tags.h -- keyed tags over every byte of what was sealed, for `fast` verification.
 *
 * Each seal draws a key of its own, so that a tag says nothing without it and never serves twice.
 * Key and tags stay in guarded memory of the host and are wiped with the seal. Tags may be checked
 * by many threads at once. */
#ifndef RESIDENCY_SEAL_TAGS_H
#define RESIDENCY_SEAL_TAGS_H

#include "device/device.h"

struct seal_tags;

/* Reads all of the memory. LETHE_UNPROTECTED, LETHE_NO_MEMORY, and what the device gives. */
LETHE_MUST_CHECK lethe_result seal_tags_create(const struct device_memory *memory, unsigned threads,
                                               struct seal_tags **out, struct lethe_error *err);
/* LETHE_INTEGRITY: names the first bytes found that are not what was sealed. */
LETHE_MUST_CHECK lethe_result seal_tags_check(struct seal_tags *tags,
                                              const struct device_memory *memory, unsigned threads,
                                              struct lethe_error *err);
void seal_tags_free(struct seal_tags *tags); /* NULL is fine */
DEFINE_CLEANUP(seal_tags_free, struct seal_tags *);

#endif
