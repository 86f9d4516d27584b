#include "service/service.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "service/attested.h"
#include "service/authority.h"
#include "service/core_core.h"
#include "service/identities.h"
#include "service/policies.h"
#include "service/tokens.h"

#define DEFAULT_TTL_S (768u * 3600u)
#define ROOT_LIFE_S ((uint64_t)10 * 365 * 86400)

/* ---- its life -------------------------------------------------------------------------------- */

lethe_result service_create(const struct service_options *options, struct service **out,
                            struct lethe_error *err)
{
    struct service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return error_set(err, LETHE_NO_MEMORY, "the service");
    service->options = *options;
    if (options->default_ttl_s == 0)
        service->options.default_ttl_s = DEFAULT_TTL_S;
    if (options->max_ttl_s == 0)
        service->options.max_ttl_s = service->options.default_ttl_s;
    lethe_result result = core_create(service, &service->core, err);
    if (result != LETHE_OK) {
        free(service);
        return result;
    }
    *out = service;
    return LETHE_OK;
}

void service_free(struct service *service)
{
    if (service == NULL)
        return;
    (void)!service_seal(service, NULL);
    core_free(service->core);
    free(service);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* X(name): opened in this order, closed in the other, each with what the earlier ones hold. */
#define SERVICE_PARTS(X) X(authority) X(identities) X(tokens) X(policies) X(attested)

static lethe_result open_parts(struct service *service, struct lethe_error *err)
{
    TRY(engine_open(service->keeper, &service->engine, err));
#define OPEN_PART(name) TRY(name##_open(service, &service->name, err));
    SERVICE_PARTS(OPEN_PART)
#undef OPEN_PART
    return core_unsealed(service->core, err);
}

static void close_parts(struct service *service)
{
    core_sealing(service->core);
    attested_free(MOVE(service->attested));
    policies_free(MOVE(service->policies));
    tokens_free(MOVE(service->tokens));
    identities_free(MOVE(service->identities));
    authority_free(MOVE(service->authority));
    engine_close(MOVE(service->engine));
}

/* A part that cannot read its rows keeps nobody else from reading theirs: a revoked token is
 * revoked whatever is wrong with the policies. */
lethe_result service_refresh(struct service *service, struct lethe_error *err)
{
    lethe_result first = LETHE_OK;
#define REFRESH_PART(name)                                                                         \
    {                                                                                              \
        lethe_result result = name##_refresh(service->name, first == LETHE_OK ? err : NULL);       \
        first = first == LETHE_OK ? result : first;                                                \
    }
    SERVICE_PARTS(REFRESH_PART)
#undef REFRESH_PART
    return first;
}

static void tell_ready(struct service *service)
{
    struct core *core = service->core;
    for (size_t i = 0; i < CORE_PEERS_MAX; i++) {
        if (core->peers[i].peer != NULL && core->peers[i].peer->origin == CORE_NETWORK)
            settings_ready(core, core->peers[i].peer);
    }
    settings_tell_all(core, false);
}

lethe_result service_seal(struct service *service, struct lethe_error *err)
{
    service->core->seal_wanted = false;
    if (service->keeper == NULL)
        return LETHE_OK;
    service_publish(service, "sealed", "", "");
    close_parts(service);
    lethe_result result = keeper_close(MOVE(service->keeper), err);
    tell_ready(service);
    return result;
}

/* ---- unsealing ------------------------------------------------------------------------------- */

/* The keeper reads a passphrase from a descriptor: a pipe holds it in the kernel until it does. */
static lethe_result put_in_pipe(const struct lethe_secret *passphrase, int *out,
                                struct lethe_error *err)
{
    int ends[2];
    size_t size_bytes = lethe_secret_size(passphrase);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_from_errno(err, "a pipe for the passphrase");
    CLEANUP(fd_close) int reading = ends[0];
    CLEANUP(fd_close) int writing = ends[1];
    /* More than a pipe holds is no passphrase. */
    ssize_t written = size_bytes > PIPE_BUF
                          ? -1
                          : write(writing, lethe_secret_bytes_const(passphrase), size_bytes);
    if (written != (ssize_t)size_bytes)
        return error_set(err, LETHE_INVALID, "the passphrase is too long");
    *out = FD_MOVE(reading);
    return LETHE_OK;
}

/* What is not there now may be brought later; everything else is wrong with what is there. */
static lethe_result open_keeper(struct service *service, const struct keeper_options *options,
                                struct lethe_error *err)
{
    lethe_result result = keeper_open(options, &service->keeper, err);
    return result == LETHE_NOT_FOUND ? LETHE_UNAVAILABLE : result;
}

static lethe_result check_passphrase(const struct service *service, bool is_brought,
                                     struct lethe_error *err)
{
    struct root_spec root;
    const struct keeper_options *options = &service->options.keeper;
    TRY(keeper_peek_root(options->store_path, &root, err));
    if (root.kind == ROOT_PASSPHRASE && !is_brought && options->passphrase_fd < 0) {
        error_set(err, LETHE_UNAVAILABLE, "the root is a passphrase, and nobody has brought it");
        error_hint(err, "bring it with 'lethe kms unseal', or PUT sys/unseal {\"key\": ...}");
        return LETHE_UNAVAILABLE;
    }
    return LETHE_OK;
}

lethe_result service_unseal(struct service *service, const struct lethe_secret *passphrase,
                            struct lethe_error *err)
{
    CLEANUP(fd_close) int pipe_fd = -1;
    struct keeper_options options = service->options.keeper;
    if (service->keeper != NULL)
        return LETHE_OK;
    TRY(check_passphrase(service, passphrase != NULL, err));
    if (passphrase != NULL) {
        TRY(put_in_pipe(passphrase, &pipe_fd, err));
        options.passphrase_fd = pipe_fd;
    }
    TRY(open_keeper(service, &options, err));
    keeper_set_patience(service->keeper, SERVICE_PATIENCE_MS);
    lethe_result result = open_parts(service, err);
    if (result != LETHE_OK) {
        close_parts(service);
        (void)!keeper_close(MOVE(service->keeper), NULL);
        return result;
    }
    tell_ready(service);
    service_publish(service, "unsealed", "", "");
    return LETHE_OK;
}

/* ---- the first time -------------------------------------------------------------------------- */

#define INITIALISED "service/initialised"

static lethe_result mark_rows(struct store *store, void *context, uint64_t epoch,
                              struct audit_event *event, struct lethe_error *err)
{
    (void)context;
    (void)epoch;
    *event = audit_permission_changed("", "root", "the service was initialised");
    return store_put(store, INITIALISED, "1", 1, STORE_ABSENT, err);
}

bool service_is_initialised(struct service *service)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    return service->keeper != NULL &&
           store_get(keeper_store(service->keeper), INITIALISED, &value, NULL, NULL) == LETHE_OK;
}

