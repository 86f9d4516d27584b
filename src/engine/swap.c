#include "engine/swap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define UNIFIED "0::" /* cgroups(7): the line of the v2 hierarchy */

/* A missing file forbids nothing. */
static bool group_forbids(const char *hierarchy, const char *group)
{
    CLEANUP(memory_free) char *path = NULL;
    CLEANUP(buffer_clear) struct buffer limit = {0};
    if (asprintf(&path, "%s%s/memory.swap.max", hierarchy, group) < 0) {
        path = NULL;
        return false;
    }
    return file_read_all(AT_FDCWD, path, 64, &limit, NULL) == LETHE_OK && limit.bytes != NULL &&
           strcmp(limit.bytes, "0\n") == 0;
}

/* The path behind "0::", NUL-terminated in place; NULL when there is none. */
static char *unified_group(char *text)
{
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (strncmp(line, UNIFIED, strlen(UNIFIED)) == 0)
            return line + strlen(UNIFIED);
        line = end;
    }
    return NULL;
}

bool swap_cgroup_forbids_in(const char *membership, const char *hierarchy)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (file_read_all(AT_FDCWD, membership, 65536, &text, NULL) != LETHE_OK || text.bytes == NULL)
        return false;
    char *group = unified_group(text.bytes);
    while (group != NULL && group[0] == '/' && group[1] != '\0') {
        if (group_forbids(hierarchy, group))
            return true;
        *strrchr(group, '/') = '\0';
    }
    return false;
}

bool swap_cgroup_forbids(void)
{
    return swap_cgroup_forbids_in("/proc/self/cgroup", "/sys/fs/cgroup");
}
