/* Whom a home asks for keys: its own keeper, or a key service. */
#include "home/home.h"

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

lethe_result home_connect_to(struct home *home, const struct kms_client_options *service,
                             const struct attesting_settings *settings, struct lethe_error *err)
{
    struct kms_client_options options = *service;
    struct kms_client *client = NULL;
    CLEANUP(attesting_free) struct attesting *attesting = NULL;
    TRY(attesting_create(settings, home->paths.directory, &attesting, err));
    home->recorder = (struct lethe_log){.log = keeper_log(home->keeper),
                                        .actor = home->actor,
                                        .signer = keeper_log_signer(home->keeper),
                                        .node = home->node};
    options.log = &home->recorder;
    options.evidence = attesting_source(attesting);
    TRY(kms_client_open(&options, &client, err));
    kms_client_close(home->client);
    attesting_free(home->attesting);
    home->client = client;
    home->attesting = MOVE(attesting);
    return LETHE_OK;
}

struct attesting_settings kms_settings_attesting(const struct kms_settings *kms)
{
    return (struct attesting_settings){.kind = kms->attest,
                                       .tpm = kms->tpm,
                                       .key_path = kms->attest_key,
                                       .ima_log = kms->ima_log,
                                       .vek_path = kms->vek};
}

lethe_result home_connect(struct home *home, const struct kms_settings *settings,
                          struct lethe_error *err)
{
    const struct kms_settings *kms = settings != NULL ? settings : &home->configuration.kms;
    const struct kms_client_options options = {.address = kms->address,
                                               .service_reference_path =
                                                   or_null(kms->service_reference),
                                               .service_machine = or_null(kms->service_machine),
                                               .ca_path = or_null(kms->ca),
                                               .certificate_path = or_null(kms->certificate),
                                               .key_path = or_null(kms->key),
                                               .token_path = or_null(kms->token_file),
                                               .service = or_null(kms->service),
                                               .cache_ttl_s = kms->cache_ttl_s,
                                               .offline_s = kms->offline_s};
    const struct attesting_settings attesting = kms_settings_attesting(kms);
    return kms->address[0] == '\0' ? LETHE_OK : home_connect_to(home, &options, &attesting, err);
}

const struct key_source *home_keys(struct home *home)
{
    return home->client != NULL ? kms_client_key_source(home->client)
                                : keeper_key_source(home->keeper);
}

lethe_result home_check_usable(struct home *home, const char *key, uint64_t version,
                               struct lethe_error *err)
{
    attesting_rest(home->attesting); /* keys that are in use were released */
    return home->client != NULL ? kms_client_check_usable(home->client, key, version, err)
                                : keeper_check_usable(home->keeper, key, version, err);
}
