/* lethe kms backup, restore: a whole home in one file, under a passphrase of its own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"
#include "kms/backup.h"
#include "kms/secret_file.h"

static lethe_result read_passphrase(const struct invocation *invocation, bool confirm,
                                    struct lethe_secret **out, struct lethe_error *err)
{
    int64_t fd;
    TRY(option_number(invocation, "backup-passphrase-fd", 0, 1024, -1, &fd, err));
    if (fd < 0)
        fprintf(stderr, "lethe: the passphrase of the backup, which is not the home's own\n");
    lethe_result result = secret_passphrase_read((int)fd, confirm, out, err);
    if (result == LETHE_UNAVAILABLE)
        error_hint(err, "give it on a descriptor: --backup-passphrase-fd N");
    return result;
}

static void print_info(const char *path, const struct backup_info *info)
{
    char made[TIME_TEXT_SIZE];
    time_text_s(info->made_s * 1000000000u, made);
    printf("%s: epoch %" PRIu64 ", of %s, %" PRIu64 " rows; the log had %" PRIu64 " records\n",
           path, info->epoch, made, info->rows, info->log_records);
}

static lethe_result write_file(struct home *home, const struct lethe_secret *passphrase,
                               const char *path, struct backup_info *info, struct lethe_error *err)
{
    const struct backup_options options = {.passphrase = passphrase};
    CLEANUP(fd_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, LETHE_EXISTS, "%s is there already", path);
    if (fd < 0)
        return error_from_errno(err, "making %s", path);
    lethe_result result = backup_write(home->keeper, &options, fd, info, err);
    if (result == LETHE_OK && fsync(fd) != 0)
        result = error_from_errno(err, "writing %s", path);
    if (result != LETHE_OK)
        unlink(path);
    return result;
}

COMMAND_FUNCTION(kms_backup)
{
    const char *path = option_text(invocation, "output");
    struct backup_info info = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    CLEANUP(home_abandon) struct home *home = NULL;
    if (path == NULL)
        return error_set(err, LETHE_INVALID, "name the file for the backup with -o FILE");
    TRY(read_passphrase(invocation, true, &passphrase, err));
    TRY(common_open_home(invocation, &home, err));
    TRY(home_finish(&home, write_file(home, passphrase, path, &info, err), err));
    print_info(path, &info);
    fprintf(stderr, "lethe: whoever has this file and its passphrase has every key\n");
    return LETHE_OK;
}

static lethe_result restore(struct home *home, int fd, const struct lethe_secret *passphrase,
                            uint64_t least_epoch, struct backup_info *info, struct lethe_error *err)
{
    lethe_result result = backup_restore(home->keeper, fd, passphrase, least_epoch, info, err);
    if (result == LETHE_EXISTS)
        error_hint(err, "a backup goes into a home that was just made: LETHE_HOME=DIR lethe init");
    return result;
}

COMMAND_FUNCTION(kms_restore)
{
    int64_t least_epoch;
    const char *path = invocation->positional[0];
    struct backup_info info = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *passphrase = NULL;
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(option_number(invocation, "least-epoch", 0, INT64_MAX, 0, &least_epoch, err));
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) /* nobody types a passphrase for nothing */
        return error_from_errno(err, "opening %s", path);
    TRY(read_passphrase(invocation, false, &passphrase, err));
    TRY(common_open_home(invocation, &home, err));
    lethe_result result = restore(home, fd, passphrase, (uint64_t)least_epoch, &info, err);
    TRY(home_finish(&home, result, err));
    print_info(path, &info);
    if (least_epoch == 0)
        fprintf(stderr, "lethe: whether there is a newer backup cannot be seen from this one: what "
                        "was revoked since is back\n");
    return LETHE_OK;
}
