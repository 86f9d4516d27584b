/* engine/arguments.h -- the engine's command line and environment. Pure. */
#ifndef ENGINE_ARGUMENTS_H
#define ENGINE_ARGUMENTS_H

#include "base/base.h"

/* What "{name}" stands for. */
struct placeholder {
    const char *name;
    const char *path;
};

/* Every placeholder must stand in some argument. LETHE_INVALID names the one that does not. */
LETHE_MUST_CHECK lethe_result arguments_check(char *const *arguments,
                                              const struct placeholder *placeholders, size_t count,
                                              struct lethe_error *err);
/* A copy of the list, NULL-terminated, in which each "{name}" has become its path; other braces
 * stay as they are. Freed with arguments_free. */
LETHE_MUST_CHECK lethe_result arguments_expand(char *const *arguments,
                                               const struct placeholder *placeholders, size_t count,
                                               char ***out, struct lethe_error *err);
void arguments_free(char **arguments);
DEFINE_CLEANUP(arguments_free, char **);

/* Sets HOME, TMPDIR and the cache directories of this process below `directory`, and takes away
 * what speaks to Lethe alone (LETHE_*). For the engine's process, between fork and exec. */
LETHE_MUST_CHECK lethe_result environment_make_private(const char *directory,
                                                       struct lethe_error *err);
void environment_hide_lethe(void);

#endif
