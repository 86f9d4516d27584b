/* What the settings of a service mean together. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "net/identity.h"
#include "net/url.h"
#include "service/serve_configuration.h"
#include "service/serve_files.h"
#include "service/serve_names.h"

struct check {
    const struct serve_configuration *configuration;
    bool reads_keys;
    serve_doubt *doubt;
    void *context;
};

static void say(const struct check *check, bool is_error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void say(const struct check *check, bool is_error, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    check->doubt(check->context, is_error, text);
}

static void check_addresses(const struct check *check)
{
    const struct conf_list *list = &check->configuration->addresses;
    if (list->count > SERVE_LISTEN_MAX)
        say(check, true, "address: at most %u are listened on", SERVE_LISTEN_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct lethe_error why = {0};
        struct url url;
        bool is_public = false;
        if (url_parse_listen(list->at[i], &url, &is_public, &why) != LETHE_OK)
            say(check, true, "address: %s", why.text);
        else if (is_public && check->configuration->allow_public == 0)
            say(check, true,
                "address: %s can be reached from other machines: allow_public = yes "
                "says that this is meant",
                list->at[i]);
        else if (is_public)
            say(check, false, "address: %s can be reached from other machines", list->at[i]);
    }
}

/* A certificate that anyone may read, and a key that nobody else may. */
static void check_certificate(const struct check *check)
{
    const char *certificate = check->configuration->certificate;
    const char *key = check->configuration->key;
    struct tls_context *context = NULL;
    struct lethe_error why = {0};
    if ((certificate[0] == '\0') != (key[0] == '\0')) {
        say(check, true, "certificate and key: one needs the other");
        return;
    }
    if (certificate[0] == '\0')
        return;
    if (!check->reads_keys) /* the door will */
        return;
    const struct serve_files files = {.certificate_path = certificate, .key_path = key};
    if (serve_files_context(&files, &context, &why) != LETHE_OK)
        say(check, true, "%s", why.text);
    tls_context_free(context);
}

static void check_clients(const struct check *check)
{
    const char *path = check->configuration->client_roots;
    CLEANUP(buffer_clear) struct buffer roots = {0};
    struct lethe_error why = {0};
    if (path[0] == '\0')
        return;
    if (check->configuration->client_certificates == TLS_CLIENT_NOT_ASKED)
        say(check, false, "client_roots: nobody is asked for a certificate");
    if (serve_files_roots(path, &roots, &why) != LETHE_OK)
        say(check, true, "client_roots: %s", why.text);
}

static void check_pem(const struct check *check, const char *key, const char *path,
                      enum x509_pem kind)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error why = {0};
    if (path[0] != '\0' && serve_files_pem(path, kind, &text, &why) != LETHE_OK)
        say(check, true, "%s: %s", key, why.text);
}

static void check_attest(const struct check *check)
{
    const struct serve_configuration *configuration = check->configuration;
    check_pem(check, "ek_roots", configuration->attest_ek_roots, X509_PEM_CERTIFICATE);
    check_pem(check, "snp_crls", configuration->attest_snp_crls, X509_PEM_CRL);
    if (configuration->attest_only != 0 &&
        configuration->client_certificates == TLS_CLIENT_NOT_ASKED)
        say(check, false,
            "only: keys of models are released to who comes with a certificate, and nobody is "
            "asked for one");
}

static void check_tokens(const struct check *check)
{
    if (check->configuration->default_ttl_s > check->configuration->max_ttl_s)
        say(check, true, "default_ttl is longer than max_ttl");
}

static bool is_host(const char *name)
{
    size_t length = strlen(name);
    if (serve_is_address(name))
        return true;
    return length <= 253 && name[0] != '-' && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == length &&
           strstr(name, "..") == NULL;
}

static void check_identity(const struct check *check)
{
    char text[CONF_TEXT_SIZE + 32];
    struct spiffe_id id;
    snprintf(text, sizeof text, "spiffe://%s/x", check->configuration->trust_domain);
    if (spiffe_parse(text, strlen(text), &id, NULL) != LETHE_OK)
        say(check, true, "trust_domain: %s is no trust domain: letters a to z, digits, . - _",
            check->configuration->trust_domain);
    for (size_t i = 0; i < check->configuration->names.count; i++) {
        if (!is_host(check->configuration->names.at[i]))
            say(check, true, "names: %s is neither a host's name nor an IP address",
                check->configuration->names.at[i]);
    }
}

static void check_root(const struct check *check)
{
    const struct conf_list *files = &check->configuration->root_files;
    for (size_t i = 0; i < files->count; i++) {
        if (files->at[i][0] != '/')
            say(check, true, "files: %s is no path from / on", files->at[i]);
        else if (access(files->at[i], F_OK) != 0)
            say(check, false, "files: %s is not there: the root cannot use it", files->at[i]);
    }
}

static void check_uses(const struct check *check)
{
    if (check->configuration->durable_use == 0)
        say(check, false, "durable_use: a crash may lose the records of the last uses of keys");
}

static void run_checks(const struct check *check)
{
    static void (*const checks[])(const struct check *) = {
        check_addresses, check_certificate, check_clients, check_tokens,
        check_identity,  check_root,        check_uses,    check_attest,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        checks[i](check);
}

void serve_configuration_check(const struct serve_configuration *configuration, serve_doubt *doubt,
                               void *context)
{
    const struct check check = {configuration, true, doubt, context};
    run_checks(&check);
}

struct first {
    lethe_result result;
    struct lethe_error *err;
};

static void keep_first(void *context, bool is_error, const char *text)
{
    struct first *first = context;
    if (!is_error || first->result != LETHE_OK)
        return;
    first->result = error_set(first->err, LETHE_INVALID, "%s", text);
    error_hint(first->err, "lethe kms check-config shows what is in force");
}

lethe_result serve_configuration_require(const struct serve_configuration *configuration,
                                         struct lethe_error *err)
{
    struct first first = {LETHE_OK, err};
    const struct check check = {configuration, false, keep_first, &first};
    run_checks(&check);
    return first.result;
}
