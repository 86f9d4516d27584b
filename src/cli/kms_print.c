/* What goes into calls of operators and what comes out of them: perhaps secrets, so all of it stays
 * in guarded memory up to the system call. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/kms_call.h"

#define READ_BYTES ((size_t)64 << 10)
#define NAME_WIDTH 26

lethe_result kms_read_all(const char *path, struct guarded *out, struct lethe_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    CLEANUP(fd_close) int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (!is_stdin && opened < 0)
        return error_from_errno(err, "opening %s", path);
    for (;;) {
        size_t before = out->size_bytes;
        uint8_t *at = guarded_extend(out, READ_BYTES);
        TRY(guarded_result(out, err));
        ssize_t got = read(is_stdin ? STDIN_FILENO : opened, at, READ_BYTES);
        guarded_truncate(out, before + (got > 0 ? (size_t)got : 0));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_from_errno(err, "reading %s", is_stdin ? "standard input" : path);
        if (got == 0)
            return LETHE_OK;
        if (out->size_bytes > HTTP_BODY_MAX)
            return error_set(err, LETHE_LIMIT, "%s has more than %zu bytes", path, HTTP_BODY_MAX);
    }
}

lethe_result kms_write_out(const void *bytes, size_t size_bytes, struct lethe_error *err)
{
    if (fflush(stdout) != 0)
        return error_from_errno(err, "writing to standard output");
    return file_write(STDOUT_FILENO, "standard output", bytes, size_bytes, err);
}

/* Appends a piece as a person reads it: texts without quotes, everything else as it stands there.
 */
static void put_piece(struct guarded *out, const struct json_piece *piece)
{
    size_t length = 0;
    uint8_t *at = piece->length > 0 ? guarded_extend(out, piece->length) : NULL;
    if (at == NULL)
        return;
    if (piece->kind != JSON_PIECE_TEXT)
        memcpy(at, piece->at, length = piece->length);
    else if (json_piece_text(piece, (char *)at, piece->length, &length) != LETHE_OK)
        length = 0;
    guarded_truncate(out, out->size_bytes - piece->length + length);
}

/* A terminal does what control characters say; in texts of several lines (PEM) some belong there.
 */
static void make_harmless(struct guarded *out, size_t from)
{
    for (size_t i = from; i < out->size_bytes; i++) {
        uint8_t c = out->bytes[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
            out->bytes[i] = '?';
    }
}

static void put_members(struct guarded *out, const struct json_piece *object)
{
    struct json_piece name;
    struct json_piece value;
    struct json_walk walk = json_walk_over(object);
    while (json_walk_next(&walk, &name, &value) == LETHE_OK) {
        size_t begin = out->size_bytes;
        if (value.kind == JSON_PIECE_NULL)
            continue;
        put_piece(out, &name);
        do
            guarded_text(out, " ");
        while (out->failure == LETHE_OK && out->size_bytes - begin < NAME_WIDTH);
        put_piece(out, &value);
        guarded_text(out, "\n");
    }
}

static void put_names(struct guarded *out, const struct json_piece *array)
{
    struct json_piece none;
    struct json_piece value;
    struct json_walk walk = json_walk_over(array);
    while (json_walk_next(&walk, &none, &value) == LETHE_OK) {
        put_piece(out, &value);
        guarded_text(out, "\n");
    }
}

static lethe_result put_answer(struct guarded *out, const struct json_piece *answer)
{
    struct json_piece data = *answer;
    struct json_piece keys = {0};
    static const char *const parts[] = {"data", "auth"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct json_piece part = {0};
        if (json_piece_find(answer, parts[i], &part) == LETHE_OK &&
            part.kind == JSON_PIECE_OBJECT) {
            data = part;
            break;
        }
    }
    if (json_piece_find(&data, "keys", &keys) == LETHE_OK && keys.kind == JSON_PIECE_ARRAY)
        put_names(out, &keys);
    else
        put_members(out, &data);
    return out->failure;
}

lethe_result kms_print_answer(const struct guarded *answer, bool json, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    struct json_piece piece = {0};
    if (answer->size_bytes == 0)
        return LETHE_OK;
    if (json || json_scan(answer->bytes, answer->size_bytes, &piece, NULL) != LETHE_OK ||
        piece.kind != JSON_PIECE_OBJECT) {
        bool ends = answer->bytes[answer->size_bytes - 1] == '\n';
        TRY(kms_write_out(answer->bytes, answer->size_bytes, err));
        return ends ? LETHE_OK : kms_write_out("\n", 1, err);
    }
    (void)!put_answer(&text, &piece);
    TRY(guarded_result(&text, err));
    make_harmless(&text, 0);
    return kms_write_out(text.bytes, text.size_bytes, err);
}

lethe_result kms_print_field(const struct guarded *answer, const char *path,
                             struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    struct json_piece whole = {0};
    struct json_piece piece = {0};
    TRY(client_answer(answer, &whole, err));
    lethe_result result = json_piece_find(&whole, "data", &piece);
    if (result == LETHE_OK)
        result = json_piece_find(&piece, path, &piece);
    if (result != LETHE_OK)
        result = json_piece_find(&whole, path, &piece);
    if (result != LETHE_OK)
        return error_set(err, LETHE_NOT_FOUND, "the answer has no %.64s", path);
    put_piece(&text, &piece);
    guarded_text(&text, "\n");
    TRY(guarded_result(&text, err));
    return kms_write_out(text.bytes, text.size_bytes, err);
}

lethe_result kms_check_output(const char *file, struct lethe_error *err)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(file, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - file) + 1;
    if (access(file, F_OK) == 0)
        return error_set(err, LETHE_EXISTS, "%s is there already", file);
    if (length >= sizeof directory)
        return error_set(err, LETHE_INVALID, "the path of the file is too long");
    memcpy(directory, length > 0 ? file : ".", length > 0 ? length : 1);
    directory[length > 0 ? length : 1] = '\0';
    return access(directory, W_OK | X_OK) == 0 ? LETHE_OK : error_from_errno(err, "%s", directory);
}

lethe_result kms_write_secret(const struct json_piece *answer, const char *path, const char *file,
                              struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    struct json_piece piece = {0};
    if (json_piece_find(answer, path, &piece) != LETHE_OK || piece.kind != JSON_PIECE_TEXT ||
        piece.length == 0)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no %s", path);
    put_piece(&text, &piece);
    if (text.size_bytes > 0 && text.bytes[text.size_bytes - 1] != '\n')
        guarded_text(&text, "\n");
    TRY(guarded_result(&text, err));
    return file_write_atomic(AT_FDCWD, file, text.bytes, text.size_bytes, 0600, false, err);
}

void kms_put_list(struct guarded *request, const char *name, const struct invocation *invocation,
                  const char *option)
{
    bool begun = false;
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i]->name, option) != 0)
            continue;
        if (!begun)
            client_put_open(request, name, '[');
        client_put_text(request, NULL, invocation->values[i]);
        begun = true;
    }
    if (begun)
        client_put_close(request, ']');
}

void kms_put_option(struct guarded *request, const char *name, const struct invocation *invocation,
                    const char *option)
{
    const char *text = option_text(invocation, option);
    if (text != NULL)
        client_put_text(request, name, text);
}
