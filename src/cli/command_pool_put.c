/* lethe pool put: a file goes into a pool's memory, and a handle says how to get it back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf_value.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/pool_consumer.h"
#include "cli/progress.h"

#define STDIN_BYTES ((uint64_t)64 << 20) /* of a lease for what has no size yet */

struct put {
    struct lethe_pool *pool;
    int fd;
    const char *path;
    uint64_t size_bytes; /* of the file, or at most that */
    bool is_exact;
    struct lethe_pool_lease_options lease;
    const char *handle;
    const char *tenant;
    bool force;
};

/* ---- options --------------------------------------------------------------------------------- */

static lethe_result option_value(const struct invocation *invocation, const struct conf_row *row,
                                 uint64_t *out, struct lethe_error *err)
{
    const char *text = option_text(invocation, row->key);
    union conf_value value;
    size_t size_bytes;
    if (text == NULL)
        return LETHE_OK;
    if (!conf_value_read(row, text, &value, &size_bytes)) {
        CLEANUP(buffer_clear) struct buffer wanted = {0};
        conf_describe(row, &wanted);
        return error_set(err, LETHE_INVALID, "--%s is not %s", row->key,
                         wanted.bytes != NULL ? wanted.bytes : "what it should be");
    }
    *out = value.number;
    return LETHE_OK;
}

static const struct conf_row ttl_row = {.section = "pool",
                                        .key = "ttl",
                                        .type = CONF_MILLISECONDS,
                                        .min = 1000,
                                        .max = POOL_TTL_MAX_MS};
static const struct conf_row size_row = {
    .section = "pool", .key = "size", .type = CONF_BYTES, .min = 1, .max = (uint64_t)1 << 44};

static lethe_result open_input(const struct invocation *invocation, struct put *put,
                               struct lethe_error *err)
{
    struct stat status;
    bool is_stdin = strcmp(put->path, "-") == 0;
    put->fd = is_stdin ? dup(STDIN_FILENO) : open(put->path, O_RDONLY | O_CLOEXEC);
    if (put->fd < 0 || fstat(put->fd, &status) != 0)
        return error_from_errno(err, "%s", put->path);
    if (S_ISDIR(status.st_mode))
        return error_set(err, LETHE_INVALID, "%s is a directory", put->path);
    put->is_exact = S_ISREG(status.st_mode) && !is_stdin;
    put->size_bytes = put->is_exact ? (uint64_t)status.st_size : STDIN_BYTES;
    if (put->is_exact && option_given(invocation, "size"))
        return error_set(err, LETHE_INVALID, "--size is for what has no size, as stdin");
    return option_value(invocation, &size_row, &put->size_bytes, err);
}

