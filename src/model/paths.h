/* model/paths.h -- relative paths that are to lie in one directory. */
#ifndef MODEL_PATHS_H
#define MODEL_PATHS_H

#include "base/base.h"

/* Order by parts: "a", "a/b", "a.b". What lies in a folder comes right behind the folder. */
int path_order(const char *a, const char *b);

/* NULL when all of them can be there together; otherwise one that cannot, because another is the
 * same or is in its way (a file "a" and a file "a/b"). Sorts `paths`. */
const char *paths_clash(const char **paths, size_t count);

#endif
