#include "engine/swap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

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
