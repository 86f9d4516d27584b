/* Whom a home asks for keys: its own keeper, or a key service. */
#include "home/home.h"

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

lethe_result home_connect(struct home *home, const struct kms_settings *settings,
                          struct lethe_error *err)
{
    const struct kms_settings *kms = settings != NULL ? settings : &home->configuration.kms;
    REQUIRE(home->client == NULL);
    if (kms->address[0] == '\0')
        return LETHE_OK;
    home->recorder = (struct lethe_log){.log = keeper_log(home->keeper),
                                        .actor = home->actor,
                                        .signer = keeper_log_signer(home->keeper),
                                        .node = home->node};
    const struct kms_client_options options = {.address = kms->address,
                                               .ca_path = or_null(kms->ca),
                                               .certificate_path = or_null(kms->certificate),
                                               .key_path = or_null(kms->key),
                                               .token_path = or_null(kms->token_file),
                                               .cache_ttl_s = kms->cache_ttl_s,
                                               .offline_s = kms->offline_s,
                                               .log = &home->recorder};
    return kms_client_open(&options, &home->client, err);
}

const struct key_source *home_keys(struct home *home)
{
    return home->client != NULL ? kms_client_key_source(home->client)
                                : keeper_key_source(home->keeper);
}

lethe_result home_check_usable(struct home *home, const char *key, uint64_t version,
                               struct lethe_error *err)
{
    return home->client != NULL ? kms_client_check_usable(home->client, key, version, err)
                                : keeper_check_usable(home->keeper, key, version, err);
}