static lethe_result read_options(const struct invocation *invocation, struct put *put,
                                 struct lethe_error *err)
{
    int64_t copies;
    put->path = invocation->positional[0];
    put->handle = option_text(invocation, "output");
    put->force = option_given(invocation, "force");
    put->tenant = option_text(invocation, "tenant");
    if (put->tenant == NULL)
        put->tenant = "default";
    if (put->handle == NULL)
        return error_set(err, LETHE_INVALID, "no file for the handle was named: -o HANDLE");
    if (!put->force && access(put->handle, F_OK) == 0) {
        error_set(err, LETHE_EXISTS, "%s is there already", put->handle);
        error_hint(err, "what it leads to would be unreadable; --force replaces it");
        return LETHE_EXISTS;
    }
    TRY(validate_identifier("tenant", put->tenant, NAME_PART_MAX, err));
    TRY(option_number(invocation, "copies", 1, WIRE_COPIES_MAX + 1, 1, &copies, err));
    put->lease.copies = (unsigned)copies;
    put->lease.ttl_ms = 600000;
    TRY(option_value(invocation, &ttl_row, &put->lease.ttl_ms, err));
    return open_input(invocation, put, err);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* As much as there is, up to size_bytes. */
static lethe_result fill(const struct put *put, uint8_t *out, size_t size_bytes, size_t *got,
                         struct lethe_error *err)
{
    *got = 0;
    while (*got < size_bytes) {
        ssize_t count = read(put->fd, out + *got, size_bytes - *got);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_from_errno(err, "reading %s", put->path);
        if (count == 0)
            break;
        *got += (size_t)count;
    }
    return LETHE_OK;
}

static lethe_result too_much(const struct put *put, struct lethe_error *err)
{
    if (put->is_exact)
        return error_set(err, LETHE_CONFLICT, "%s grew while it was read", put->path);
    error_set(err, LETHE_LIMIT, "more than %" PRIu64 " bytes came", put->size_bytes);
    error_hint(err, "say how much it is at most: --size 1GiB");
    return LETHE_LIMIT;
}

static lethe_result copy_in(const struct put *put, struct lethe_pool_lease *lease, uint64_t *done,
                            struct lethe_error *err)
{
    CLEANUP(lethe_region_free) struct lethe_region *staging = NULL;
    TRY(pool_consumer_staging(&staging, err));
    uint8_t *bytes = lethe_region_bytes(staging);
    struct progress progress;
    progress_begin(&progress, "put");
    lethe_result result = LETHE_OK;
    size_t got = POOL_STAGING_BYTES;
    for (*done = 0; result == LETHE_OK && got == POOL_STAGING_BYTES; *done += got) {
        result = fill(put, bytes, POOL_STAGING_BYTES, &got, err);
        if (result == LETHE_OK && got > put->size_bytes - *done)
            result = too_much(put, err);
        if (result == LETHE_OK)
            result = lethe_pool_write(lease, *done, bytes, got, err);
        progress.table.report(progress.table.context, *done + got, put->size_bytes);
    }
    progress_end(&progress);
    return result;
}

/* ---- the handle ------------------------------------------------------------------------------ */

/* Without a handle nobody can read it. */
static void take_back(const struct put *put, const struct buffer *text)
{
    CLEANUP(memory_free) struct pool_handle *handle = malloc(sizeof *handle);
    if (handle != NULL && pool_handle_read(text->bytes, text->size_bytes, handle, NULL) == LETHE_OK)
        (void)!pool_handle_release(put->pool, handle, NULL);
}

static lethe_result hand_over(const struct put *put, struct home *home,
                              struct lethe_pool_lease **lease, uint64_t size_bytes,
                              struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    const struct pool_hand_over terms = {
        .size_bytes = size_bytes, .keys = home_keys(home), .tenant = put->tenant};
    TRY(pool_lease_hand_over(*lease, &terms, &text, err));
    *lease = NULL; /* it is the handle's now */
    lethe_result result = file_write_atomic(AT_FDCWD, put->handle, text.bytes, text.size_bytes,
                                            0600, put->force, err);
    if (result != LETHE_OK)
        take_back(put, &text);
    return result;
}

/* What fails half-way leaves nothing at the providers. */
static lethe_result put_with(struct put *put, struct home *home, uint64_t *size_bytes,
                             struct lethe_error *err)
{
    struct lethe_pool_lease *lease = NULL;
    put->lease.bytes = put->size_bytes > 0 ? put->size_bytes : 1;
    TRY(lethe_pool_allocate(put->pool, &put->lease, &lease, err));
    lethe_result result = copy_in(put, lease, size_bytes, err);
    if (result == LETHE_OK)
        result = hand_over(put, home, &lease, *size_bytes, err);
    if (lease != NULL)
        (void)!lethe_pool_release(lease, NULL);
    return result;
}

COMMAND_FUNCTION(pool_put)
{
    struct put put = {.fd = -1};
    uint64_t size_bytes = 0;
    CLEANUP(home_abandon) struct home *home = NULL;
    lethe_result result = read_options(invocation, &put, err);
    if (result == LETHE_OK)
        result = common_open_home(invocation, &home, err);
    if (result == LETHE_OK) {
        CLEANUP(pool_close) struct lethe_pool *pool = NULL;
        result = pool_consumer_open(invocation, &pool, err);
        put.pool = pool;
        if (result == LETHE_OK)
            result = put_with(&put, home, &size_bytes, err);
    }
    fd_close(put.fd);
    TRY(result);
    char bytes[BYTES_TEXT_SIZE];
    bytes_text(size_bytes, bytes);
    printf("Put %s into the pool, in %u cop%s; %s gets it back for %" PRIu64 " s\n", bytes,
           put.lease.copies, put.lease.copies == 1 ? "y" : "ies", put.handle,
           put.lease.ttl_ms / 1000);
    return home_close(MOVE(home), err);
}
