#include "kms/backup.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kms/backup_core.h"
#include "kms/home_lock.h"
#include "kms/keeper_core.h"

#define COST_LOG2_N 17u
#define COST_R 8u
#define COST_P 1u

struct backup_writer {
    struct keeper *keeper;
    struct backup_chunks chunks;
    struct backup_info *info;
};

/* ---- header and rows ------------------------------------------------------------------------- */

static lethe_result write_header(struct backup_writer *writer, const struct backup_options *options,
                                 struct lethe_error *err)
{
    uint8_t *header = writer->chunks.header;
    uint8_t *salt = header + BACKUP_MAGIC_BYTES;
    memcpy(header, BACKUP_MAGIC, BACKUP_MAGIC_BYTES);
    if (random_fill(writer->keeper->random, salt, BACKUP_SALT_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a backup");
    uint8_t *cost = salt + BACKUP_SALT_BYTES;
    cost[0] = (uint8_t)(options->log2_n > 0 ? options->log2_n : COST_LOG2_N);
    cost[1] = COST_R;
    cost[2] = COST_P;
    TRY(backup_chunks_key(&writer->chunks, options->passphrase, err));
    return file_write(writer->chunks.fd, BACKUP_NAME, header, BACKUP_HEADER_BYTES, err);
}

static void append_head(struct guarded *out, const struct backup_info *info)
{
    guarded_le64(out, info->epoch);
    guarded_le64(out, info->made_s);
    guarded_le64(out, info->log_records);
    guarded_append(out, info->log_root, sizeof info->log_root);
    guarded_prefixed(out, info->log_key.name, strlen(info->log_key.name));
    guarded_append(out, info->log_key.public_key, sizeof info->log_key.public_key);
}

/* Inside a view: all rows are of one state. */
static lethe_result write_row(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    struct backup_writer *writer = context;
    struct guarded *plain = &writer->chunks.plain;
    CLEANUP(lethe_secret_free) struct lethe_secret *value = NULL;
    if (backup_leaves_out(path))
        return LETHE_OK;
    TRY(store_get(writer->keeper->store, path, &value, NULL, err));
    size_t row_bytes = 2 * sizeof(uint32_t) + strlen(path) + lethe_secret_size(value);
    if (plain->size_bytes + row_bytes > BACKUP_CHUNK_MAX)
        TRY(backup_chunk_write(&writer->chunks, false, err));
    guarded_prefixed(plain, path, strlen(path));
    guarded_prefixed(plain, lethe_secret_bytes_const(value), lethe_secret_size(value));
    writer->info->rows++;
    return guarded_result(plain, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Everything leaves with it, so it is on record before. */
static lethe_result record(struct keeper *keeper, struct lethe_error *err)
{
    const struct audit_who who = keeper_who(keeper, "");
    const struct audit_event event = audit_home_backed_up(store_epoch(keeper->store));
    return audit_commit(keeper->log, &who, &event, err);
}

static void describe(struct keeper *keeper, struct backup_info *out)
{
    struct audit_head head;
    audit_head(keeper->log, &head);
    *out = (struct backup_info){.epoch = store_epoch(keeper->store),
                                .made_s = keeper_now_s(keeper),
                                .log_records = head.records,
                                .log_key = keeper->log_signer.key};
    memcpy(out->log_root, head.root, sizeof out->log_root);
}

static lethe_result write_all(struct backup_writer *writer, const struct backup_options *options,
                              struct lethe_error *err)
{
    TRY(write_header(writer, options, err));
    append_head(&writer->chunks.plain, writer->info);
    TRY(store_list(writer->keeper->store, "", write_row, writer, err));
    return backup_chunk_write(&writer->chunks, true, err);
}

lethe_result backup_write(struct keeper *keeper, const struct backup_options *options, int fd,
                          struct backup_info *out, struct lethe_error *err)
{
    CLEANUP(home_unlock) int lock = -1; /* nothing changes meanwhile: epoch, log and rows agree */
    *out = (struct backup_info){0};
    if (lethe_secret_size(options->passphrase) < BACKUP_PASSPHRASE_BYTES_MIN)
        return error_set(err, LETHE_INVALID, "a backup's passphrase has %u bytes or more",
                         BACKUP_PASSPHRASE_BYTES_MIN);
    TRY(keeper_lock(keeper, &lock, err));
    TRY(keeper_settle(keeper, err));
    TRY(record(keeper, err));
    describe(keeper, out);
    struct backup_writer writer = {.keeper = keeper, .chunks = {.fd = fd}, .info = out};
    lethe_result result = write_all(&writer, options, err);
    backup_chunks_clear(&writer.chunks);
    return result;
}
