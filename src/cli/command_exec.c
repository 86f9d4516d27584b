#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/progress.h"
#include "engine/engine.h"

#define MODELS_MAX 64

/* The models of one command line, opened. */
struct models {
    struct engine_model list[MODELS_MAX];
    char *names[MODELS_MAX]; /* of placeholders, owned */
    size_t count;
};

static void models_clear(struct models *models)
{
    for (size_t i = 0; i < models->count; i++) {
        model_close(models->list[i].model);
        free(models->names[i]);
    }
    models->count = 0;
}

static inline void models_clear_at_scope_end(struct models *models)
{
    models_clear(models);
}

static lethe_result add_model(struct models *models, const char *placeholder, size_t length,
                              const char *path, struct lethe_error *err)
{
    if (models->count == MODELS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %d models", MODELS_MAX);
    char *name = strndup(placeholder, length);
    if (name == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a name");
    size_t i = models->count++;
    models->names[i] = name;
    models->list[i] = (struct engine_model){.placeholder = name};
    for (size_t j = 0; j < i; j++) {
        if (strcmp(models->names[j], name) == 0)
            return error_set(err, LETHE_INVALID, "two models have the name {%s}", name);
    }
    TRY(validate_identifier("the name of a model", name, NAME_PART_MAX, err));
    return model_open(path, &models->list[i].model, err);
}

static lethe_result open_models(const struct invocation *invocation, struct models *models,
                                struct lethe_error *err)
{
    TRY(add_model(models, "model", strlen("model"), invocation->positional[0], err));
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i]->name, "with") != 0)
            continue;
        const char *value = invocation->values[i];
        const char *equals = strchr(value, '=');
        if (equals == NULL)
            return error_set(err, LETHE_INVALID, "--with takes NAME=MODEL");
        TRY(add_model(models, value, (size_t)(equals - value), equals + 1, err));
    }
    return LETHE_OK;
}

static lethe_result read_handover(const struct invocation *invocation, enum handover *out,
                                  struct lethe_error *err)
{
    const char *text = option_text(invocation, "handover");
    const enum handover all[] = {HANDOVER_AUTO, HANDOVER_TMPFS, HANDOVER_MEMFD};
    *out = HANDOVER_AUTO;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (text == NULL || strcmp(text, handover_name(all[i])) == 0) {
            *out = all[i];
            return LETHE_OK;
        }
    }
    return error_set(err, LETHE_INVALID, "--handover is one of auto, tmpfs, memfd");
}

static lethe_result run_engine(struct home *home, struct engine *engine,
                               const struct models *models, struct invocation *invocation,
                               struct lethe_error *err)
{
    for (size_t i = 0; i < models->count; i++)
        TRY(error_context(err, common_check_signature(home, models->list[i].model, err), "%s",
                          model_path(models->list[i].model)));
    const struct engine_services services = {
        .keys = keeper_key_source(home->keeper),
        .log = keeper_log(home->keeper),
        .who = keeper_who(home->keeper, model_manifest(models->list[0].model)->tenant)};
    struct engine_exit exit_state = {0};
    TRY(engine_run(engine, &services, &exit_state, err));
    invocation->exit_code = exit_state.exit_code;
    if (exit_state.start_errno != 0)
        fprintf(stderr, "lethe: %s: %s\n", invocation->rest[0],
                strerrordesc_np(exit_state.start_errno));
    char size[BYTES_TEXT_SIZE];
    bytes_text(exit_state.wiped_bytes, size);
    fprintf(stderr, "lethe: engine exited %d, %s wiped and verified\n", exit_state.exit_code, size);
    return LETHE_OK;
}

/* Everything that can be done before a secret is in this process. */
static lethe_result prepare(const struct invocation *invocation, const struct home_paths *paths,
                            struct models *models, const struct progress *progress,
                            struct engine **engine, struct lethe_error *err)
{
    struct root_spec root;
    TRY(keeper_peek_root(paths->store, &root, err));
    const char *hidden[] = {paths->directory, root.kind == ROOT_FILE ? root.where : NULL, NULL};
    struct engine_options options = {.models = models->list,
                                     .arguments = invocation->rest,
                                     .allow_swap = option_given(invocation, "allow-swap"),
                                     .check_digest = option_given(invocation, "check-digest"),
                                     .keep_home = option_given(invocation, "keep-home"),
                                     .run_directory = paths->run,
                                     .hidden = hidden,
                                     .work = {.progress = &progress->table}};
    TRY(read_handover(invocation, &options.handover, err));
    TRY(common_threads(invocation, &options.work.threads, err));
    TRY(open_models(invocation, models, err));
    options.model_count = models->count;
    return engine_prepare(&options, engine, err);
}

COMMAND_FUNCTION(exec)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    CLEANUP(models_clear) struct models models = {0};
    CLEANUP(engine_free) struct engine *engine = NULL;
    CLEANUP(home_abandon) struct home *home = NULL;
    struct progress progress;
    TRY(home_locate(&paths, err));
    TRY(home_require(&paths, err));
    progress_begin(&progress, "load");

    lethe_result result = prepare(invocation, &paths, &models, &progress, &engine, err);
    if (result != LETHE_OK && result != LETHE_INTEGRITY && result != LETHE_MALFORMED)
        return result; /* nothing about a model that would have to be on record */

    struct lethe_error home_error = {0};
    lethe_result opened = common_open_home(invocation, &home, &home_error);
    if (opened != LETHE_OK && result == LETHE_OK && err != NULL)
        *err = home_error;
    if (opened != LETHE_OK)
        return result != LETHE_OK ? result : opened;
    if (result == LETHE_OK)
        result = run_engine(home, engine, &models, invocation, err);
    progress_end(&progress);
    result =
        home_reject_model(home, common_base_name(invocation->positional[0]), "exec", result, err);
    return HOME_FINISH(home, result, err);
}
