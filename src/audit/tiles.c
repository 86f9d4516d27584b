#include "audit/tiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/files.h"
#include "base/error.h"
#include "base/file.h"

#define TILE_BYTES ((size_t)TILES_WIDTH * MERKLE_HASH_BYTES)

/* A tile as it was when it was read; it may have grown since. */
struct tile {
    uint64_t number;
    size_t count; /* 0: not read yet */
    uint8_t hashes[TILES_WIDTH][MERKLE_HASH_BYTES];
};

struct tiles {
    int directory;
    struct tile last[TILES_LEVELS]; /* of each level, the one that was read last */
};

/* ---- names and files ------------------------------------------------------------------------- */

void tiles_name(unsigned level, uint64_t number, char out[TILES_NAME_SIZE])
{
    size_t length = (size_t)snprintf(out, TILES_NAME_SIZE, TILES_DIRECTORY "/%u/", level);
    uint64_t divisor = 1;
    while (number / divisor >= 1000)
        divisor *= 1000;
    for (; divisor > 1; divisor /= 1000)
        length += (size_t)snprintf(out + length, TILES_NAME_SIZE - length, "x%03u/",
                                   (unsigned)(number / divisor % 1000));
    snprintf(out + length, TILES_NAME_SIZE - length, "%03u", (unsigned)(number % 1000));
}

static int open_tile(const struct tiles *tiles, const char *name, int flags)
{
    return openat(tiles->directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILES_MODE);
}

static lethe_result tile_size(int fd, const char *name, uint64_t *size_bytes,
                              struct lethe_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_from_errno(err, "looking at %s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", name);
    *size_bytes = (uint64_t)status.st_size;
    return LETHE_OK;
}

static lethe_result make_parents(const struct tiles *tiles, const char *name,
                                 struct lethe_error *err)
{
    char parent[TILES_NAME_SIZE];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
        if (mkdirat(tiles->directory, parent, FILES_DIRECTORY_MODE) != 0 && errno != EEXIST)
            return error_from_errno(err, "making %s", parent);
    }
    return LETHE_OK;
}

static lethe_result open_for_append(const struct tiles *tiles, const char *name, int *out,
                                    struct lethe_error *err)
{
    *out = open_tile(tiles, name, O_RDWR | O_CREAT);
    if (*out < 0 && errno == ENOENT) {
        TRY(make_parents(tiles, name, err));
        *out = open_tile(tiles, name, O_RDWR | O_CREAT);
    }
    return *out < 0 ? error_from_errno(err, "opening %s", name) : LETHE_OK;
}

/* ---- storing --------------------------------------------------------------------------------- */

/* The root over a power of two of hashes, which are used up. */
static void fold(uint8_t (*hashes)[MERKLE_HASH_BYTES], size_t count, uint8_t out[MERKLE_HASH_BYTES])
{
    for (; count > 1; count /= 2) {
        for (size_t i = 0; i < count / 2; i++)
            merkle_node(hashes[2 * i], hashes[2 * i + 1], hashes[i]);
    }
    memcpy(out, hashes[0], MERKLE_HASH_BYTES);
}

/* Hashes of one level, all in one tile, and where they go. */
struct piece {
    unsigned level;
    uint64_t index; /* of the first, in its level */
    size_t count;
    const uint8_t (*hashes)[MERKLE_HASH_BYTES];
};

