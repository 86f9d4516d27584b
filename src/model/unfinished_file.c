/* The state of a re-encryption as a file, and its key. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/reencrypt.h"

/* Not KEY_PURPOSE_REENCRYPT: what a revoked version wrapped is not gone on with. */
#define PURPOSE "reencrypt-state"

void unfinished_file_clear(struct unfinished_file *file)
{
    lethe_secret_free(file->key);
    fd_close(file->fd);
    *file = UNFINISHED_FILE_NONE;
}

/* ---- the key --------------------------------------------------------------------------------- */

/* No shard's associated data begins like this, so that no wrapped key passes for another. */
static void append_aad(const struct manifest *manifest, const uint8_t digest[SHA256_BYTES],
                       struct buffer *out)
{
    static const char format[] = "lethe-reencrypt/1";
    buffer_prefixed(out, format, strlen(format));
    buffer_prefixed(out, manifest->tenant, strlen(manifest->tenant));
    buffer_prefixed(out, manifest->model, strlen(manifest->model));
    buffer_prefixed(out, digest, SHA256_BYTES);
}

static struct key_use use_for(const struct manifest *manifest, const struct buffer *aad)
{
    return (struct key_use){.key = manifest->shards[0].key,
                            .shard = "(state)",
                            .purpose = PURPOSE,
                            .release = manifest->release,
                            .aad = aad->bytes,
                            .aad_bytes = aad->size_bytes};
}

static lethe_result make_key(struct reencryption *r, struct lethe_error *err)
{
    struct unfinished_file *file = &r->state;
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    TRY(lethe_secret_create(UNFINISHED_KEY_BYTES, &file->key, err));
    if (random_fill(r->options->random, lethe_secret_bytes(file->key), UNFINISHED_KEY_BYTES) !=
        LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    append_aad(r->old->manifest, r->old_digest, &aad);
    TRY(buffer_result(&aad, err));
    const struct key_use use = use_for(r->old->manifest, &aad);
    TRY(r->keys->wrap(r->keys->context, &use, file->key, &wrapped, err));
    if (wrapped.size_bytes == 0 || wrapped.size_bytes > UNFINISHED_WRAPPED_MAX)
        return error_set(err, LETHE_FAILED, "the key service gave no wrapped key for '%s'",
                         use.key);
    memcpy(file->header.wrapped, wrapped.bytes, wrapped.size_bytes + 1);
    memcpy(file->header.manifest_digest, r->old_digest, SHA256_BYTES);
    return LETHE_OK;
}

static lethe_result open_key(const struct unfinished_open *how, struct unfinished_file *file,
                             struct lethe_error *err)
{
    const struct manifest *manifest = how->model->manifest;
    const struct key_source *keys = how->keys;
    CLEANUP(buffer_clear) struct buffer aad = {0};
    uint64_t newest;
    TRY(keys->newest(keys->context, manifest->shards[0].key, &newest, err));
    if (wrapped_key_version(file->header.wrapped) != newest)
        return error_set(err, LETHE_CONFLICT, "its key was rotated since");
    append_aad(manifest, file->header.manifest_digest, &aad);
    TRY(buffer_result(&aad, err));
    const struct key_use use = use_for(manifest, &aad);
    lethe_result result = keys->unwrap(keys->context, &use, file->header.wrapped, &file->key, err);
    if (result == LETHE_INTEGRITY || result == LETHE_MALFORMED)
        return error_set(err, LETHE_INTEGRITY, "its file " KEPT_STATE " was changed");
    TRY(result);
    if (lethe_secret_size(file->key) != UNFINISHED_KEY_BYTES)
        return error_set(err, LETHE_INTEGRITY, "its file " KEPT_STATE " was changed");
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

lethe_result unfinished_file_create(struct reencryption *r, int dir_fd, struct lethe_error *err)
{
    struct unfinished_file *file = &r->state;
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(make_key(r, err));
    unfinished_header_write(&file->header, &text);
    TRY(buffer_result(&text, err));
    unfinished_chain_begin(&file->header, file->key, &file->chain);
    file->fd = openat(dir_fd, KEPT_STATE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return error_from_errno(err, "creating " KEPT_STATE);
    TRY(file_write_at(file->fd, KEPT_STATE, 0, text.bytes, text.size_bytes, err));
    file->size_bytes = text.size_bytes;
    return fsync(file->fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing " KEPT_STATE);
}

static lethe_result append_durably(const struct unfinished_file *file, const struct buffer *text,
                                   struct lethe_error *err)
{
    TRY(file_write_at(file->fd, KEPT_STATE, file->size_bytes, text->bytes, text->size_bytes, err));
    return fdatasync(file->fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing " KEPT_STATE);
}

lethe_result unfinished_file_append(struct unfinished_file *file,
                                    const struct unfinished_record *records, size_t count,
                                    struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct unfinished_chain chain = file->chain;
    for (size_t i = 0; i < count; i++)
        TRY(unfinished_record_write(&records[i], &chain, &text, err));
    lethe_result result = append_durably(file, &text, err);
    if (result != LETHE_OK) { /* half a record is cut off by whoever reads it, too */
        (void)!ftruncate(file->fd, (off_t)file->size_bytes);
        return result;
    }
    file->chain = chain;
    file->size_bytes += text.size_bytes;
    return LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result read_records(const struct unfinished_open *how, struct unfinished_file *file,
                                 struct cursor *cursor, struct lethe_error *err)
{
    struct unfinished_record record;
    bool found = true;
    for (;;) {
        TRY(unfinished_record_read(cursor, &file->chain, &record, &found, err));
        if (!found)
            return LETHE_OK;
        TRY(how->visit(how->context, &record, err));
    }
}

static lethe_result read_file(const struct unfinished_open *how, struct unfinished_file *file,
                              struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    lethe_result result = file_read_all(how->dir_fd, KEPT_STATE, UNFINISHED_BYTES_MAX, &text, err);
    if (result == LETHE_LIMIT || result == LETHE_INVALID)
        return error_set(err, LETHE_INTEGRITY, "its file " KEPT_STATE " was changed");
    TRY(result);
    struct cursor cursor = cursor_over(text.bytes, text.size_bytes);
    TRY(unfinished_header_read(&cursor, &file->header, err));
    TRY(open_key(how, file, err));
    unfinished_chain_begin(&file->header, file->key, &file->chain);
    TRY(read_records(how, file, &cursor, err));
    file->size_bytes = text.size_bytes - cursor_left(&cursor);
    return LETHE_OK;
}

lethe_result unfinished_file_open(const struct unfinished_open *how, struct unfinished_file *out,
                                  struct lethe_error *err)
{
    TRY(read_file(how, out, err));
    if (!how->for_more)
        return LETHE_OK;
    out->fd = openat(how->dir_fd, KEPT_STATE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (out->fd < 0)
        return error_from_errno(err, "opening " KEPT_STATE);
    if (ftruncate(out->fd, (off_t)out->size_bytes) != 0)
        return error_from_errno(err, "cutting " KEPT_STATE);
    return LETHE_OK;
}
