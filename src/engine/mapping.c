#include "engine/mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lethe/mem.h>

#include "base/clock.h"
#include "base/thread.h"

#define WIPE_PIECE_BYTES ((uint64_t)16 << 20)

struct wipe_work {
    uint8_t *mapping;
    uint64_t size_bytes;
    uint64_t next; /* atomic: offset of the next piece */
    bool residue;  /* atomic */
};

static lethe_result wipe_pieces(void *context, unsigned worker, struct lethe_error *err)
{
    struct wipe_work *work = context;
    for (;;) {
        uint64_t at = __atomic_fetch_add(&work->next, WIPE_PIECE_BYTES, __ATOMIC_RELAXED);
        if (at >= work->size_bytes)
            return LETHE_OK;
        size_t size = (size_t)MIN(WIPE_PIECE_BYTES, work->size_bytes - at);
        /* One call in place of a fault for every page that only others have touched. */
        (void)madvise(work->mapping + at, size, MADV_POPULATE_WRITE);
        lethe_wipe(work->mapping + at, size);
        if (!lethe_is_zero(work->mapping + at, size))
            __atomic_store_n(&work->residue, true, __ATOMIC_RELAXED);
    }
}

void mapping_wipe(uint8_t *mapping, uint64_t size_bytes, struct wipe *sum)
{
    struct wipe_work work = {.mapping = mapping, .size_bytes = size_bytes};
    unsigned threads = size_bytes > WIPE_PIECE_BYTES ? threads_available() : 1;
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    bool done = threads_run(threads, wipe_pieces, &work, NULL) == LETHE_OK;
    sum->duration_ns += clock_monotonic_ns(&clock_system) - started_ns;
    sum->bytes += size_bytes;
    sum->verified = sum->verified && done && !work.residue;
}

bool file_next_data(int fd, off_t *begin, off_t *end, bool *failed)
{
    *begin = lseek(fd, *begin, SEEK_DATA);
    if (*begin < 0) {
        *failed = errno != ENXIO; /* nothing but a hole up to the end */
        return false;
    }
    *end = lseek(fd, *begin, SEEK_HOLE);
    *failed = *end < 0;
    return !*failed;
}
