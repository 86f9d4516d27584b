/* cli/policy_files.h -- policies and data from files and directories, as `opa eval -d` takes them.
 *
 * NAME.rego is a module. NAME.json, NAME.yaml and NAME.yml are data: it stands at the root, or,
 * below a directory that was named, where its own directory leads (of `-d DIR`, DIR/a/b/x.json is
 * data.a.b). Two files that say different things about one place are refused. Other files are
 * refused where they are named, and passed over in directories. */
#ifndef CLI_POLICY_FILES_H
#define CLI_POLICY_FILES_H

#include "policy/policy.h"

struct policy_files {
    struct arena arena; /* all that was read, and the plan */
    struct lethe_policy_module *modules;
    size_t count, capacity;
    const struct value *data;
    struct plan *plan;
};

void policy_files_clear(struct policy_files *files); /* {0} is empty too */
static inline void policy_files_clear_at_scope_end(struct policy_files *files)
{
    policy_files_clear(files);
}

/* "a.b:PATH" puts what is data below data.a.b; a PATH with a colon in it begins with ./ then. */
LETHE_MUST_CHECK lethe_result policy_files_add(struct policy_files *files, const char *path,
                                               struct lethe_error *err);
/* Makes the plan. Problems go to stderr, each with its line and a caret; then LETHE_FAILED. */
LETHE_MUST_CHECK lethe_result policy_files_compile(struct policy_files *files, bool v0,
                                                   struct lethe_error *err);
/* Prints problems likewise, and gives the result that stands for them. `result` is what the
 * compiler or parser gave. */
LETHE_MUST_CHECK lethe_result policy_problems_report(const struct problems *problems,
                                                     lethe_result result, const char *what,
                                                     struct lethe_error *err);

#endif
