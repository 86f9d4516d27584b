/* lethe pool provide: lends this machine's memory, until a signal ends it. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "cli/common.h"
#include "cli/pool_options.h"
#include "cli/pool_place.h"
#include "cli/pool_provide_calls.h"
#include "crypto/x509.h"
#include "pool/provider.h"
#include "service/serve_log.h"

#define PEM_MAX ((size_t)256 << 10)

struct providing {
    struct pool_configuration configuration;
    struct pool_client_settings control;
    struct spiffe_id id;
    struct pool_place place;
    struct home *home;
    struct lethe_log log;
    struct tls_context *serve, *dial;
    struct provider *provider;
    bool as_json;
    pthread_t listener; /* to signals */
    atomic_bool is_over;
};

/* ---- settings -------------------------------------------------------------------------------- */

/* 8G, 8GiB, 4096. */
static lethe_result read_memory(const char *text, uint64_t *out, struct lethe_error *err)
{
    static const char units[] = "KMGT";
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    unsigned shift = unit == NULL ? 0 : 10u * (unsigned)(unit - units + 1);
    bool is_number = text[0] >= '0' && text[0] <= '9' && number > 0;
    bool ends =
        *end == '\0' || (unit != NULL && (strcmp(end + 1, "") == 0 || strcmp(end + 1, "iB") == 0));
    if (!is_number || !ends || number > UINT64_MAX >> shift)
        return error_set(err, LETHE_INVALID,
                         "--memory: expected a size such as 512M or 8G, found '%s'", text);
    *out = (uint64_t)number << shift;
    return LETHE_OK;
}

static lethe_result take_text(const struct invocation *invocation, const char *name,
                              char out[CONF_TEXT_SIZE], struct lethe_error *err)
{
    const char *text = option_text(invocation, name);
    if (text == NULL)
        return LETHE_OK;
    if (strlen(text) >= CONF_TEXT_SIZE)
        return error_set(err, LETHE_INVALID, "--%s: the text is too long", name);
    strcpy(out, text);
    return LETHE_OK;
}

/* [pool] has what [provide] leaves out; options are over both. */
static void inherit(char out[CONF_TEXT_SIZE], const char *text)
{
    if (out[0] == '\0')
        strcpy(out, text);
}

/* "spiffe://" may be left out. */
static lethe_result take_control_id(struct pool_client_settings *settings, struct lethe_error *err)
{
    struct spiffe_id id;
    TRY(error_context(err,
                      spiffe_read(settings->control_id, strlen(settings->control_id), &id, err),
                      "--control-id"));
    strcpy(settings->control_id, id.text);
    return LETHE_OK;
}

static lethe_result take_options(const struct invocation *invocation, struct providing *providing,
                                 struct lethe_error *err)
{
    struct pool_provide_settings *settings = &providing->configuration.provide;
    const char *memory = option_text(invocation, "memory");
    TRY(pool_options_configuration(invocation, &providing->configuration, err));
    TRY(pool_options_client(invocation, &providing->control, err));
    TRY(take_control_id(&providing->control, err));
    inherit(settings->credentials.ca, providing->configuration.client.credentials.ca);
    inherit(settings->credentials.certificate,
            providing->configuration.client.credentials.certificate);
    inherit(settings->credentials.key, providing->configuration.client.credentials.key);
    TRY(pool_options_credentials(invocation, &settings->credentials, err));
    TRY(take_text(invocation, "listen", settings->listen, err));
    TRY(take_text(invocation, "announce", settings->announce, err));
    if (option_given(invocation, "allow-public"))
        settings->allow_public = 1;
    if (memory != NULL)
        TRY(read_memory(memory, &settings->memory_bytes, err));
    providing->as_json = option_given(invocation, "json");
    if (settings->memory_bytes > 0)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "it is not said how much memory is lent");
    error_hint(err, "--memory 8G, or memory = 8GiB in [provide] of pool.conf");
    return LETHE_INVALID;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static lethe_result own_id(const char *path, struct spiffe_id *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0}, der = {0};
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    uint32_t leaf_bytes;
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, &text, err));
    TRY(buffer_result(&text, err));
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, text.bytes, text.size_bytes, &der, err));
    struct cursor cursor = cursor_over(der.bytes, der.size_bytes);
    TRY(cursor_le32(&cursor, &leaf_bytes));
    TRY(x509_read(cursor.at, leaf_bytes, &leaf, err));
    const struct x509_list *uris = &leaf.subject.uris;
    if (uris->count != 1)
        return error_set(err, LETHE_INVALID,
                         "%zu URIs are in the certificate: expected one SPIFFE id", uris->count);
    return spiffe_parse(uris->at[0], strlen(uris->at[0]), out, err);
}

static lethe_result make_contexts(const struct providing *providing, struct tls_context **serve,
                                  struct tls_context **dial, struct lethe_error *err)
{
    struct pool_tls wanted = {.credentials = &providing->configuration.provide.credentials,
                              .section = "provide",
                              .server = true};
    CLEANUP(tls_context_free) struct tls_context *server = NULL;
    TRY(pool_tls_context(&wanted, &server, err));
    wanted.server = false;
    TRY(pool_tls_context(&wanted, dial, err));
    *serve = MOVE(server);
    return LETHE_OK;
}

