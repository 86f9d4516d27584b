/* Reading a backup: once to check every byte of it, and once more to write its rows. */
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "kms/backup_core.h"
#include "kms/keeper_core.h"

/* What is inside is authenticated: this is somebody's with the passphrase, but none that we made.
 */
static lethe_result strange(struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "%s holds what none of ours would", BACKUP_NAME);
}

static lethe_result read_prefixed(struct cursor *cursor, const uint8_t **bytes,
                                  uint32_t *size_bytes)
{
    TRY(cursor_le32(cursor, size_bytes));
    return cursor_bytes(cursor, *size_bytes, bytes);
}

static lethe_result parse_head(struct cursor *cursor, struct backup_info *out)
{
    const uint8_t *root, *name, *public_key;
    uint32_t name_length;
    TRY(cursor_le64(cursor, &out->epoch));
    TRY(cursor_le64(cursor, &out->made_s));
    TRY(cursor_le64(cursor, &out->log_records));
    TRY(cursor_bytes(cursor, sizeof out->log_root, &root));
    TRY(read_prefixed(cursor, &name, &name_length));
    TRY(cursor_bytes(cursor, sizeof out->log_key.public_key, &public_key));
    if (name_length >= sizeof out->log_key.name || memchr(name, '\0', name_length) != NULL)
        return LETHE_MALFORMED;
    memcpy(out->log_root, root, sizeof out->log_root);
    memcpy(out->log_key.name, name, name_length);
    out->log_key.name[name_length] = '\0';
    memcpy(out->log_key.public_key, public_key, sizeof out->log_key.public_key);
    return LETHE_OK;
}

struct backup_row {
    char path[STORE_PATH_MAX + 1];
    const uint8_t *value;
    uint32_t value_bytes;
};

static lethe_result parse_row(struct cursor *cursor, struct backup_row *out)
{
    const uint8_t *path;
    uint32_t length;
    TRY(read_prefixed(cursor, &path, &length));
    TRY(read_prefixed(cursor, &out->value, &out->value_bytes));
    if (length == 0 || length > STORE_PATH_MAX || memchr(path, '\0', length) != NULL ||
        out->value_bytes == 0 || out->value_bytes > STORE_VALUE_MAX)
        return LETHE_MALFORMED;
    memcpy(out->path, path, length);
    out->path[length] = '\0';
    return backup_leaves_out(out->path) ? LETHE_MALFORMED : LETHE_OK;
}

/* Called with every row; NULL: they are only looked at. */
struct backup_reader {
    struct backup_chunks chunks;
    struct backup_info info;
    struct store *store;
};

static lethe_result take_rows(struct backup_reader *reader, struct cursor *cursor,
                              struct lethe_error *err)
{
    for (; cursor_left(cursor) > 0; reader->info.rows++) {
        struct backup_row row;
        if (parse_row(cursor, &row) != LETHE_OK)
            return strange(err);
        if (reader->store != NULL)
            TRY(store_put(reader->store, row.path, row.value, row.value_bytes, STORE_ABSENT, err));
    }
    return LETHE_OK;
}

static lethe_result take_chunk(struct backup_reader *reader, struct lethe_error *err)
{
    bool is_first = reader->chunks.index == 0;
    TRY(backup_chunk_read(&reader->chunks, err));
    struct cursor cursor = cursor_over(reader->chunks.plain.bytes, reader->chunks.plain.size_bytes);
    if (is_first && parse_head(&cursor, &reader->info) != LETHE_OK)
        return strange(err);
    return take_rows(reader, &cursor, err);
}

/* From the first chunk on; the key is there. */
static lethe_result read_rows(struct backup_reader *reader, struct store *store,
                              struct lethe_error *err)
{
    struct stat status;
    reader->store = store;
    reader->info = (struct backup_info){0};
    reader->chunks.offset = BACKUP_HEADER_BYTES;
    reader->chunks.index = 0;
    reader->chunks.ended = false;
    while (!reader->chunks.ended)
        TRY(take_chunk(reader, err));
    if (fstat(reader->chunks.fd, &status) != 0)
        return error_from_errno(err, "looking at %s", BACKUP_NAME);
    return (uint64_t)status.st_size == reader->chunks.offset
               ? LETHE_OK
               : error_set(err, LETHE_INTEGRITY, "something stands behind %s", BACKUP_NAME);
}

