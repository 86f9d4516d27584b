#include "engine/swap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/file.h"

/* zram is compressed RAM and never a disk, unless it has a backing device, which only its own
 * directory in sysfs tells. */
static bool device_is_volatile(const char *line, size_t length)
{
    static const char zram[] = "/dev/zram";
    size_t prefix = sizeof zram - 1;
    if (length <= prefix || strncmp(line, zram, prefix) != 0)
        return false;
    char path[96];
    CLEANUP(buffer_clear) struct buffer backing = {0};
    snprintf(path, sizeof path, "/sys/block/zram%d/backing_dev", atoi(line + prefix));
    if (file_read_all(AT_FDCWD, path, 4096, &backing, NULL) != LETHE_OK)
        return false;
    return backing.size_bytes >= 4 && strncmp(backing.bytes, "none", 4) == 0;
}

bool swap_is_active(const char *swaps, size_t size_bytes)
{
    struct cursor cursor = cursor_over(swaps, size_bytes);
    const char *line;
    size_t length;
    bool heading = true;
    while (cursor_line(&cursor, &line, &length) == LETHE_OK) {
        if (!heading && length > 0 && !device_is_volatile(line, length))
            return true;
        heading = false;
    }
    return cursor_left(&cursor) > 0; /* a torn line: not understood */
}

bool swap_host_is_active(void)
{
    CLEANUP(buffer_clear) struct buffer swaps = {0};
    if (file_read_all(AT_FDCWD, "/proc/swaps", 1 << 20, &swaps, NULL) != LETHE_OK)
        return true;
    return swap_is_active(swaps.bytes, swaps.size_bytes);
}

/* Reads <root><group>/memory.swap.max; a missing file forbids nothing. */
static bool group_forbids(const char *group)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(buffer_clear) struct buffer limit = {0};
    if (asprintf(&path, "/sys/fs/cgroup%s/memory.swap.max", group) < 0) {
        path = NULL;
        return false;
    }
    return file_read_all(AT_FDCWD, path, 64, &limit, NULL) == LETHE_OK &&
           strcmp(limit.bytes, "0\n") == 0;
}

bool swap_cgroup_forbids(void)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, "/proc/self/cgroup", 65536, &text, NULL) != LETHE_OK)
        return false;
    char *group = strstr(text.bytes, "0::"); /* the unified hierarchy */
    if (group == NULL)
        return false;
    group += strlen("0::");
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        if (group_forbids(group))
            return true;
        char *slash = strrchr(group, '/');
        if (slash == NULL || slash == group)
            return false;
        *slash = '\0';
    }
}
