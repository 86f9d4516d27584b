/* lethe pool control: the pool's control plane, until a signal ends it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/pool_options.h"
#include "cli/pool_place.h"
#include "pool/control_rules.h"
#include "service/serve_log.h"

struct running {
    struct pool_control_settings settings;
    struct pool_place place;
    struct home *home;
    struct lethe_policy_holder *holder;
    char digest[LETHE_POLICY_DIGEST_SIZE];
    bool as_json;
};

/* ---- settings -------------------------------------------------------------------------------- */

static lethe_result take_text(const struct invocation *invocation, const char *option,
                              char out[CONF_TEXT_SIZE], struct lethe_error *err)
{
    const char *text = option_text(invocation, option);
    if (text == NULL)
        return LETHE_OK;
    if (strlen(text) >= CONF_TEXT_SIZE)
        return error_set(err, LETHE_INVALID, "--%s has more than %u characters", option,
                         CONF_TEXT_SIZE - 1);
    strcpy(out, text);
    return LETHE_OK;
}

static lethe_result read_settings(const struct invocation *invocation,
                                  struct pool_control_settings *out, struct lethe_error *err)
{
    struct pool_configuration configuration;
    TRY(pool_options_configuration(invocation, &configuration, err));
    *out = configuration.control;
    TRY(take_text(invocation, "listen", out->listen, err));
    TRY(take_text(invocation, "policy", out->policy, err));
    TRY(take_text(invocation, "data", out->data, err));
    if (option_given(invocation, "allow-public"))
        out->allow_public = 1;
    return pool_options_credentials(invocation, &out->credentials, err);
}

static const char *path_or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static lethe_result confine_files(const struct running *running, struct lethe_error *err)
{
    const struct pool_control_settings *settings = &running->settings;
    const char *const all[] = {settings->credentials.ca, settings->credentials.certificate,
                               settings->credentials.key, settings->policy, settings->data};
    const char *replaced[ARRAY_LEN(all) + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i][0] != '\0')
            replaced[count++] = all[i];
    return pool_place_confine(&running->place, replaced, err);
}

/* ---- the policy ------------------------------------------------------------------------------ */

static lethe_result load_policy(const struct running *running, struct lethe_policy **out,
                                struct lethe_error *err)
{
    const struct control_rules rules = {.policy = path_or_null(running->settings.policy),
                                        .data = path_or_null(running->settings.data)};
    return control_rules_load(&rules, out, err);
}

static lethe_result begin_policy(struct running *running, struct lethe_error *err)
{
    struct lethe_policy *policy;
    struct keeper *keeper = running->home->keeper;
    const struct audit_who who = keeper_who(keeper, "");
    TRY(load_policy(running, &policy, err));
    memcpy(running->digest, lethe_policy_digest(policy), sizeof running->digest);
    const struct audit_event event = audit_policy_loaded("pool", running->digest);
    audit_emit(keeper_log(keeper), &who, &event);
    return lethe_policy_holder_create(policy, &running->holder, err);
}

/* On record before it is in force. */
static lethe_result replace_policy(struct running *running, struct lethe_error *err)
{
    char digest[LETHE_POLICY_DIGEST_SIZE];
    struct lethe_policy *policy;
    struct keeper *keeper = running->home->keeper;
    const struct audit_who who = keeper_who(keeper, "");
    TRY(load_policy(running, &policy, err));
    memcpy(digest, lethe_policy_digest(policy), sizeof digest);
    const struct audit_event event = audit_policy_changed("pool", running->digest, digest);
    lethe_result result = strcmp(digest, running->digest) == 0
                              ? LETHE_OK
                              : audit_commit(keeper_log(keeper), &who, &event, err);
    if (result != LETHE_OK) {
        lethe_policy_free(policy);
        return result;
    }
    lethe_policy_holder_replace(running->holder, policy);
    memcpy(running->digest, digest, sizeof digest);
    return LETHE_OK;
}

/* ---- while it runs --------------------------------------------------------------------------- */

static lethe_result make_context(const struct running *running, struct tls_context **out,
                                 struct lethe_error *err)
{
    const struct pool_tls wanted = {
        .credentials = &running->settings.credentials, .section = "control", .server = true};
    return pool_tls_context(&wanted, out, err);
}

/* What cannot be read changes nothing. */
static void on_reload(void *context, struct control *control)
{
    struct running *running = context;
    struct lethe_error err = {0};
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    lethe_result result = make_context(running, &tls, &err);
    if (result == LETHE_OK)
        result = replace_policy(running, &err);
    if (result != LETHE_OK) {
        serve_log(SERVE_ERROR, "nothing is changed: %s", err.text);
        return;
    }
    control_renew(control, tls);
    serve_log(SERVE_NOTICE, "certificate and policy were read again: %s", running->digest);
}

static void on_ready(void *context, const char *address)
{
    const struct running *running = context;
    if (running->as_json)
        printf("{\"address\":\"%s\",\"policy\":\"%s\",\"pid\":%d}\n", address, running->digest,
               (int)getpid());
    else
        printf("%s\n", address);
    fflush(stdout);
}

static lethe_result on_confine(void *context, struct lethe_error *err)
{
    const struct running *running = context;
    serve_notify("READY=1"); /* all is open; behind this it makes no socket */
    return pool_place_confine_calls(&running->place, err);
}

static lethe_result run(struct running *running, struct lethe_error *err)
{
    const struct pool_control_settings *settings = &running->settings;
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    CLEANUP(control_free) struct control *control = NULL;
    TRY(make_context(running, &tls, err));
    TRY(begin_policy(running, err));
    const struct control_options options = {.keeper = running->home->keeper,
                                            .listen = settings->listen,
                                            .allow_public = settings->allow_public != 0,
                                            .tls = tls,
                                            .policy = running->holder,
                                            .limits = settings->limits,
                                            .ready = on_ready,
                                            .confine = on_confine,
                                            .signals = true,
                                            .reload = on_reload,
                                            .context = running};
    TRY(control_create(&options, &control, err));
    return control_run(control, err);
}

static void running_clear_at_scope_end(struct running *running)
{
    pool_place_clear(&running->place);
    if (running->holder != NULL)
        lethe_policy_holder_free(running->holder);
    home_abandon(running->home);
}

COMMAND_FUNCTION(pool_control)
{
    CLEANUP(running_clear)
    struct running running = {.as_json = option_given(invocation, "json")};
    serve_log_name("control");
    TRY(read_settings(invocation, &running.settings, err));
    TRY(pool_place_find(&running.place, err));
    TRY(confine_files(&running, err));
    TRY(common_open_home(invocation, &running.home, err));
    return home_finish(&running.home, run(&running, err), err);
}
