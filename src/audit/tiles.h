/* audit/tiles.h -- the stored hashes of a log's tree, so that a proof need not read the log.
 *
 * `tile/<L>/<N>` in the log's directory holds the roots of complete subtrees of 256^L leaves, 32
 * bytes each, up to 256 of them: those with the numbers 256 N and on (C2SP tlog-tiles; N in groups
 * of three digits, all but the last with an x: tile/0/x001/x234/067). A tile that is not full yet
 * is a shorter file of the same name, and grows.
 *
 * Tiles are neither synced nor trusted: they can be made again from the records, and whoever makes
 * a proof from them checks it against a signed root before giving it away. They are written behind
 * the checkpoint that covers them, under the log's lock. Thread rule: one thread at a time. */
#ifndef AUDIT_TILES_H
#define AUDIT_TILES_H

#include "audit/merkle.h"

#define TILES_DIRECTORY "tile"
#define TILES_HEIGHT 8u                  /* levels of the tree that one tile spans */
#define TILES_WIDTH (1u << TILES_HEIGHT) /* hashes in a full tile                  */
#define TILES_LEVELS (64u / TILES_HEIGHT)
#define TILES_NAME_SIZE 48u                  /* "tile/0/x018/x446/.../615" */
#define TILES_SIZE_MAX ((uint64_t)INT64_MAX) /* leaves of a tree that we speak about */

struct tiles; /* remembers the tiles that it read last */

/* Of the log in `directory`, which must stay open as long. *out is freed with tiles_close().
 * Nothing is looked at or made yet. */
LETHE_MUST_CHECK lethe_result tiles_open(int directory, struct tiles **out,
                                         struct lethe_error *err);
void tiles_close(struct tiles *tiles);
DEFINE_CLEANUP(tiles_close, struct tiles *);

/* Stores the hashes of the leaves `first` to `first + count - 1`, and those of every subtree which
 * they complete. Storing what is there already changes nothing; what is different is replaced.
 * LETHE_NOT_FOUND: a leaf before them is missing in their tile; then none of that tile is stored,
 * and tiles_root() of the log will say so. After any failure the tiles can still be appended to. */
LETHE_MUST_CHECK lethe_result tiles_append(struct tiles *tiles, uint64_t first,
                                           const uint8_t (*leaves)[MERKLE_HASH_BYTES], size_t count,
                                           struct lethe_error *err);

/* The root of the complete subtree number `index` of those with 2^level leaves. LETHE_NOT_FOUND
 * when the tiles do not go so far. */
LETHE_MUST_CHECK lethe_result tiles_hash(struct tiles *tiles, unsigned level, uint64_t index,
                                         uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err);

/* The root of the first `leaves` leaves; compared with a signed one it says whether the tiles are
 * there and go on where the log does. LETHE_NOT_FOUND as above. */
LETHE_MUST_CHECK lethe_result tiles_root(struct tiles *tiles, uint64_t leaves,
                                         uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err);

/* The path of a tile, relative to the log's directory. */
void tiles_name(unsigned level, uint64_t number, char out[TILES_NAME_SIZE]);

#endif
