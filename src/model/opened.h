/* model/opened.h -- the inside of struct model, for the files that work on one. */
#ifndef MODEL_OPENED_H
#define MODEL_OPENED_H

#include "base/buffer.h"
#include "model/model.h"
#include "model/oms_format.h"
#include "model/tink.h"

/* Everything is read below these two descriptors, so that a path that is changed meanwhile leads
 * nowhere. */
struct model {
    char *path; /* for errors */
    int dir_fd;
    int shards_fd;
    struct manifest *manifest;
    struct buffer manifest_text;
    struct buffer signature_text;
    struct oms_list signed_list; /* once the signature was checked */
    bool is_signed;
};

/* A shard being decrypted. */
struct shard_reader {
    const struct shard *shard;
    int fd;
    uint8_t header[TINK_HEADER_MAX]; /* the file's first bytes */
    struct tink_stream *stream;
    uint64_t segments;
};
#define SHARD_READER_NONE                                                                          \
    (struct shard_reader)                                                                          \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
void shard_reader_close(struct shard_reader *reader);
static inline void shard_reader_close_at_scope_end(struct shard_reader *reader)
{
    shard_reader_close(reader);
}
struct keys_ahead;
/* By whose leave, and what for. */
struct shard_access {
    const struct key_source *keys;
    struct keys_ahead *ahead; /* NULL: each key is asked for when its shard is opened */
    const char *purpose;      /* as in struct key_use */
    enum aead_backend backend;
};
/* Unwraps the data key, derives the stream's key from it, and wipes it (Z-2). The model's signature
 * has been checked. */
LETHE_MUST_CHECK lethe_result shard_reader_open(const struct model *model, size_t shard_index,
                                                const struct shard_access *access,
                                                struct shard_reader *out, struct lethe_error *err);
/* The same without a stream, for whoever opens segments elsewhere: *key is the stream's derived
 * key, which the caller frees as soon as it was handed on. */
LETHE_MUST_CHECK lethe_result shard_reader_open_key(const struct model *model, size_t shard_index,
                                                    const struct shard_access *access,
                                                    struct shard_reader *out,
                                                    struct lethe_secret **key,
                                                    struct lethe_error *err);
/* Reads segment `index` to `cipher` (its cipher_bytes); opens it to `plain` (its plain_bytes),
 * which may be the same place; or both at once. Any thread. LETHE_INTEGRITY: `plain` has been
 * wiped. */
LETHE_MUST_CHECK lethe_result shard_read_cipher(const struct shard_reader *reader, uint64_t index,
                                                void *cipher, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result shard_open_segment(const struct shard_reader *reader, uint64_t index,
                                                 const void *cipher, void *plain,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result shard_read_segment(const struct shard_reader *reader, uint64_t index,
                                                 void *cipher, void *plain,
                                                 struct lethe_error *err);
/* Gives LETHE_INTEGRITY: names the segment that did not open. */
lethe_result shard_segment_refused(const struct shard_reader *reader, uint64_t index,
                                   struct lethe_error *err);
static inline struct tink_segment shard_segment(const struct shard_reader *reader, uint64_t index)
{
    return tink_segment_at(&tink_shard_parameters, reader->shard->size, index);
}

#endif