static lethe_result open_and_check(struct backup_reader *reader, int fd,
                                   const struct lethe_secret *passphrase, struct lethe_error *err)
{
    struct stat status;
    uint8_t *header = reader->chunks.header;
    reader->chunks.fd = fd;
    if (fstat(fd, &status) != 0)
        return error_from_errno(err, "looking at %s", BACKUP_NAME);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INVALID, "%s is read from a regular file", BACKUP_NAME);
    if (status.st_size < (off_t)BACKUP_HEADER_BYTES)
        return error_set(err, LETHE_MALFORMED, "this is no backup of a home");
    TRY(file_read_at(fd, BACKUP_NAME, 0, header, BACKUP_HEADER_BYTES, err));
    if (memcmp(header, BACKUP_MAGIC, BACKUP_MAGIC_BYTES) != 0)
        return error_set(err, LETHE_MALFORMED, "this is no backup of a home");
    TRY(backup_chunks_key(&reader->chunks, passphrase, err));
    return read_rows(reader, NULL, err);
}

lethe_result backup_check(int fd, const struct lethe_secret *passphrase, struct backup_info *out,
                          struct lethe_error *err)
{
    struct backup_reader reader = {0};
    lethe_result result = open_and_check(&reader, fd, passphrase, err);
    *out = reader.info;
    backup_chunks_clear(&reader.chunks);
    return result;
}

/* ---- restoring ------------------------------------------------------------------------------- */

struct restoration {
    struct backup_reader *reader;
    char log_root[2 * 32 + 1];
};

static lethe_result refuse_row(void *context, const char *path, uint64_t version,
                               struct lethe_error *err)
{
    return backup_leaves_out(path)
               ? LETHE_OK
               : error_set(err, LETHE_EXISTS,
                           "a backup is restored into a home that was just made");
}

static lethe_result restore(struct keeper *keeper, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    struct restoration *restoration = context;
    const struct backup_info *info = &restoration->reader->info;
    TRY(store_list(keeper->store, "", refuse_row, NULL, err));
    TRY(read_rows(restoration->reader, keeper->store, err));
    hex_encode(info->log_root, sizeof info->log_root, restoration->log_root);
    *event = audit_home_restored(info->epoch, info->rows, info->log_key.name, info->log_records,
                                 restoration->log_root, epoch);
    return LETHE_OK;
}

static lethe_result check_age(const struct backup_info *info, uint64_t least_epoch,
                              struct lethe_error *err)
{
    if (info->epoch >= least_epoch)
        return LETHE_OK;
    error_set(err, LETHE_DENIED,
              "this backup is older than the log: it is of epoch %llu, the log shows %llu",
              (unsigned long long)info->epoch, (unsigned long long)least_epoch);
    error_hint(err, "what was revoked or destroyed since would come back; take a newer backup");
    return LETHE_DENIED;
}

static lethe_result check_and_restore(struct keeper *keeper, struct backup_reader *reader, int fd,
                                      const struct lethe_secret *passphrase, uint64_t least_epoch,
                                      struct lethe_error *err)
{
    struct restoration restoration = {.reader = reader};
    TRY(open_and_check(reader, fd, passphrase, err));
    TRY(check_age(&reader->info, least_epoch, err));
    return keeper_make_change(keeper, "", restore, &restoration, err);
}

lethe_result backup_restore(struct keeper *keeper, int fd, const struct lethe_secret *passphrase,
                            uint64_t least_epoch, struct backup_info *out, struct lethe_error *err)
{
    struct backup_reader reader = {0};
    lethe_result result = check_and_restore(keeper, &reader, fd, passphrase, least_epoch, err);
    *out = reader.info;
    backup_chunks_clear(&reader.chunks);
    return result;
}
