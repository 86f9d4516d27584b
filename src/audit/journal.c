#include "audit/journal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "audit/files.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "crypto/hash.h"

#define MAGIC "LTHJRNL1"
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define FIELDS_BYTES (MAGIC_BYTES + 4 * sizeof(uint64_t) + 4 * sizeof(uint32_t))
#define HEADER_BYTES (FIELDS_BYTES + SHA256_BYTES)
#define BODY_MAX ((uint64_t)64 << 20) /* of a group: no writer makes one of a quarter of that */

struct header {
    uint64_t generation;
    struct journal_group group;
    uint8_t digest[SHA256_BYTES];
};

/* ---- opening --------------------------------------------------------------------------------- */

static lethe_result look_at(struct journal *journal, struct lethe_error *err)
{
    struct stat status;
    if (fstat(journal->fd, &status) != 0)
        return error_from_errno(err, "looking at " JOURNAL_NAME);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, JOURNAL_NAME " is not a regular file");
    journal->size = (uint64_t)status.st_size;
    return file_check_private(JOURNAL_NAME, &status, err);
}

static lethe_result open_as(struct journal *journal, int directory, int flags,
                            struct lethe_error *err)
{
    *journal =
        (struct journal){.fd = openat(directory, JOURNAL_NAME,
                                      flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILES_MODE)};
    if (journal->fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
        return error_set(err, LETHE_INTEGRITY, JOURNAL_NAME " is not a regular file");
    if (journal->fd < 0)
        return error_from_errno(err, "opening " JOURNAL_NAME);
    return look_at(journal, err);
}

/* Zeros that are really written: space that was only reserved is marked as written by a second
 * write to the disk, each time. */
static lethe_result fill(struct journal *journal, struct lethe_error *err)
{
    static const uint8_t zeros[16 << 10];
    for (; journal->size < JOURNAL_BYTES; journal->size += sizeof zeros)
        TRY(file_write_at(journal->fd, JOURNAL_NAME, journal->size, zeros, sizeof zeros, err));
    if (fsync(journal->fd) != 0)
        return error_from_errno(err, "syncing " JOURNAL_NAME);
    return LETHE_OK;
}

lethe_result journal_open(struct journal *journal, int directory, struct lethe_error *err)
{
    lethe_result result = open_as(journal, directory, O_RDWR | O_CREAT, err);
    if (result == LETHE_OK && journal->size < JOURNAL_BYTES) {
        result = fill(journal, err);
        if (result == LETHE_OK)
            result = file_sync_directory(directory, ".", err);
    }
    if (result != LETHE_OK)
        journal_close(journal);
    return result;
}

lethe_result journal_open_to_read(struct journal *journal, int directory, struct lethe_error *err)
{
    lethe_result result = open_as(journal, directory, O_RDONLY, err);
    if (result != LETHE_OK)
        journal_close(journal);
    return result;
}

void journal_close(struct journal *journal)
{
    fd_close(journal->fd);
    journal->fd = -1;
}

/* ---- headers --------------------------------------------------------------------------------- */

/* The header less its digest, then the body. */
static void append_hashed(struct buffer *out, uint64_t generation,
                          const struct journal_group *group)
{
    buffer_text(out, MAGIC);
    buffer_le64(out, generation);
    buffer_le64(out, group->records);
    buffer_le64(out, group->lines_at);
    buffer_le64(out, group->note_at);
    buffer_le32(out, group->number);
    buffer_le32(out, group->count);
    buffer_le32(out, group->lines_bytes);
    buffer_le32(out, group->note_bytes);
    buffer_append(out, group->lines, group->lines_bytes);
    buffer_append(out, group->note, group->note_bytes);
}

/* False for what is no header at all. */
static bool parse_header(const uint8_t bytes[HEADER_BYTES], struct header *out)
{
    struct cursor cursor = cursor_over(bytes, HEADER_BYTES);
    struct journal_group *group = &out->group;
    const uint8_t *magic;
    const uint8_t *digest;
    *out = (struct header){0};
    if (cursor_bytes(&cursor, MAGIC_BYTES, &magic) != LETHE_OK ||
        memcmp(magic, MAGIC, MAGIC_BYTES) != 0 ||
        cursor_le64(&cursor, &out->generation) != LETHE_OK ||
        cursor_le64(&cursor, &group->records) != LETHE_OK ||
        cursor_le64(&cursor, &group->lines_at) != LETHE_OK ||
        cursor_le64(&cursor, &group->note_at) != LETHE_OK ||
        cursor_le32(&cursor, &group->number) != LETHE_OK ||
        cursor_le32(&cursor, &group->count) != LETHE_OK ||
        cursor_le32(&cursor, &group->lines_bytes) != LETHE_OK ||
        cursor_le32(&cursor, &group->note_bytes) != LETHE_OK ||
        cursor_bytes(&cursor, SHA256_BYTES, &digest) != LETHE_OK)
        return false;
    memcpy(out->digest, digest, SHA256_BYTES);
    return true;
}

static lethe_result read_header(const struct journal *journal, uint64_t offset, struct header *out,
                                bool *is_one, struct lethe_error *err)
{
    uint8_t bytes[HEADER_BYTES];
    *is_one = false;
    if (offset > journal->size || journal->size - offset < HEADER_BYTES)
        return LETHE_OK;
    TRY(file_read_at(journal->fd, JOURNAL_NAME, offset, bytes, sizeof bytes, err));
    *is_one = parse_header(bytes, out);
    return LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

lethe_result journal_follow(struct journal *journal, struct lethe_error *err)
{
    struct header header;
    bool is_one;
    TRY(look_at(journal, err)); /* somebody may have made it grow */
    if (journal->offset == 0)
        return LETHE_OK;
    TRY(read_header(journal, 0, &header, &is_one, err));
    if (!is_one || header.generation != journal->generation)
        journal->offset = 0;
    return LETHE_OK;
}

static uint64_t body_bytes(const struct journal_group *group)
{
    return (uint64_t)group->lines_bytes + group->note_bytes;
}

static bool is_of_generation(const struct journal *journal, const struct header *header)
{
    return journal->offset == 0 ? header->generation == header->group.records
                                : header->generation == journal->generation;
}

/* Whether header and body have the digest that the header says. */
static lethe_result read_body(const struct journal *journal, struct header *header,
                              struct buffer *bytes, bool *whole, struct lethe_error *err)
{
    struct journal_group *group = &header->group;
    uint64_t body = body_bytes(group);
    uint64_t at = journal->offset + HEADER_BYTES;
    uint8_t digest[SHA256_BYTES];
    CLEANUP(buffer_clear) struct buffer hashed = {0};
    *whole = false;
    if (body > BODY_MAX || body > journal->size - at)
        return LETHE_OK;
    char *room = buffer_extend(bytes, (size_t)body);
    TRY(buffer_result(bytes, err));
    TRY(file_read_at(journal->fd, JOURNAL_NAME, at, room, (size_t)body, err));
    group->lines = room;
    group->note = room + group->lines_bytes;
    append_hashed(&hashed, header->generation, group);
    TRY(buffer_result(&hashed, err));
    sha256(hashed.bytes, hashed.size_bytes, digest);
    *whole = memcmp(digest, header->digest, sizeof digest) == 0;
    return LETHE_OK;
}

lethe_result journal_next(struct journal *journal, struct buffer *bytes, struct journal_group *out,
                          enum journal_found *found, struct lethe_error *err)
{
    struct header header;
    bool is_one;
    bool whole;
    *found = JOURNAL_NOTHING;
    TRY(read_header(journal, journal->offset, &header, &is_one, err));
    if (!is_one || !is_of_generation(journal, &header))
        return LETHE_OK;
    buffer_truncate(bytes, 0);
    TRY(read_body(journal, &header, bytes, &whole, err));
    *found = whole ? JOURNAL_GROUP : JOURNAL_TORN;
    if (!whole)
        return LETHE_OK;
    journal->generation = header.generation;
    journal->offset += HEADER_BYTES + body_bytes(&header.group);
    *out = header.group;
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

bool journal_is_full_for(const struct journal *journal, const struct journal_group *group)
{
    uint64_t needed = HEADER_BYTES + body_bytes(group);
    return journal->offset > 0 && (needed > journal->size - MIN(journal->offset, journal->size));
}

void journal_begin_anew(struct journal *journal)
{
    journal->offset = 0;
}

/* Durable when it returns. */
static lethe_result write_through(const struct journal *journal, uint64_t offset, const void *bytes,
                                  size_t size_bytes, struct lethe_error *err)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
    ssize_t written = pwritev2(journal->fd, &part, 1, (off_t)offset, RWF_DSYNC);
    if (written == (ssize_t)size_bytes)
        return LETHE_OK;
    if (written < 0 && errno != EINTR && errno != EOPNOTSUPP && errno != ENOSYS)
        return error_from_errno(err, "writing " JOURNAL_NAME);
    /* Interrupted, short, or a kernel that does not know the flag: in two steps. */
    TRY(file_write_at(journal->fd, JOURNAL_NAME, offset, bytes, size_bytes, err));
    if (fdatasync(journal->fd) != 0)
        return error_from_errno(err, "syncing " JOURNAL_NAME);
    return LETHE_OK;
}

static lethe_result erase_header(const struct journal *journal, uint64_t offset,
                                 struct lethe_error *err)
{
    static const uint8_t zeros[HEADER_BYTES];
    return write_through(journal, offset, zeros, sizeof zeros, err);
}

static void make_bytes(uint64_t generation, const struct journal_group *group, struct buffer *out)
{
    CLEANUP(buffer_clear) struct buffer hashed = {0};
    uint8_t digest[SHA256_BYTES];
    append_hashed(&hashed, generation, group);
    if (buffer_result(&hashed, NULL) != LETHE_OK) {
        out->failure = LETHE_NO_MEMORY;
        return;
    }
    sha256(hashed.bytes, hashed.size_bytes, digest);
    buffer_append(out, hashed.bytes, FIELDS_BYTES);
    buffer_append(out, digest, sizeof digest);
    buffer_append(out, hashed.bytes + FIELDS_BYTES, hashed.size_bytes - FIELDS_BYTES);
}

lethe_result journal_append(struct journal *journal, const struct journal_group *group,
                            bool *undone, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    uint64_t generation = journal->offset == 0 ? group->records : journal->generation;
    *undone = true;
    REQUIRE(body_bytes(group) <= BODY_MAX);
    make_bytes(generation, group, &bytes);
    TRY(buffer_result(&bytes, err));
    lethe_result result =
        write_through(journal, journal->offset, bytes.bytes, bytes.size_bytes, err);
    if (result != LETHE_OK) {
        *undone = journal_undo(journal, NULL) == LETHE_OK;
        return result;
    }
    journal->generation = generation;
    journal->offset += bytes.size_bytes;
    journal->size = MAX(journal->size, journal->offset);
    return LETHE_OK;
}

lethe_result journal_undo(struct journal *journal, struct lethe_error *err)
{
    return erase_header(journal, journal->offset, err);
}

lethe_result journal_clear(struct journal *journal, struct lethe_error *err)
{
    static const uint8_t zeros[HEADER_BYTES];
    journal->offset = 0;
    return file_write_at(journal->fd, JOURNAL_NAME, 0, zeros, sizeof zeros, err);
}
