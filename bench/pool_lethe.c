#include "pool_lethe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lethe/policy.h>

#include "base/file.h"
#include "kms/keeper.h"
#include "kms/secret_file.h"
#include "pool/control.h"
#include "pool/control_rules.h"
#include "pool/provider.h"

#define ID "spiffe://bench/tenant/bench/"
#define PEM_MAX ((size_t)1 << 20)
#define POOL_THREADS 2u

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("the pool cannot be started", err);
}

/* ---- what both are --------------------------------------------------------------------------- */

/* In a child. Nothing of the parent's is used: what it had guarded is not there. */
static struct tls_context *context_of(const struct pool_authority *authority,
                                      const struct pool_identity *identity, bool serves)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    struct tls_context *context = NULL;
    must(secret_file_read(identity->key_path, &key, &err), &err);
    const struct tls_options options = {.certificates_pem = identity->pem.bytes,
                                        .key_pem = key,
                                        .roots_pem = authority->pem.bytes,
                                        .client_proof = TLS_CLIENT_MUST,
                                        .bulk = true};
    must(serves ? tls_server_create(&options, &context, &err)
                : tls_client_create(&options, &context, &err),
         &err);
    return context;
}

struct start {
    const struct pool_lethe *lethe;
    const struct pool_lethe_identities *identities;
    uint64_t memory_bytes;
    int said; /* the address goes there */
};

static void say_address(void *context, const char *address)
{
    const struct start *start = context;
    if (write(start->said, address, strlen(address) + 1) < 0)
        _exit(1);
}

static pid_t start_child(struct start *start, void (*live)(struct start *start), char *address,
                         size_t capacity)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        bench_fail("no pipe", NULL);
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("the pool cannot be started", NULL);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        start->said = pipes[1];
        live(start);
        _exit(1);
    }
    close(pipes[1]);
    if (read(pipes[0], address, capacity) <= 0)
        bench_fail("the pool does not start", NULL);
    close(pipes[0]);
    return pid;
}

/* ---- the control plane ----------------------------------------------------------------------- */

static const char rules[] =
    "{\"pool\":{\"providers\":{\"" ID "provider\":{\"tenants\":[\"bench\"],\"max_bytes\":"
    "1099511627776}},\"consumers\":{\"" ID "client\":{\"max_bytes\":1099511627776}}}}";

static struct keeper *open_home(const char *directory)
{
    struct lethe_error err = {0};
    struct keeper *keeper = NULL;
    char store[POOL_PATH_SIZE + 16], audit[POOL_PATH_SIZE + 16], lock[POOL_PATH_SIZE + 16];
    struct root_spec root = {.kind = ROOT_FILE, .passphrase_fd = -1};
    snprintf(store, sizeof store, "%s/store.db", directory);
    snprintf(audit, sizeof audit, "%s/audit", directory);
    snprintf(lock, sizeof lock, "%s/lock", directory);
    snprintf(root.where, sizeof root.where, "%s/root.key", directory);
    const struct keeper_options options = {.store_path = store,
                                           .audit_directory = audit,
                                           .lock_path = lock,
                                           .node = "bench",
                                           .actor = "uid:0",
                                           .passphrase_fd = -1};
    must(keeper_create(&options, &root, &err), &err);
    must(keeper_open(&options, &keeper, &err), &err);
    return keeper;
}

static void live_control(struct start *start)
{
    struct lethe_error err = {0};
    char data[POOL_PATH_SIZE + 16];
    struct lethe_policy *policy = NULL;
    struct lethe_policy_holder *holder = NULL;
    struct control *control = NULL;
    snprintf(data, sizeof data, "%s/data.json", start->lethe->home);
    must(file_write_atomic(AT_FDCWD, data, rules, sizeof rules - 1, 0600, false, &err), &err);
    must(control_rules_load(&(struct control_rules){.data = data}, &policy, &err), &err);
    must(lethe_policy_holder_create(policy, &holder, &err), &err);
    const struct control_options options = {
        .keeper = open_home(start->lethe->home),
        .listen = "127.0.0.1:0",
        .tls = context_of(start->identities->authority, start->identities->control, true),
        .policy = holder,
        .limits = {.leases_per_consumer = 262144},
        .ready = say_address,
        .context = start};
    must(control_create(&options, &control, &err), &err);
    must(control_run(control, &err), &err);
}

/* ---- the provider ---------------------------------------------------------------------------- */

static void live_provider(struct start *start)
{
    struct lethe_error err = {0};
    const struct pool_lethe_identities *identities = start->identities;
    struct provider *provider = NULL;
    const struct provider_options options = {
        .id = ID "provider",
        .memory_bytes = start->memory_bytes,
        .listen = "127.0.0.1:0",
        .control_address = start->lethe->control_address,
        .control_id = ID "control",
        .serve = context_of(identities->authority, identities->provider, true),
        .dial = context_of(identities->authority, identities->provider, false),
        .ready = say_address,
        .context = start};
    must(provider_create(&options, &provider, &err), &err);
    must(provider_run(provider, &err), &err);
}

/* ---- both, and the client -------------------------------------------------------------------- */

static void open_pool(struct pool_lethe *lethe, const struct pool_lethe_identities *identities,
                      unsigned connections)
{
    struct lethe_error err = {0};
    must(lethe_pool_open(&(struct lethe_pool_options){.control = lethe->control_address,
                                                      .control_id = ID "control",
                                                      .ca_path = identities->authority->path,
                                                      .certificate_path = identities->client->path,
                                                      .key_path = identities->client->key_path,
                                                      .threads = POOL_THREADS,
                                                      .connections = connections},
                         &lethe->pool, &err),
         &err);
}

void pool_lethe_open(struct pool_lethe *lethe, const struct pool_lethe_identities *identities,
                     unsigned connections, uint64_t memory_bytes)
{
    char address[64];
    struct start start = {.lethe = lethe, .identities = identities, .memory_bytes = memory_bytes};
    *lethe = (struct pool_lethe){0};
    snprintf(lethe->home, sizeof lethe->home, "%s/home", identities->authority->directory);
    if (mkdir(lethe->home, 0700) != 0)
        bench_fail("no home for the control plane", NULL);
    lethe->control_pid =
        start_child(&start, live_control, lethe->control_address, sizeof lethe->control_address);
    lethe->provider_pid = start_child(&start, live_provider, address, sizeof address);
    open_pool(lethe, identities, connections);
}

static void end_child(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

void pool_lethe_close(struct pool_lethe *lethe)
{
    lethe_pool_close(lethe->pool);
    end_child(&lethe->provider_pid);
    end_child(&lethe->control_pid);
    *lethe = (struct pool_lethe){0};
}
