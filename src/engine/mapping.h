/* engine/mapping.h -- forgetting a mapping that is too large for one thread. */
#ifndef ENGINE_MAPPING_H
#define ENGINE_MAPPING_H

#include <sys/types.h>

#include "base/base.h"

/* What was wiped, summed up over any number of calls. Begins as WIPE_NONE. */
struct wipe {
    uint64_t bytes;
    uint64_t duration_ns;
    bool verified; /* all of them read back as zero */
};
#define WIPE_NONE                                                                                  \
    (struct wipe)                                                                                  \
    {                                                                                              \
        .verified = true                                                                           \
    }

/* Overwrites and reads back, on several threads when it is worth it, and adds to `sum`. */
void mapping_wipe(uint8_t *mapping, uint64_t size_bytes, struct wipe *sum);

/* The next range of a file at or behind *begin that is not a hole. A hole holds nothing, and
 * writing zeros into it would take memory that may not be there. False at the end of the file, and
 * on failure (*failed). */
bool file_next_data(int fd, off_t *begin, off_t *end, bool *failed);

#endif
