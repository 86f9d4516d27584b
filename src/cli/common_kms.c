#include "cli/common_kms.h"

#include "base/error.h"
#include "base/file.h"

lethe_result common_kms_configuration(const struct invocation *invocation,
                                      struct serve_configuration *out, struct lethe_error *err)
{
    const char *given = option_text(invocation, "config");
    if (given != NULL)
        return serve_configuration_read(given, true, out, err);
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    TRY(home_locate(NULL, &paths, err));
    CLEANUP(memory_free) char *path = path_join(paths.directory, "kms.conf");
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return serve_configuration_read(path, false, out, err);
}
