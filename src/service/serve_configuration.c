#include "service/serve_configuration.h"

#include <stdio.h>
#include <string.h>

#include "audit/conf_rows.h"
#include "base/error.h"

#define DAY 86400u
#define MIB ((uint64_t)1 << 20)

static const char *const proofs[] = {
    [TLS_CLIENT_NOT_ASKED] = "no", [TLS_CLIENT_MAY] = "may", [TLS_CLIENT_MUST] = "must", NULL};

static const char *const evidence_kinds[] = {"none", [ATTEST_TPM2 + 1] = "tpm2",
                                             [ATTEST_SEV_SNP + 1] = "sev-snp", NULL};

#define AT(member) offsetof(struct serve_configuration, member)
#define AUDIT(member) offsetof(struct serve_configuration, audit.member)
#define TEXT(section, key, type, member)                                                           \
    {                                                                                              \
        section, key, type, .offset = AT(member)                                                   \
    }
#define YES_NO(section, key, member)                                                               \
    {                                                                                              \
        section, key, CONF_YES_NO, .max = 1, .offset = AT(member)                                  \
    }
#define LIMIT(key, type, min, max, member)                                                         \
    {                                                                                              \
        "limits", key, type, min, max, false, 0, AT(member)                                        \
    }

/* A row here is a key of kms.conf; docs/kms-configuration.md says what each means. */
static const struct conf_row rows[] = {
    TEXT("listen", "address", CONF_LIST, addresses),
    YES_NO("listen", "allow_public", allow_public),
    TEXT("listen", "certificate", CONF_PATH, certificate),
    TEXT("listen", "key", CONF_PATH, key),
    {"listen", "client_certificates", CONF_CHOICE, .max = TLS_CLIENT_MUST,
     .offset = AT(client_certificates), .words = proofs},
    TEXT("listen", "client_roots", CONF_PATH, client_roots),
    LIMIT("connections", CONF_COUNT, 1, 100000, limits.connections),
    LIMIT("connections_per_source", CONF_COUNT, 1, 100000, limits.connections_per_source),
    LIMIT("handshakes_per_second", CONF_COUNT, 1, 100000, limits.handshakes_per_second),
    {"limits", "requests_per_second", CONF_COUNT, 1, 10000000, true, 0,
     AT(limits.requests_per_second)},
    LIMIT("penalty", CONF_MILLISECONDS, 1, 60000, limits.penalty_ms),
    LIMIT("handshake_time", CONF_MILLISECONDS, 100, 600000, limits.handshake_ms),
    LIMIT("head_time", CONF_MILLISECONDS, 100, 600000, limits.head_ms),
    LIMIT("body_time", CONF_MILLISECONDS, 100, 3600000, limits.body_ms),
    LIMIT("idle_time", CONF_MILLISECONDS, 100, 3600000, limits.idle_ms),
    LIMIT("write_time", CONF_MILLISECONDS, 100, 3600000, limits.write_ms),
    LIMIT("answer_time", CONF_MILLISECONDS, 1000, 3600000, answer_ms),
    LIMIT("body", CONF_BYTES, 1024, HTTP_BODY_MAX, limits.body_bytes),
    {"tokens", "default_ttl", CONF_SECONDS, 1, 3660 * DAY, .offset = AT(default_ttl_s)},
    {"tokens", "max_ttl", CONF_SECONDS, 1, 3660 * DAY, .offset = AT(max_ttl_s)},
    YES_NO("transit", "upsert", upsert),
    YES_NO("transit", "durable_use", durable_use),
    TEXT("identity", "trust_domain", CONF_TEXT, trust_domain),
    TEXT("identity", "names", CONF_LIST, names),
    TEXT("root", "files", CONF_LIST, root_files),
    TEXT("attest", "loader", CONF_PATH, attest_loader),
    TEXT("attest", "ek_roots", CONF_PATH, attest_ek_roots),
    TEXT("attest", "snp_crls", CONF_PATH, attest_snp_crls),
    YES_NO("attest", "only", attest_only),
    {"attest", "evidence", CONF_CHOICE, .max = ATTEST_SEV_SNP + 1, .offset = AT(attest_evidence),
     .words = evidence_kinds},
    TEXT("attest", "tpm", CONF_TEXT, attest_tpm),
    TEXT("attest", "vek", CONF_PATH, attest_vek),
    AUDIT_CONF_ROWS(AUDIT),
};
const struct conf_table serve_configuration_table = {rows, ARRAY_LEN(rows)};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "limits.body_bytes is filled as a number");

