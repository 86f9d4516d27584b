#include "pool_lethe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define ID "spiffe://bench/tenant/bench/"
#define POOL_THREADS 2u
#define TIMEOUT_MS 300000u /* wiping makes way for all else, also on a busy machine */

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("the pool cannot be started", err);
}

/* ---- programs -------------------------------------------------------------------------------- */

#define LINE_MAX_BYTES 4096u

/* The first line that it prints has the address that it listens on. */
static void read_address(const struct program *program, char *out, size_t capacity)
{
    static const char member[] = "\"address\":\"";
    char line[LINE_MAX_BYTES];
    size_t length = 0;
    ssize_t got;
    while (length < sizeof line - 1 && memchr(line, '\n', length) == NULL &&
           (got = read(program->output, line + length, sizeof line - 1 - length)) > 0)
        length += (size_t)got;
    line[length] = '\0';
    const char *at = strstr(line, member);
    if (at == NULL)
        bench_fail("the pool does not start: use --lethe", NULL);
    at += strlen(member);
    snprintf(out, capacity, "%.*s", (int)strcspn(at, "\""), at);
}

/* Each has a home of its own. */
static void use_home(const struct pool_authority *authority, const char *name)
{
    char home[POOL_PATH_SIZE];
    snprintf(home, sizeof home, "%s/%s-home", authority->directory, name);
    setenv("LETHE_HOME", home, 1);
    const char *const words[] = {bench_lethe(), "init", NULL};
    if (access(home, F_OK) != 0 && !program_run(words))
        bench_fail("lethe init fails: use --lethe", NULL);
}

static void start_control(struct pool_lethe *lethe, const struct pool_lethe_identities *identities)
{
    static const char rules[] =
        "{\"pool\":{\"providers\":{\"" ID "provider\":{\"tenants\":[\"bench\"],\"max_bytes\":"
        "1099511627776}},\"consumers\":{\"" ID "client\":{\"max_bytes\":1099511627776}}}}";
    const struct pool_authority *authority = identities->authority;
    struct lethe_error err = {0};
    char data[POOL_PATH_SIZE];
    snprintf(data, sizeof data, "%s/data.json", authority->directory);
    must(file_write_atomic(AT_FDCWD, data, rules, sizeof rules - 1, 0600, true, &err), &err);
    use_home(authority, "control");
    const char *const words[] = {bench_lethe(),
                                 "pool",
                                 "control",
                                 "--json",
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--data",
                                 data,
                                 "--ca",
                                 authority->path,
                                 "--certificate",
                                 identities->control->path,
                                 "--key",
                                 identities->control->key_path,
                                 NULL};
    if (!program_start(words, &lethe->control))
        bench_fail("lethe does not start: use --lethe", NULL);
    read_address(&lethe->control, lethe->control_address, sizeof lethe->control_address);
}

static void start_provider(struct pool_lethe *lethe, const struct pool_lethe_identities *identities,
                           uint64_t memory_bytes)
{
    char memory[32], address[64];
    snprintf(memory, sizeof memory, "%lluM", (unsigned long long)(memory_bytes >> 20));
    use_home(identities->authority, "provider");
    const char *const words[] = {bench_lethe(),
                                 "pool",
                                 "provide",
                                 "--json",
                                 "--listen",
                                 "127.0.0.1:0",
                                 "--memory",
                                 memory,
                                 "--control",
                                 lethe->control_address,
                                 "--control-id",
                                 ID "control",
                                 "--ca",
                                 identities->authority->path,
                                 "--certificate",
                                 identities->provider->path,
                                 "--key",
                                 identities->provider->key_path,
                                 NULL};
    if (!program_start(words, &lethe->provider))
        bench_fail("lethe does not start: use --lethe", NULL);
    read_address(&lethe->provider, address, sizeof address);
    lethe->provider_port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
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
                                                      .timeout_ms = TIMEOUT_MS,
                                                      .connections = connections},
                         &lethe->pool, &err),
         &err);
}

void pool_lethe_open(struct pool_lethe *lethe, const struct pool_lethe_identities *identities,
                     unsigned connections, uint64_t memory_bytes)
{
    *lethe = (struct pool_lethe){0};
    start_control(lethe, identities);
    start_provider(lethe, identities, memory_bytes);
    unsetenv("LETHE_HOME");
    open_pool(lethe, identities, connections);
}

static void end_program(struct program *program)
{
    if (program->pid <= 0)
        return;
    kill(program->pid, SIGTERM);
    (void)program_wait(program);
    program->pid = 0;
}

void pool_lethe_close(struct pool_lethe *lethe)
{
    lethe_pool_close(MOVE(lethe->pool));
    end_program(&lethe->provider);
    end_program(&lethe->control);
}