/* A certificate that is somebody else's is not taken: leases and tokens are the old one's. */
static lethe_result renew(struct providing *providing, struct lethe_error *err)
{
    CLEANUP(tls_context_free) struct tls_context *serve = NULL, *dial = NULL;
    const char *path = providing->configuration.provide.credentials.certificate;
    struct spiffe_id id;
    TRY(error_context(err, own_id(path, &id, err), "%s", path));
    if (strcmp(id.text, providing->id.text) != 0)
        return error_set(err, LETHE_INVALID, "%s is for %s, and this is %s", path, id.text,
                         providing->id.text);
    TRY(make_contexts(providing, &serve, &dial, err));
    provider_renew(providing->provider, serve, dial);
    return LETHE_OK;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void fill_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
}

static void *listen_to_signals(void *context)
{
    struct providing *providing = context;
    sigset_t signals;
    int number;
    fill_signals(&signals);
    while (sigwait(&signals, &number) == 0 && !atomic_load(&providing->is_over)) {
        struct lethe_error err = {0};
        if (number != SIGHUP)
            provider_stop(providing->provider);
        else if (renew(providing, &err) == LETHE_OK)
            serve_log(SERVE_NOTICE, "certificates were read again");
        else
            serve_log(SERVE_ERROR, "certificates stay as they were: %s", err.text);
    }
    return NULL;
}

/* Threads that begin later, and this one, leave them to the listener. */
static void hold_signals(void)
{
    sigset_t signals;
    fill_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* ---- running --------------------------------------------------------------------------------- */

/* To stderr, as a line of the log is; to stdout for a program that asked. */
static void on_ready(void *context, const char *address)
{
    const struct providing *providing = context;
    uint64_t mib = providing->configuration.provide.memory_bytes >> 20;
    if (providing->as_json) {
        printf("{\"address\":\"%s\",\"id\":\"%s\",\"memory_bytes\":%llu}\n", address,
               providing->id.text,
               (unsigned long long)providing->configuration.provide.memory_bytes);
        fflush(stdout);
    } else {
        serve_log(SERVE_INFO, "%s lends %llu MiB at %s", providing->id.text,
                  (unsigned long long)mib, address);
    }
    serve_notify("READY=1");
}

/* It goes on trying: whoever waits for it should know why. */
static void on_away(void *context, const struct lethe_error *why)
{
    const struct pool_client_settings *control = &((const struct providing *)context)->control;
    if (why == NULL)
        serve_log(SERVE_NOTICE, "the control plane at %s is back", control->control);
    else
        serve_log(SERVE_WARNING, "it is tried again: the control plane at %s: %s", control->control,
                  why->text);
}

static lethe_result on_confine(void *context, struct lethe_error *err)
{
    const struct providing *providing = context;
    return pool_provide_confine_calls(providing->place.root_is_device, err);
}

static lethe_result create(struct providing *providing, struct lethe_error *err)
{
    const struct pool_provide_settings *settings = &providing->configuration.provide;
    const struct provider_options options = {
        .id = providing->id.text,
        .memory_bytes = settings->memory_bytes,
        .listen = settings->listen,
        .announce = settings->announce[0] != '\0' ? settings->announce : NULL,
        .allow_public = settings->allow_public != 0,
        .control_address = providing->control.control,
        .control_id = providing->control.control_id,
        .serve = providing->serve,
        .dial = providing->dial,
        .log = &providing->log,
        .ready = on_ready,
        .away = on_away,
        .confine = on_confine,
        .context = providing};
    return provider_create(&options, &providing->provider, err);
}

static lethe_result run(struct providing *providing, struct lethe_error *err)
{
    TRY(thread_start(&providing->listener, listen_to_signals, providing, err));
    lethe_result result = provider_run(providing->provider, err);
    atomic_store(&providing->is_over, true);
    pthread_kill(providing->listener, SIGTERM);
    pthread_join(providing->listener, NULL);
    return result;
}

static lethe_result provide(struct providing *providing, struct lethe_error *err)
{
    const struct pool_credentials *files = &providing->configuration.provide.credentials;
    TRY(make_contexts(providing, &providing->serve, &providing->dial, err));
    TRY(error_context(err, own_id(files->certificate, &providing->id, err), "%s",
                      files->certificate));
    providing->log = (struct lethe_log){.log = keeper_log(providing->home->keeper),
                                        .actor = providing->home->actor,
                                        .signer = keeper_log_signer(providing->home->keeper),
                                        .node = providing->home->node};
    hold_signals();
    TRY(create(providing, err));
    return run(providing, err);
}

static void providing_clear_at_scope_end(struct providing *providing)
{
    provider_free(providing->provider);
    tls_context_free(providing->serve);
    tls_context_free(providing->dial);
    home_abandon(providing->home);
    pool_place_clear(&providing->place);
}

/* Before there is a thread: of the log, of the provider. Where the control plane has a name, it is
 * looked up. */
static lethe_result confine_files(const struct providing *providing, struct lethe_error *err)
{
    const struct pool_credentials *files = &providing->configuration.provide.credentials;
    const char *const all[] = {files->ca, files->certificate, files->key, "/etc/resolv.conf"};
    const char *replaced[ARRAY_LEN(all) + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i][0] != '\0')
            replaced[count++] = all[i];
    return pool_place_confine(&providing->place, replaced, err);
}

COMMAND_FUNCTION(pool_provide)
{
    CLEANUP(providing_clear) struct providing providing = {0};
    serve_log_name("provider");
    TRY(take_options(invocation, &providing, err));
    TRY(pool_place_find(&providing.place, err));
    TRY(confine_files(&providing, err));
    TRY(common_open_home(invocation, &providing.home, err));
    lethe_result result = provide(&providing, err);
    provider_free(MOVE(providing.provider)); /* what it wipes is on record before the log closes */
    return home_finish(&providing.home, result, err);
}
