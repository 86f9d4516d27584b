/* lethe pool get, lethe pool release: what a handle leads to. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/pool_consumer.h"
#include "cli/progress.h"

/* ---- get ------------------------------------------------------------------------------------- */

struct get {
    struct lethe_pool_lease *lease;
    uint64_t size_bytes;
    struct lethe_region *staging;
};

/* Nothing is written that was not authenticated, and nothing is left of a file that is not whole.
 */
static lethe_result copy_out(void *context, int fd, const char *path, struct lethe_error *err)
{
    struct get *get = context;
    uint8_t *bytes = lethe_region_bytes(get->staging);
    struct progress progress;
    progress_begin(&progress, "get");
    lethe_result result = LETHE_OK;
    for (uint64_t done = 0; result == LETHE_OK && done < get->size_bytes;) {
        size_t size_bytes = (size_t)MIN(POOL_STAGING_BYTES, get->size_bytes - done);
        result = lethe_pool_read(get->lease, done, bytes, size_bytes, err);
        if (result == LETHE_OK)
            result = file_write(fd, path, bytes, size_bytes, err);
        done += size_bytes;
        progress.table.report(progress.table.context, done, get->size_bytes);
    }
    progress_end(&progress);
    return result;
}

static lethe_result get_with(const struct pool_handle *handle, struct home *home,
                             struct lethe_pool *pool, const struct file_place *place,
                             struct lethe_error *err)
{
    struct get get = {.size_bytes = handle->size_bytes};
    lethe_result result = pool_lease_take_up(pool, handle, home_keys(home), &get.lease, err);
    if (result == LETHE_NOT_FOUND)
        error_hint(err, "a handle opens with the keys of the home that made it");
    TRY(result);
    result = pool_consumer_staging(&get.staging, err);
    if (result == LETHE_OK)
        result = file_produce_atomic(
            place, &(struct file_content){.write = copy_out, .context = &get}, err);
    lethe_region_free(get.staging);
    lethe_pool_lease_close(get.lease);
    return result;
}

static lethe_result check_output(const struct file_place *place, struct lethe_error *err)
{
    if (place->path == NULL)
        return error_set(err, LETHE_INVALID, "no output was named: -o FILE");
    if (place->replace || access(place->path, F_OK) != 0)
        return LETHE_OK;
    error_set(err, LETHE_EXISTS, "%s is there already", place->path);
    error_hint(err, "--force replaces it");
    return LETHE_EXISTS;
}

COMMAND_FUNCTION(pool_get)
{
    const struct file_place place = {.dir_fd = AT_FDCWD,
                                     .path = option_text(invocation, "output"),
                                     .mode = 0600,
                                     .replace = option_given(invocation, "force")};
    CLEANUP(memory_free) struct pool_handle *handle = NULL;
    CLEANUP(home_abandon) struct home *home = NULL;
    CLEANUP(pool_close) struct lethe_pool *pool = NULL;
    TRY(check_output(&place, err));
    TRY(pool_handle_open(invocation->positional[0], &handle, err));
    TRY(common_open_home(invocation, &home, err));
    TRY(pool_consumer_open(invocation, &pool, err));
    TRY(get_with(handle, home, pool, &place, err));
    char bytes[BYTES_TEXT_SIZE];
    bytes_text(handle->size_bytes, bytes);
    printf("Got %s out of the pool into %s\n", bytes, place.path);
    lethe_pool_close(MOVE(pool));
    return home_close(MOVE(home), err);
}

/* ---- release --------------------------------------------------------------------------------- */

COMMAND_FUNCTION(pool_release)
{
    const char *path = invocation->positional[0];
    CLEANUP(memory_free) struct pool_handle *handle = NULL;
    CLEANUP(pool_close) struct lethe_pool *pool = NULL;
    TRY(pool_handle_open(path, &handle, err));
    TRY(pool_consumer_open(invocation, &pool, err));
    TRY(pool_handle_release(pool, handle, err));
    if (unlink(path) != 0)
        return error_from_errno(err, "the memory is wiped, but %s is still there", path);
    printf("Released: its providers have wiped it, and %s is gone\n", path);
    return LETHE_OK;
}
