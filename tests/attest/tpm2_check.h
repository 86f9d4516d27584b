/* tests/attest/tpm2_check.h -- recorded quotes (tests/vectors/tpm2), and an swtpm to make more. */
#ifndef TESTS_TPM2_CHECK_H
#define TESTS_TPM2_CHECK_H

#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attest/tpm2.h"
#include "base/file.h"

#define PCRS_RECORDED (1u << 0 | 1u << 7 | 1u << 16)

struct evidence_files {
    struct buffer quote, signature, ak, values;
    struct tpm2_check check;
};

static struct lethe_error err;

static void read_file(const char *directory, const char *name, const char *kind, struct buffer *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", directory, name, kind);
    buffer_clear(out);
    assert_ok(file_read_all(AT_FDCWD, path, 1u << 20, out, &err), &err);
}

/* The values lie one behind the other, in the order of their indices. */
static void set_values(struct tpm2_pcrs *pcrs, uint32_t mask, const struct buffer *values)
{
    size_t used = 0;
    pcrs->mask = mask;
    for (uint32_t pcr = 0; pcr < ATTEST_PCRS; pcr++)
        if ((mask & 1u << pcr) != 0) {
            assert_true(used + 32 <= values->size_bytes);
            memcpy(pcrs->values[pcr], values->bytes + used, 32);
            used += 32;
        }
    assert_int_equal(used, values->size_bytes);
}

__attribute__((unused)) static void load_files(struct evidence_files *files, const char *directory,
                                               const char *name, uint32_t mask)
{
    static uint8_t nonce[32];
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)i;
    read_file(directory, name, "quote", &files->quote);
    read_file(directory, name, "signature", &files->signature);
    read_file(directory, name, "ak", &files->ak);
    read_file(directory, name, "pcrs", &files->values);
    files->check = (struct tpm2_check){.quote = files->quote.bytes,
                                       .quote_bytes = files->quote.size_bytes,
                                       .signature = files->signature.bytes,
                                       .signature_bytes = files->signature.size_bytes,
                                       .ak = files->ak.bytes,
                                       .ak_bytes = files->ak.size_bytes,
                                       .binding = nonce,
                                       .binding_bytes = sizeof nonce};
    set_values(&files->check.pcrs, mask, &files->values);
}

__attribute__((unused)) static void free_files(struct evidence_files *files)
{
    buffer_clear(&files->quote);
    buffer_clear(&files->signature);
    buffer_clear(&files->ak);
    buffer_clear(&files->values);
}

/* ---- a TPM ----------------------------------------------------------------------------------- */

struct tpm {
    char directory[64];
    char tcti[128];
    pid_t pid;
};

/* In the TPM's directory, with the TPM in the environment; gives the exit status. */
__attribute__((unused)) static int shell(const struct tpm *tpm, const char *command)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int out = open("/dev/null", O_WRONLY);
        dup2(out, STDOUT_FILENO);
        if (getenv("TPM_TEST_LOUD") == NULL)
            dup2(out, STDERR_FILENO);
        setenv("TPM2TOOLS_TCTI", tpm->tcti, 1);
        if (chdir(tpm->directory) == 0)
            execl("/bin/sh", "sh", "-e", "-c", command, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Its sockets are there before it listens; the one for control is the later one. */
static bool listens(const char *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", control);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

__attribute__((unused)) static bool start_tpm(struct tpm *tpm)
{
    char state[128], server[160], control[160];
    snprintf(state, sizeof state, "dir=%s", tpm->directory);
    snprintf(server, sizeof server, "type=unixio,path=%s/s", tpm->directory);
    snprintf(control, sizeof control, "type=unixio,path=%s/s.ctrl", tpm->directory);
    tpm->pid = fork();
    if (tpm->pid == 0) {
        int out = open("/dev/null", O_WRONLY);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
               "--ctrl", control, "--flags", "not-need-init,startup-clear", (char *)NULL);
        _exit(127);
    }
    snprintf(control, sizeof control, "%s/s.ctrl", tpm->directory);
    bool up = listens(control);
    for (int i = 0; i < 1000 && !up; i++, up = listens(control))
        usleep(10000);
    return up;
}

__attribute__((unused)) static void stop_tpm(struct tpm *tpm)
{
    char server[160];
    kill(tpm->pid, SIGTERM);
    waitpid(tpm->pid, NULL, 0);
    snprintf(server, sizeof server, "%s/s", tpm->directory);
    unlink(server);
    snprintf(server, sizeof server, "%s/s.ctrl", tpm->directory);
    unlink(server);
}

__attribute__((unused)) static int setup_tpm(struct tpm *tpm)
{
    if (access("/usr/bin/swtpm", X_OK) != 0 || access("/usr/bin/tpm2_quote", X_OK) != 0)
        return 1;
    strcpy(tpm->directory, "/tmp/lethe-tpm-XXXXXX");
    if (mkdtemp(tpm->directory) == NULL || !start_tpm(tpm))
        return -1;
    snprintf(tpm->tcti, sizeof tpm->tcti, "swtpm:path=%s/s", tpm->directory);
    return 0;
}

__attribute__((unused)) static void teardown_tpm(struct tpm *tpm)
{
    char command[128];
    stop_tpm(tpm);
    snprintf(command, sizeof command, "rm -rf %s", tpm->directory);
    (void)shell(tpm, command);
}

#endif
