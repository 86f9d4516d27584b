#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/key_remote.h"
#include "cli/progress.h"
#include "model/model.h"

/* ---- --check --------------------------------------------------------------------------------- */

static void print_status(const char *path, const struct reencrypt_status *status, bool json)
{
    char left[BYTES_TEXT_SIZE];
    if (json) {
        printf("{\"format\":\"lethe-reencrypt-check/1\",\"left_bytes\":%" PRIu64
               ",\"left_shards\":%" PRIu64 ",\"shards\":%" PRIu64 ",\"unfinished\":%s}\n",
               status->left_bytes, status->left_shards, status->shards,
               status->unfinished ? "true" : "false");
        return;
    }
    bytes_text(status->left_bytes, left);
    printf("%s: %s: %" PRIu64 " of %" PRIu64 " shards (%s) are left to encrypt anew\n", path,
           status->unfinished ? "was begun" : "nothing was begun", status->left_shards,
           status->shards, left);
}

static lethe_result check(struct home *home, const struct invocation *invocation,
                          struct lethe_error *err)
{
    const char *path = invocation->positional[0];
    const struct key_source *keys = home_keys(home);
    CLEANUP(model_close) struct model *model = NULL;
    struct reencrypt_status status;
    TRY(model_open(path, &model, err));
    TRY(model_check_own_signature(model, keys, true, err));
    TRY(model_reencrypt_status(model, keys, &status, err));
    print_status(path, &status, option_given(invocation, "json"));
    return LETHE_OK;
}

/* ---- interrupted ----------------------------------------------------------------------------- */

static atomic_bool interrupted;

static void interrupt(int number)
{
    atomic_store(&interrupted, true);
}

/* The first signal ends the work where it can be gone on with, the second one ends the process,
 * which can be gone on with too. */
static void end_on_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART | SA_RESETHAND};
    struct sigaction before;
    for (size_t i = 0; i < ARRAY_LEN(ending); i++)
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(ending[i], &action, NULL);
}

/* ---- the work -------------------------------------------------------------------------------- */

static lethe_result record(void *context, const struct reencrypt_summary *summary,
                           struct lethe_error *err)
{
    const struct home *home = context;
    char digest[COMMON_DIGEST_SIZE];
    const struct audit_who who = keeper_who(home->keeper, summary->tenant);
    common_digest_text(summary->manifest_digest, digest);
    const struct audit_event event = audit_model_reencrypted(
        summary->model, summary->release, summary->shards, summary->plain_bytes, digest);
    return audit_commit(keeper_log(home->keeper), &who, &event, err);
}

/* What this cannot do, and what can be done about it. */
static lethe_result say_what_is_left(struct home *home, const struct reencrypt_summary *made,
                                     struct lethe_error *err)
{
    char name[2 * NAME_PART_MAX + 2];
    uint64_t minimum = 0;
    snprintf(name, sizeof name, "%s.%s", made->tenant, made->model);
    if (home->client != NULL)
        TRY(key_remote_minimum(home->client, name, 0, &minimum, err));
    else
        TRY(keeper_release_minimum(home->keeper, name, &minimum, err));
    fprintf(stderr, "lethe: a copy of an older release stays readable to whoever has it with its "
                    "data keys\n");
    if (minimum < made->release)
        fprintf(stderr,
                "lethe: this home opens such copies too, unless their key was revoked; lethe key "
                "minimum %s --set %" PRIu64 " ends that\n",
                name, made->release);
    return LETHE_OK;
}

static void print_made(const char *path, const struct reencrypt_summary *made)
{
    char size[BYTES_TEXT_SIZE];
    bytes_text(made->plain_bytes, size);
    if (made->discarded != NULL)
        fprintf(stderr, "lethe: what an earlier run had done was not used: %s\n", made->discarded);
    if (made->taken_over > 0)
        fprintf(stderr, "lethe: %" PRIu64 " shards were taken over from an earlier run\n",
                made->taken_over);
    if (made->was_done)
        fprintf(stderr, "lethe: an earlier run had done it all; what it left was removed\n");
    printf("%s: release %" PRIu64 ", %" PRIu64 " shards (%s) under new data keys\n", path,
           made->release, made->shards, size);
}

static lethe_result reencrypt(struct home *home, const struct invocation *invocation,
                              struct lethe_error *err)
{
    struct progress progress;
    struct reencrypt_summary made;
    struct reencrypt_options options = {.path = invocation->positional[0],
                                        .restart = option_given(invocation, "restart"),
                                        .clock = &clock_system,
                                        .random = &random_system,
                                        .progress = &progress.table,
                                        .cancelled = &interrupted,
                                        .published = record,
                                        .context = home};
    TRY(common_threads(invocation, &options.threads, err));
    end_on_signals();
    progress_begin(&progress, "reencrypt");
    lethe_result result = model_reencrypt(&options, home_keys(home), &made, err);
    progress_end(&progress);
    result = home_reject_model(home, options.path, "reencrypt", result, err);
    TRY(result);
    home_report_usage_at(home, options.path);
    print_made(options.path, &made);
    return say_what_is_left(home, &made, err);
}

COMMAND_FUNCTION(reencrypt)
{
    bool only_check = option_given(invocation, "check");
    if (option_given(invocation, "json") && !only_check)
        return error_set(err, LETHE_INVALID, "--json goes with --check");
    if (option_given(invocation, "restart") && only_check)
        return error_set(err, LETHE_INVALID,
                         "--check changes nothing: it does not go with "
                         "--restart");
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    lethe_result result =
        only_check ? check(home, invocation, err) : reencrypt(home, invocation, err);
    return home_finish(&home, result, err);
}
