#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- paths ----------------------------------------------------------------------------------- */

static bool is_path_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("._/-", c) != NULL;
}

bool row_path_is_valid(const char *path, bool prefix)
{
    char before = '/';
    for (size_t i = 0; path[i] != '\0'; i++) {
        if (i == STORE_PATH_MAX || !is_path_character(path[i]) || (path[i] == '/' && before == '/'))
            return false;
        before = path[i];
    }
    return prefix || before != '/';
}

bool row_path_is_own(const char *path)
{
    return path[0] == ROW_OWN && row_path_is_valid(path + 1, false);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* No block is empty. A full one is cut in halves before a row goes in. */
#define BLOCK_ROWS 128

struct row_block {
    size_t count;
    struct row at[BLOCK_ROWS];
};

static void block_free(struct row_block *block)
{
    for (size_t i = 0; i < block->count; i++)
        free(block->at[i].path);
    free(block);
}

void rows_clear(struct rows *rows)
{
    for (size_t i = 0; i < rows->block_count; i++)
        block_free(rows->blocks[i]);
    free(rows->blocks);
    *rows = (struct rows){0};
}

/* A new block at `place`, empty for the moment. */
static lethe_result block_insert(struct rows *rows, size_t place, struct lethe_error *err)
{
    if (rows->block_count == rows->block_capacity) {
        size_t capacity = rows->block_capacity == 0 ? 8 : 2 * rows->block_capacity;
        struct row_block **grown = reallocarray(rows->blocks, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for %zu blocks of rows", capacity);
        rows->blocks = grown;
        rows->block_capacity = capacity;
    }
    struct row_block *block = calloc(1, sizeof *block);
    if (block == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for more rows");
    struct row_block **at = &rows->blocks[place];
    memmove(at + 1, at, (rows->block_count - place) * sizeof(struct row_block *));
    *at = block;
    rows->block_count++;
    return LETHE_OK;
}

static void block_remove(struct rows *rows, size_t place)
{
    struct row_block **at = &rows->blocks[place];
    free(*at);
    rows->block_count--;
    memmove(at, at + 1, (rows->block_count - place) * sizeof(struct row_block *));
}

/* Makes room in a full block and lets *place be where it was. */
static lethe_result block_split(struct rows *rows, struct rows_place *place,
                                struct lethe_error *err)
{
    TRY(block_insert(rows, place->block + 1, err));
    struct row_block *low = rows->blocks[place->block];
    struct row_block *high = rows->blocks[place->block + 1];
    low->count = BLOCK_ROWS / 2;
    high->count = BLOCK_ROWS - low->count;
    memcpy(high->at, low->at + low->count, high->count * sizeof high->at[0]);
    if (place->at > low->count)
        *place = (struct rows_place){place->block + 1, place->at - low->count};
    return LETHE_OK;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* The block whose rows are the first that are not all before `path`. */
static size_t seek_block(const struct rows *rows, const char *path)
{
    size_t low = 0;
    size_t high = rows->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct row_block *block = rows->blocks[middle];
        if (strcmp(block->at[block->count - 1].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rows_place rows_seek(const struct rows *rows, const char *path)
{
    struct rows_place place = {.block = seek_block(rows, path)};
    if (place.block == rows->block_count)
        return place;
    const struct row_block *block = rows->blocks[place.block];
    size_t high = block->count;
    while (place.at < high) {
        size_t middle = place.at + (high - place.at) / 2;
        if (strcmp(block->at[middle].path, path) < 0)
            place.at = middle + 1;
        else
            high = middle;
    }
    return place;
}

const struct row *rows_next(const struct rows *rows, struct rows_place *place)
{
    if (place->block == rows->block_count)
        return NULL;
    const struct row_block *block = rows->blocks[place->block];
    const struct row *row = &block->at[place->at++];
    if (place->at == block->count)
        *place = (struct rows_place){.block = place->block + 1};
    return row;
}

const struct row *rows_before(const struct rows *rows, const char *path)
{
    struct rows_place place = rows_seek(rows, path);
    if (place.at > 0)
        return &rows->blocks[place.block]->at[place.at - 1];
    if (place.block == 0)
        return NULL;
    const struct row_block *block = rows->blocks[place.block - 1];
    return &block->at[block->count - 1];
}

const struct row *rows_find(const struct rows *rows, const char *path)
{
    struct rows_place place = rows_seek(rows, path);
    const struct row *row = rows_next(rows, &place);
    return row != NULL && strcmp(row->path, path) == 0 ? row : NULL;
}

/* ---- changing -------------------------------------------------------------------------------- */

/* Room for a row at the place; behind the last row it is the end of the last block. */
static lethe_result make_room(struct rows *rows, struct rows_place *place, struct lethe_error *err)
{
    if (rows->block_count == 0)
        return block_insert(rows, 0, err);
    if (place->block == rows->block_count) {
        place->block--;
        place->at = rows->blocks[place->block]->count;
    }
    if (rows->blocks[place->block]->count < BLOCK_ROWS)
        return LETHE_OK;
    return block_split(rows, place, err);
}

static lethe_result insert(struct rows *rows, struct rows_place place, const char *path,
                           struct row **out, struct lethe_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a row");
    lethe_result result = make_room(rows, &place, err);
    if (result != LETHE_OK) {
        free(copy);
        return result;
    }
    struct row_block *block = rows->blocks[place.block];
    struct row *at = &block->at[place.at];
    memmove(at + 1, at, (block->count - place.at) * sizeof *at);
    *at = (struct row){.path = copy}; /* moved */
    block->count++;
    rows->count++;
    *out = at;
    return LETHE_OK;
}

lethe_result rows_put(struct rows *rows, const struct store_row *row,
                      const uint8_t digest[ROW_DIGEST_BYTES], struct lethe_error *err)
{
    struct rows_place place = rows_seek(rows, row->path);
    struct row *at = NULL;
    if (place.block < rows->block_count)
        at = &rows->blocks[place.block]->at[place.at];
    if (at == NULL || strcmp(at->path, row->path) != 0)
        TRY(insert(rows, place, row->path, &at, err));
    at->version = row->version;
    at->lease = row->lease;
    memcpy(at->digest, digest, ROW_DIGEST_BYTES);
    return LETHE_OK;
}

void rows_remove(struct rows *rows, const char *path)
{
    struct rows_place place = rows_seek(rows, path);
    REQUIRE(place.block < rows->block_count);
    struct row_block *block = rows->blocks[place.block];
    struct row *at = &block->at[place.at];
    REQUIRE(strcmp(at->path, path) == 0);
    char *own = at->path;
    block->count--;
    rows->count--;
    memmove(at, at + 1, (block->count - place.at) * sizeof *at);
    if (block->count == 0)
        block_remove(rows, place.block);
    free(own);
}
