/* sys/: health, sealing, what is mounted. */
#include <string.h>

#include "base/error.h"
#include "service/authorise.h"
#include "service/authority.h"
#include "service/core_core.h"
#include "service/openapi.h"
#include "service/routes_sys.h"

/* ---- health ---------------------------------------------------------------------------------- */

enum { HEALTH_STANDBY_OK, HEALTH_ACTIVE, HEALTH_STANDBY, HEALTH_SEALED, HEALTH_UNINITIALISED };
static const struct field health_fields[] = {
    {"standbyok", FIELD_BOOLEAN, false, "a standby says 200: there is none here", NULL},
    {"activecode", FIELD_INTEGER, false, "status when active, in place of 200", NULL},
    {"standbycode", FIELD_INTEGER, false, "there is no standby here", NULL},
    {"sealedcode", FIELD_INTEGER, false, "status when sealed, in place of 503", NULL},
    {"uninitcode", FIELD_INTEGER, false, "status when not initialised, in place of 501", NULL},
    {0}};

static bool is_sealed(struct call *call)
{
    return call_service(call)->keeper == NULL;
}

/* A home is made before the service starts: while it is sealed, that is all that is known. */
static bool is_initialised(struct call *call)
{
    return is_sealed(call) || service_is_initialised(call_service(call));
}

static void put_cluster(struct call *call, struct json_writer *writer)
{
    char id[AUTHORITY_ID_SIZE] = ""; /* it is not known while the service is sealed */
    const struct service *service = call_service(call);
    if (service->authority != NULL)
        authority_id(service->authority, AUTHORITY_IDENTITIES, id);
    json_put_text(writer, "cluster_name", service->options.keeper.node);
    json_put_text(writer, "cluster_id", id);
}

static lethe_result set_status(struct call *call, size_t field, unsigned otherwise,
                               struct lethe_error *err)
{
    const struct field_value *code = call_field(call, field);
    if (code->given && (code->integer < 200 || code->integer > 599))
        return error_set(err, LETHE_INVALID, "a status is 200 to 599");
    answer_status(call, code->given ? (unsigned)code->integer : otherwise);
    return LETHE_OK;
}

