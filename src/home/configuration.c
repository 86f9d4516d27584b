#include "home/configuration.h"

#include "audit/conf_rows.h"

#define AUDIT(member) offsetof(struct configuration, audit.member)
#define KMS(member) offsetof(struct configuration, kms.member)

/* A row here is a key of lethe.conf; docs/configuration.md says what each means. */
static const struct conf_row rows[] = {
    AUDIT_CONF_ROWS(AUDIT),
    {"kms", "address", CONF_TEXT, 0, 0, false, 0, KMS(address), NULL},
    {"kms", "ca", CONF_PATH, 0, 0, false, 0, KMS(ca), NULL},
    {"kms", "certificate", CONF_PATH, 0, 0, false, 0, KMS(certificate), NULL},
    {"kms", "key", CONF_PATH, 0, 0, false, 0, KMS(key), NULL},
    {"kms", "token_file", CONF_PATH, 0, 0, false, 0, KMS(token_file), NULL},
    {"kms", "service", CONF_TEXT, 0, 0, false, 0, KMS(service), NULL},
    {"kms", "service_reference", CONF_PATH, 0, 0, false, 0, KMS(service_reference), NULL},
    {"kms", "service_machine", CONF_TEXT, 0, 0, false, 0, KMS(service_machine), NULL},
    {"kms", "attest", CONF_TEXT, 0, 0, false, 0, KMS(attest), NULL},
    {"kms", "tpm", CONF_TEXT, 0, 0, false, 0, KMS(tpm), NULL},
    {"kms", "attest_key", CONF_PATH, 0, 0, false, 0, KMS(attest_key), NULL},
    {"kms", "ima_log", CONF_PATH, 0, 0, false, 0, KMS(ima_log), NULL},
    {"kms", "vek", CONF_PATH, 0, 0, false, 0, KMS(vek), NULL},
    {"kms", "cache_ttl", CONF_SECONDS, 1, 3600, true, 0, KMS(cache_ttl_s), NULL},
    {"kms", "offline", CONF_SECONDS, 1, 3600, false, 0, KMS(offline_s), NULL},
};
const struct conf_table configuration_table = {rows, ARRAY_LEN(rows)};

lethe_result configuration_read(const char *path, struct configuration *out,
                                struct lethe_error *err)
{
    struct lethe_error why = {0};
    *out = (struct configuration){0};
    lethe_result result = conf_read(path, &configuration_table, out, &out->set, &why);
    if (result == LETHE_NOT_FOUND) /* a home needs none, and the caller's error stays as it was */
        return LETHE_OK;
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}
