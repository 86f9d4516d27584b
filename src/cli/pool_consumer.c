#include "cli/pool_consumer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/pool_options.h"

void pool_close(struct lethe_pool *pool)
{
    lethe_pool_close(pool);
}

lethe_result pool_consumer_open(const struct invocation *invocation, struct lethe_pool **out,
                                struct lethe_error *err)
{
    struct pool_client_settings settings;
    *out = NULL;
    TRY(pool_options_client(invocation, &settings, err));
    TRY(pool_options_require(&settings.credentials, "pool", err));
    const struct lethe_pool_options options = {.control = settings.control,
                                               .control_id = settings.control_id,
                                               .ca_path = settings.credentials.ca,
                                               .certificate_path = settings.credentials.certificate,
                                               .key_path = settings.credentials.key};
    return lethe_pool_open(&options, out, err);
}

lethe_result pool_consumer_staging(struct lethe_region **out, struct lethe_error *err)
{
    const struct lethe_region_options options = {
        .class_ = LETHE_CLASS_CONTENT, .huge_pages = true, .label = {.id = "pool-file"}};
    return lethe_region_create(POOL_STAGING_BYTES, &options, out, err);
}

lethe_result pool_handle_open(const char *path, struct pool_handle **out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct stat status;
    *out = NULL;
    if (stat(path, &status) != 0)
        return error_from_errno(err, "%s", path);
    TRY(file_check_private(path, &status, err));
    TRY(file_read_all(AT_FDCWD, path, POOL_HANDLE_MAX, &text, err));
    CLEANUP(memory_free) struct pool_handle *handle = malloc(sizeof *handle);
    if (handle == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a handle");
    TRY(error_context(err, pool_handle_read(text.bytes, text.size_bytes, handle, err), "%s", path));
    *out = MOVE(handle);
    return LETHE_OK;
}
