#include "audit/space.h"

#include <sys/statvfs.h>

#include "base/error.h"
#include "base/text.h"

#define FLOOR_BYTES ((uint64_t)64 << 20)
#define FLOOR_PART 100u /* of the file system, when that is less */

static lethe_result look(void *context, int directory, uint64_t *free_bytes, uint64_t *total_bytes,
                         struct lethe_error *err)
{
    struct statvfs status;
    if (fstatvfs(directory, &status) != 0)
        return error_from_errno(err, "looking how full the log's file system is");
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return LETHE_OK;
}

const struct audit_space space_system = {.look = look};

lethe_result space_check(const struct audit_space *space, int directory, uint64_t floor_bytes,
                         struct lethe_error *err)
{
    uint64_t free_bytes;
    uint64_t total_bytes;
    if (floor_bytes == AUDIT_NO_LIMIT ||
        space->look(space->context, directory, &free_bytes, &total_bytes, NULL) != LETHE_OK ||
        total_bytes == 0)
        return LETHE_OK;
    if (floor_bytes == 0)
        floor_bytes = MIN(FLOOR_BYTES, total_bytes / FLOOR_PART);
    if (free_bytes >= floor_bytes)
        return LETHE_OK;
    char has[BYTES_TEXT_SIZE];
    char needs[BYTES_TEXT_SIZE];
    bytes_text(free_bytes, has);
    bytes_text(floor_bytes, needs);
    error_set(err, LETHE_NO_SPACE,
              "the log's file system has %s free, and its last %s are for critical records", has,
              needs);
    error_hint(err, "make room there, or lower free_floor in lethe.conf, section [audit]");
    return LETHE_NO_SPACE;
}
