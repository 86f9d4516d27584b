#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "model/keys_ahead.h"

void shard_reader_close(struct shard_reader *reader)
{
    fd_close(reader->fd);
    tink_stream_free(reader->stream);
    *reader = SHARD_READER_NONE;
}

static lethe_result open_file(const struct model *model, struct shard_reader *reader,
                              struct lethe_error *err)
{
    const char *name = reader->shard->file + sizeof SHARD_DIRECTORY;
    reader->fd = openat(model->shards_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (reader->fd < 0)
        return error_from_errno(err, "opening");
    struct stat status;
    if (fstat(reader->fd, &status) != 0)
        return error_from_errno(err, "looking at it");
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != reader->shard->cipher_size)
        return error_set(err, LETHE_INTEGRITY,
                         "a file of %" PRIu64 " bytes was expected, but one of %" PRIu64 " found",
                         reader->shard->cipher_size, (uint64_t)status.st_size);
    return LETHE_OK;
}

/* The stream, or its key alone. */
static lethe_result begin(const struct tink_binding *binding, struct shard_reader *reader,
                          struct lethe_secret **key, struct lethe_error *err)
{
    if (key != NULL)
        return tink_open_key(&tink_shard_parameters, binding, reader->header, key, err);
    return tink_open_begin(&tink_shard_parameters, binding, reader->header, &reader->stream, err);
}

static lethe_result open_stream(const struct model *model, const struct shard_access *access,
                                struct shard_reader *reader, struct lethe_secret **key,
                                struct lethe_error *err)
{
    const struct shard *shard = reader->shard;
    TRY(file_read_at(reader->fd, shard->file, 0, reader->header,
                     tink_header_bytes(&tink_shard_parameters), err));
    CLEANUP(buffer_clear) struct buffer aad = {0};
    manifest_shard_aad(model->manifest, shard, &aad);
    TRY(buffer_result(&aad, err));
    const struct key_use use = {.key = shard->key,
                                .release = model->manifest->release,
                                .shard = shard->id,
                                .purpose = access->purpose,
                                .aad = aad.bytes,
                                .aad_bytes = aad.size_bytes};
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    if (access->ahead != NULL)
        data_key = keys_ahead_take(access->ahead, (size_t)(shard - model->manifest->shards));
    if (data_key == NULL)
        TRY(access->keys->unwrap(access->keys->context, &use, shard->wrapped_key, &data_key, err));
    const struct tink_binding binding = {
        .key = data_key, .aad = aad.bytes, .aad_bytes = aad.size_bytes, .backend = access->backend};
    return begin(&binding, reader, key, err);
}

static lethe_result reader_open(const struct model *model, const struct shard_access *access,
                                struct shard_reader *reader, struct lethe_secret **key,
                                struct lethe_error *err)
{
    TRY(open_file(model, reader, err));
    return open_stream(model, access, reader, key, err);
}

lethe_result shard_reader_open(const struct model *model, size_t shard_index,
                               const struct shard_access *access, struct shard_reader *out,
                               struct lethe_error *err)
{
    return shard_reader_open_key(model, shard_index, access, out, NULL, err);
}

lethe_result shard_reader_open_key(const struct model *model, size_t shard_index,
                                   const struct shard_access *access, struct shard_reader *out,
                                   struct lethe_secret **key, struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    REQUIRE(shard_index < model->manifest->count);
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    reader.shard = &model->manifest->shards[shard_index];
    reader.segments = tink_segment_count(&tink_shard_parameters, reader.shard->size);
    TRY(error_context(err, reader_open(model, access, &reader, key, err), "%s",
                      reader.shard->file));
    *out = reader;
    reader = SHARD_READER_NONE; /* moved */
    return LETHE_OK;
}

lethe_result shard_read_cipher(const struct shard_reader *reader, uint64_t index, void *cipher,
                               struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(reader, index);
    return file_read_at(reader->fd, reader->shard->file, segment.cipher_offset, cipher,
                        segment.cipher_bytes, err);
}

lethe_result shard_open_segment(const struct shard_reader *reader, uint64_t index,
                                const void *cipher, void *plain, struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(reader, index);
    if (tink_open_segment(reader->stream, &segment, cipher, plain) == LETHE_OK)
        return LETHE_OK;
    return shard_segment_refused(reader, index, err);
}

lethe_result shard_segment_refused(const struct shard_reader *reader, uint64_t index,
                                   struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(reader, index);
    return error_set(err, LETHE_INTEGRITY,
                     "%s: segment %" PRIu64 " of %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64
                     ") was changed, or the key is not its own",
                     reader->shard->file, index + 1, reader->segments, segment.cipher_offset,
                     segment.cipher_offset + segment.cipher_bytes);
}

lethe_result shard_read_segment(const struct shard_reader *reader, uint64_t index, void *cipher,
                                void *plain, struct lethe_error *err)
{
    TRY(shard_read_cipher(reader, index, cipher, err));
    return shard_open_segment(reader, index, cipher, plain, err);
}
