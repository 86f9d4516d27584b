/* Trimming the oldest files of records. The record that says so is durable before they go. */
#include "audit/writer_core.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audit/history.h"
#include "audit/lines.h"
#include "audit/start.h"
#include "base/error.h"

#define SECOND_NS 1000000000u

/* ---- what is to be kept ---------------------------------------------------------------------- */

/* The first file to keep so that all together have at most keep_bytes. */
static unsigned first_by_size(const struct writer *writer, const struct files_view *view)
{
    uint64_t total = writer->replay.offset;
    unsigned first = writer->replay.number;
    if (writer->limits.keep_bytes == 0)
        return view->first_number;
    for (; first > view->first_number; first--) {
        char name[FILES_NAME_SIZE];
        uint64_t size_bytes = 0;
        files_name(first - 1, name);
        if (files_size(writer->directory, name, &size_bytes, NULL) != LETHE_OK ||
            __builtin_add_overflow(total, size_bytes, &total) || total > writer->limits.keep_bytes)
            break;
    }
    return first;
}

static lethe_result boundary_of(const struct writer *writer, const struct files_view *view,
                                unsigned number, struct replay *out)
{
    if (number == writer->begun.number) {
        *out = writer->begun;
        return LETHE_OK;
    }
    if (number < BOUNDARY_NUMBER_MIN)
        return LETHE_NOT_FOUND;
    TRY(boundary_read(writer->directory, number, &writer->signer.key, out, NULL));
    return boundary_fits(writer->directory, view, &writer->signer.key, out, NULL);
}

/* The first file to keep so that those before it hold nothing younger than keep_s. Age is counted
 * from the last record before the newest file, not from the clock: one that is wrong for less than
 * a file removes nothing. */
static unsigned first_by_age(const struct writer *writer, const struct files_view *view)
{
    uint64_t keep_ns;
    uint64_t now_ns = writer->begun.time_ns;
    if (writer->limits.keep_s == 0 ||
        __builtin_mul_overflow(writer->limits.keep_s, SECOND_NS, &keep_ns) || now_ns < keep_ns)
        return view->first_number;
    for (unsigned first = writer->begun.number; first > view->first_number; first--) {
        struct replay begin;
        if (boundary_of(writer, view, first, &begin) == LETHE_OK &&
            begin.time_ns <= now_ns - keep_ns)
            return first;
    }
    return view->first_number;
}

/* A file without a boundary cannot be the first: then more is kept. */
static bool find_first(const struct writer *writer, const struct files_view *view,
                       struct replay *out, const char **why)
{
    unsigned by_size = first_by_size(writer, view);
    unsigned by_age = first_by_age(writer, view);
    unsigned first = MAX(by_size, by_age);
    for (; first > view->first_number; first--) {
        if (boundary_of(writer, view, first, out) != LETHE_OK)
            continue;
        *why = first <= by_age ? "age" : "size";
        return true;
    }
    return false;
}

/* ---- the tiles of it ------------------------------------------------------------------------- */

struct leaves {
    uint64_t first;
    size_t count;
    uint8_t hashes[TILES_WIDTH][MERKLE_HASH_BYTES];
};

static lethe_result store_leaves(const struct writer *writer, struct leaves *leaves)
{
    TRY(tiles_append(writer->tiles, leaves->first,
                     (const uint8_t(*)[MERKLE_HASH_BYTES])leaves->hashes, leaves->count, NULL));
    leaves->first += leaves->count;
    leaves->count = 0;
    return LETHE_OK;
}

/* From the records, which are still there. */
static lethe_result make_tiles(const struct writer *writer, const struct files_view *view,
                               uint64_t until)
{
    struct replay start;
    CLEANUP(lines_close) struct lines lines;
    TRY(start_at_first(writer->directory, view, &writer->signer.key, &start, NULL));
    struct leaves leaves = {.first = start.chain.tree.leaves};
    lines_open(&lines, writer->directory, view);
    if (start.number > 0)
        TRY(lines_seek(&lines, start.number, 0, 0, NULL));
    while (leaves.first + leaves.count < until) {
        const char *line = NULL;
        size_t length = 0;
        TRY(lines_next(&lines, &line, &length, NULL));
        if (line == NULL || length > MERKLE_ENTRY_MAX)
            return LETHE_INTEGRITY;
        merkle_leaf(line, length, leaves.hashes[leaves.count++]);
        if (leaves.count == TILES_WIDTH)
            TRY(store_leaves(writer, &leaves));
    }
    return leaves.count > 0 ? store_leaves(writer, &leaves) : LETHE_OK;
}

void writer_choose_trim(const struct writer *writer, struct replay_trimmed *trim, const char **why)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    struct replay first;
    *why = NULL;
    if ((writer->limits.keep_bytes == 0 && writer->limits.keep_s == 0) ||
        writer->begun.number != writer->replay.number || writer->begun.number == 0 ||
        files_look(writer->directory, &view, NULL) != LETHE_OK ||
        !find_first(writer, &view, &first, why))
        return;
    *trim = (struct replay_trimmed){first.number, first.chain.tree.leaves};
}

void writer_save_tiles(const struct writer *writer)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    uint8_t expected[MERKLE_HASH_BYTES], found[MERKLE_HASH_BYTES];
    const struct merkle *tree = &writer->replay.chain.tree;
    merkle_root(tree, expected);
    if ((tiles_root(writer->tiles, tree->leaves, found, NULL) != LETHE_OK ||
         memcmp(found, expected, sizeof found) != 0) &&
        files_look(writer->directory, &view, NULL) == LETHE_OK)
        (void)!make_tiles(writer, &view, tree->leaves);
    (void)!syncfs(writer->directory);
}

/* ---- removing -------------------------------------------------------------------------------- */

/* A file goes before its boundary: so what is left always begins with one. */
static bool remove_file(const struct writer *writer, unsigned number)
{
    char name[FILES_NAME_SIZE];
    char boundary[BOUNDARY_NAME_SIZE];
    files_name(number, name);
    if (unlinkat(writer->directory, name, 0) != 0 &&
        faccessat(writer->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return false;
    if (number < BOUNDARY_NUMBER_MIN)
        return true;
    boundary_name(number, boundary);
    return unlinkat(writer->directory, boundary, 0) == 0 ||
           faccessat(writer->directory, boundary, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

/* The notes in front become a hole: places in the file stay what they are, and nobody reads there
 * any more. A file system without holes keeps them. */
static void trim_notes(const struct writer *writer)
{
    struct replay first;
    if (boundary_read(writer->directory, writer->replay.trimmed.file, &writer->signer.key, &first,
                      NULL) == LETHE_OK &&
        first.note_at > 0)
        (void)!fallocate(writer->notes, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                         (off_t)first.note_at);
}

void writer_remove_trimmed(const struct writer *writer)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    unsigned kept = writer->replay.trimmed.file;
    if (kept == 0 || files_look(writer->directory, &view, NULL) != LETHE_OK)
        return;
    unsigned first = view.first_number;
    if (view.first_boundary > 0)
        first = MIN(first, view.first_boundary);
    if (first >= kept)
        return;
    for (unsigned number = first; number < kept; number++) {
        if (!remove_file(writer, number))
            return;
    }
    trim_notes(writer);
}
