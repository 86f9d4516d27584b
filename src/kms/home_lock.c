#include "kms/home_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define RETRY_MS 5u

lethe_result home_lock(const char *path, unsigned patience_ms, int *fd, struct lethe_error *err)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return error_from_errno(err, "opening the lock %s", path);
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    for (unsigned waited_ms = 0; flock(*fd, LOCK_EX | LOCK_NB) != 0; waited_ms += RETRY_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_from_errno(err, "locking %s", path);
        if (waited_ms >= patience_ms) {
            error_set(err, LETHE_BUSY, "another process holds %s", path);
            error_hint(err, "wait for the other lethe command on this home, or end it");
            return LETHE_BUSY;
        }
        nanosleep(&pause, NULL);
    }
    return LETHE_OK;
}

void home_unlock(int fd)
{
    fd_close(fd);
}
