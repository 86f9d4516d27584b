#include "crypto/tree.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/tree_blocks.h"

/* struct fsverity_descriptor of Linux, 256 bytes; every field that is not named stays zero. */
#define DESCRIPTOR_BYTES 256
#define DESCRIPTOR_VERSION_AT 0
#define DESCRIPTOR_ALGORITHM_AT 1
#define DESCRIPTOR_LOG2_BLOCK_AT 2
#define DESCRIPTOR_SIZE_AT 8
#define DESCRIPTOR_ROOT_AT 16

#define BATCH_BLOCKS 16u /* blocks of hashes that go to the lanes together */

static const char text_prefix[] = "fsverity-sha256:";

static void push_level(struct tree *tree, unsigned level, const uint8_t *hashes, size_t count);

/* Hashes the open block of a level, padded with the zeros that are behind it, into the next. */
static void close_block(struct tree *tree, unsigned level)
{
    uint8_t hash[TREE_HASH_BYTES];
    sha256(tree->block[level], TREE_BLOCK_BYTES, hash);
    memset(tree->block[level], 0, TREE_BLOCK_BYTES);
    tree->fill[level] = 0;
    push_level(tree, level + 1, hash, 1);
}

/* Full blocks of hashes need not be collected first. Gives how many hashes it took. */
static size_t push_full_blocks(struct tree *tree, unsigned level, const uint8_t *hashes,
                               size_t count)
{
    uint8_t parents[BATCH_BLOCKS * TREE_HASH_BYTES];
    size_t blocks = count / TREE_FANOUT;
    for (size_t done = 0; done < blocks;) {
        size_t batch = MIN(blocks - done, BATCH_BLOCKS);
        tree_hash_blocks(hashes + done * TREE_BLOCK_BYTES, batch * TREE_BLOCK_BYTES, parents);
        push_level(tree, level + 1, parents, batch);
        done += batch;
    }
    return blocks * TREE_FANOUT;
}

static void push_level(struct tree *tree, unsigned level, const uint8_t *hashes, size_t count)
{
    REQUIRE(level < TREE_LEVELS_MAX);
    while (count > 0) {
        size_t *fill = &tree->fill[level];
        size_t taken = 0;
        if (*fill == 0)
            taken = push_full_blocks(tree, level, hashes, count);
        if (taken == 0) {
            taken = MIN(count, (TREE_BLOCK_BYTES - *fill) / TREE_HASH_BYTES);
            memcpy(tree->block[level] + *fill, hashes, taken * TREE_HASH_BYTES);
            *fill += taken * TREE_HASH_BYTES;
            if (*fill == TREE_BLOCK_BYTES)
                close_block(tree, level);
        }
        hashes += taken * TREE_HASH_BYTES;
        count -= taken;
    }
}

void tree_push_at(struct tree *tree, unsigned level, const uint8_t *hashes, size_t count)
{
    for (unsigned lower = 0; lower < level; lower++)
        REQUIRE(tree->fill[lower] == 0);
    uint64_t blocks = count;
    for (unsigned i = 0; i < level; i++)
        blocks *= TREE_FANOUT;
    tree->pushed += blocks;
    push_level(tree, level, hashes, count);
}

void tree_push(struct tree *tree, const uint8_t *hashes, size_t count)
{
    tree_push_at(tree, 0, hashes, count);
}

static bool is_last_hash(const struct tree *tree, unsigned level)
{
    for (unsigned above = level + 1; above < TREE_LEVELS_MAX; above++)
        if (tree->fill[above] > 0)
            return false;
    return tree->fill[level] == TREE_HASH_BYTES;
}

/* The root is the one hash that is left when every open block has been closed. */
static void find_root(struct tree *tree, uint8_t root[TREE_HASH_BYTES])
{
    for (unsigned level = 0; level < TREE_LEVELS_MAX; level++) {
        if (is_last_hash(tree, level)) {
            memcpy(root, tree->block[level], TREE_HASH_BYTES);
            return;
        }
        if (tree->fill[level] > 0)
            close_block(tree, level);
    }
}

void tree_finish(struct tree *tree, uint64_t size_bytes, uint8_t digest[TREE_HASH_BYTES])
{
    uint64_t blocks = size_bytes / TREE_BLOCK_BYTES + (size_bytes % TREE_BLOCK_BYTES > 0);
    REQUIRE(tree->pushed == blocks);
    uint8_t descriptor[DESCRIPTOR_BYTES] = {[DESCRIPTOR_VERSION_AT] = 1,
                                            [DESCRIPTOR_ALGORITHM_AT] = 1,
                                            [DESCRIPTOR_LOG2_BLOCK_AT] = 12};
    for (unsigned i = 0; i < 8; i++)
        descriptor[DESCRIPTOR_SIZE_AT + i] = (uint8_t)(size_bytes >> (8 * i));
    find_root(tree, descriptor + DESCRIPTOR_ROOT_AT); /* stays zero for an empty file */
    sha256(descriptor, sizeof descriptor, digest);
    memset(tree, 0, sizeof *tree);
}

void tree_digest_text(const uint8_t digest[TREE_HASH_BYTES], char out[TREE_DIGEST_TEXT_SIZE])
{
    memcpy(out, text_prefix, sizeof text_prefix - 1);
    hex_encode(digest, TREE_HASH_BYTES, out + sizeof text_prefix - 1);
}

lethe_result tree_digest_parse(const char *text, uint8_t digest[TREE_HASH_BYTES])
{
    size_t prefix_length = sizeof text_prefix - 1;
    if (strncmp(text, text_prefix, prefix_length) != 0)
        return LETHE_MALFORMED;
    text += prefix_length;
    return hex_decode(text, strlen(text), digest, TREE_HASH_BYTES);
}
