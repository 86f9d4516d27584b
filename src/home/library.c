/* What <lethe/home.h> and <lethe/key_service.h> offer, and the part of <lethe/model.h> that needs a
 * home. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lethe/home.h>
#include <lethe/key_service.h>
#include <lethe/model.h>

#include "audit/recorder.h"
#include "base/error.h"
#include "crypto/crypto.h"
#include "home/home.h"
#include "kms/secret_file.h"
#include "model/handle.h"

struct lethe_home {
    struct home *home;
    struct lethe_log log;
    bool has_service; /* lethe_home_use_key_service() was called */
    bool lent_keys;   /* a model has borrowed where they come from */
};

/* ---- the home ---------------------------------------------------------------------------------
 */

/* One at a time: it is the one observer of memory that this process has. */
static atomic_bool is_open;

/* Of the home that is open. A forked child's does nothing. */
static struct audit_log *_Atomic log_at_exit;

/* For a program that exits without closing its home. */
static void flush_at_exit(void)
{
    struct audit_log *log = atomic_load(&log_at_exit);
    if (log != NULL)
        (void)!audit_sync(log, NULL);
}

/* After the first secrets were made, whose wipe at exit comes later: it takes the keys that a log
 * is signed with. */
static lethe_result arrange_exit(struct audit_log *log, struct lethe_error *err)
{
    static bool is_arranged; /* under is_open */
    if (!is_arranged && atexit(flush_at_exit) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no room for an exit handler");
    is_arranged = true;
    atomic_store(&log_at_exit, log);
    return LETHE_OK;
}

static lethe_result open_home(struct lethe_home *home, const char *directory, int passphrase_fd,
                              struct lethe_error *err)
{
    TRY(crypto_start(err));
    TRY(home_open(directory, passphrase_fd, &home->home, err));
    home->log = (struct lethe_log){.log = keeper_log(home->home->keeper),
                                   .actor = home->home->actor,
                                   .signer = keeper_log_signer(home->home->keeper),
                                   .node = home->home->node};
    lethe_result result = home_connect(home->home, NULL, err);
    if (result == LETHE_OK)
        result = arrange_exit(home->log.log, err);
    if (result != LETHE_OK)
        home_abandon(home->home);
    return result;
}

lethe_result lethe_home_open_with_passphrase(const char *directory, int passphrase_fd,
                                             struct lethe_home **out, struct lethe_error *err)
{
    *out = NULL;
    if (atomic_exchange(&is_open, true))
        return error_set(err, LETHE_BUSY, "this process has a home open already");
    struct lethe_home *home = calloc(1, sizeof *home);
    lethe_result result = home == NULL ? error_set(err, LETHE_NO_MEMORY, "no memory for a home")
                                       : open_home(home, directory, passphrase_fd, err);
    if (result == LETHE_OK) {
        *out = home;
        return LETHE_OK;
    }
    free(home);
    atomic_store(&is_open, false);
    return result;
}

lethe_result lethe_home_open(const char *directory, struct lethe_home **out,
                             struct lethe_error *err)
{
    return lethe_home_open_with_passphrase(directory, -1, out, err);
}

lethe_result lethe_home_close(struct lethe_home *home, struct lethe_error *err)
{
    if (home == NULL)
        return LETHE_OK;
    atomic_store(&log_at_exit, NULL);
    lethe_result result = home_close(home->home, err);
    free(home);
    atomic_store(&is_open, false);
    return result;
}

struct lethe_log *lethe_home_log(struct lethe_home *home)
{
    return &home->log;
}

lethe_result lethe_secret_read_file(const char *path, struct lethe_secret **out,
                                    struct lethe_error *err)
{
    return secret_token_read(path, out, err);
}

/* ---- a key service --------------------------------------------------------------------------- */

lethe_result lethe_home_use_key_service(struct lethe_home *home,
                                        const struct lethe_key_service *service,
                                        struct lethe_error *err)
{
    const struct kms_client_options options = {.address = service->url,
                                               .ca_path = service->ca_path,
                                               .certificate_path = service->certificate_path,
                                               .key_path = service->key_path,
                                               .token_path = service->token_path,
                                               .service = service->service,
                                               .cache_ttl_s = service->cache_ttl_s,
                                               .offline_s = service->offline_s};
    if (home->lent_keys || home->has_service)
        return error_set(err, LETHE_CONFLICT,
                         "a key service is chosen once, before the home's first model is opened");
    if (options.address == NULL)
        return error_set(err, LETHE_INVALID, "a key service has a URL: https://HOST:PORT");
    const struct attesting_settings attesting = {.kind = service->attest,
                                                 .tpm = service->tpm,
                                                 .key_path = service->attest_key_path,
                                                 .ima_log = service->ima_log_path,
                                                 .vek_path = service->vek_path};
    TRY(home_connect_to(home->home, &options, &attesting, err));
    home->has_service = true;
    return LETHE_OK;
}

/* Shards of one key and version follow one another. */
lethe_result lethe_home_check_keys(struct lethe_home *home, const struct lethe_model *model,
                                   struct lethe_error *err)
{
    const struct shard *before = NULL;
    const struct manifest *manifest = model_manifest(model->model);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        if (before != NULL && before->key_version == shard->key_version &&
            strcmp(before->key, shard->key) == 0)
            continue;
        TRY(home_check_usable(home->home, shard->key, shard->key_version, err));
        before = shard;
    }
    return LETHE_OK;
}

/* ---- its models ------------------------------------------------------------------------------ */

DEFINE_CLEANUP(lethe_model_close, struct lethe_model *);

static lethe_result open_model(struct lethe_home *home, const char *path, struct lethe_model **out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_model_close) struct lethe_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a model");
    home->lent_keys = true;
    model->keys = home_keys(home->home);
    TRY(model_open(path, &model->model, err));
    TRY(model_check_own_signature(model->model, model->keys, false, err));
    *out = MOVE(model);
    return LETHE_OK;
}

lethe_result lethe_model_open(struct lethe_home *home, const char *path, struct lethe_model **out,
                              struct lethe_error *err)
{
    struct lethe_error unwanted; /* the record has the reason, whether the caller wants it or not */
    *out = NULL;
    err = err != NULL ? err : &unwanted;
    return home_reject_model(home->home, path, "load", open_model(home, path, out, err), err);
}
