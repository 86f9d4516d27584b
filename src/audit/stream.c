#include "audit/stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

lethe_result stream_open(struct stream *stream, int directory, const char *name,
                         struct stream_range range, struct lethe_error *err)
{
    *stream = (struct stream){.fd = -1, .name = name, .offset = range.begin, .end = range.end};
    stream->buffer = malloc(STREAM_BUFFER_BYTES);
    if (stream->buffer == NULL)
        return error_set(err, LETHE_NO_MEMORY, "a buffer for reading %s", name);
    stream->fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (stream->fd < 0)
        return error_from_errno(err, "opening %s", name);
    return LETHE_OK;
}

void stream_close(struct stream *stream)
{
    if (stream->buffer == NULL)
        return;
    fd_close(stream->fd);
    free(stream->buffer);
    *stream = (struct stream){0};
}

size_t stream_line(const uint8_t *bytes, size_t size_bytes)
{
    const uint8_t *newline = memchr(bytes, '\n', size_bytes);
    return newline == NULL ? 0 : (size_t)(newline - bytes) + 1;
}

size_t stream_note(const uint8_t *bytes, size_t size_bytes)
{
    const uint8_t *text_end = memmem(bytes, size_bytes, "\n\n", 2);
    if (text_end == NULL)
        return 0;
    size_t behind_text = (size_t)(text_end - bytes) + 2;
    const uint8_t *end = memmem(bytes + behind_text, size_bytes - behind_text, "\n\n", 2);
    return end == NULL ? 0 : (size_t)(end - bytes) + 2;
}

/* Moves what is left to the front and reads more behind it. */
static lethe_result refill(struct stream *stream, struct lethe_error *err)
{
    size_t kept = stream->filled - stream->start;
    memmove(stream->buffer, stream->buffer + stream->start, kept);
    stream->start = 0;
    stream->filled = kept;

    uint64_t position = stream->offset + kept;
    size_t wanted = (size_t)MIN(STREAM_BUFFER_BYTES - kept, stream->end - position);
    TRY(file_read_at(stream->fd, stream->name, position, stream->buffer + kept, wanted, err));
    stream->filled += wanted;
    return LETHE_OK;
}

lethe_result stream_next(struct stream *stream, stream_unit *find, const char **unit,
                         size_t *length, struct lethe_error *err)
{
    *unit = NULL;
    *length = 0;
    for (;;) {
        size_t available = stream->filled - stream->start;
        size_t found = find(stream->buffer + stream->start, available);
        if (found > 0) {
            *unit = (const char *)stream->buffer + stream->start;
            *length = found;
            stream->start += found;
            stream->offset += found;
            return LETHE_OK;
        }
        /* A unit that fills the whole buffer is none: the caller sees the bytes that are left. */
        if (available == STREAM_BUFFER_BYTES || stream->offset + available == stream->end)
            return LETHE_OK;
        TRY(refill(stream, err));
    }
}