static void set_list(struct conf_list *list, const char *only)
{
    list->count = 1;
    snprintf(list->at[0], sizeof list->at[0], "%s", only);
}

void serve_configuration_defaults(struct serve_configuration *out)
{
    *out = (struct serve_configuration){
        .client_certificates = TLS_CLIENT_MAY,
        .limits = {.connections = 10000,
                   .connections_per_source = 256,
                   .handshakes_per_second = 50,
                   .penalty_ms = 1000,
                   .handshake_ms = 10000,
                   .head_ms = 10000,
                   .body_ms = 60000,
                   .idle_ms = 120000,
                   .write_ms = 60000,
                   .body_bytes = HTTP_BODY_MAX},
        .answer_ms = 30000,
        .default_ttl_s = 32 * DAY,
        .max_ttl_s = 32 * DAY,
        .durable_use = 1,
        .trust_domain = "lethe.local",
        .audit = {.rotate_bytes = 16 * MIB,
                  .rotate_s = DAY,
                  .flush_records = 1024,
                  .flush_ms = 1000,
                  .queue_bytes = 2 * MIB,
                  .identity_bytes = 64 * MIB,
                  .identity_interval_s = 3600},
    };
    set_list(&out->addresses, "127.0.0.1:8200");
    set_list(&out->names, "localhost");
}

lethe_result serve_configuration_read(const char *path, bool required,
                                      struct serve_configuration *out, struct lethe_error *err)
{
    struct lethe_error why = {0};
    serve_configuration_defaults(out);
    lethe_result result = conf_read(path, &serve_configuration_table, out, &out->set, &why);
    if (result == LETHE_NOT_FOUND && !required)
        return LETHE_OK;
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}

static const char *path_or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

/* A TPM that is named is used. */
static void apply_evidence(const struct serve_configuration *configuration,
                           struct attest_options *out)
{
    uint64_t kind = configuration->attest_evidence;
    if (kind == 0 && configuration->attest_tpm[0] != '\0')
        kind = ATTEST_TPM2 + 1;
    out->proves = kind != 0;
    if (!out->proves)
        return;
    out->own.kind = (enum attest_kind)(kind - 1);
    out->own.tcti = path_or_null(configuration->attest_tpm);
    out->own.vek_path = path_or_null(configuration->attest_vek);
}

void serve_configuration_apply(const struct serve_configuration *configuration,
                               const char *names[SERVE_NAMES_MAX], struct serve_options *out)
{
    const struct conf_list *list = &configuration->names;
    for (size_t i = 0; i < list->count; i++)
        names[i] = list->at[i];
    names[list->count] = NULL;
    out->names = names;
    out->listen_count = MIN(configuration->addresses.count, SERVE_LISTEN_MAX);
    for (size_t i = 0; i < out->listen_count; i++)
        out->listen[i] = configuration->addresses.at[i];
    out->allow_public = configuration->allow_public != 0;
    out->certificate_path = path_or_null(configuration->certificate);
    out->key_path = path_or_null(configuration->key);
    out->client_roots_path = path_or_null(configuration->client_roots);
    out->client_proof = (enum tls_client_proof)configuration->client_certificates;
    out->limits = configuration->limits;
    out->answer_ms = configuration->answer_ms;
    out->service.trust_domain = configuration->trust_domain;
    out->service.default_ttl_s = configuration->default_ttl_s;
    out->service.max_ttl_s = configuration->max_ttl_s;
    out->service.upsert = configuration->upsert != 0;
    out->service.emit_uses = configuration->durable_use == 0;
    out->service.attest.loader_path = path_or_null(configuration->attest_loader);
    out->service.attest.only = configuration->attest_only != 0;
    apply_evidence(configuration, &out->service.attest);
    out->ek_roots_path = path_or_null(configuration->attest_ek_roots);
    out->snp_crls_path = path_or_null(configuration->attest_snp_crls);
    out->service.keeper.audit_limits = configuration->audit;
}
