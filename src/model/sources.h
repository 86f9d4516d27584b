/* model/sources.h -- the files that a model is made of: found, named, put in order, looked into. */
#ifndef MODEL_SOURCES_H
#define MODEL_SOURCES_H

#include <sys/stat.h>

#include "model/manifest.h"

#define SOURCE_DEPTH_MAX 64u /* folders in folders                         */
#define SOURCE_ENTRIES_MAX                                                                         \
    (16u * MANIFEST_SHARDS_MAX) /* names looked at: links can make many of few */

struct source {
    char *name;         /* relative, as it will be in the manifest */
    char *path;         /* where it really is */
    struct stat status; /* when it was found */
    enum shard_kind kind;
    struct tensor_list tensors;
};
struct source_list { /* plain storage; {0} is empty */
    struct source *items;
    size_t count;
    size_t capacity;
};
void source_list_clear(struct source_list *list);
static inline void source_list_clear_at_scope_end(struct source_list *list)
{
    source_list_clear(list);
}

/* Adds a file under its own name, or all files below a directory under their names in it. Symbolic
 * links in a directory are followed only to what is in it too. LETHE_NOT_FOUND; LETHE_INVALID for
 * what is neither file nor directory, and for names that a manifest cannot hold; LETHE_LIMIT. */
LETHE_MUST_CHECK lethe_result sources_add(struct source_list *list, const char *path,
                                          struct lethe_error *err);
/* Sorts by name. LETHE_INVALID when there are none, or two have the same name. */
LETHE_MUST_CHECK lethe_result sources_order(struct source_list *list, struct lethe_error *err);
/* Reads the tensors of all that say they are safetensors or GGUF. LETHE_MALFORMED for one that is
 * not, unless `raw`: then it is taken as a file of another type. */
LETHE_MUST_CHECK lethe_result sources_inspect(struct source_list *list, bool raw,
                                              struct lethe_error *err);

/* Opens the very file that was found, and says afterwards whether it stayed the same:
 * LETHE_CONFLICT.
 */
LETHE_MUST_CHECK lethe_result source_open(const struct source *source, int *fd,
                                          struct lethe_error *err);
LETHE_MUST_CHECK lethe_result source_check_unchanged(const struct source *source, int fd,
                                                     struct lethe_error *err);

#endif
