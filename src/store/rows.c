#include "store/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

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

void rows_clear(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->at[i].path);
    free(rows->at);
    *rows = (struct rows){0};
}

size_t rows_seek(const struct rows *rows, const char *path)
{
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows->at[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct rows *rows, size_t place, const char *path)
{
    return place < rows->count && strcmp(rows->at[place].path, path) == 0;
}

const struct row *rows_find(const struct rows *rows, const char *path)
{
    size_t place = rows_seek(rows, path);
    return is_at(rows, place, path) ? &rows->at[place] : NULL;
}

/* Makes room for a row at `place`. */
static lethe_result insert(struct rows *rows, size_t place, const char *path,
                           struct lethe_error *err)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? 64 : 2 * rows->capacity;
        struct row *grown = reallocarray(rows->at, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for %zu rows", capacity);
        rows->at = grown;
        rows->capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a row");
    struct row *at = &rows->at[place];
    memmove(at + 1, at, (rows->count - place) * sizeof *at);
    *at = (struct row){.path = copy};
    rows->count++;
    return LETHE_OK;
}

lethe_result rows_put(struct rows *rows, const struct store_row *row,
                      const uint8_t digest[ROW_DIGEST_BYTES], struct lethe_error *err)
{
    size_t place = rows_seek(rows, row->path);
    if (!is_at(rows, place, row->path))
        TRY(insert(rows, place, row->path, err));
    rows->at[place].version = row->version;
    memcpy(rows->at[place].digest, digest, ROW_DIGEST_BYTES);
    return LETHE_OK;
}

void rows_remove(struct rows *rows, const char *path)
{
    size_t place = rows_seek(rows, path);
    REQUIRE(is_at(rows, place, path));
    struct row *at = &rows->at[place];
    free(at->path);
    rows->count--;
    memmove(at, at + 1, (rows->count - place) * sizeof *at);
}
