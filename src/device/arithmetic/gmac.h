/* device/arithmetic/gmac.h -- GHASH of texts by products of bit matrices. On GPUs only: see
 * device/arithmetic/target.h.
 *
 * To multiply by a fixed power of H is to multiply 128 bits by a fixed matrix of bits, and a sum of
 * such products is one product of longer rows: it is counted where both bits are 1, for all blocks
 * of a column, and whether the count is odd is the sum.
 *
 * A text counts as preceded by so many zero blocks that it has whole tiles. A warp sums up a tile
 * in 16 steps. In each, lane l takes blocks l and 32 + l of the next 64: so four blocks in a row
 * belong to one of 16 columns, and four lanes to each of the first 8 and of the last 8. All columns
 * of all tiles go by the same 64 matrices; what makes them different, the number of blocks that
 * follow, is a product in the field, one for each column, afterwards. Tiles and columns are
 * counted from the end of the text. */
#ifndef DEVICE_ARITHMETIC_GMAC_H
#define DEVICE_ARITHMETIC_GMAC_H

#include "device/arithmetic/key.h"
#include "device/arithmetic/text.h"
#include "device/arithmetic/warp.h"

/* ---- matrices -------------------------------------------------------------------------------- */

/* Third of three: matrices of H^1 to H^4, and of these times H^64, H^128, and so on, for a step
 * each. A thread makes a word; they lie as count_bits() takes them: 16 bytes a lane, 8 times 16
 * rows, for words 0 and 1 of a block and then for 2 and 3, for each step. */
struct prepare_matrices_task {
    uint64_t threads; /* MATRICES_WORDS */
    uint64_t prepared;
};

/* The coefficient that bit `bit` of a word in memory stands for. */
ARITHMETIC unsigned coefficient(unsigned word, unsigned bit)
{
    return 32 * word + bit / 8 * 8 + 7 - bit % 8;
}

ARITHMETIC struct field times_x(struct field y)
{
    const uint64_t out = 0 - (y.low & 1);
    y.low = y.low >> 1 | y.high << 63;
    y.high = y.high >> 1 ^ (out & 0xe100000000000000u);
    return y;
}

/* What falls out at the end comes back with x^128 = x^7 + x^2 + x + 1. */
ARITHMETIC struct field times_x32(struct field y)
{
    const uint64_t out = y.low << 32;
    y.low = y.low >> 32 | y.high << 32;
    y.high = y.high >> 32 ^ out ^ out >> 1 ^ out >> 2 ^ out >> 7;
    return y;
}

/* The word of a row that says which bits of a word of the block change this coefficient of the
 * product. */
ARITHMETIC uint32_t matrix_word(struct field power, unsigned row, unsigned word)
{
    uint32_t out = 0;
    for (unsigned i = 0; i < word; i++)
        power = times_x32(power);
    for (unsigned i = 0; i < 32; i++) {
        const uint64_t half = row < 64 ? power.high : power.low;
        out |= (uint32_t)(half >> (63 - row % 64) & 1) << (i / 8 * 8 + 7 - i % 8);
        power = times_x(power);
    }
    return out;
}

/* Row 16 m + g of a matrix makes bit 2 m of half-word g of the product, row 16 m + 8 + g bit 2 m +
 * 1: so what lane 4 g + t counts makes a half-word. */
ARITHMETIC void prepare_matrices_thread(const struct prepare_matrices_task *task, uint64_t thread)
{
    const unsigned part = (unsigned)thread % 4, lane = (unsigned)thread / 4 % WARP_LANES,
                   m = (unsigned)thread / 128 % 8, words = (unsigned)thread / 1024 % 2,
                   step = (unsigned)thread / 2048;
    const unsigned bit = lane / 4 % 2 * 16 + 2 * m + part % 2;
    const unsigned power = TILE_STEP_BLOCKS * (TILE_STEPS - 1 - step) + 4 - lane % 4;
    gpu_store4(task->prepared + PREPARED_MATRICES_AT + 4 * thread,
               matrix_word(power_of_h(task->prepared, power), coefficient(lane / 8, bit),
                           2 * words + part / 2));
}

/* ---- the sums of a tile ---------------------------------------------------------------------- */

struct gmac_task {
    uint64_t threads; /* TEXT_TILES warps a text */
    uint64_t texts;   /* address of struct kernel_text, of at most TEXT_TILES tiles */
    uint64_t prepared;
    uint64_t partials; /* address of TILE_SUM_BYTES a warp */
};

/* For each two columns 8 words; half-words of the first are the low halves. */
#define TILE_SUM_BYTES 256u

