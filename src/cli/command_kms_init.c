/* lethe kms init: a home for the key service, and its first token. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/kms_place.h"
#include "kms/secret_file.h"

/* Before anything is made: a token that nobody gets is a service that nobody can use. */
static lethe_result check_destination(const struct invocation *invocation, struct lethe_error *err)
{
    const char *path = option_text(invocation, "output");
    if (path != NULL && access(path, F_OK) == 0)
        return error_set(err, LETHE_EXISTS, "%s is there already", path);
    if (path != NULL || isatty(STDOUT_FILENO) || option_given(invocation, "print-token"))
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "the root token would go to something that is no terminal");
    error_hint(err, "-o FILE keeps it in a file of yours; --print-token prints it all the same");
    return LETHE_INVALID;
}

static lethe_result hand_over(const struct invocation *invocation, const struct lethe_secret *token,
                              struct lethe_error *err)
{
    const char *path = option_text(invocation, "output");
    CLEANUP(guarded_clear) struct guarded line = {0};
    guarded_append(&line, lethe_secret_bytes_const(token), lethe_secret_size(token));
    guarded_text(&line, "\n");
    TRY(guarded_result(&line, err));
    if (path != NULL)
        return file_write_atomic(AT_FDCWD, path, line.bytes, line.size_bytes, 0600, false, err);
    fflush(stdout);
    return file_write(STDOUT_FILENO, "standard output", line.bytes, line.size_bytes, err);
}

/* A passphrase is asked for once, and used twice: for the home, and to open it. */
static lethe_result read_passphrase(const struct invocation *invocation, const char *root,
                                    bool is_new, struct lethe_secret **out, struct lethe_error *err)
{
    int fd;
    TRY(common_passphrase_fd(invocation, &fd, err));
    if (root == NULL || strcmp(root, "passphrase") != 0)
        return LETHE_OK;
    return secret_passphrase_read(fd, is_new, out, err);
}

static lethe_result pipe_of(const struct lethe_secret *passphrase, int *out,
                            struct lethe_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_from_errno(err, "making a pipe");
    CLEANUP(fd_close) int in = ends[1];
    *out = ends[0]; /* a passphrase is shorter than what a pipe holds */
    return file_write(in, "a pipe", lethe_secret_bytes_const(passphrase),
                      lethe_secret_size(passphrase), err);
}

static lethe_result make_home(const struct invocation *invocation, const struct kms_place *place,
                              const struct lethe_secret *passphrase, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct root_spec root;
    if (passphrase != NULL)
        TRY(pipe_of(passphrase, &fd, err));
    const struct home_init init = {.root = option_text(invocation, "root"),
                                   .node = option_text(invocation, "node"),
                                   .passphrase_fd = fd};
    TRY(home_create(&place->paths, &init, &root, err));
    CLEANUP(buffer_clear) struct buffer about_root = {0};
    root_describe(&root, &about_root);
    TRY(buffer_result(&about_root, err));
    fprintf(stderr, "Made a home:  %s\n%s\n", place->paths.directory, about_root.bytes);
    return LETHE_OK;
}

static lethe_result initialise(struct kms_place *place, const struct lethe_secret *passphrase,
                               struct lethe_secret **token, struct lethe_error *err)
{
    CLEANUP(service_free) struct service *service = NULL;
    TRY(kms_place_fill(place, err));
    TRY(service_create(&place->serve.service, &service, err));
    TRY(service_unseal(service, passphrase, err));
    TRY(service_init(service, token, err));
    return kms_write_ca(place, service, err);
}

static lethe_result root_of_home(const struct kms_place *place, bool is_there, const char *given,
                                 const char **out, struct lethe_error *err)
{
    struct root_spec root;
    *out = given;
    if (!is_there)
        return LETHE_OK;
    if (given != NULL)
        return error_set(err, LETHE_INVALID, "there is a home already: leave out --root");
    TRY(keeper_peek_root(place->paths.store, &root, err));
    *out = root.kind == ROOT_PASSPHRASE ? "passphrase" : NULL;
    return LETHE_OK;
}

COMMAND_FUNCTION(kms_init)
{
    CLEANUP(kms_place_clear) struct kms_place place;
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    bool is_there;
    const char *root;
    TRY(kms_place_locate(invocation, &place, err));
    TRY(check_destination(invocation, err));
    TRY(home_look(&place.paths, &is_there, err));
    TRY(root_of_home(&place, is_there, option_text(invocation, "root"), &root, err));
    TRY(read_passphrase(invocation, root, !is_there, &passphrase, err));
    if (!is_there)
        TRY(make_home(invocation, &place, passphrase, err));
    TRY(initialise(&place, passphrase, &token, err));
    TRY(hand_over(invocation, token, err));
    fprintf(stderr, "CA file:      %s\nNext: lethe kms serve\n", place.ca_path);
    return LETHE_OK;
}
