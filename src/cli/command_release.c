/* lethe release --dry-run: whether a model's keys would be released to this machine, and why not.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/attest_place.h"
#include "cli/kms_call.h"
#include "model/model.h"

/* Shards of one tier, and what of each is asked with. */
struct question {
    struct key_unwrap *items;
    struct buffer *aads;
    size_t count;
};
static void question_clear_at_scope_end(struct question *question)
{
    for (size_t i = 0; i < question->count; i++)
        buffer_clear(&question->aads[i]);
    free(question->aads);
    free(question->items);
}

static const char *tier_of(const struct shard *shard)
{
    const char *dot = strrchr(shard->key, '.');
    return dot != NULL ? dot + 1 : "";
}

static lethe_result add_shard(struct question *question, const struct manifest *manifest,
                              const struct shard *shard, struct lethe_error *err)
{
    struct buffer *aad = &question->aads[question->count];
    struct key_unwrap *item = &question->items[question->count++];
    manifest_shard_aad(manifest, shard, aad);
    TRY(buffer_result(aad, err));
    *item = (struct key_unwrap){.use = {.key = shard->key,
                                        .shard = shard->id,
                                        .purpose = "load",
                                        .release = manifest->release,
                                        .aad = aad->bytes,
                                        .aad_bytes = aad->size_bytes},
                                .wrapped = shard->wrapped_key};
    return LETHE_OK;
}

static lethe_result put_question(const struct manifest *manifest, const char *tier,
                                 struct question *out, struct lethe_error *err)
{
    out->items = calloc(manifest->count, sizeof *out->items);
    out->aads = calloc(manifest->count, sizeof *out->aads);
    if (out->items == NULL || out->aads == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of shards");
    if (tier == NULL)
        tier = tier_of(&manifest->shards[0]);
    for (size_t i = 0; i < manifest->count; i++) {
        if (strcmp(tier_of(&manifest->shards[i]), tier) == 0)
            TRY(add_shard(out, manifest, &manifest->shards[i], err));
    }
    return out->count > 0
               ? LETHE_OK
               : error_set(err, LETHE_NOT_FOUND, "the model has no shard of tier %s", tier);
}

static lethe_result open_client(struct attest_place *place, struct kms_client **out,
                                struct lethe_error *err)
{
    struct kms_client_options options;
    kms_call_client_options(&place->configuration.kms, &options);
    options.evidence = attesting_source(place->attesting);
    if (options.address[0] == '\0') {
        error_set(err, LETHE_INVALID, "keys are released by a key service, and none is named");
        error_hint(err, "--kms, LETHE_KMS_ADDR, or [kms] address in lethe.conf");
        return LETHE_INVALID;
    }
    return kms_client_open(&options, out, err);
}

static lethe_result print_verdict(struct invocation *invocation, const struct guarded *body,
                                  struct lethe_error *err)
{
    struct json_piece answer = {0}, allowed = {0};
    TRY(client_answer(body, &answer, err));
    if (json_piece_find(&answer, "data/allowed", &allowed) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the key service's answer does not say");
    if (allowed.kind != JSON_PIECE_TRUE)
        invocation->exit_code = lethe_result_exit_code(LETHE_INTEGRITY);
    return kms_print_answer(body, option_given(invocation, "json"), err);
}

COMMAND_FUNCTION(release)
{
    CLEANUP(attest_place_clear) struct attest_place place = {0};
    CLEANUP(kms_client_close) struct kms_client *client = NULL;
    CLEANUP(model_close) struct model *model = NULL;
    CLEANUP(question_clear) struct question question = {0};
    CLEANUP(guarded_clear) struct guarded answer = {0};
    if (!option_given(invocation, "dry-run")) {
        error_set(err, LETHE_INVALID, "keys are released to what loads a model, not by hand");
        error_hint(err, "--dry-run says whether they would be; lethe exec --attest gets them");
        return LETHE_INVALID;
    }
    TRY(attest_place_locate(invocation, NULL, &place, err));
    TRY(model_open(invocation->positional[0], &model, err));
    TRY(put_question(model_manifest(model), option_text(invocation, "tier"), &question, err));
    TRY(open_client(&place, &client, err));
    TRY(kms_client_check_release(client, question.items, question.count, &answer, err));
    return print_verdict(invocation, &answer, err);
}
