#include "kms/root_file.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "kms/secret_file.h"

/* "lethe-root/1 <key, 64 hex> <checksum, 16 hex>\n", or, from the first change of the key on,
 * "lethe-root/2 <generation, 16 hex> <key, 64 hex> <checksum, 16 hex>\n". The checksum is the start
 * of the SHA-256 of everything before it, so that damage is told from a wrong key. */
#define HEAD_BYTES 13u
#define CHECK_BYTES 8u
#define GENERATION_HEX 16u
#define KEY_HEX ((size_t)2 * ROOT_KEY_BYTES)
#define CHECK_HEX ((size_t)2 * CHECK_BYTES)
#define SECOND_AT 112u

static const struct form {
    const char *head;
    size_t key_at;
    size_t line_bytes;
} forms[] = {
    {"lethe-root/1 ", HEAD_BYTES, 95},
    {"lethe-root/2 ", HEAD_BYTES + GENERATION_HEX + 1, SECOND_AT},
};
_Static_assert(SECOND_AT == HEAD_BYTES + GENERATION_HEX + 1 + KEY_HEX + 1 + CHECK_HEX + 1,
               "a line of the second form");
_Static_assert(ROOT_FILE_MAX == 2 * SECOND_AT, "two of them");

static size_t check_at(const struct form *form)
{
    return form->key_at + KEY_HEX + 1;
}

static void checksum_of(const struct form *form, const char *line, char hex[CHECK_HEX + 1])
{
    uint8_t digest[SHA256_BYTES];
    sha256(line, check_at(form), digest);
    hex_encode(digest, CHECK_BYTES, hex);
}

/* ---- reading --------------------------------------------------------------------------------- */

void root_lines_clear(struct root_lines *lines)
{
    for (size_t i = 0; i < ARRAY_LEN(lines->at); i++)
        lethe_secret_free(lines->at[i].key);
    *lines = (struct root_lines){0};
}

static bool is_whole(const struct form *form, const char *text, size_t size_bytes)
{
    char checksum[CHECK_HEX + 1];
    if (size_bytes < form->line_bytes || memcmp(text, form->head, HEAD_BYTES) != 0 ||
        text[check_at(form) - 1] != ' ' || text[form->line_bytes - 1] != '\n')
        return false;
    checksum_of(form, text, checksum);
    return memcmp(text + check_at(form), checksum, CHECK_HEX) == 0;
}

static lethe_result take_generation(const struct form *form, const char *text, uint64_t *out)
{
    uint64_t bytes = 0;
    *out = 0;
    if (form == &forms[0])
        return LETHE_OK;
    if (text[form->key_at - 1] != ' ')
        return LETHE_MALFORMED;
    TRY(hex_decode(text + HEAD_BYTES, GENERATION_HEX, &bytes, sizeof bytes));
    *out = be64toh(bytes);
    return *out > 0 ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_line(const struct form *form, const char *text, struct root_line *out,
                              struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(lethe_secret_create(ROOT_KEY_BYTES, &key, err));
    if (take_generation(form, text, &out->generation) != LETHE_OK ||
        hex_decode(text + form->key_at, KEY_HEX, lethe_secret_bytes(key), ROOT_KEY_BYTES) !=
            LETHE_OK)
        return LETHE_OK; /* no line of ours, whatever its checksum says */
    out->key = MOVE(key);
    return LETHE_OK;
}

/* *end is the length of the line that is there, 0 for none. */
static lethe_result parse_line(const char *text, size_t size_bytes, struct root_line *out,
                               size_t *end, struct lethe_error *err)
{
    *end = 0;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (!is_whole(&forms[i], text, size_bytes))
            continue;
        TRY(take_line(&forms[i], text, out, err));
        *end = out->key != NULL ? forms[i].line_bytes : 0;
        return LETHE_OK;
    }
    return LETHE_OK;
}

static lethe_result parse_both(const char *text, size_t size_bytes, struct root_lines *out,
                               struct lethe_error *err)
{
    size_t end;
    TRY(parse_line(text, size_bytes, &out->at[0], &end, err));
    out->tidy = end > 0 && end == size_bytes;
    if (size_bytes > SECOND_AT)
        TRY(parse_line(text + SECOND_AT, size_bytes - SECOND_AT, &out->at[1], &end, err));
    if (out->at[0].key == NULL && out->at[1].key == NULL)
        return error_set(err, LETHE_MALFORMED, "this is not the line of a root key");
    return LETHE_OK;
}

lethe_result root_lines_parse(const void *text, size_t size_bytes, struct root_lines *out,
                              struct lethe_error *err)
{
    *out = (struct root_lines){0};
    if (size_bytes > ROOT_FILE_MAX)
        return error_set(err, LETHE_MALFORMED, "a root file has at most %u bytes, not %zu",
                         ROOT_FILE_MAX, size_bytes);
    lethe_result result = parse_both(text, size_bytes, out, err);
    if (result != LETHE_OK)
        root_lines_clear(out);
    return result;
}

