#include "model/paths.h"

#include <stdlib.h>
#include <string.h>

/* The end of a path sorts first, then a separator, then every other character. */
static int rank(char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : (unsigned char)c + 1;
}

int path_order(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return rank(*a) - rank(*b);
}

static int element_order(const void *a, const void *b)
{
    return path_order(*(const char *const *)a, *(const char *const *)b);
}

static bool is_or_holds(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    return strncmp(folder, path, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

const char *paths_clash(const char **paths, size_t count)
{
    if (count > 1)
        qsort(paths, count, sizeof *paths, element_order);
    for (size_t i = 1; i < count; i++) {
        if (is_or_holds(paths[i - 1], paths[i]))
            return paths[i];
    }
    return NULL;
}
