#include "home/attesting.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

#define KEY_FILE "attest.key"

struct attesting {
    char *tpm, *key_path, *ima_log, *vek_path;
    struct evidence_options options;
    struct evidence_maker *maker; /* NULL: not opened */
    struct evidence_source source;
};

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static lethe_result produce(void *context, const uint8_t binding[ATTEST_BINDING_BYTES],
                            uint32_t pcr_mask, struct buffer *json, struct lethe_error *err)
{
    struct attesting *attesting = context;
    if (attesting->maker == NULL)
        TRY(evidence_maker_open(&attesting->options, &attesting->maker, err));
    const struct evidence_source *source = evidence_maker_source(attesting->maker);
    return source->produce(source->context, binding, pcr_mask, json, err);
}

void attesting_rest(struct attesting *attesting)
{
    if (attesting != NULL)
        evidence_maker_close(MOVE(attesting->maker));
}

void attesting_free(struct attesting *attesting)
{
    if (attesting == NULL)
        return;
    attesting_rest(attesting);
    free(attesting->tpm);
    free(attesting->key_path);
    free(attesting->ima_log);
    free(attesting->vek_path);
    free(attesting);
}

const struct evidence_source *attesting_source(struct attesting *attesting)
{
    return attesting != NULL ? &attesting->source : NULL;
}

const struct evidence_options *attesting_options(const struct attesting *attesting)
{
    return &attesting->options;
}

static lethe_result copy_text(const char *text, char **out, struct lethe_error *err)
{
    *out = is_set(text) ? strdup(text) : NULL;
    return !is_set(text) || *out != NULL
               ? LETHE_OK
               : error_set(err, LETHE_NO_MEMORY, "no memory for a setting");
}

static lethe_result fill(struct attesting *attesting, const struct attesting_settings *settings,
                         const char *directory, struct lethe_error *err)
{
    struct evidence_options *options = &attesting->options;
    TRY(copy_text(settings->tpm, &attesting->tpm, err));
    TRY(copy_text(settings->key_path, &attesting->key_path, err));
    TRY(copy_text(settings->ima_log, &attesting->ima_log, err));
    TRY(copy_text(settings->vek_path, &attesting->vek_path, err));
    if (attesting->key_path == NULL)
        attesting->key_path = path_join(directory, KEY_FILE);
    if (attesting->key_path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    options->tcti = attesting->tpm;
    options->key_path = attesting->key_path;
    options->ima_log = attesting->ima_log;
    options->vek_path = attesting->vek_path;
    attesting->source =
        (struct evidence_source){.kind = options->kind, .produce = produce, .context = attesting};
    return LETHE_OK;
}

lethe_result attesting_create(const struct attesting_settings *settings, const char *directory,
                              struct attesting **out, struct lethe_error *err)
{
    *out = NULL;
    if (!is_set(settings->kind))
        return LETHE_OK;
    CLEANUP(attesting_free) struct attesting *attesting = calloc(1, sizeof *attesting);
    if (attesting == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to make evidence");
    if (attest_kind_parse(settings->kind, &attesting->options.kind) != LETHE_OK) {
        error_set(err, LETHE_INVALID, "evidence is of the kind tpm2 or sev-snp");
        error_hint(err, "lethe attest show says what this machine can prove");
        return LETHE_INVALID;
    }
    TRY(fill(attesting, settings, directory, err));
    *out = MOVE(attesting);
    return LETHE_OK;
}
