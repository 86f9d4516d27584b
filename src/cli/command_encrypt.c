#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/progress.h"

static lethe_result read_options(const struct invocation *invocation, struct encrypt_options *out,
                                 struct lethe_error *err)
{
    const char *tier = option_text(invocation, "tier");
    const char *tenant = option_text(invocation, "tenant");
    const char *split = option_text(invocation, "split");
    *out = (struct encrypt_options){.sources = invocation->positional,
                                    .source_count = (size_t)invocation->positional_count,
                                    .output = option_text(invocation, "output"),
                                    .tenant = tenant != NULL ? tenant : "default",
                                    .model = option_text(invocation, "model"),
                                    .split = split == NULL ? SPLIT_NONE : SPLIT_EXPERTS,
                                    .raw = option_given(invocation, "raw"),
                                    .force = option_given(invocation, "force"),
                                    .clock = &clock_system,
                                    .random = &random_system};
    if (out->output == NULL)
        return error_set(err, LETHE_INVALID, "no output was named: -o MODEL");
    if (tier_parse(tier != NULL ? tier : "hot", &out->tier) != LETHE_OK)
        return error_set(err, LETHE_INVALID, "--tier is one of hot, warm, cold, archive");
    if (split != NULL && strcmp(split, "experts") != 0)
        return error_set(err, LETHE_INVALID, "--split is experts, or not given");
    TRY(validate_identifier("--tenant", out->tenant, NAME_PART_MAX, err));
    if (out->model != NULL)
        TRY(validate_identifier("--model", out->model, NAME_PART_MAX, err));
    return common_threads(invocation, &out->threads, err);
}

static lethe_result record(struct home *home, const struct encrypt_options *options,
                           const struct encrypt_summary *made, struct lethe_error *err)
{
    char digest[2 * SHA256_BYTES + 1];
    hex_encode(made->manifest_digest, sizeof made->manifest_digest, digest);
    const struct audit_who who = keeper_who(home->keeper, options->tenant);
    const struct audit_event event =
        audit_model_encrypted(made->model, made->release, made->shards, made->plain_bytes, digest);
    return audit_commit(keeper_log(home->keeper), &who, &event, err);
}

static void report(const struct encrypt_options *options, const struct encrypt_summary *made)
{
    unsigned long long whole = made->files - made->split_files;
    char size[BYTES_TEXT_SIZE];
    bytes_text(made->plain_bytes, size);
    if (options->split == SPLIT_EXPERTS && whole > 0)
        fprintf(stderr, "lethe: %llu of %llu file%s no experts that are known here: not split\n",
                whole, (unsigned long long)made->files, made->files == 1 ? " holds" : "s hold");
    printf("Encrypted %s in %llu shard%s as %s, model '%s', release %llu\n", size,
           (unsigned long long)made->shards, made->shards == 1 ? "" : "s", options->output,
           made->model, (unsigned long long)made->release);
}

static lethe_result encrypt(struct home *home, struct encrypt_options *options,
                            struct lethe_error *err)
{
    struct progress progress;
    progress_begin(&progress, "encrypt");
    options->progress = &progress.table;
    struct encrypt_summary made;
    lethe_result result = model_encrypt(options, home_keys(home), &made, err);
    progress_end(&progress);
    if (result == LETHE_MALFORMED) {
        const struct audit_who who = keeper_who(home->keeper, options->tenant);
        const struct audit_event event =
            audit_malformed_model_rejected(path_base_name(options->output), err->text);
        audit_emit(keeper_log(home->keeper), &who, &event);
    }
    TRY(result);
    TRY(record(home, options, &made, err));
    home_report_usage_at(home, options->output);
    report(options, &made);
    return LETHE_OK;
}

COMMAND_FUNCTION(encrypt)
{
    struct encrypt_options options;
    TRY(read_options(invocation, &options, err));
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    return home_finish(&home, encrypt(home, &options, err), err);
}
