/* Traces whose run has ended without removing them: what they say goes on record. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/engine.h"
#include "engine/scratch.h"
#include "engine/swap.h"
#include "engine/trace.h"
#include "engine/trace_name.h"

struct settling {
    int directory;
    struct audit_log *log;
    const struct audit_who *who;
    size_t settled;
};

/* What a dead run's directory still shows: nothing, where it was a mount point, or the engine's
 * files and links. Only what has our name and is ours. */
static void remove_leftover(const char *path)
{
    const char *name = strrchr(path, '/');
    struct stat status;
    if (name == NULL || strncmp(name, "/lethe-", strlen("/lethe-")) != 0)
        return;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_uid != geteuid())
        return;
    struct wipe ignored = WIPE_NONE;
    scratch_wipe(fd, &ignored);
    rmdir(path);
}

static lethe_result settle(const struct settling *settling, const struct buffer *text,
                           struct lethe_error *err)
{
    CLEANUP(trace_content_clear) struct trace_content content;
    trace_read(text->bytes, text->size_bytes, &content);
    swap_group_remove(content.group);
    remove_leftover(content.directory);
    const struct audit_event event =
        audit_engine_exited(content.engine, content.model, content.pid, "supervisor died", 0,
                            content.bytes, content.wiped ? "wiped" : "unwiped");
    return audit_commit(settling->log, settling->who, &event, err);
}

static lethe_result settle_trace(struct settling *settling, const char *name,
                                 struct lethe_error *err)
{
    CLEANUP(fd_close)
    int fd = openat(settling->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "trace %s", name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return LETHE_OK; /* somebody lives */
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = file_read_all(settling->directory, name, TRACE_MAX_BYTES, &text, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;       /* another command was quicker */
    if (result != LETHE_LIMIT) /* too long to be ours: damaged */
        TRY(result);
    TRY(settle(settling, &text, err));
    unlinkat(settling->directory, name, 0);
    settling->settled++;
    return LETHE_OK;
}

static bool is_trace_name(const char *name)
{
    size_t length = strlen(name);
    size_t suffix = strlen(TRACE_SUFFIX);
    return length > suffix && strcmp(name + length - suffix, TRACE_SUFFIX) == 0;
}

static lethe_result settle_entry(struct settling *settling, const char *name,
                                 struct lethe_error *err)
{
    struct stat status;
    if (fstatat(settling->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode))
        return LETHE_OK;
    bool unnamed = strncmp(name, TRACE_UNNAMED, strlen(TRACE_UNNAMED)) == 0;
    if (!unnamed)
        return is_trace_name(name) ? settle_trace(settling, name, err) : LETHE_OK;
    if (status.st_mtime + TRACE_UNNAMED_MAX_S < time(NULL))
        unlinkat(settling->directory, name, 0);
    return LETHE_OK;
}

lethe_result engine_settle_traces(const char *run_directory, struct audit_log *log,
                                  const struct audit_who *who, size_t *settled,
                                  struct lethe_error *err)
{
    *settled = 0;
    DIR *directory = opendir(run_directory);
    if (directory == NULL)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "%s", run_directory);
    struct settling settling = {.directory = dirfd(directory), .log = log, .who = who};
    lethe_result result = LETHE_OK;
    for (struct dirent *entry; result == LETHE_OK && (entry = readdir(directory)) != NULL;)
        result = settle_entry(&settling, entry->d_name, err);
    closedir(directory);
    *settled = settling.settled;
    return result;
}
