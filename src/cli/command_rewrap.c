#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"
#include "model/model.h"

/* The names of keys need no escaping. */
static void print_age_json(const struct model_age *age)
{
    printf("{\"format\":\"lethe-model-age/1\",\"keys\":[");
    for (size_t i = 0; i < age->key_count; i++) {
        const struct model_key_age *key = &age->keys[i];
        printf("%s{\"key\":\"%s\",\"newest_version\":%" PRIu64 ",\"old_shards\":%" PRIu64
               ",\"shards\":%" PRIu64 "}",
               i == 0 ? "" : ",", key->key, key->newest_version, key->old_shards, key->shards);
    }
    printf("],\"old_signature\":%s}\n", age->old_signature ? "true" : "false");
}

static void print_age(const char *path, const struct model_age *age)
{
    for (size_t i = 0; i < age->key_count; i++) {
        const struct model_key_age *key = &age->keys[i];
        printf("%s: %" PRIu64 " of %" PRIu64 " shards still need version %" PRIu64 " of %s\n", path,
               key->old_shards, key->shards, key->newest_version, key->key);
    }
    if (age->old_signature)
        printf("%s: the signature still is of an older version of the signer\n", path);
}

static lethe_result check(struct home *home, const struct invocation *invocation,
                          struct lethe_error *err)
{
    const char *path = invocation->positional[0];
    const struct key_source *keys = home_keys(home);
    CLEANUP(model_close) struct model *model = NULL;
    struct model_age age;
    TRY(model_open(path, &model, err));
    TRY(model_check_own_signature(model, keys, true, err));
    TRY(model_age(model, keys, &age, err));
    if (option_given(invocation, "json"))
        print_age_json(&age);
    else
        print_age(path, &age);
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
    TRY(model_rewrap(&options, home_keys(home), &summary, err));
    home_report_usage_at(home, options.path);
    if (!summary.renewed) {
        fprintf(stderr, "lethe: %s is as new as its keys; nothing was changed\n", options.path);
        return LETHE_OK;
    }
    TRY(record(home, &summary, err));
    printf("%s: release %" PRIu64 ", %" PRIu64 " data key%s wrapped anew\n", options.path,
           summary.release, summary.rewrapped, summary.rewrapped == 1 ? "" : "s");
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