struct lane_blocks {
    struct words block[LANES_HELD];
};

/* Lanes' parts of 8 columns. */
#ifdef ARITHMETIC_WITHOUT_TENSORS

struct column_sums {
    struct field sum[LANES_HELD];
};

ARITHMETIC void add_step(const struct gmac_task *task, uint64_t thread, unsigned step,
                         const struct lane_blocks blocks[2], struct column_sums sums[2])
{
    const struct field stride = power_of_h(task->prepared, TILE_STEP_BLOCKS);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 2; i++)
        EACH_LANE(held)
    sums[i].sum[held] =
        field_add(field_multiply(sums[i].sum[held], stride), field_of(&blocks[i].block[held]));
}

/* Of four lanes, the first has four blocks behind it, and the last has one. */
ARITHMETIC void store_columns(const struct gmac_task *task, uint64_t thread, uint64_t to,
                              const struct column_sums *sums)
{
    struct words blocks[LANES_HELD];
    EACH_LANE(held)
    {
        const struct field rest = power_of_h(task->prepared, 4 - lane_of(thread, held) % 4);
        blocks[held] = field_words(field_multiply(sums->sum[held], rest));
    }
    add_four_lanes(blocks);
    EACH_LANE(held)
    {
        const unsigned lane = lane_of(thread, held), column = lane / 4, part = lane % 4;
        const uint64_t pair = to + 32 * (column / 2) + 2 * (column % 2) + 8 * part;
        uint32_t word = 0;
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 4; i++) /* by masks: an index would put the block in memory */
            word |= blocks[held].w[i] & (0u - (part == i));
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 4; i++)
            gpu_store1(pair + i / 2 * 4 + i % 2, (uint8_t)(word >> 8 * i));
    }
}

#else

struct column_sums {
    struct bit_counts counts[8][LANES_HELD];
};

/* Words `first` and first + 1 of the blocks. */
ARITHMETIC void add_words(uint64_t rows_at, uint64_t thread, unsigned first,
                          const struct lane_blocks blocks[2], struct column_sums sums[2])
{
    struct words rows[LANES_HELD];
    struct bit_columns columns[2][LANES_HELD];
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 2; i++)
        EACH_LANE(held)
        {
            columns[i][held].low = blocks[i].block[held].w[first];
            columns[i][held].high = blocks[i].block[held].w[first + 1];
        }
    ARITHMETIC_UNROLL
    for (unsigned m = 0; m < 8; m++) {
        EACH_LANE(held)
        rows[held] = gpu_load16(rows_at + 16 * (m * WARP_LANES + lane_of(thread, held)));
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 2; i++)
            count_bits(rows, columns[i], sums[i].counts[m]);
    }
}

ARITHMETIC void add_step(const struct gmac_task *task, uint64_t thread, unsigned step,
                         const struct lane_blocks blocks[2], struct column_sums sums[2])
{
    const uint64_t rows_at = task->prepared + PREPARED_MATRICES_AT + (uint64_t)step * 8192;
    add_words(rows_at, thread, 0, blocks, sums);
    add_words(rows_at + 4096, thread, 2, blocks, sums);
}

ARITHMETIC void store_columns(const struct gmac_task *task, uint64_t thread, uint64_t to,
                              const struct column_sums *sums)
{
    EACH_LANE(held)
    {
        const unsigned lane = lane_of(thread, held);
        uint32_t pair = 0;
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 32; i++)
            pair |= (sums->counts[i % 16 / 2][held].c[i % 2 * 2 + i / 16] & 1) << i;
        gpu_store4(to + 32 * (lane % 4) + 4 * (lane / 4), pair);
    }
}

#endif

/* Up to the end of a tile, from the beginning of the text. */
ARITHMETIC int64_t blocks_left(uint64_t text, uint64_t tile)
{
    return (int64_t)blocks_of(load_u64(text + 8)) - (int64_t)(tile * TILE_BLOCKS);
}

/* Nothing lies in front of the text. */
ARITHMETIC struct words text_block(uint64_t address, uint64_t size_bytes, int64_t block)
{
    const struct words zero = {{0, 0, 0, 0}};
    if (block < 0)
        return zero;
    return gpu_load_block(address + 16 * (uint64_t)block, block_bytes(size_bytes, (uint64_t)block));
}

ARITHMETIC void load_step(uint64_t text, uint64_t thread, int64_t first,
                          struct lane_blocks blocks[2])
{
    const uint64_t address = load_u64(text), size_bytes = load_u64(text + 8);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 2; i++)
        EACH_LANE(held)
    blocks[i].block[held] =
        text_block(address, size_bytes, first + WARP_LANES * i + lane_of(thread, held));
}

