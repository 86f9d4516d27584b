/* Reports through configfs (Documentation/ABI/testing/configfs-tsm). A directory of our own asks
 * for one: it is made, written to, read, and removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attest/sevsnp_tsm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#define ATTRIBUTE_MAX 64u /* of what is a word or a number */
#define TRIES 3u          /* when somebody else writes into our directory */
static const char kernels_root[] = "/sys/kernel/config/tsm/report";
static const char provider[] = "sev_guest";

struct request { /* a directory that is removed at the end */
    int root_fd, fd;
    char name[32];
};

static void request_end(struct request *request)
{
    fd_close(request->fd);
    if (request->name[0] != '\0')
        (void)unlinkat(request->root_fd, request->name, AT_REMOVEDIR);
    fd_close(request->root_fd);
}
static void request_end_at_scope_end(struct request *request)
{
    request_end(request);
}

static lethe_result unavailable(struct lethe_error *err, const char *what, int why)
{
    error_set(err, LETHE_UNAVAILABLE, "%s: %s", what, strerror(why));
    error_hint(err, why == EACCES || why == EPERM
                        ? "asking for reports takes root, or write access to the directory"
                        : "this needs an SEV-SNP guest, with configfs mounted and sev-guest loaded "
                          "(Linux 6.7 or later)");
    return LETHE_UNAVAILABLE;
}

static lethe_result request_begin(const char *root, struct request *request,
                                  struct lethe_error *err)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    request->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (request->root_fd < 0)
        return unavailable(err, root, errno);
    TRY(random_fill(&random_system, random, sizeof random));
    hex_encode(random, sizeof random, hex);
    char name[sizeof request->name];
    snprintf(name, sizeof name, "lethe-%s", hex);
    if (mkdirat(request->root_fd, name, 0700) != 0)
        return unavailable(err, root, errno);
    memcpy(request->name, name, sizeof name);
    request->fd = openat(request->root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return request->fd >= 0 ? LETHE_OK : unavailable(err, root, errno);
}

/* LETHE_BUSY: what was written is not what would be read. */
static lethe_result read_attribute(const struct request *request, const char *name,
                                   size_t max_bytes, struct buffer *out, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = openat(request->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return unavailable(err, name, errno);
    errno = 0;
    lethe_result result = file_read_to_end(fd, name, max_bytes, out, err);
    if (result == LETHE_IO && (errno == EBUSY || errno == EWOULDBLOCK))
        return error_set(err, LETHE_BUSY, "somebody else is asking for a report");
    return result;
}

static lethe_result write_inblob(const struct request *request,
                                 const uint8_t data[SEVSNP_DATA_BYTES], struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = openat(request->fd, "inblob", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return unavailable(err, "inblob", errno);
    ssize_t written = write(fd, data, SEVSNP_DATA_BYTES);
    if (written == (ssize_t)SEVSNP_DATA_BYTES)
        return LETHE_OK;
    return written < 0 ? unavailable(err, "inblob", errno)
                       : error_set(err, LETHE_IO, "inblob: cut short");
}

static lethe_result check_provider(const struct request *request, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer name = {0};
    TRY(read_attribute(request, "provider", ATTRIBUTE_MAX, &name, err));
    while (name.size_bytes > 0 && name.bytes[name.size_bytes - 1] == '\n')
        buffer_truncate(&name, name.size_bytes - 1);
    if (name.size_bytes == sizeof provider - 1 &&
        memcmp(name.bytes, provider, sizeof provider - 1) == 0)
        return LETHE_OK;
    return error_set(err, LETHE_UNAVAILABLE, "reports of this machine are not of SEV-SNP");
}

static lethe_result read_all(const struct request *request, struct buffer *report,
                             struct buffer *table, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer before = {0};
    CLEANUP(buffer_clear) struct buffer after = {0};
    TRY(read_attribute(request, "generation", ATTRIBUTE_MAX, &before, err));
    TRY(read_attribute(request, "outblob", SEVSNP_AUXBLOB_MAX, report, err));
    lethe_result result = read_attribute(request, "auxblob", SEVSNP_AUXBLOB_MAX, table, err);
    if (result != LETHE_OK && result != LETHE_UNAVAILABLE) /* not every kernel has it */
        return result;
    (void)error_forget(err);
    TRY(read_attribute(request, "generation", ATTRIBUTE_MAX, &after, err));
    if (before.size_bytes != after.size_bytes ||
        memcmp(before.bytes, after.bytes, before.size_bytes) != 0)
        return error_set(err, LETHE_BUSY, "somebody else wrote into the request for a report");
    return LETHE_OK;
}

/* What came is what was asked for. */
static lethe_result check_report(const struct buffer *report, const uint8_t *data,
                                 struct lethe_error *err)
{
    static const size_t data_at = 0x50;
    if (report->size_bytes != SEVSNP_REPORT_BYTES)
        return error_set(err, LETHE_UNAVAILABLE, "the kernel gives a report of %zu bytes, not %u",
                         report->size_bytes, SEVSNP_REPORT_BYTES);
    if (memcmp(report->bytes + data_at, data, SEVSNP_DATA_BYTES) != 0)
        return error_set(err, LETHE_BUSY, "the kernel gives a report over other data");
    return LETHE_OK;
}

static lethe_result produce_once(const char *root, const uint8_t *data, struct buffer *report,
                                 struct buffer *table, struct lethe_error *err)
{
    CLEANUP(request_end) struct request request = {.root_fd = -1, .fd = -1};
    TRY(request_begin(root, &request, err));
    TRY(check_provider(&request, err));
    TRY(write_inblob(&request, data, err));
    TRY(read_all(&request, report, table, err));
    return check_report(report, data, err);
}

lethe_result sevsnp_produce(const char *root, const uint8_t data[SEVSNP_DATA_BYTES],
                            struct buffer *report, struct buffer *vek, struct lethe_error *err)
{
    lethe_result result = LETHE_BUSY;
    CLEANUP(buffer_clear) struct buffer table = {0};
    for (unsigned i = 0; i < TRIES && result == LETHE_BUSY; i++) {
        buffer_truncate(report, 0);
        buffer_truncate(&table, 0);
        result = produce_once(root != NULL ? root : kernels_root, data, report, &table, err);
    }
    if (result == LETHE_BUSY)
        return error_set(err, LETHE_UNAVAILABLE, "somebody else keeps asking for reports");
    TRY(result);
    return sevsnp_table_vek(table.bytes, table.size_bytes, vek, err);
}
