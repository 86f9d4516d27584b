/* cli/pool_configuration.h -- what pool.conf says: docs/pool.md has every key.
 *
 *     [control]   lethe pool control
 *     [provide]   lethe pool provide
 *     [pool]      whoever asks the control plane: consumers, operators; and providers, for what
 *                 [provide] leaves out
 *
 * Nothing here is secret; keys and certificates are named by their paths. Of texts "" is not set.
 */
#ifndef CLI_POOL_CONFIGURATION_H
#define CLI_POOL_CONFIGURATION_H

#include "base/conf.h"
#include "pool/control.h"

/* Who this is, and whom to believe. */
struct pool_credentials {
    char ca[CONF_TEXT_SIZE];
    char certificate[CONF_TEXT_SIZE];
    char key[CONF_TEXT_SIZE]; /* the name of its file */
};
struct pool_control_settings {
    char listen[CONF_TEXT_SIZE];
    uint64_t allow_public; /* yes or no */
    char policy[CONF_TEXT_SIZE];
    char data[CONF_TEXT_SIZE];
    struct pool_credentials credentials;
    struct control_limits limits;
};
struct pool_provide_settings {
    char listen[CONF_TEXT_SIZE];
    char announce[CONF_TEXT_SIZE];
    uint64_t allow_public; /* yes or no */
    uint64_t memory_bytes;
    struct pool_credentials credentials;
};
struct pool_client_settings {
    char control[CONF_TEXT_SIZE];    /* "host:port" */
    char control_id[CONF_TEXT_SIZE]; /* the SPIFFE id that it must prove */
    struct pool_credentials credentials;
};
struct pool_configuration {
    struct pool_control_settings control;
    struct pool_provide_settings provide;
    struct pool_client_settings client;
    uint64_t set; /* a bit for each row of the table that the file has */
};
extern const struct conf_table pool_configuration_table;

void pool_configuration_defaults(struct pool_configuration *out);
/* Defaults, and over them what the file says. `required`: LETHE_NOT_FOUND when there is none.
 * LETHE_INVALID names file and line; LETHE_UNPROTECTED when others may read or write it. */
LETHE_MUST_CHECK lethe_result pool_configuration_read(const char *path, bool required,
                                                      struct pool_configuration *out,
                                                      struct lethe_error *err);

#endif
