#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"

COMMAND_FUNCTION(init)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    TRY(home_locate(&paths, err));
    if (home_is_there(&paths)) {
        printf("There is a home already: %s\n", paths.directory);
        return LETHE_OK;
    }
    struct home_init init = {.root = option_text(invocation, "root"),
                             .node = option_text(invocation, "node")};
    TRY(common_passphrase_fd(invocation, &init.passphrase_fd, err));
    struct root_spec root;
    TRY(home_create(&paths, &init, &root, err));

    CLEANUP(buffer_clear) struct buffer about_root = {0};
    root_describe(&root, &about_root);
    TRY(buffer_result(&about_root, err));
    printf("Made a home:  %s\n%s\nNext: lethe encrypt FILE -o MODEL\n", paths.directory,
           about_root.bytes);
    return LETHE_OK;
}