static lethe_result make_root(struct service *service, struct lethe_error *err)
{
    lethe_result result = authority_make_root(service->authority, AUTHORITY_IDENTITIES,
                                              "Lethe identities", ROOT_LIFE_S, err);
    return result == LETHE_EXISTS ? LETHE_OK : result;
}

/* Each step finds what a process that ended half-way left: the mark comes last. A token that such
 * a process made was told to nobody. */
lethe_result service_init(struct service *service, struct lethe_secret **root_token,
                          struct lethe_error *err)
{
    struct token_entry entry = {.path = "auth/token/root", .display_name = "root"};
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    if (service->keeper == NULL)
        return error_set(err, LETHE_UNAVAILABLE, "the service is sealed");
    if (service_is_initialised(service))
        return error_set(err, LETHE_EXISTS, "the service was initialised before");
    strcpy(entry.policies[entry.policy_count++], "root");
    TRY(make_root(service, err));
    TRY(tokens_create(service->tokens, &entry, &token, err));
    TRY(keeper_change(service->keeper, "", mark_rows, NULL, err));
    *root_token = MOVE(token);
    service->core->settings_stale = true;
    return LETHE_OK;
}

/* ---- now and then ---------------------------------------------------------------------------- */

#define TIDY_MOST 1000u
#define TIDY_EVERY_S 3600u
#define KEPT_EXPIRED_S (72u * 3600u) /* for who looks a certificate up that has just ended */

static void tidy_identities(struct service *service, uint64_t now_s)
{
    size_t removed;
    if (!core_wait_is_over(now_s, service->core->tidy_s, TIDY_EVERY_S))
        return;
    service->core->tidy_s = now_s + TIDY_EVERY_S;
    (void)!authority_tidy(service->authority, AUTHORITY_IDENTITIES, KEPT_EXPIRED_S, TIDY_MOST,
                          &removed, NULL); /* tried again in an hour */
}

void service_tick(struct service *service)
{
    struct core *core = service->core;
    uint64_t now_s = core_now_s(core);
    uint64_t rotated;
    if (now_s == core->tick_s)
        return;
    core->tick_s = now_s;
    events_tick(core, now_s);
    if (service->keeper == NULL)
        return;
    if (core->acting_for[0] != '\0')
        keeper_act_for(service->keeper, NULL);
    core->acting_for[0] = '\0';
    (void)!engine_rotate_due(service->engine, &rotated, NULL); /* tried again in a second */
    if (rotated > 0)
        service_publish(service, "keys_rotated", "", "\"reason\":\"schedule\"");
    core->unreadable = core_look(core, NULL) != LETHE_OK;
    tokens_expire(service->tokens, now_s);
    tidy_identities(service, now_s);
    audit_failures_tick(core->failures);
    settings_tell_all(core, true);
}
