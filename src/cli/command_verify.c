#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/progress.h"

#define PEM_MAX_BYTES 65536

static void print_good(const struct model *model, const char *how)
{
    char size[BYTES_TEXT_SIZE];
    bytes_text(model_plain_bytes(model), size);
    printf("%s: good: %s (%zu shard%s, %s in plain)\n", model_path(model), how,
           model_manifest(model)->count, model_manifest(model)->count == 1 ? "" : "s", size);
}

static lethe_result verify_with_key(const char *pem_path, struct model *model,
                                    const struct model_work *work, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    CLEANUP(sign_public_free) struct sign_public *signer = NULL;
    TRY(common_read_text(pem_path, PEM_MAX_BYTES, &pem, err));
    TRY(error_context(err, sign_public_from_pem(pem.bytes, pem.size_bytes, &signer, err), "%s",
                      pem_path));
    TRY(model_check_signature(model, signer, err));
    return model_verify_cipher(model, work, err);
}

static lethe_result verify_with_home(struct home *home, struct model *model,
                                     const struct model_work *work, struct lethe_error *err)
{
    TRY(common_check_signature(home, model, err));
    return model_verify(model, home_keys(home), work, err);
}

static lethe_result verify_at_home(struct invocation *invocation, const char *path,
                                   struct model_work work, struct lethe_error *err)
{
    CLEANUP(home_abandon) struct home *home = NULL;
    CLEANUP(model_close) struct model *model = NULL;
    TRY(common_open_home(invocation, &home, err));
    struct progress progress;
    progress_begin(&progress, "verify");
    work.progress = &progress.table;
    lethe_result result = model_open(path, &model, err);
    if (result == LETHE_OK)
        result = verify_with_home(home, model, &work, err);
    progress_end(&progress);
    if (result == LETHE_OK)
        print_good(model, "signature, every ciphertext byte, every plaintext digest");
    result = home_reject_model(home, path, "verify", result, err);
    return home_finish(&home, result, err);
}

COMMAND_FUNCTION(verify)
{
    const char *path = invocation->positional[0];
    const char *pem_path = option_text(invocation, "key");
    struct model_work work = {0};
    TRY(common_threads(invocation, &work.threads, err));
    if (pem_path == NULL)
        return verify_at_home(invocation, path, work, err);

    CLEANUP(model_close) struct model *model = NULL;
    TRY(model_open(path, &model, err));
    struct progress progress;
    progress_begin(&progress, "verify");
    work.progress = &progress.table;
    lethe_result result = verify_with_key(pem_path, model, &work, err);
    progress_end(&progress);
    TRY(result);
    print_good(model, "signature and every ciphertext byte; plaintext not looked at");
    return LETHE_OK;
}
