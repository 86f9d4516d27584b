/* service/serve_configuration.h -- what kms.conf says: docs/kms-configuration.md has every key.
 *
 * Nothing here is secret; keys and certificates are named by their paths. */
#ifndef SERVICE_SERVE_CONFIGURATION_H
#define SERVICE_SERVE_CONFIGURATION_H

#include "base/conf.h"
#include "service/serve.h"

struct serve_configuration {
    struct conf_list addresses;
    uint64_t allow_public; /* yes or no, as below */
    char certificate[CONF_TEXT_SIZE];
    char key[CONF_TEXT_SIZE];
    uint64_t client_certificates; /* enum tls_client_proof */
    char client_roots[CONF_TEXT_SIZE];
    struct http_limits limits;
    uint64_t answer_ms;
    uint64_t default_ttl_s;
    uint64_t max_ttl_s;
    uint64_t upsert;
    uint64_t durable_use;
    char trust_domain[CONF_TEXT_SIZE];
    struct conf_list names;
    struct conf_list root_files;
    char attest_loader[CONF_TEXT_SIZE];
    char attest_ek_roots[CONF_TEXT_SIZE];
    char attest_snp_crls[CONF_TEXT_SIZE];
    uint64_t attest_only;
    uint64_t attest_evidence; /* 0: none; else enum attest_kind and 1 */
    char attest_tpm[CONF_TEXT_SIZE];
    char attest_vek[CONF_TEXT_SIZE];
    struct audit_limits audit;
    uint64_t set; /* a bit for each row of the table that the file has */
};
extern const struct conf_table serve_configuration_table;

void serve_configuration_defaults(struct serve_configuration *out);
/* Defaults, and over them what the file says. `required`: LETHE_NOT_FOUND when there is no file;
 * otherwise none is needed. LETHE_INVALID names file and line; LETHE_UNPROTECTED when others may
 * read or write it. */
LETHE_MUST_CHECK lethe_result serve_configuration_read(const char *path, bool required,
                                                       struct serve_configuration *out,
                                                       struct lethe_error *err);

/* What its values mean together, and what they lead to. `is_error`: the service would not start.
 * The certificate's key is read: not for a process that is to hold no secret. */
typedef void serve_doubt(void *context, bool is_error, const char *text);
void serve_configuration_check(const struct serve_configuration *configuration, serve_doubt *doubt,
                               void *context);
/* The first error of that check, for such a process: keys stay unread. */
LETHE_MUST_CHECK lethe_result serve_configuration_require(
    const struct serve_configuration *configuration, struct lethe_error *err);

/* Fills in what a service is started with. Borrows of the configuration. */
#define SERVE_NAMES_MAX (CONF_LIST_MAX + 1)
void serve_configuration_apply(const struct serve_configuration *configuration,
                               const char *names[SERVE_NAMES_MAX], struct serve_options *out);

#endif
