#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"
#include "model/model.h"

static void print_age(const char *path, const struct model_age *age, bool json)
{
    if (json) {
        printf("{\"format\":\"lethe-model-age/1\",\"old_shards\":%" PRIu64
               ",\"old_signature\":%s,\"shards\":%" PRIu64 "}\n",
               age->old_shards, age->old_signature ? "true" : "false", age->shards);
        return;
    }
    printf("%s: %" PRIu64 " of %" PRIu64 " shards still need the newest version of their key\n",
           path, age->old_shards, age->shards);
    if (age->old_signature)
        printf("%s: the signature still is of an older version of the signer\n", path);
}

static lethe_result check(struct home *home, const struct invocation *invocation,
                          struct lethe_error *err)
{
    const char *path = invocation->positional[0];
    const struct key_source *keys = keeper_key_source(home->keeper);
    CLEANUP(model_close) struct model *model = NULL;
    struct model_age age;
    TRY(model_open(path, &model, err));
    TRY(model_check_own_signature(model, keys, true, err));
    TRY(model_age(model, keys, &age, err));
    print_age(path, &age, option_given(invocation, "json"));
    return LETHE_OK;
}

static lethe_result record(struct home *home, const struct rewrap_summary *summary,
                           struct lethe_error *err)
{
    char digest[COMMON_DIGEST_SIZE];
    const struct audit_who who = keeper_who(home->keeper, summary->tenant);
    common_digest_text(summary->manifest_digest, digest);
    const struct audit_event event =
        audit_model_rewrapped(summary->model, summary->release, summary->rewrapped, digest);
    return audit_commit(keeper_log(home->keeper), &who, &event, err);
}

static lethe_result rewrap(struct home *home, const struct invocation *invocation,
                           struct lethe_error *err)
{
    const struct rewrap_options options = {
        .path = invocation->positional[0], .clock = &clock_system, .random = &random_system};
    struct rewrap_summary summary;
    TRY(model_rewrap(&options, keeper_key_source(home->keeper), &summary, err));
    if (!summary.renewed) {
        fprintf(stderr, "lethe: %s is as new as its keys; nothing was changed\n", options.path);
        return LETHE_OK;
    }
    TRY(record(home, &summary, err));
    printf("%s: release %" PRIu64 ", %" PRIu64 " data keys wrapped anew\n", options.path,
           summary.release, summary.rewrapped);
    return LETHE_OK;
}

COMMAND_FUNCTION(rewrap)
{
    if (option_given(invocation, "json") && !option_given(invocation, "check"))
        return error_set(err, LETHE_INVALID, "--json goes with --check");
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    lethe_result result = option_given(invocation, "check") ? check(home, invocation, err)
                                                            : rewrap(home, invocation, err);
    return home_finish(&home, result, err);
}
