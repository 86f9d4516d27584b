#include "engine/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define MESSAGE_MAX_BYTES 4096
#define READY "READY=1"

lethe_result notify_open(const char *directory, int *out, struct lethe_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/" NOTIFY_NAME, directory);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return error_set(err, LETHE_LIMIT, "%s is too long a path for a socket", directory);
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return error_from_errno(err, "%s", address.sun_path);
    *out = fd;
    fd = -1;
    return LETHE_OK;
}

lethe_result notify_pass_on(const char *directory, struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = path_join(directory, NOTIFY_NAME);
    if (path == NULL || setenv("NOTIFY_SOCKET", path, 1) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the environment");
    return LETHE_OK;
}

bool notify_says_ready(const char *bytes, size_t size_bytes)
{
    const char *end = bytes + size_bytes;
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *line_end = newline != NULL ? newline : end;
        if ((size_t)(line_end - bytes) == strlen(READY) && memcmp(bytes, READY, strlen(READY)) == 0)
            return true;
        bytes = line_end + 1;
    }
    return false;
}

/* Descriptors that come along are the kernel's to close: there is no room for them. */
bool notify_take(int socket)
{
    char message[MESSAGE_MAX_BYTES];
    bool ready = false;
    for (ssize_t got; (got = recv(socket, message, sizeof message, 0)) >= 0 || errno == EINTR;)
        ready = ready || (got > 0 && notify_says_ready(message, (size_t)got));
    return ready;
}
