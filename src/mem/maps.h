/* mem/maps.h -- what the kernel really does with a range of our memory, read from
 * /proc/self/smaps. The only other ways to ask (mincore, PROCMAP_QUERY) do not tell. */
#ifndef MEM_MAPS_H
#define MEM_MAPS_H

#include "base/base.h"

enum map_flag {
    MAP_FLAG_LOCKED = 1u << 0,        /* "lo": never written to swap        */
    MAP_FLAG_UNDUMPABLE = 1u << 1,    /* "dd": left out of core files       */
    MAP_FLAG_WIPED_ON_FORK = 1u << 2, /* "wf": a forked child sees zeros    */
    MAP_FLAG_NOT_FORKED = 1u << 3,    /* "dc": a forked child sees nothing  */
    MAP_FLAG_SECRET = 1u << 4,        /* a mapping of memfd_secret          */
};

/* The flags that hold for every byte of [memory, memory + size_bytes). Gives 0 for a range that is
 * not mapped everywhere; fails when /proc cannot be read. Costs some ten
 * microseconds for the ranges of pages.h, which come first in the file; for others, up to some
 * milliseconds: the kernel counts the pages of every mapping in front of them. */
LETHE_MUST_CHECK lethe_result maps_flags(const void *memory, size_t size_bytes, unsigned *out,
                                         struct lethe_error *err);

#endif
