/* home/configuration.h -- what lethe.conf says, for each room that has settings. */
#ifndef HOME_CONFIGURATION_H
#define HOME_CONFIGURATION_H

#include "audit/log.h"
#include "base/conf.h"

struct kms_settings { /* where keys come from; "" is not set, and without an address: from here */
    char address[CONF_TEXT_SIZE];
    char ca[CONF_TEXT_SIZE];
    char certificate[CONF_TEXT_SIZE];
    char key[CONF_TEXT_SIZE]; /* the name of its file */
    char token_file[CONF_TEXT_SIZE];
    char service[CONF_TEXT_SIZE];           /* the identity that it must have */
    char service_reference[CONF_TEXT_SIZE]; /* the name of a file: what its machine must fit */
    char service_machine[CONF_TEXT_SIZE];   /* and which it must be */
    /* What this machine proves to it: the kind, and with what. */
    char attest[CONF_TEXT_SIZE];
    char tpm[CONF_TEXT_SIZE];
    char attest_key[CONF_TEXT_SIZE]; /* the name of its file */
    char ima_log[CONF_TEXT_SIZE];
    char vek[CONF_TEXT_SIZE];
    uint64_t cache_ttl_s;
    uint64_t offline_s;
};
struct configuration {
    struct audit_limits audit; /* 0: as when nothing is set */
    struct kms_settings kms;
    uint64_t set; /* a bit for each row of the table that the file has */
};
extern const struct conf_table configuration_table;

/* Of the home's lethe.conf; without one, everything is as when nothing is set. LETHE_INVALID names
 * file and line; LETHE_UNPROTECTED when others may read or write it. */
LETHE_MUST_CHECK lethe_result configuration_read(const char *path, struct configuration *out,
                                                 struct lethe_error *err);

#endif
