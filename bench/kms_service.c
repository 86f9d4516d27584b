#include "kms_service.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "place.h"

#define READY_MAX 4096u
#define PROCESSES_MAX 8u

/* A bench that fails leaves no service behind. */
static struct kms_service *running[2];
static void close_running(void)
{
    for (size_t i = 0; i < ARRAY_LEN(running); i++)
        if (running[i] != NULL)
            service_close(running[i]);
}

static void note_running(struct kms_service *service)
{
    static bool is_registered;
    if (!is_registered)
        atexit(close_running);
    is_registered = true;
    for (size_t i = 0; i < ARRAY_LEN(running); i++) {
        if (running[i] == NULL) {
            running[i] = service;
            return;
        }
    }
}

/* ---- what it says, and answers ----------------------------------------------------------------
 */

/* The text of a member of JSON that we know: no escapes. */
static bool find_member(const char *json, const char *name, const char **text, size_t *length)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(json, quoted);
    if (at == NULL || (at = strchr(at + strlen(quoted), '"')) == NULL)
        return false;
    *text = at + 1;
    *length = strcspn(*text, "\"");
    return true;
}

static void copy_member(const char *json, const char *name, char *out, size_t capacity)
{
    const char *text;
    size_t length;
    if (!find_member(json, name, &text, &length) || length >= capacity)
        bench_fail("the service says something else than expected", NULL);
    memcpy(out, text, length);
    out[length] = '\0';
}

static void ask(struct kms_service *service, const char *method, const char *path, const char *body,
                struct buffer *answer)
{
    CLEANUP(buffer_clear) struct buffer request = {0};
    char full[256];
    snprintf(full, sizeof full, "/v1/%s", path);
    load_request(&request, method, full, service->token, body);
    struct load *load = load_open(&service->server, 1);
    bool is_good = load_ask(load, &request, answer);
    load_close(load);
    buffer_byte(answer, '\0');
    if (!is_good) {
        struct lethe_error err = {0};
        snprintf(err.text, sizeof err.text, "%s: %s", path, answer->bytes);
        bench_fail("a call that prepares the bench failed", &err);
    }
}

void service_call(struct kms_service *service, const char *method, const char *path,
                  const char *body)
{
    CLEANUP(buffer_clear) struct buffer answer = {0};
    ask(service, method, path, body, &answer);
}

void service_take(struct kms_service *service, const char *path, const char *body,
                  const char *member, struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer answer = {0};
    const char *text;
    size_t length;
    ask(service, "POST", path, body, &answer);
    if (!find_member(answer.bytes, member, &text, &length))
        bench_fail("an answer lacks what was asked for", NULL);
    buffer_append(out, text, length);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* One source may do here what many would; nothing is refused for how often it comes. */
static const char configuration[] =
    "[listen]\naddress = 127.0.0.1:0\nclient_roots = %s\nclient_certificates = must\n"
    "[limits]\nconnections = 8192\nconnections_per_source = 8192\n"
    "handshakes_per_second = 100000\nrequests_per_second = off\nidle_time = 600s\n"
    "[transit]\ndurable_use = %s\n"
    "[audit]\nidentity_bytes = off\n";

static void write_configuration(const char *path, const struct nginx *nginx, bool durable)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        bench_fail("the service's configuration cannot be written", NULL);
    fprintf(file, configuration, nginx->ca, durable ? "yes" : "no");
    if (fclose(file) != 0 || chmod(path, 0600) != 0)
        bench_fail("the service's configuration cannot be written", NULL);
}

static void read_ready(struct kms_service *service)
{
    char line[READY_MAX];
    size_t length = 0;
    ssize_t got;
    while (length < sizeof line - 1 && memchr(line, '\n', length) == NULL &&
           (got = read(service->program.output, line + length, sizeof line - 1 - length)) > 0)
        length += (size_t)got;
    line[length] = '\0';
    copy_member(line, "address", service->address, sizeof service->address);
    copy_member(line, "root_token", service->token, sizeof service->token);
    copy_member(line, "ca_file", service->ca, sizeof service->ca);
    service->server.ca_path = service->ca;
    const char *colon = strrchr(service->address, ':');
    service->server.port = (uint16_t)strtoul(colon != NULL ? colon + 1 : "0", NULL, 10);
}

/* What is measured is asked by somebody whom a path policy allows it, as a client would be. */
static void become_client(struct kms_service *service)
{
    static const char policy[] =
        "{\"policy\":\"path \\\"transit/*\\\" "
        "{ capabilities = [\\\"create\\\", \\\"read\\\", \\\"update\\\"] }\"}";
    CLEANUP(buffer_clear) struct buffer token = {0};
    service_call(service, "PUT", "sys/policy/bench", policy);
    service_take(service, "auth/token/create",
                 "{\"policies\":[\"bench\"],\"display_name\":\"bench\"}", "client_token", &token);
    buffer_byte(&token, '\0');
    snprintf(service->token, sizeof service->token, "%s", token.bytes);
}

void service_open(struct kms_service *service, const struct nginx *nginx, bool durable)
{
    char path[192];
    *service = (struct kms_service){0};
    snprintf(service->directory, sizeof service->directory, "%s/lethe-bench-kms-XXXXXX",
             place_on_disk());
    if (mkdtemp(service->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    note_running(service);
    snprintf(path, sizeof path, "%s/kms.conf", service->directory);
    write_configuration(path, nginx, durable);
    const char *const words[] = {bench_lethe(), "kms",      "serve", "--dev",
                                 "--json",      "--config", path,    NULL};
    char home[192];
    snprintf(home, sizeof home, "%s/home", service->directory);
    setenv("LETHE_HOME", home, 1);
    if (!program_start(words, &service->program))
        bench_fail("lethe does not start: use --lethe", NULL);
    unsetenv("LETHE_HOME");
    service->server = nginx->server;
    read_ready(service);
    become_client(service);
}

void service_close(struct kms_service *service)
{
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(running); i++)
        if (running[i] == service)
            running[i] = NULL;
    if (service->program.pid > 0) {
        kill(service->program.pid, SIGTERM);
        program_wait(&service->program);
    }
    if (file_remove_tree(AT_FDCWD, service->directory, &err) != LETHE_OK)
        bench_fail("a directory is left", &err);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t memory_of(long pid)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    if (file_read_all(AT_FDCWD, path, 65536, &text, NULL) != LETHE_OK || text.bytes == NULL)
        bench_fail("what a process has in memory cannot be read", NULL);
    buffer_byte(&text, '\0');
    const char *line = strstr(text.bytes, "\nPss:");
    return line != NULL ? strtoull(line + strlen("\nPss:"), NULL, 10) * 1024 : 0;
}

uint64_t service_memory(const struct kms_service *service)
{
    char path[64], children[256] = "";
    uint64_t sum_bytes = memory_of(service->program.pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)service->program.pid,
             (int)service->program.pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(children, sizeof children, file) == NULL)
        bench_fail("the service's processes cannot be found", NULL);
    fclose(file);
    for (char *at = children, *end;; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at)
            return sum_bytes;
        sum_bytes += memory_of(pid);
    }
}
