#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/progress.h"

static lethe_result decrypt(struct home *home, struct model *model, const char *output,
                            struct model_work *work, struct lethe_error *err)
{
    TRY(common_check_signature(home, model, err));
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    struct progress progress;
    progress_begin(&progress, "decrypt");
    work->progress = &progress.table;
    lethe_result result = model_decrypt(model, home_keys(home), output, work, err);
    progress_end(&progress);
    TRY(result);
    home_report_usage(home, model);

    const struct manifest *manifest = model_manifest(model);
    const struct audit_who who = keeper_who(home->keeper, manifest->tenant);
    const struct audit_event event = audit_model_loaded(
        manifest->model, manifest->release, manifest->count, model_plain_bytes(model),
        clock_monotonic_ns(&clock_system) - started_ns, "decrypt");
    return audit_commit(keeper_log(home->keeper), &who, &event, err);
}

COMMAND_FUNCTION(decrypt)
{
    const char *path = invocation->positional[0];
    const char *output = option_text(invocation, "output");
    if (output == NULL)
        return error_set(err, LETHE_INVALID, "no output was named: -o DIR");
    struct model_work work = {0};
    TRY(common_threads(invocation, &work.threads, err));
    CLEANUP(home_abandon) struct home *home = NULL;
    CLEANUP(model_close) struct model *model = NULL;
    TRY(common_open_home(invocation, &home, err));
    lethe_result result = model_open(path, &model, err);
    if (result == LETHE_OK)
        result = decrypt(home, model, output, &work, err);
    if (result == LETHE_OK) {
        size_t count = model_manifest(model)->files.count;
        printf("Decrypted %zu file%s into %s: plain files, to be guarded by you\n", count,
               count == 1 ? "" : "s", output);
    }
    result = home_reject_model(home, path, "decrypt", result, err);
    return home_finish(&home, result, err);
}
