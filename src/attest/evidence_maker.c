/* Evidence of this machine: what hardware signs, as JSON. */
#include <stdlib.h>

#include "attest/evidence_parts.h"
#include "attest/tpm2_device.h"
#include "base/text.h"

void evidence_put_base64(struct buffer *json, const char *name, const void *bytes,
                         size_t size_bytes)
{
    buffer_format(json, ",\"%s\":\"", name);
    base64_append(json, bytes, size_bytes);
    buffer_text(json, "\"");
}

static lethe_result open_device(struct evidence_maker *maker, struct lethe_error *err)
{
    if (maker->options.key_path == NULL)
        return error_set(err, LETHE_INVALID, "evidence of a TPM needs an attestation key's file");
    TRY(tpm2_device_open(maker->options.tcti, maker->options.key_path, &maker->device, err));
    return tpm2_device_ensure_key(maker->device, err);
}

lethe_result evidence_maker_open(const struct evidence_options *options,
                                 struct evidence_maker **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(evidence_maker_close) struct evidence_maker *maker = calloc(1, sizeof *maker);
    if (maker == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to make evidence");
    bool is_tpm = options->kind == ATTEST_TPM2;
    maker->options = *options;
    maker->source = (struct evidence_source){
        .kind = options->kind,
        .produce = is_tpm ? evidence_produce_tpm2 : evidence_produce_sevsnp,
        .context = maker,
    };
    if (is_tpm)
        TRY(open_device(maker, err));
    *out = MOVE(maker);
    return LETHE_OK;
}

void evidence_maker_close(struct evidence_maker *maker)
{
    if (maker == NULL)
        return;
    tpm2_device_close(maker->device);
    free(maker);
}

const struct evidence_source *evidence_maker_source(struct evidence_maker *maker)
{
    return &maker->source;
}
