#include "service/serve_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "net/tcp_listen.h"

#define BACKLOG 1024

union address {
    struct sockaddr any;
    struct sockaddr_un local;
};

/* ---- Unix ------------------------------------------------------------------------------------ */

static lethe_result fill_path(const char *path, union address *out, struct lethe_error *err)
{
    *out = (union address){.local.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->local.sun_path) {
        error_set(err, LETHE_LIMIT, "%s is too long a path for a socket", path);
        error_hint(err, "at most %zu characters", sizeof out->local.sun_path - 1);
        return LETHE_LIMIT;
    }
    strcpy(out->local.sun_path, path);
    return LETHE_OK;
}

/* What a killed service left makes room; a socket that answers, and what is no socket, does not. */
static lethe_result make_room(const char *path, const union address *address,
                              struct lethe_error *err)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "%s", path);
    if (!S_ISSOCK(status.st_mode))
        return error_set(err, LETHE_EXISTS, "%s is there already, and is no socket", path);
    CLEANUP(fd_close) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return error_from_errno(err, "making a socket");
    if (connect(probe, &address->any, sizeof address->local) == 0)
        return error_set(err, LETHE_UNAVAILABLE, "another service listens on %s", path);
    return unlink(path) == 0 ? LETHE_OK : error_from_errno(err, "%s", path);
}

static lethe_result make_directory_of(const char *path, struct lethe_error *err)
{
    CLEANUP(memory_free) char *directory = strdup(path);
    if (directory == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    char *slash = strrchr(directory, '/');
    if (slash == NULL || slash == directory)
        return LETHE_OK;
    *slash = '\0';
    return file_make_directories(directory, 0700, err);
}

lethe_result serve_listen_unix(const char *path, mode_t mode, int *out, struct lethe_error *err)
{
    union address address;
    TRY(fill_path(path, &address, err));
    TRY(make_directory_of(path, err));
    TRY(make_room(path, &address, err));
    CLEANUP(fd_close)
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_from_errno(err, "making a socket");
    /* It is nobody else's from the moment that it is there. */
    mode_t before = umask((mode_t)(~mode & 0777));
    int bound = bind(fd, &address.any, sizeof address.local);
    int why = errno;
    umask(before);
    errno = why;
    if (bound != 0 || listen(fd, BACKLOG) != 0)
        return error_from_errno(err, "listening on %s", path);
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static lethe_result listen_tcp(const struct url *url, const char *text, int *out,
                               struct lethe_error *err)
{
    return error_context(err, tcp_listen(url, out, err), "listening on %s", text);
}

/* With the port that the kernel has chosen, if it was to. */
static lethe_result name_tcp(int fd, const struct url *url, char out[SERVE_ADDRESS_SIZE],
                             struct lethe_error *err)
{
    char name[TCP_ADDRESS_SIZE];
    TRY(tcp_listens_at(fd, url, name, err));
    snprintf(out, SERVE_ADDRESS_SIZE, "https://%s", name);
    return LETHE_OK;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

#define UNIX_PREFIX "unix:"

static lethe_result listen_on(const char *text, bool allow_public, struct serve_listeners *out,
                              struct lethe_error *err)
{
    struct url url;
    bool is_public;
    size_t i = out->count;
    TRY(url_parse_listen(text, &url, &is_public, err));
    if (is_public && !allow_public) {
        error_set(err, LETHE_DENIED, "%s can be reached from other machines", text);
        error_hint(err, "if that is meant: --allow-public, or allow_public = yes in kms.conf");
        return LETHE_DENIED;
    }
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        const char *path = text + strlen(UNIX_PREFIX);
        TRY(serve_listen_unix(path, 0666, &out->fds[i], err)); /* its directory says who may */
        snprintf(out->unlink_paths[i], sizeof out->unlink_paths[i], "%s", path);
        snprintf(out->texts[i], SERVE_ADDRESS_SIZE, "%s", text);
    } else {
        TRY(listen_tcp(&url, text, &out->fds[i], err));
    }
    out->count++;
    if (out->unlink_paths[i][0] == '\0')
        TRY(name_tcp(out->fds[i], &url, out->texts[i], err));
    out->addresses[i] = out->texts[i];
    return LETHE_OK;
}

lethe_result serve_listen(const struct serve_options *options, struct serve_listeners *out,
                          struct lethe_error *err)
{
    *out = (struct serve_listeners){0};
    lethe_result result = LETHE_OK;
    if (options->listen_count == 0 || options->listen_count > SERVE_LISTEN_MAX)
        return error_set(err, LETHE_INVALID, "1 to %u addresses can be listened on",
                         SERVE_LISTEN_MAX);
    for (size_t i = 0; i < options->listen_count && result == LETHE_OK; i++)
        result = listen_on(options->listen[i], options->allow_public, out, err);
    if (result != LETHE_OK)
        serve_listeners_close(out);
    return result;
}

void serve_listeners_close(struct serve_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        fd_close(listeners->fds[i]);
        if (listeners->unlink_paths[i][0] != '\0')
            unlink(listeners->unlink_paths[i]);
    }
    listeners->count = 0;
}