lethe_result root_file_read(const char *path, struct root_lines *out, struct lethe_error *err)
{
    *out = (struct root_lines){0};
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    lethe_result result = secret_file_read(path, &text, err);
    if (result == LETHE_UNAVAILABLE)
        error_hint(err, "bring the root file back, from its disk or from a backup");
    TRY(result);
    result = root_lines_parse(lethe_secret_bytes_const(text), lethe_secret_size(text), out, err);
    if (result != LETHE_MALFORMED)
        return result;
    error_set(err, LETHE_INTEGRITY, "the root file %s is damaged: it is not what was written",
              path);
    error_hint(err, "put back a copy of it; the store is not to blame");
    return LETHE_INTEGRITY;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The text is as secret as the key: it never leaves guarded memory on its way to the file. */
static lethe_result format_line(const struct root_line *line, struct lethe_secret **out,
                                struct lethe_error *err)
{
    const struct form *form = &forms[line->generation > 0];
    const uint64_t generation = htobe64(line->generation);
    TRY(lethe_secret_create(form->line_bytes, out, err));
    char *text = (char *)lethe_secret_bytes(*out);
    char checksum[CHECK_HEX + 1];
    memcpy(text, form->head, HEAD_BYTES);
    if (line->generation > 0)
        hex_encode(&generation, sizeof generation, text + HEAD_BYTES);
    text[form->key_at - 1] = ' ';
    hex_encode(lethe_secret_bytes_const(line->key), ROOT_KEY_BYTES, text + form->key_at);
    text[check_at(form) - 1] = ' ';
    checksum_of(form, text, checksum);
    memcpy(text + check_at(form), checksum, CHECK_HEX);
    text[form->line_bytes - 1] = '\n';
    return LETHE_OK;
}

lethe_result root_file_create(const char *path, const struct lethe_secret *key,
                              struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    TRY(format_line(&(struct root_line){.key = (struct lethe_secret *)key}, &text, err));
    lethe_result result = file_write_atomic(AT_FDCWD, path, lethe_secret_bytes_const(text),
                                            lethe_secret_size(text), 0600, false, err);
    if (result == LETHE_EXISTS)
        error_hint(err, "another home may depend on it: name another file, or remove it if not");
    return result;
}

static lethe_result open_to_write(const char *path, int *fd, struct lethe_error *err)
{
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *fd >= 0 ? LETHE_OK : error_from_errno(err, "opening %s", path);
}

static lethe_result sync_file(int fd, const char *path, struct lethe_error *err)
{
    return fsync(fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing %s", path);
}

/* Writes, syncs, and reads back. */
static lethe_result put(int fd, const char *path, uint64_t offset, const struct lethe_secret *text,
                        struct lethe_error *err)
{
    size_t size_bytes = lethe_secret_size(text);
    CLEANUP(lethe_secret_free) struct lethe_secret *found = NULL;
    TRY(lethe_secret_create(size_bytes, &found, err));
    TRY(file_write_at(fd, path, offset, lethe_secret_bytes_const(text), size_bytes, err));
    TRY(sync_file(fd, path, err));
    TRY(file_read_at(fd, path, offset, lethe_secret_bytes(found), size_bytes, err));
    return lethe_secret_equal(text, found)
               ? LETHE_OK
               : error_set(err, LETHE_IO, "%s: what was written is not there", path);
}

lethe_result root_file_stage(const char *path, const struct root_line *next,
                             struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    REQUIRE(next->generation > 0);
    TRY(format_line(next, &text, err));
    TRY(open_to_write(path, &fd, err));
    return put(fd, path, SECOND_AT, text, err);
}

static lethe_result cut_behind(int fd, const char *path, size_t keep_bytes, struct lethe_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_from_errno(err, "looking at %s", path);
    if (status.st_size <= (off_t)keep_bytes || status.st_size > (off_t)ROOT_FILE_MAX)
        return LETHE_OK;
    CLEANUP(lethe_secret_free) struct lethe_secret *zeros = NULL;
    TRY(lethe_secret_create((size_t)status.st_size - keep_bytes, &zeros, err));
    TRY(put(fd, path, keep_bytes, zeros, err));
    if (ftruncate(fd, (off_t)keep_bytes) != 0)
        return error_from_errno(err, "cutting %s", path);
    return sync_file(fd, path, err);
}

lethe_result root_file_settle(const char *path, const struct root_line *line,
                              struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    CLEANUP(lethe_secret_free) struct lethe_secret *text = NULL;
    TRY(format_line(line, &text, err));
    TRY(open_to_write(path, &fd, err));
    TRY(put(fd, path, 0, text, err));
    return cut_behind(fd, path, lethe_secret_size(text), err);
}
