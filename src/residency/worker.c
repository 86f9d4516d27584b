#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "residency/inside.h"

#define WORKER_DEVICES_MAX 64u

static const char *const state_names[] = {
    [LETHE_WORKER_STARTING] = "starting",
    [LETHE_WORKER_READY] = "ready",
    [LETHE_WORKER_STOPPED] = "stopped",
};

const char *lethe_worker_state_name(enum lethe_worker_state state)
{
    return (size_t)state < ARRAY_LEN(state_names) ? state_names[state] : "unknown";
}

/* ---- options --------------------------------------------------------------------------------- */

static lethe_result check_token(const struct lethe_worker_options *options, struct lethe_error *err)
{
    if (options->token != NULL && lethe_secret_size(options->token) < SEAL_TOKEN_MIN_BYTES)
        return error_set(err, LETHE_INVALID, "token: %zu bytes, at least %u are needed",
                         lethe_secret_size(options->token), SEAL_TOKEN_MIN_BYTES);
    if (options->hardware_id != NULL && options->token == NULL)
        return error_set(err, LETHE_INVALID,
                         "hardware_id: a salt for a token, of which there is none");
    if ((options->hardware_id != NULL) != (options->hardware_id_bytes > 0))
        return error_set(err, LETHE_INVALID, "hardware_id: bytes and size do not fit");
    return LETHE_OK;
}

static lethe_result check_options(const struct lethe_worker_options *options,
                                  struct lethe_error *err)
{
    if (options->name == NULL)
        return error_set(err, LETHE_INVALID, "name: a worker needs one");
    TRY(validate_identifier("name", options->name, NAME_PART_MAX, err));
    if (options->policy != LETHE_DEVICE_ONLY && options->policy != LETHE_HOST_ALLOWED)
        return error_set(err, LETHE_INVALID, "policy: there is none of number %d",
                         (int)options->policy);
    if (options->profile != LETHE_SEAL && options->profile != LETHE_SEAL_CONTRACT)
        return error_set(err, LETHE_INVALID, "profile: there is none of number %d",
                         (int)options->profile);
    if ((options->devices != NULL) != (options->device_count > 0) ||
        options->device_count > WORKER_DEVICES_MAX)
        return error_set(err, LETHE_INVALID, "device_count: expected 1 to %u, or no devices",
                         WORKER_DEVICES_MAX);
    return check_token(options, err);
}

/* ---- devices --------------------------------------------------------------------------------- */

/* VP-005: refused before the device is even opened. */
static lethe_result check_policy(const struct lethe_worker *worker, enum lethe_device_kind kind,
                                 struct lethe_error *err)
{
    struct lethe_error log_err = {0};
    if (worker->policy != LETHE_DEVICE_ONLY || kind != LETHE_DEVICE_HOST)
        return LETHE_OK;
    const struct audit_event event = audit_policy_violation(
        "device-only", "host memory was asked for", "weights may be on accelerators only",
        "critical", worker->name, "refused");
    lethe_result recorded = worker_commit(worker, "", &event, &log_err);
    error_set(err, LETHE_DENIED,
              "its policy is device-only, which lets no weights be in host memory");
    if (recorded != LETHE_OK)
        error_hint(err, "this is not on record: %.160s", log_err.text);
    else
        error_hint(err, "name accelerators only, or ask for LETHE_HOST_ALLOWED");
    return LETHE_DENIED;
}

static lethe_result add_device(struct lethe_worker *worker, const struct lethe_worker_device *added,
                               struct lethe_error *err)
{
    CLEANUP(device_close) struct device *device = NULL;
    TRY(check_policy(worker, added->kind, err));
    TRY(device_open(added->kind, added->index, &device, err));
    for (size_t i = 0; i < worker->device_count; i++) {
        if (worker->devices[i] == device)
            return error_set(err, LETHE_INVALID, "devices: %s is there twice", device_name(device));
    }
    if (added->limit_bytes > 0)
        TRY(device_check_limit(device, added->limit_bytes, err));
    worker->devices[worker->device_count++] = MOVE(device);
    return LETHE_OK;
}

static lethe_result add_default_device(struct lethe_worker *worker, struct lethe_error *err)
{
    const bool host = worker->policy == LETHE_HOST_ALLOWED;
    const struct lethe_worker_device first = {.kind = host ? LETHE_DEVICE_HOST : LETHE_DEVICE_CUDA};
    lethe_result result = add_device(worker, &first, err);
    if (result == LETHE_UNAVAILABLE && !host)
        error_hint(err, "ask for LETHE_HOST_ALLOWED to have weights in host memory");
    return result;
}