/* When the piece fills its tile, *full is true and `root` the hash of the level above. */
static lethe_result store_piece(struct tiles *tiles, const struct piece *piece, bool *full,
                                uint8_t root[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    char name[TILES_NAME_SIZE];
    size_t at = piece->index % TILES_WIDTH;
    tiles_name(piece->level, piece->index / TILES_WIDTH, name);

    CLEANUP(fd_close) int fd = -1;
    uint64_t size_bytes = 0;
    TRY(open_for_append(tiles, name, &fd, err));
    TRY(tile_size(fd, name, &size_bytes, err));
    if (size_bytes < at * MERKLE_HASH_BYTES)
        return error_set(err, LETHE_NOT_FOUND, "%s has not the hashes before number %zu", name, at);
    TRY(file_write_at(fd, name, at * MERKLE_HASH_BYTES, piece->hashes,
                      piece->count * MERKLE_HASH_BYTES, err));
    *full = at + piece->count == TILES_WIDTH;
    if (!*full)
        return LETHE_OK;
    uint8_t hashes[TILES_WIDTH][MERKLE_HASH_BYTES];
    TRY(file_read_at(fd, name, 0, hashes, sizeof hashes, err));
    fold(hashes, TILES_WIDTH, root);
    return LETHE_OK;
}

/* A piece of a tile, and what it completes above. */
static lethe_result store(struct tiles *tiles, struct piece piece, struct lethe_error *err)
{
    uint8_t root[1][MERKLE_HASH_BYTES];
    bool full = true;
    while (full && piece.level < TILES_LEVELS) {
        tiles->last[piece.level].count = 0; /* it may be the tile that is remembered */
        TRY(store_piece(tiles, &piece, &full, root[0], err));
        piece = (struct piece){piece.level + 1, piece.index / TILES_WIDTH, 1,
                               (const uint8_t(*)[MERKLE_HASH_BYTES])root};
    }
    return LETHE_OK;
}

lethe_result tiles_append(struct tiles *tiles, uint64_t first,
                          const uint8_t (*leaves)[MERKLE_HASH_BYTES], size_t count,
                          struct lethe_error *err)
{
    REQUIRE(first <= TILES_SIZE_MAX && count <= TILES_SIZE_MAX - first);
    while (count > 0) {
        size_t part = MIN(count, TILES_WIDTH - first % TILES_WIDTH);
        TRY(store(tiles, (struct piece){0, first, part, leaves}, err));
        first += part;
        leaves += part;
        count -= part;
    }
    return LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result not_there(const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_NOT_FOUND, "%s is missing or too short", name);
}

static lethe_result read_tile(const struct tiles *tiles, const char *name, struct tile *out,
                              struct lethe_error *err)
{
    uint64_t size_bytes = 0;
    CLEANUP(fd_close) int fd = open_tile(tiles, name, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return not_there(name, err);
    if (fd < 0)
        return error_from_errno(err, "opening %s", name);
    TRY(tile_size(fd, name, &size_bytes, err));
    size_t count = (size_t)MIN(size_bytes, TILE_BYTES) / MERKLE_HASH_BYTES;
    TRY(file_read_at(fd, name, 0, out->hashes, count * MERKLE_HASH_BYTES, err));
    out->count = count;
    return LETHE_OK;
}

/* The tile with at least the first `count` hashes. */
static lethe_result find_tile(struct tiles *tiles, unsigned level, uint64_t number, size_t count,
                              struct lethe_error *err)
{
    struct tile *tile = &tiles->last[level];
    if (tile->number == number && tile->count >= count)
        return LETHE_OK;
    char name[TILES_NAME_SIZE];
    tiles_name(level, number, name);
    *tile = (struct tile){.number = number};
    TRY(read_tile(tiles, name, tile, err));
    return tile->count >= count ? LETHE_OK : not_there(name, err);
}

lethe_result tiles_hash(struct tiles *tiles, unsigned level, uint64_t index,
                        uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    REQUIRE(level < 63 && index < TILES_SIZE_MAX >> level);
    unsigned tile_level = level / TILES_HEIGHT;
    size_t count = (size_t)1 << level % TILES_HEIGHT; /* of stored hashes below the wanted one */
    uint64_t first = index * count;
    size_t at = first % TILES_WIDTH;
    TRY(find_tile(tiles, tile_level, first / TILES_WIDTH, at + count, err));

    uint8_t hashes[TILES_WIDTH][MERKLE_HASH_BYTES];
    memcpy(hashes, tiles->last[tile_level].hashes[at], count * MERKLE_HASH_BYTES);
    fold(hashes, count, out);
    return LETHE_OK;
}

/* Every bit of the size is a complete subtree, in the order from left to right. */
lethe_result tiles_root(struct tiles *tiles, uint64_t leaves, uint8_t out[MERKLE_HASH_BYTES],
                        struct lethe_error *err)
{
    REQUIRE(leaves <= TILES_SIZE_MAX);
    struct merkle tree = {.leaves = leaves};
    for (unsigned level = 0; level < 63; level++) {
        if ((leaves >> level & 1) != 0)
            TRY(tiles_hash(tiles, level, (leaves >> level) - 1, tree.edge[level], err));
    }
    merkle_root(&tree, out);
    return LETHE_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

lethe_result tiles_open(int directory, struct tiles **out, struct lethe_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(err, LETHE_NO_MEMORY, "opening the tiles of the log");
    (*out)->directory = directory;
    return LETHE_OK;
}

void tiles_close(struct tiles *tiles)
{
    free(tiles);
}
