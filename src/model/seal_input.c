/* Where plaintext comes from: files, and the shards of an older model. */
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "crypto/hash.h"
#include "model/seal.h"

/* ---- files ----------------------------------------------------------------------------------- */

struct source_stream {
    const struct source *source;
    const struct shard *shard;
    int fd;
};

static void source_close(void *stream)
{
    struct source_stream *file = stream;
    if (file == NULL)
        return;
    fd_close(file->fd);
    free(file);
}

static lethe_result source_begin(void *context, size_t shard_index, void **stream,
                                 struct lethe_error *err)
{
    const struct seal_sources *from = context;
    struct source_stream *file = calloc(1, sizeof *file);
    if (file == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a shard");
    *file = (struct source_stream){.source = &from->sources->items[from->source_of[shard_index]],
                                   .shard = &from->manifest->shards[shard_index],
                                   .fd = -1};
    *stream = file;
    return source_open(file->source, &file->fd, err);
}

static uint64_t next_block(uint64_t offset)
{
    return (offset + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES * TREE_BLOCK_BYTES;
}

static lethe_result read_plaintext(const struct source_stream *file, uint64_t offset,
                                   size_t size_bytes, uint8_t *out, struct lethe_error *err)
{
    while (size_bytes > 0) {
        struct extent piece = extent_piece(&file->shard->extents, offset, size_bytes);
        size_t piece_bytes = extent_bytes(&piece);
        TRY(file_read_at(file->fd, file->source->path, piece.begin, out, piece_bytes, err));
        offset += piece_bytes;
        out += piece_bytes;
        size_bytes -= piece_bytes;
    }
    return LETHE_OK;
}

/* Reads on to the end of the last block that begins in the segment. */
static lethe_result source_read(void *stream, struct block_run *run, uint64_t index, bool first,
                                struct lethe_error *err)
{
    const struct source_stream *file = stream;
    struct staging *staging = run->staging;
    uint64_t size = file->shard->size;
    struct tink_segment segment = tink_segment_at(&tink_shard_parameters, size, index);
    uint64_t begin = segment.plain_offset;
    uint64_t end = MIN(size, next_block(begin + segment.plain_bytes));
    lethe_result result = read_plaintext(file, begin, end - begin, staging->segment, err);
    if (result == LETHE_INTEGRITY) /* cut short: changed meanwhile, and by no attack on us */
        TRY(source_check_unchanged(file->source, file->fd, err));
    TRY(result);
    uint64_t first_block = next_block(begin);
    if (first_block >= end)
        return LETHE_OK;
    tree_hash_blocks(staging->segment + (first_block - begin), end - first_block,
                     staging->hashes + run->hashes * TREE_HASH_BYTES);
    run->hashes += (end - first_block + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES;
    return LETHE_OK;
}

static lethe_result source_finish_range(void *stream, struct block_run *run, uint64_t behind,
                                        struct lethe_error *err)
{
    return LETHE_OK; /* every block was read to its end */
}

static lethe_result source_finish(void *stream, const struct shard *shard, struct lethe_error *err)
{
    const struct source_stream *file = stream;
    return source_check_unchanged(file->source, file->fd, err);
}

const struct seal_input seal_from_sources = {.open = source_begin,
                                             .read = source_read,
                                             .finish_range = source_finish_range,
                                             .finish = source_finish,
                                             .close = source_close};

/* ---- shards ---------------------------------------------------------------------------------- */

static void shard_close(void *stream)
{
    struct shard_reader *reader = stream;
    if (reader == NULL)
        return;
    shard_reader_close(reader);
    free(reader);
}

static void look_ahead(struct seal_renewed *renewed, const struct shard_access *access,
                       size_t shard_index)
{
    size_t shards[KEYS_AHEAD_MAX];
    size_t count = keys_ahead_choose(renewed->model->manifest, renewed->skip, shard_index, shards);
    renewed->ahead_until = shards[count - 1] + 1;
    keys_ahead_fill(&renewed->ahead, renewed->model, access, shards, count);
}

static lethe_result shard_begin(void *context, size_t shard_index, void **stream,
                                struct lethe_error *err)
{
    struct seal_renewed *renewed = context;
    const struct shard_access access = {
        .keys = renewed->keys, .ahead = &renewed->ahead, .purpose = KEY_PURPOSE_REENCRYPT};
    if (shard_index >= renewed->ahead_until)
        look_ahead(renewed, &access, shard_index);
    struct shard_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a shard");
    *reader = SHARD_READER_NONE;
    *stream = reader;
    return shard_reader_open(renewed->model, shard_index, &access, reader, err);
}

static lethe_result shard_read(void *stream, struct block_run *run, uint64_t index, bool first,
                               struct lethe_error *err)
{
    const struct shard_reader *reader = stream;
    TRY(shard_read_cipher(reader, index, run->staging->segment, err));
    return blocks_open(run, reader, index, first, err);
}

static lethe_result shard_finish_range(void *stream, struct block_run *run, uint64_t behind,
                                       struct lethe_error *err)
{
    return blocks_finish(run, stream, behind, err);
}

/* Its tags fit, but after a compromise the one who made them may have been another. */
static lethe_result shard_finish(void *stream, const struct shard *shard, struct lethe_error *err)
{
    const struct shard_reader *reader = stream;
    if (bytes_equal(shard->digest, reader->shard->digest, TREE_HASH_BYTES))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "%s: the plaintext is not what its digest says",
                     shard->file);
}

const struct seal_input seal_from_shards = {.open = shard_begin,
                                            .read = shard_read,
                                            .finish_range = shard_finish_range,
                                            .finish = shard_finish,
                                            .close = shard_close};