static lethe_result add_devices(struct lethe_worker *worker,
                                const struct lethe_worker_options *options, struct lethe_error *err)
{
    size_t count = options->devices != NULL ? options->device_count : 1;
    worker->devices = calloc(count, sizeof *worker->devices);
    if (worker->devices == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker");
    if (options->devices == NULL)
        return add_default_device(worker, err);
    for (size_t i = 0; i < count; i++)
        TRY(add_device(worker, &options->devices[i], err));
    return LETHE_OK;
}

/* The last thing: a limit stays, and a worker that could not be made must not leave one. */
static void set_limits(struct lethe_worker *worker, const struct lethe_worker_options *options)
{
    for (size_t i = 0; options->devices != NULL && i < options->device_count; i++) {
        uint64_t limit_bytes = options->devices[i].limit_bytes;
        if (limit_bytes > 0)
            REQUIRE(device_set_limit(worker->devices[i], limit_bytes, NULL) == LETHE_OK);
    }
}

/* ---- create and free ------------------------------------------------------------------------- */

static uint64_t system_wall_ns(void *context)
{
    return clock_wall_ns(&clock_system);
}

/* Without its shards. */
static void worker_discard(struct lethe_worker *worker)
{
    if (worker == NULL)
        return;
    for (size_t i = 0; i < worker->device_count; i++)
        device_close(worker->devices[i]);
    free(worker->devices);
    lethe_secret_free(worker->seal_key);
    pthread_cond_destroy(&worker->idle);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
DEFINE_CLEANUP(worker_discard, struct lethe_worker *);

static struct lethe_worker *worker_new(const struct lethe_worker_options *options)
{
    struct lethe_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    strncat(worker->name, options->name, sizeof worker->name - 1);
    worker->policy = options->policy;
    worker->profile = options->profile;
    worker->shard_limit_bytes =
        options->shard_limit_bytes > 0 ? options->shard_limit_bytes : LETHE_SHARD_LIMIT_BYTES;
    worker->threads =
        options->threads > 0 ? MIN(options->threads, THREADS_MAX) : threads_available();
    worker->optional = options->optional;
    worker->log = options->log;
    worker->wall_ns = options->wall_ns != NULL ? options->wall_ns : system_wall_ns;
    worker->clock_context = options->clock_context;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->idle, NULL);
    TAILQ_INIT(&worker->shards);
    return worker;
}

lethe_result lethe_worker_create(const struct lethe_worker_options *options,
                                 struct lethe_worker **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(crypto_start(err));
    TRY(check_options(options, err));
    CLEANUP(worker_discard) struct lethe_worker *worker = worker_new(options);
    if (worker == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker");
    TRY(error_context(err, add_devices(worker, options, err), "worker %s", worker->name));
    TRY(seal_key_create(options, &worker->seal_key, err));
    set_limits(worker, options);
    *out = MOVE(worker);
    return LETHE_OK;
}

static struct lethe_shard *first_shard(struct lethe_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    struct lethe_shard *shard = TAILQ_FIRST(&worker->shards);
    pthread_mutex_unlock(&worker->lock);
    return shard;
}

lethe_result lethe_worker_free(struct lethe_worker *worker, struct lethe_error *err)
{
    if (worker == NULL)
        return LETHE_OK;
    REQUIRE(atomic_load(&worker->holds) == 0); /* caches and states were freed */
    lethe_worker_stop(worker);
    lethe_result result = LETHE_OK;
    for (struct lethe_shard *shard; (shard = first_shard(worker)) != NULL;) {
        lethe_result evicted = lethe_shard_evict(shard, result == LETHE_OK ? err : NULL);
        REQUIRE(evicted != LETHE_BUSY); /* executions have ended, groups and caches were freed */
        if (result == LETHE_OK)
            result = evicted;
    }
    worker_discard(worker);
    return result;
}

/* ---- state ----------------------------------------------------------------------------------- */

enum lethe_worker_state lethe_worker_state(const struct lethe_worker *worker)
{
    static const enum lethe_worker_state states[] = {
        [PHASE_STARTING] = LETHE_WORKER_STARTING,
        [PHASE_READY] = LETHE_WORKER_READY,
        [PHASE_STOPPED] = LETHE_WORKER_STOPPED,
        [PHASE_FAILED] = LETHE_WORKER_STOPPED,
    };
    return states[atomic_load(&worker->phase)];
}

lethe_result worker_check(const struct lethe_worker *worker, struct lethe_error *err)
{
    switch (atomic_load(&worker->phase)) {
    case PHASE_FAILED:
        return error_set(err, LETHE_INTEGRITY, "worker %s was stopped by a failed verification",
                         worker->name);
    case PHASE_STOPPED:
        return error_set(err, LETHE_DENIED, "worker %s was stopped", worker->name);
    default:
        return LETHE_OK;
    }
}

lethe_result lethe_worker_ready(struct lethe_worker *worker, struct lethe_error *err)
{
    enum worker_phase expected = PHASE_STARTING;
    if (atomic_compare_exchange_strong(&worker->phase, &expected, PHASE_READY))
        return LETHE_OK;
    return worker_check(worker, err);
}

/* A failure is not made an ordinary end. */
void lethe_worker_stop(struct lethe_worker *worker)
{
    enum worker_phase phase = atomic_load(&worker->phase);
    while (phase != PHASE_FAILED &&
           !atomic_compare_exchange_weak(&worker->phase, &phase, PHASE_STOPPED))
        ;
}

/* ---- how much, how often --------------------------------------------------------------------- */

lethe_result lethe_worker_capacity(const struct lethe_worker *worker, size_t device,
                                   struct lethe_capacity *out)
{
    struct device_capacity capacity;
    *out = (struct lethe_capacity){0};
    if (device >= worker->device_count)
        return LETHE_INVALID;
    device_capacity(worker->devices[device], &capacity);
    *out = (struct lethe_capacity){.total_bytes = capacity.limit_bytes,
                                   .used_bytes = capacity.used_bytes,
                                   .available_bytes = capacity.available_bytes};
    return LETHE_OK;
}

static uint64_t count_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct lethe_capacity capacity_of_all(const struct lethe_worker *worker)
{
    struct lethe_capacity all = {0};
    for (size_t i = 0; i < worker->device_count; i++) {
        struct lethe_capacity one;
        (void)!lethe_worker_capacity(worker, i, &one);
        all.total_bytes += one.total_bytes;
        all.used_bytes += one.used_bytes;
        all.available_bytes += one.available_bytes;
    }
    return all;
}

static uint64_t count_shards(struct lethe_worker *worker)
{
    uint64_t count = 0;
    struct lethe_shard *shard;
    pthread_mutex_lock(&worker->lock);
    TAILQ_FOREACH(shard, &worker->shards, link)
    count += shard->phase == SHARD_SEALED;
    pthread_mutex_unlock(&worker->lock);
    return count;
}

void lethe_worker_metrics(struct lethe_worker *worker, struct lethe_worker_metrics *out)
{
    const struct worker_counters *counters = &worker->counters;
    *out = (struct lethe_worker_metrics){
        .capacity = capacity_of_all(worker),
        .shards = count_shards(worker),
        .sealed = count_of(&counters->sealed),
        .seal_failures = count_of(&counters->seal_failures),
        .evicted = count_of(&counters->evicted),
        .evict_failures = count_of(&counters->evict_failures),
        .executions = count_of(&counters->executions),
    };
    for (size_t mode = 0; mode < VERIFY_MODES; mode++) {
        out->verified[mode] = count_of(&counters->verified[mode]);
        out->verification_failures[mode] = count_of(&counters->verification_failures[mode]);
    }
}

/* ---- for the rest of the room ---------------------------------------------------------------- */

lethe_result worker_device(struct lethe_worker *worker, size_t index, struct device **out,
                           struct lethe_error *err)
{
    *out = NULL;
    if (index >= worker->device_count)
        return error_set(err, LETHE_INVALID, "device %zu of worker %s: it has %zu, from 0", index,
                         worker->name, worker->device_count);
    *out = worker->devices[index];
    return LETHE_OK;
}

void worker_hold(struct lethe_worker *worker)
{
    atomic_fetch_add(&worker->holds, 1);
}

void worker_unhold(struct lethe_worker *worker)
{
    REQUIRE(atomic_fetch_sub(&worker->holds, 1) > 0);
}

unsigned worker_optional(const struct lethe_worker *worker)
{
    return worker->optional;
}

uint64_t worker_now_s(const struct lethe_worker *worker)
{
    return worker->wall_ns(worker->clock_context) / 1000000000;
}
