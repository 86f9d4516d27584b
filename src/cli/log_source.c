#include "cli/log_source.h"

#include <fcntl.h>
#include <string.h>

#include "audit/log.h"
#include "base/error.h"

#define KEY_FILE_MAX 4096

void log_source_clear(struct log_source *source)
{
    home_abandon(source->home);
    home_paths_clear(&source->paths);
}

typedef lethe_result key_parse(const char *text, size_t length, struct audit_key *out,
                               struct lethe_error *err);

static lethe_result read_key(const char *path, key_parse *parse, struct audit_key *out,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(common_read_text(path, KEY_FILE_MAX, &text, err));
    size_t length = text.size_bytes;
    while (length > 0 && text.bytes[length - 1] == '\n')
        length--;
    return error_context(err, parse(text.bytes, length, out, err), "%s", path);
}

static lethe_result open_home(const struct invocation *invocation, struct log_source *out,
                              struct lethe_error *err)
{
    TRY(common_open_home(invocation, &out->home, err));
    return option_given(invocation, "key") ? LETHE_OK
                                           : keeper_log_key(out->home->keeper, &out->key, err);
}

lethe_result log_source_open(const struct invocation *invocation, enum log_source_need need,
                             struct log_source *out, struct lethe_error *err)
{
    const char *key_path = option_text(invocation, "key");
    out->directory = option_text(invocation, "log");
    if (out->directory != NULL && key_path == NULL) {
        error_set(err, LETHE_INVALID, "a log elsewhere needs its key: --key FILE");
        error_hint(err, "its owner prints the key: lethe key export NODE.log --public");
        return LETHE_INVALID;
    }
    if (key_path != NULL)
        TRY(read_key(key_path, audit_key_parse, &out->key, err));
    if (out->directory != NULL || (key_path != NULL && need == LOG_SOURCE_NO_LOG))
        return LETHE_OK;
    TRY(home_locate(NULL, &out->paths, err));
    TRY(home_require(&out->paths, err));
    out->directory = out->paths.audit;
    if (key_path != NULL && need == LOG_SOURCE_KEY)
        return LETHE_OK;
    return open_home(invocation, out, err);
}

lethe_result log_source_record(struct log_source *source, const char *command,
                               struct lethe_error *err)
{
    if (source->home == NULL)
        return LETHE_OK;
    const struct audit_who who = keeper_who(source->home->keeper, "");
    const struct audit_event event = audit_log_read(command);
    return audit_commit(keeper_log(source->home->keeper), &who, &event, err);
}

lethe_result log_source_finish(struct log_source *source, lethe_result result,
                               struct lethe_error *err)
{
    return source->home == NULL ? result : home_finish(&source->home, result, err);
}

lethe_result log_witnesses_read(const struct invocation *invocation, struct log_witnesses *out,
                                struct lethe_error *err)
{
    int64_t quorum;
    struct cosignature_policy *policy = &out->policy;
    *policy = (struct cosignature_policy){.witnesses = out->keys};
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i]->name, "witness") != 0)
            continue;
        if (policy->count == COSIGNATURE_WITNESSES_MAX)
            return error_set(err, LETHE_INVALID, "more than %d witnesses",
                             COSIGNATURE_WITNESSES_MAX);
        TRY(read_key(invocation->values[i], cosignature_key_parse, &out->keys[policy->count], err));
        policy->count++;
    }
    if (policy->count == 0 && option_given(invocation, "quorum"))
        return error_set(err, LETHE_INVALID, "--quorum goes with --witness FILE");
    TRY(option_number(invocation, "quorum", 1, (int64_t)policy->count + 1, (int64_t)policy->count,
                      &quorum, err));
    policy->quorum = (size_t)quorum;
    return LETHE_OK;
}
