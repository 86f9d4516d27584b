#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/engine_words.h"
#include "cli/kms_options.h"
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
        if (equals == NULL || equals == value || equals[1] == '\0') {
            error_set(err, LETHE_INVALID, "--with takes NAME=MODEL");
            error_hint(err, "--with draft=small.lethe ... -- engine {model} {draft}");
            return LETHE_INVALID;
        }
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

static lethe_result read_on_revoke(const struct invocation *invocation, bool *finish,
                                   struct lethe_error *err)
{
    const char *text = option_text(invocation, "on-revoke");
    *finish = text != NULL && strcmp(text, "finish") == 0;
    if (text == NULL || *finish || strcmp(text, "kill") == 0)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "--on-revoke is kill or finish");
}

/* All that one run holds; freed from the bottom up, so the home goes before the engine that it
 * logs. */
struct run {
    const struct invocation *invocation;
    struct home_paths paths;
    struct models models;
    struct progress progress;
    struct ready_url ready_url;
    struct engine *engine;
    struct home *home;
    struct kms_settings kms;
    struct lethe_error why; /* a key of the models may be used no more */
};

static void run_clear(struct run *run)
{
    home_abandon(run->home);
    engine_free(run->engine);
    models_clear(&run->models);
    home_paths_clear(&run->paths);
}

static inline void run_clear_at_scope_end(struct run *run)
{
    run_clear(run);
}

static lethe_result read_ready(const struct invocation *invocation, struct ready_url *url,
                               struct engine_options *options, struct lethe_error *err)
{
    const char *text = option_text(invocation, "ready-url");
    const char *handover = option_text(invocation, "handover");
    options->drop_after_ready = option_given(invocation, "drop-after-ready");
    if (!options->drop_after_ready && text != NULL)
        return error_set(err, LETHE_INVALID, "--ready-url is of use with --drop-after-ready only");
    if (options->drop_after_ready && handover != NULL && strcmp(handover, "memfd") == 0)
        return error_set(err, LETHE_INVALID,
                         "--drop-after-ready needs --handover tmpfs: a sealed "
                         "memory file cannot be freed while the engine has it");
    if (text == NULL)
        return LETHE_OK;
    options->ready_url = url;
    return ready_url_parse(text, url, err);
}

/* What shows a key service who this is, is not for the engine's eyes either. */
static lethe_result read_kms(struct run *run, struct lethe_error *err)
{
    struct configuration configuration;
    TRY(configuration_read(run->paths.configuration, &configuration, err));
    run->kms = configuration.kms;
    return kms_options_read(run->invocation, &run->kms, err);
}

/* Everything that can be done before a secret is in this process. */
static lethe_result prepare(struct run *run, struct lethe_error *err)
{
    const struct invocation *invocation = run->invocation;
    struct root_spec root;
    CLEANUP(memory_free) char *root_file = NULL;
    TRY(keeper_peek_root(run->paths.store, &root, err));
    TRY(root_locate(&root, &root_file, err));
    TRY(read_kms(run, err));
    const char *hidden[6] = {run->paths.directory};
    size_t hidden_count = 1;
    const char *const files[] = {root_file, run->kms.token_file, run->kms.key, run->kms.attest_key};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i] != NULL && files[i][0] != '\0')
            hidden[hidden_count++] = files[i];
    }
    struct engine_options options = {.models = run->models.list,
                                     .arguments = invocation->rest,
                                     .allow_swap = option_given(invocation, "allow-swap"),
                                     .check_digest = option_given(invocation, "check-digest"),
                                     .keep_home = option_given(invocation, "keep-home"),
                                     .run_directory = run->paths.run,
                                     .hidden = hidden,
                                     .work = {.progress = &run->progress.table}};
    bool finish;
    TRY(read_ready(invocation, &run->ready_url, &options, err));
    TRY(read_handover(invocation, &options.handover, err));
    TRY(read_on_revoke(invocation, &finish, err)); /* a mistake is named before anything is done */
    TRY(common_threads(invocation, &options.work.threads, err));
    TRY(open_models(invocation, &run->models, err));
    options.model_count = run->models.count;
    return engine_prepare(&options, &run->engine, err);
}

static lethe_result check_signatures(const struct run *run, struct lethe_error *err)
{
    for (size_t i = 0; i < run->models.count; i++)
        TRY(common_check_signature(run->home, run->models.list[i].model, err));
    return LETHE_OK;
}

