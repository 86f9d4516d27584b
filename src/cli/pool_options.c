#include "cli/pool_options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "home/home.h"
#include "kms/secret_file.h"

#define PEM_MAX ((size_t)256 << 10)

/* ---- settings -------------------------------------------------------------------------------- */

lethe_result pool_options_configuration(const struct invocation *invocation,
                                        struct pool_configuration *out, struct lethe_error *err)
{
    const char *given = option_text(invocation, "config");
    if (given != NULL)
        return pool_configuration_read(given, true, out, err);
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    TRY(home_locate(NULL, &paths, err));
    CLEANUP(memory_free) char *path = path_join(paths.directory, "pool.conf");
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return pool_configuration_read(path, false, out, err);
}

/* Nothing secret is in any of them: a key is named by its file. */
struct source {
    const char *option;
    const char *variable;
    size_t offset;
};
static const struct source credential_sources[] = {
    {"ca", "LETHE_POOL_CA", offsetof(struct pool_credentials, ca)},
    {"certificate", "LETHE_POOL_CERTIFICATE", offsetof(struct pool_credentials, certificate)},
    {"key", "LETHE_POOL_KEY", offsetof(struct pool_credentials, key)},
};
static const struct source client_sources[] = {
    {"control", "LETHE_POOL_CONTROL", offsetof(struct pool_client_settings, control)},
    {"control-id", "LETHE_POOL_CONTROL_ID", offsetof(struct pool_client_settings, control_id)},
};

static lethe_result take(const struct invocation *invocation, const struct source *source,
                         void *settings, struct lethe_error *err)
{
    const char *text = option_text(invocation, source->option);
    if (text == NULL)
        text = getenv(source->variable);
    if (text == NULL || text[0] == '\0')
        return LETHE_OK;
    if (strlen(text) >= CONF_TEXT_SIZE)
        return error_set(err, LETHE_INVALID, "--%s or %s has more than %u characters",
                         source->option, source->variable, CONF_TEXT_SIZE - 1);
    strcpy((char *)settings + source->offset, text);
    return LETHE_OK;
}

lethe_result pool_options_credentials(const struct invocation *invocation,
                                      struct pool_credentials *settings, struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(credential_sources); i++)
        TRY(take(invocation, &credential_sources[i], settings, err));
    return LETHE_OK;
}

static lethe_result require_client(const struct pool_client_settings *settings,
                                   struct lethe_error *err)
{
    if (settings->control[0] != '\0' && settings->control_id[0] != '\0')
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "it is not said %s",
              settings->control[0] == '\0' ? "where the pool's control plane is"
                                           : "who the pool's control plane must prove to be");
    error_hint(err, "--control HOST:PORT and --control-id SPIFFE, or control and control_id in "
                    "[pool] of pool.conf");
    return LETHE_INVALID;
}

lethe_result pool_options_client(const struct invocation *invocation,
                                 struct pool_client_settings *out, struct lethe_error *err)
{
    struct pool_configuration configuration;
    TRY(pool_options_configuration(invocation, &configuration, err));
    *out = configuration.client;
    for (size_t i = 0; i < ARRAY_LEN(client_sources); i++)
        TRY(take(invocation, &client_sources[i], out, err));
    TRY(pool_options_credentials(invocation, &out->credentials, err));
    return require_client(out, err);
}

/* ---- contexts -------------------------------------------------------------------------------- */

lethe_result pool_options_require(const struct pool_credentials *files, const char *section,
                                  struct lethe_error *err)
{
    const struct {
        const char *name, *text;
    } all[] = {{"ca", files->ca}, {"certificate", files->certificate}, {"key", files->key}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].text[0] != '\0')
            continue;
        error_set(err, LETHE_INVALID, "everybody in a pool proves who it is: --%s is missing",
                  all[i].name);
        error_hint(err, "--%s FILE, or %s in [%s] of pool.conf; lethe identity issue makes them",
                   all[i].name, all[i].name, section);
        return LETHE_INVALID;
    }
    return LETHE_OK;
}

static lethe_result read_pem(const char *path, struct buffer *out, struct lethe_error *err)
{
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, out, err));
    if (out->size_bytes == 0)
        return error_set(err, LETHE_MALFORMED, "%s is empty", path);
    return buffer_result(out, err);
}

lethe_result pool_tls_context(const struct pool_tls *wanted, struct tls_context **out,
                              struct lethe_error *err)
{
    const struct pool_credentials *files = wanted->credentials;
    CLEANUP(buffer_clear) struct buffer chain = {0}, roots = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(pool_options_require(files, wanted->section, err));
    TRY(read_pem(files->certificate, &chain, err));
    TRY(read_pem(files->ca, &roots, err));
    TRY(secret_file_read(files->key, &key, err));
    const struct tls_options options = {.certificates_pem = chain.bytes,
                                        .key_pem = key,
                                        .roots_pem = roots.bytes,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    lethe_result result = wanted->server ? tls_server_create(&options, out, err)
                                         : tls_client_create(&options, out, err);
    return error_context(err, result, "%s, %s and %s", files->certificate, files->key, files->ca);
}

lethe_result pool_options_caller(const struct invocation *invocation, enum wire_role role,
                                 struct caller **out, struct lethe_error *err)
{
    struct pool_client_settings settings;
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    TRY(pool_options_client(invocation, &settings, err));
    const struct pool_tls wanted = {.credentials = &settings.credentials, .section = "pool"};
    TRY(pool_tls_context(&wanted, &tls, err));
    const struct caller_options options = {
        .address = settings.control, .control_id = settings.control_id, .tls = tls, .role = role};
    return caller_open(&options, out, err);
}
