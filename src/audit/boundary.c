#include "audit/boundary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/note.h"
#include "audit/proof.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define NAME_SUFFIX "/boundary"
#define BOUNDARY_NEW "boundary.new" /* one name is enough: it is written under the log's lock */

void boundary_name(unsigned number, char out[BOUNDARY_NAME_SIZE])
{
    REQUIRE(number >= BOUNDARY_NUMBER_MIN && number <= FILES_NUMBER_MAX);
    snprintf(out, BOUNDARY_NAME_SIZE, "%06u.boundary", number);
}

void boundary_key(const struct audit_key *log_key, struct audit_key *out)
{
    *out = *log_key;
    int length = snprintf(out->name, sizeof out->name, "%s" NAME_SUFFIX, log_key->name);
    REQUIRE(length > 0 && (size_t)length < sizeof out->name);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void append_hash(struct buffer *out, const char *name, const uint8_t *hash)
{
    buffer_text(out, name);
    base64_append(out, hash, MERKLE_HASH_BYTES);
    buffer_byte(out, '\n');
}

void boundary_text(const struct replay *place, const struct audit_key *log_key, struct buffer *out)
{
    uint8_t root[MERKLE_HASH_BYTES];
    const struct merkle *tree = &place->chain.tree;
    merkle_root(tree, root);
    buffer_format(out, "%s" NAME_SUFFIX "\n%llu\n", log_key->name,
                  (unsigned long long)tree->leaves);
    append_hash(out, "", root);
    buffer_format(out, "file %u\n", place->number);
    buffer_format(out, "checkpoints %llu %llu %llu\n", (unsigned long long)place->notes,
                  (unsigned long long)place->note_at, (unsigned long long)place->note_offset);
    append_hash(out, "prev ", place->chain.prev);
    buffer_format(out, "epoch %llu\ntime %llu\n", (unsigned long long)place->chain.epoch,
                  (unsigned long long)place->time_ns);
    buffer_format(out, "trimmed %u %llu\n", place->trimmed.file,
                  (unsigned long long)place->trimmed.records);
    for (unsigned level = 0; level < 64; level++) {
        if ((tree->leaves >> level & 1) != 0)
            append_hash(out, "edge ", tree->edge[level]);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The words of the next line behind its name; false when it has another name. */
static bool take_line(struct cursor *text, const char *name, struct cursor *words)
{
    const char *line = NULL;
    size_t length = 0;
    size_t named = strlen(name);
    if (cursor_line(text, &line, &length) != LETHE_OK || length < named ||
        memcmp(line, name, named) != 0)
        return false;
    *words = cursor_over(line + named, length - named);
    return true;
}

static bool take_numbers(struct cursor *text, const char *name, uint64_t *numbers, size_t count)
{
    struct cursor words;
    if (!take_line(text, name, &words))
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *space = memchr(words.at, ' ', cursor_left(&words));
        const uint8_t *end = i + 1 < count && space != NULL ? space : words.end;
        if (!note_decimal((const char *)words.at, (size_t)(end - words.at), &numbers[i]))
            return false;
        words.at = end == words.end ? end : end + 1;
    }
    return true;
}

static bool take_hash(struct cursor *text, const char *name, uint8_t out[MERKLE_HASH_BYTES])
{
    struct cursor words;
    size_t size_bytes = 0;
    return take_line(text, name, &words) &&
           base64_decode((const char *)words.at, cursor_left(&words), out, MERKLE_HASH_BYTES,
                         &size_bytes) == LETHE_OK &&
           size_bytes == MERKLE_HASH_BYTES;
}

static bool take_edge(struct cursor *text, struct merkle *tree)
{
    if (tree->leaves == 0 || tree->leaves > PROOF_SIZE_MAX)
        return false;
    for (unsigned level = 0; level < 64; level++) {
        if ((tree->leaves >> level & 1) != 0 && !take_hash(text, "edge ", tree->edge[level]))
            return false;
    }
    return true;
}

static bool take_file(struct cursor *text, const char *name, uint64_t *numbers, size_t count,
                      unsigned *file)
{
    if (!take_numbers(text, name, numbers, count) || numbers[0] > FILES_NUMBER_MAX)
        return false;
    *file = (unsigned)numbers[0];
    return true;
}

/* The lines behind the origin. */
static bool take_place(struct cursor *text, struct replay *out, uint8_t root[MERKLE_HASH_BYTES])
{
    uint64_t file[1], notes[3], trimmed[2];
    if (!take_numbers(text, "", &out->chain.tree.leaves, 1) || !take_hash(text, "", root) ||
        !take_file(text, "file ", file, 1, &out->number) ||
        !take_numbers(text, "checkpoints ", notes, 3) ||
        !take_hash(text, "prev ", out->chain.prev) ||
        !take_numbers(text, "epoch ", &out->chain.epoch, 1) ||
        !take_numbers(text, "time ", &out->time_ns, 1) ||
        !take_file(text, "trimmed ", trimmed, 2, &out->trimmed.file) ||
        !take_edge(text, &out->chain.tree) || cursor_left(text) != 0)
        return false;
    out->notes = notes[0];
    out->note_at = notes[1];
    out->note_offset = notes[2];
    out->trimmed.records = trimmed[1];
    return out->number >= BOUNDARY_NUMBER_MIN && out->notes > 0 && out->note_at < out->note_offset;
}

static lethe_result parse(const struct note *note, const struct audit_key *key, struct replay *out,
                          struct lethe_error *err)
{
    struct cursor text = cursor_over(note->text, note->text_bytes);
    struct cursor origin;
    uint8_t stated[MERKLE_HASH_BYTES], root[MERKLE_HASH_BYTES];
    *out = (struct replay){0};
    if (!take_line(&text, "", &origin))
        return error_set(err, LETHE_MALFORMED, "a boundary without an origin");
    if (cursor_left(&origin) != strlen(key->name) ||
        memcmp(origin.at, key->name, strlen(key->name)) != 0)
        return error_set(err, LETHE_INTEGRITY, "no boundary of this log: expected %s", key->name);
    if (!take_place(&text, out, stated))
        return error_set(err, LETHE_MALFORMED, "a boundary whose lines are not as they must be");
    merkle_root(&out->chain.tree, root);
    if (memcmp(root, stated, sizeof root) != 0)
        return error_set(err, LETHE_INTEGRITY, "a boundary whose edge has another root");
    return LETHE_OK;
}

static lethe_result split(const char *bytes, size_t size_bytes, struct note *out,
                          struct lethe_error *err)
{
    if (size_bytes > BOUNDARY_MAX)
        return error_set(err, LETHE_MALFORMED, "a boundary of more than %d bytes", BOUNDARY_MAX);
    TRY(note_split(bytes, size_bytes, out, err));
    if (out->signatures_bytes == 0)
        return error_set(err, LETHE_MALFORMED, "a boundary without a signature");
    return LETHE_OK;
}

lethe_result boundary_parse(const char *bytes, size_t size_bytes, const struct audit_key *log_key,
                            struct replay *out, struct lethe_error *err)
{
    struct note note;
    struct audit_key key;
    boundary_key(log_key, &key);
    TRY(split(bytes, size_bytes, &note, err));
    return parse(&note, &key, out, err);
}

lethe_result boundary_open(const char *bytes, size_t size_bytes, const struct audit_key *log_key,
                           struct replay *out, struct lethe_error *err)
{
    struct note note;
    struct audit_key key;
    boundary_key(log_key, &key);
    TRY(split(bytes, size_bytes, &note, err));
    TRY(parse(&note, &key, out, err));
    return note_verify(&note, &key, err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static lethe_result read_file(int directory, const char *name, struct buffer *out,
                              struct lethe_error *err)
{
    uint64_t size_bytes;
    TRY(files_size(directory, name, &size_bytes, err));
    if (size_bytes > BOUNDARY_MAX)
        return error_set(err, LETHE_MALFORMED, "a boundary of more than %d bytes", BOUNDARY_MAX);
    return file_read_all(directory, name, BOUNDARY_MAX, out, err);
}

lethe_result boundary_read(int directory, unsigned number, const struct audit_key *log_key,
                           struct replay *out, struct lethe_error *err)
{
    char name[BOUNDARY_NAME_SIZE];
    CLEANUP(buffer_clear) struct buffer note = {0};
    boundary_name(number, name);
    TRY(error_context(err, read_file(directory, name, &note, err), "%s", name));
    TRY(error_context(err, boundary_open(note.bytes, note.size_bytes, log_key, out, err), "%s",
                      name));
    if (out->number != number)
        return error_set(err, LETHE_INTEGRITY, "%s: the boundary of file %u", name, out->number);
    return LETHE_OK;
}

static lethe_result read_checkpoint(int directory, const struct replay *place, struct buffer *out,
                                    struct lethe_error *err)
{
    size_t size_bytes = (size_t)(place->note_offset - place->note_at);
    CLEANUP(fd_close)
    int fd = openat(directory, FILES_CHECKPOINTS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return error_from_errno(err, "opening " FILES_CHECKPOINTS);
    char *room = buffer_extend(out, size_bytes);
    TRY(buffer_result(out, err));
    return file_read_at(fd, FILES_CHECKPOINTS, place->note_at, room, size_bytes, err);
}

lethe_result boundary_fits(int directory, const struct files_view *view,
                           const struct audit_key *log_key, const struct replay *place,
                           struct lethe_error *err)
{
    struct audit_checkpoint checkpoint = {0};
    uint8_t root[MERKLE_HASH_BYTES];
    CLEANUP(buffer_clear) struct buffer note = {0};
    if (!view->has_notes || place->note_offset > view->notes_bytes)
        return error_set(err, LETHE_INTEGRITY,
                         FILES_CHECKPOINTS " ends before the boundary of file %u: it was cut",
                         place->number);
    if (place->note_offset - place->note_at > AUDIT_NOTE_MAX)
        return error_set(err, LETHE_INTEGRITY, "the boundary of file %u names no checkpoint",
                         place->number);
    TRY(read_checkpoint(directory, place, &note, err));
    merkle_root(&place->chain.tree, root);
    if (audit_checkpoint_open(note.bytes, note.size_bytes - 1, log_key, &checkpoint, NULL) !=
            LETHE_OK ||
        checkpoint.records != place->chain.tree.leaves ||
        memcmp(checkpoint.root, root, sizeof root) != 0)
        return error_set(err, LETHE_INTEGRITY,
                         "the boundary of file %u and the checkpoint that it names differ",
                         place->number);
    return LETHE_OK;
}

lethe_result boundary_write(int directory, unsigned number, const struct buffer *note,
                            struct lethe_error *err)
{
    char name[BOUNDARY_NAME_SIZE];
    boundary_name(number, name);
    CLEANUP(fd_close)
    int fd = openat(directory, BOUNDARY_NEW,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILES_MODE);
    if (fd < 0)
        return error_from_errno(err, "opening " BOUNDARY_NEW);
    TRY(file_write(fd, BOUNDARY_NEW, note->bytes, note->size_bytes, err));
    if (fsync(fd) != 0)
        return error_from_errno(err, "syncing " BOUNDARY_NEW);
    if (renameat(directory, BOUNDARY_NEW, directory, name) != 0)
        return error_from_errno(err, "replacing %s", name);
    return file_sync_directory(directory, ".", err);
}
