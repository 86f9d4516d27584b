/* What --dev prepares and prints, in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/kms_place.h"
#include "crypto/crypto.h"
#include "service/json_writer.h"
#include "service/tokens.h"

#define ADDRESS_MAX 512u

/* ---- the home ---------------------------------------------------------------------------------
 */

/* With its root key inside: whoever has a copy of the directory has everything. It is for trying.
 */
static lethe_result make_home(struct kms_place *place, struct lethe_error *err)
{
    static const char node[] = "dev\n";
    struct root_spec root = {.kind = ROOT_FILE, .passphrase_fd = -1};
    CLEANUP(memory_free) char *root_path = path_join(place->paths.directory, "dev-root.key");
    if (root_path == NULL || strlen(root_path) >= sizeof root.where)
        return error_set(err, LETHE_INVALID, "the home's path is too long");
    strcpy(root.where, root_path);
    char actor[HOME_ACTOR_SIZE];
    home_fill_actor(actor);
    const struct keeper_options options = {.store_path = place->paths.store,
                                           .audit_directory = place->paths.audit,
                                           .lock_path = place->paths.lock,
                                           .node = "dev",
                                           .actor = actor,
                                           .passphrase_fd = -1};
    TRY(file_make_directories(place->paths.directory, 0700, err));
    TRY(file_write_atomic(AT_FDCWD, place->paths.node, node, sizeof node - 1, 0600, true, err));
    return keeper_create(&options, &root, err);
}

static lethe_result make_token(struct service *service, struct lethe_secret **out,
                               struct lethe_error *err)
{
    struct token_entry entry = {.path = "auth/token/root", .display_name = "root"};
    if (!service_is_initialised(service))
        return service_init(service, out, err);
    strcpy(entry.policies[entry.policy_count++], "root");
    return tokens_create(service->tokens, &entry, out, err);
}

static lethe_result prepare(struct kms_place *place, struct lethe_secret **token,
                            struct lethe_error *err)
{
    bool is_there;
    CLEANUP(service_free) struct service *service = NULL;
    TRY(home_look(&place->paths, &is_there, err));
    if (!is_there)
        TRY(make_home(place, err));
    TRY(kms_place_fill(place, err));
    place->serve.service.dev = true;
    TRY(service_create(&place->serve.service, &service, err));
    TRY(service_unseal(service, NULL, err));
    TRY(make_token(service, token, err));
    return kms_write_ca(place, service, err);
}

/* ---- telling ----------------------------------------------------------------------------------
 */

static void write_json(const struct kms_place *place, const char *address,
                       const struct lethe_secret *token, struct guarded *out)
{
    struct json_writer writer = {out};
    json_begin_object(&writer, NULL);
    json_put_text(&writer, "address", address);
    json_put_bytes(&writer, "root_token", lethe_secret_bytes_const(token),
                   lethe_secret_size(token));
    json_put_text(&writer, "ca_file", place->ca_path);
    json_put_text(&writer, "home", place->paths.directory);
    json_put_integer(&writer, "pid", getppid());
    json_end_object(&writer);
    guarded_text(out, "\n");
}

static void write_text(const struct kms_place *place, const char *address,
                       const struct lethe_secret *token, struct guarded *out)
{
    guarded_format(out,
                   "A service to try things with: its root key lies beside its store.\n"
                   "Address:     %s\nRoot token:  ",
                   address);
    guarded_append(out, lethe_secret_bytes_const(token), lethe_secret_size(token));
    guarded_format(out, "\nCA file:     %s\nHome:        %s\n", place->ca_path,
                   place->paths.directory);
}

/* Not through stdio, whose buffer is not guarded. */
static lethe_result tell(const struct kms_place *place, bool as_json, const char *address,
                         const struct lethe_secret *token, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded out = {0};
    (as_json ? write_json : write_text)(place, address, token, &out);
    TRY(guarded_result(&out, err));
    return file_write(STDOUT_FILENO, "standard output", out.bytes, out.size_bytes, err);
}

/* One line. The end of the pipe without one: there is nothing to tell. */
static bool hear_address(int fd, char out[ADDRESS_MAX])
{
    size_t length = 0;
    while (length < ADDRESS_MAX - 1) {
        ssize_t got = read(fd, out + length, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (out[length] == '\n')
            break;
        length++;
    }
    out[length] = '\0';
    return length > 0;
}

/* What went wrong is the starter's to report: errors hold no secret. */
static _Noreturn void run_teller(struct kms_place *place, bool as_json, int hear, int report)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    char address[ADDRESS_MAX];
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "lethe-dev", 0, 0, 0);
    lethe_result result = crypto_start_in_child(&err);
    if (result == LETHE_OK)
        result = prepare(place, &token, &err);
    if (result == LETHE_OK) /* what failed on the way there was dealt with */
        err = (struct lethe_error){0};
    bool told = write(report, &err, sizeof err) == (ssize_t)sizeof err;
    fd_close(report);
    if (result == LETHE_OK && told && hear_address(hear, address))
        result = tell(place, as_json, address, token, &err);
    lethe_secret_free(MOVE(token));
    exit(lethe_result_exit_code(result));
}

lethe_result kms_teller_start(struct kms_place *place, bool as_json, struct kms_teller *out,
                              struct lethe_error *err)
{
    int hear[2], report[2];
    struct lethe_error why = {0};
    if (pipe2(hear, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0)
        return error_from_errno(err, "making a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        fd_close(hear[1]);
        fd_close(report[0]);
        run_teller(place, as_json, hear[0], report[1]);
    }
    fd_close(hear[0]);
    fd_close(report[1]);
    *out = (struct kms_teller){.pid = pid, .tell = hear[1]};
    ssize_t got = pid < 0 ? 0 : read(report[0], &why, sizeof why);
    fd_close(report[0]);
    if (got == (ssize_t)sizeof why && why.code == LETHE_OK)
        return LETHE_OK;
    if (got != (ssize_t)sizeof why)
        error_set(&why, LETHE_FAILED, "the service could not be prepared");
    if (err != NULL)
        *err = why;
    kms_teller_finish(out, NULL);
    return why.code;
}

void kms_teller_finish(struct kms_teller *teller, const char *address)
{
    if (teller->pid <= 0)
        return;
    char line[ADDRESS_MAX + 1];
    int length = address == NULL ? 0 : snprintf(line, sizeof line, "%s\n", address);
    (void)!file_write(teller->tell, "the teller", line, (size_t)length, NULL);
    fd_close(teller->tell);
    while (waitpid(teller->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    teller->pid = 0;
}