ARITHMETIC void load_whole_step(uint64_t address, uint64_t thread, struct lane_blocks blocks[2])
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 2; i++)
        EACH_LANE(held)
    blocks[i].block[held] = gpu_load16(address + 16 * (WARP_LANES * i + lane_of(thread, held)));
}

ARITHMETIC void start_columns(struct column_sums sums[2])
{
    const struct column_sums zero = {0};
    sums[0] = zero;
    sums[1] = zero;
}

/* Any tile. */
ARITHMETIC void add_blocks(const struct gmac_task *task, uint64_t thread, uint64_t text,
                           int64_t first, struct column_sums sums[2])
{
    struct lane_blocks blocks[2];
    ARITHMETIC_LOOP
    for (unsigned step = 0; step < TILE_STEPS; step++) {
        load_step(text, thread, first + step * TILE_STEP_BLOCKS, blocks);
        add_step(task, thread, step, blocks, sums);
    }
}

/* A tile of whole blocks in their places, as nearly all are. What a step multiplies was loaded
 * during the one before. */
ARITHMETIC void add_whole_blocks(const struct gmac_task *task, uint64_t thread, uint64_t address,
                                 struct column_sums sums[2])
{
    struct lane_blocks blocks[2], next[2];
    load_whole_step(address, thread, next);
    ARITHMETIC_LOOP
    for (unsigned step = 0; step < TILE_STEPS; step++) {
        blocks[0] = next[0];
        blocks[1] = next[1];
        address += 16 * TILE_STEP_BLOCKS;
        if (step + 1 < TILE_STEPS)
            load_whole_step(address, thread, next);
        add_step(task, thread, step, blocks, sums);
    }
}

/* One warp a tile. */
ARITHMETIC void gmac_thread(const struct gmac_task *task, uint64_t thread)
{
    const uint64_t warp = thread / WARP_LANES, tile = warp % TEXT_TILES;
    const uint64_t text = task->texts + warp / TEXT_TILES * KERNEL_TEXT_BYTES;
    const int64_t left = blocks_left(text, tile), first = left - TILE_BLOCKS;
    const uint64_t address = load_u64(text) + 16 * (uint64_t)first;
    const uint64_t sum = task->partials + warp * TILE_SUM_BYTES;
    struct column_sums sums[2];
    if (left <= 0 || another_lane_does_it(thread))
        return;
    start_columns(sums);
    if (first >= 0 && address % 16 == 0 && load_u64(text + 8) % 16 == 0)
        add_whole_blocks(task, thread, address, sums);
    else
        add_blocks(task, thread, text, first, sums);
    store_columns(task, thread, sum, &sums[0]);
    store_columns(task, thread, sum + TILE_SUM_BYTES / 2, &sums[1]);
}

/* ---- the sum of a text ----------------------------------------------------------------------- */

struct add_columns_task {
    uint64_t threads; /* TEXT_TILES a text */
    uint64_t texts;
    uint64_t prepared;
    uint64_t partials;
    uint64_t sums; /* address of 16 bytes a thread */
};

ARITHMETIC struct field load_column(uint64_t sum, unsigned column)
{
    const uint64_t pair = sum + 32 * (column / 2);
    const unsigned shift = column % 2 * 16;
    const struct words one = gpu_load16(pair), two = gpu_load16(pair + 16);
    struct words block;
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 2; i++) {
        block.w[i] = (one.w[2 * i] >> shift & 0xffffu) | one.w[2 * i + 1] >> shift << 16;
        block.w[2 + i] = (two.w[2 * i] >> shift & 0xffffu) | two.w[2 * i + 1] >> shift << 16;
    }
    return field_of(&block);
}

ARITHMETIC void add_columns_thread(const struct add_columns_task *task, uint64_t thread)
{
    const uint64_t tile = thread % TEXT_TILES;
    const uint64_t text = task->texts + thread / TEXT_TILES * KERNEL_TEXT_BYTES;
    const uint64_t powers = task->prepared + PREPARED_COLUMNS_AT + tile * TILE_COLUMNS * 16;
    struct field sum = {0, 0};
    for (unsigned column = 0; column < TILE_COLUMNS && blocks_left(text, tile) > 0; column++)
        sum = field_add(
            sum, field_multiply(load_column(task->partials + thread * TILE_SUM_BYTES, column),
                                load_field(powers + 16 * (TILE_COLUMNS - 1 - column))));
    gpu_store16(task->sums + 16 * thread, field_words(sum));
}

#endif
