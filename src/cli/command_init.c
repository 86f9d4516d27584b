#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"

static lethe_result print_home(const char *what, const struct home_paths *paths,
                               const struct root_spec *root, const char *next,
                               struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer about_root = {0};
    root_describe(root, &about_root);
    TRY(buffer_result(&about_root, err));
    printf("%s%s\n%s\n%s", what, paths->directory, about_root.bytes, next);
    return LETHE_OK;
}

COMMAND_FUNCTION(init)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    struct root_spec root;
    TRY(home_locate(NULL, &paths, err));
    bool is_there;
    TRY(home_look(&paths, &is_there, err));
    if (is_there) {
        TRY(keeper_peek_root(paths.store, &root, err));
        return print_home("There is a home already, and nothing was changed.\nHome:         ",
                          &paths, &root, "", err);
    }
    struct home_init init = {.root = option_text(invocation, "root"),
                             .node = option_text(invocation, "node")};
    TRY(common_passphrase_fd(invocation, &init.passphrase_fd, err));
    TRY(home_create(&paths, &init, &root, err));
    return print_home("Made a home:  ", &paths, &root, "Next: lethe encrypt FILE -o MODEL\n", err);
}