static void report_exit(const struct run *run, const struct engine_exit *exited)
{
    char size[BYTES_TEXT_SIZE];
    bytes_text(exited->wiped_bytes, size);
    if (exited->start_errno != 0)
        fprintf(stderr, "lethe: %s: %s\n", run->invocation->rest[0],
                strerrordesc_np(exited->start_errno));
    fprintf(stderr, "lethe: engine exited %d, %s wiped and verified\n", exited->exit_code, size);
}

/* A service that was out of reach for too long may have revoked anything. */
static lethe_result as_revoked(const struct run *run, lethe_result result)
{
    bool is_lost =
        run->home->client != NULL && (result == LETHE_UNAVAILABLE || result == LETHE_NOT_FOUND);
    return is_lost ? LETHE_REVOKED : result;
}

/* Every version that wraps a data key of the models must still be good. */
static lethe_result check_leave(void *context, char *key, size_t key_bytes)
{
    struct run *run = context;
    for (size_t i = 0; i < run->models.count; i++) {
        const struct manifest *manifest = model_manifest(run->models.list[i].model);
        const struct shard *before = NULL;
        for (size_t j = 0; j < manifest->count; before = &manifest->shards[j++]) {
            const struct shard *shard = &manifest->shards[j];
            if (before != NULL && before->key_version == shard->key_version &&
                strcmp(before->key, shard->key) == 0)
                continue;
            snprintf(key, key_bytes, "%s", shard->key);
            TRY(as_revoked(
                run, home_check_usable(run->home, shard->key, shard->key_version, &run->why)));
        }
    }
    return LETHE_OK;
}

/* A key service that asks for evidence is told which engine it is for. */
static lethe_result name_engine(const struct run *run, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer words = {0};
    if (run->home->attesting == NULL)
        return LETHE_OK;
    TRY(engine_words(run->invocation->rest, handover_name(engine_handover(run->engine)), &words,
                     err));
    return kms_client_set_engine(run->home->client, words.bytes, err);
}

static lethe_result run_engine(struct run *run, int *exit_code, struct lethe_error *err)
{
    struct engine_watch watch = {.check = check_leave, .context = run};
    TRY(read_on_revoke(run->invocation, &watch.finish, err));
    TRY(name_engine(run, err));
    TRY(check_signatures(run, err));
    for (size_t i = 0; i < run->models.count; i++)
        home_report_usage(run->home, run->models.list[i].model);
    const char *tenant = model_manifest(run->models.list[0].model)->tenant;
    const struct engine_services services = {.keys = home_keys(run->home),
                                             .log = keeper_log(run->home->keeper),
                                             .who = keeper_who(run->home->keeper, tenant),
                                             .watch = &watch};
    struct engine_exit exited = {0};
    if (engine_swap_safety(run->engine) == SWAP_UNSAFE)
        fprintf(stderr, "lethe: warning: nothing keeps the weights from swap (--allow-swap)\n");
    TRY(engine_run(run->engine, &services, &exited, err));
    progress_end(&run->progress);
    *exit_code = exited.exit_code;
    report_exit(run, &exited);
    if (exited.swapped_on) {
        error_set(err, LETHE_UNPROTECTED,
                  "swap was turned on, and nothing else kept the weights "
                  "from it: the engine was ended");
        error_hint(err, "lethe doctor lists what can");
        return LETHE_UNPROTECTED;
    }
    if (exited.revoked && run->home->client != NULL) {
        error_set(err, LETHE_REVOKED, "%.400s: the engine was ended", run->why.text);
        if (run->why.hint[0] != '\0')
            error_hint(err, "%s", run->why.hint);
        return LETHE_REVOKED;
    }
    if (exited.revoked)
        return error_set(err, LETHE_REVOKED,
                         "a key of the model was revoked: the engine was ended");
    return LETHE_OK;
}

COMMAND_FUNCTION(exec)
{
    CLEANUP(run_clear) struct run run = {.invocation = invocation};
    TRY(home_locate(NULL, &run.paths, err));
    TRY(home_require(&run.paths, err));
    progress_begin(&run.progress, "load");

    lethe_result result = prepare(&run, err);
    if (result != LETHE_OK && result != LETHE_INTEGRITY && result != LETHE_MALFORMED)
        return result; /* nothing about a model that would have to be on record */

    struct lethe_error home_error = {0};
    lethe_result opened = common_open_home(invocation, &run.home, &home_error);
    if (opened != LETHE_OK && result == LETHE_OK && err != NULL)
        *err = home_error;
    if (opened != LETHE_OK)
        return result != LETHE_OK ? result : opened;
    if (result == LETHE_OK)
        result = run_engine(&run, &invocation->exit_code, err);
    progress_end(&run.progress);
    result = home_reject_model(run.home, invocation->positional[0], "exec", result, err);
    return home_finish(&run.home, result, err);
}