static lethe_result health(struct call *call, struct lethe_error *err)
{
    bool initialised = is_initialised(call);
    bool sealed = is_sealed(call);
    if (!initialised)
        TRY(set_status(call, HEALTH_UNINITIALISED, 501, err));
    else if (sealed)
        TRY(set_status(call, HEALTH_SEALED, 503, err));
    else
        TRY(set_status(call, HEALTH_ACTIVE, 200, err));
    struct json_writer *writer = answer_bare(call);
    json_put_boolean(writer, "initialized", initialised);
    json_put_boolean(writer, "sealed", sealed);
    json_put_boolean(writer, "standby", false);
    json_put_boolean(writer, "performance_standby", false);
    json_put_text(writer, "replication_performance_mode", "disabled");
    json_put_text(writer, "replication_dr_mode", "disabled");
    json_put_integer(writer, "server_time_utc", (int64_t)call_now_s(call));
    json_put_text(writer, "version", LETHE_VERSION);
    put_cluster(call, writer);
    return LETHE_OK;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static const char *root_kind(struct call *call)
{
    struct root_spec root;
    const struct service *service = call_service(call);
    if (service->keeper != NULL)
        return root_kind_name(keeper_root(service->keeper)->kind);
    return keeper_peek_root(service->options.keeper.store_path, &root, NULL) == LETHE_OK
               ? root_kind_name(root.kind)
               : "";
}

static lethe_result seal_status(struct call *call, struct lethe_error *err)
{
    (void)err;
    struct json_writer *writer = answer_bare(call);
    json_put_text(writer, "type", root_kind(call));
    json_put_boolean(writer, "initialized", is_initialised(call));
    json_put_boolean(writer, "sealed", is_sealed(call));
    json_put_integer(writer, "t", 1);
    json_put_integer(writer, "n", 1);
    json_put_integer(writer, "progress", 0);
    json_put_text(writer, "nonce", "");
    json_put_text(writer, "version", LETHE_VERSION);
    json_put_boolean(writer, "migration", false);
    put_cluster(call, writer);
    json_put_boolean(writer, "recovery_seal", false);
    json_put_text(writer, "storage_type", "file");
    return LETHE_OK;
}

enum { UNSEAL_KEY, UNSEAL_RESET, UNSEAL_MIGRATE };
static const struct field unseal_fields[] = {
    {"key", FIELD_TEXT, false, "the passphrase, where the root is one", NULL},
    {"reset", FIELD_BOOLEAN, false, "there are no shares to forget", NULL},
    {"migrate", FIELD_BOOLEAN, false, "not offered", NULL},
    {0}};

static lethe_result copy_secret(const struct field_value *value, struct lethe_secret **out,
                                struct lethe_error *err)
{
    if (value->length == 0)
        return LETHE_OK;
    if (value->length > LETHE_SECRET_MAX_BYTES)
        return error_set(err, LETHE_INVALID, "the key is too long");
    TRY(lethe_secret_create(value->length, out, err));
    memcpy(lethe_secret_bytes(*out), value->text, value->length);
    return LETHE_OK;
}

/* Trying a passphrase costs the keeper a while, and passphrases can be guessed: over the network
 * all sources together get a few tries, and then one after each wait. Operators do not wait. */
#define UNSEAL_FREE 8u
#define UNSEAL_LEVELS 6u /* a minute */
#define UNSEAL_WAIT_S ((uint64_t)1 << UNSEAL_LEVELS)

static lethe_result try_passphrase(struct call *call, const struct lethe_secret *passphrase,
                                   struct lethe_error *err)
{
    struct core *core = call->core;
    if (passphrase != NULL && !call->admin &&
        !core_wait_is_over(call->now_s, core->unseal_from_s, UNSEAL_WAIT_S))
        return error_set(err, LETHE_UNAVAILABLE,
                         "too many wrong passphrases: wait a minute, or use lethe kms unseal on "
                         "the service's machine");
    lethe_result result = service_unseal(call_service(call), passphrase, err);
    if (result == LETHE_OK) {
        core->unseal_failures = 0;
    } else if (passphrase != NULL && ++core->unseal_failures > UNSEAL_FREE) {
        unsigned level = MIN(core->unseal_failures - UNSEAL_FREE, UNSEAL_LEVELS);
        core->unseal_from_s = call->now_s + ((uint64_t)1 << level);
    }
    return result;
}

/* A root that is a passphrase gets it here; any other is looked for again. */
static lethe_result unseal(struct call *call, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    if (call_field(call, UNSEAL_MIGRATE)->boolean)
        return error_set(err, LETHE_INVALID, "migrate: the kind of the root is changed offline");
    if (is_sealed(call) && !call_field(call, UNSEAL_RESET)->boolean) {
        TRY(copy_secret(call_field(call, UNSEAL_KEY), &passphrase, err));
        lethe_result result = try_passphrase(call, passphrase, err);
        if (result != LETHE_OK)
            call_penalise(call);
        TRY(result);
    }
    return seal_status(call, err);
}

/* Behind this turn: its records are written first. */
static lethe_result seal(struct call *call, struct lethe_error *err)
{
    (void)err;
    call->core->seal_wanted = true;
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- the first time -------------------------------------------------------------------------- */

static lethe_result init_status(struct call *call, struct lethe_error *err)
{
    (void)err;
    json_put_boolean(answer_bare(call), "initialized", is_initialised(call));
    return LETHE_OK;
}

static lethe_result init(struct call *call, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    TRY(service_init(call_service(call), &token, err));
    struct json_writer *writer = answer_bare(call);
    json_begin_array(writer, "keys");
    json_end_array(writer);
    json_begin_array(writer, "keys_base64");
    json_end_array(writer);
    json_put_bytes(writer, "root_token", lethe_secret_bytes_const(token), lethe_secret_size(token));
    return LETHE_OK;
}

/* ---- what there is --------------------------------------------------------------------------- */

struct mount {
    const char *path, *type, *description;
};
static const struct mount mounts[] = {{"transit/", "transit", "keys, and what is done with them"},
                                      {"pki/", "pki", "certificates"},
                                      {"sys/", "system", "the service itself"},
                                      {"lethe/", "lethe", "what Vault has no calls for"},
                                      {0}};
static const struct mount auths[] = {
    {"token/", "token", "tokens"}, {"cert/", "cert", "client certificates"}, {0}};

static void put_mounts(struct json_writer *writer, const struct mount *list)
{
    for (; list->path != NULL; list++) {
        json_begin_object(writer, list->path);
        json_put_text(writer, "type", list->type);
        json_put_text(writer, "description", list->description);
        json_put_text(writer, "accessor", list->type);
        json_begin_object(writer, "config");
        json_put_integer(writer, "default_lease_ttl", 0);
        json_put_integer(writer, "max_lease_ttl", 0);
        json_put_boolean(writer, "force_no_cache", false);
        json_end_object(writer);
        json_put_null(writer, "options");
        json_put_boolean(writer, "local", false);
        json_put_boolean(writer, "seal_wrap", false);
        json_put_text(writer, "uuid", list->type);
        json_end_object(writer);
    }
}

/* Clients look at the top, or at `data`. */
static lethe_result answer_mounts(struct call *call, const struct mount *list)
{
    char uuid[CORE_UUID_SIZE];
    core_uuid(call->core, uuid);
    struct json_writer *writer = answer_bare(call);
    json_put_text(writer, "request_id", uuid);
    json_put_text(writer, "lease_id", "");
    json_put_boolean(writer, "renewable", false);
    json_put_integer(writer, "lease_duration", 0);
    put_mounts(writer, list);
    json_begin_object(writer, "data");
    put_mounts(writer, list);
    json_end_object(writer);
    json_put_null(writer, "wrap_info");
    json_put_null(writer, "warnings");
    json_put_null(writer, "auth");
    return LETHE_OK;
}

static lethe_result list_mounts(struct call *call, struct lethe_error *err)
{
    (void)err;
    return answer_mounts(call, mounts);
}

static lethe_result list_auths(struct call *call, struct lethe_error *err)
{
    (void)err;
    return answer_mounts(call, auths);
}

static lethe_result leader(struct call *call, struct lethe_error *err)
{
    (void)err;
    struct json_writer *writer = answer_bare(call);
    json_put_boolean(writer, "ha_enabled", false);
    json_put_boolean(writer, "is_self", true);
    json_put_text(writer, "leader_address", "");
    json_put_text(writer, "leader_cluster_address", "");
    json_put_boolean(writer, "performance_standby", false);
    return LETHE_OK;
}

static lethe_result openapi(struct call *call, struct lethe_error *err)
{
    (void)err;
    openapi_write(call->core->router, answer_raw(call, "application/json"));
    return LETHE_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define OPEN (ROUTE_OPEN | ROUTE_SEALED | ROUTE_NO_RECORD)
const struct route routes_sys[] = {
    {CALL_GET, "sys/health", OPEN, "health", NULL, health_fields, health, "Whether it answers"},
    {CALL_GET, "sys/seal-status", OPEN, "seal_status", NULL, NULL, seal_status,
     "Whether it is sealed"},
    {CALL_POST, "sys/unseal", OPEN, "unseal", NULL, unseal_fields, unseal, "Open the home"},
    {CALL_POST, "sys/seal", ROUTE_SUDO, "seal", NULL, NULL, seal,
     "Forget all keys until it is unsealed"},
    {CALL_GET, "sys/init", OPEN, "init_status", NULL, NULL, init_status,
     "Whether it was initialised"},
    {CALL_POST, "sys/init", ROUTE_ADMIN, "init", NULL, NULL, init,
     "Once: make what a service needs, and its first token"},
    {CALL_GET, "sys/mounts", 0, "mounts", NULL, NULL, list_mounts, "What is mounted"},
    {CALL_GET, "sys/auth", 0, "auths", NULL, NULL, list_auths, "Ways to prove oneself"},
    {CALL_GET, "sys/leader", OPEN, "leader", NULL, NULL, leader, "There is one node"},
    {CALL_POST, "sys/capabilities-self", ROUTE_SELF, "capabilities", NULL, sys_capabilities_fields,
     sys_capabilities_self, "What the caller may do with paths"},
    {CALL_GET, "sys/internal/specs/openapi", ROUTE_SELF, "openapi", NULL, NULL, openapi,
     "This document"},
    {0}};
