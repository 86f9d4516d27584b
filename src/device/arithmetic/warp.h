/* device/arithmetic/warp.h -- what 32 threads do together. On GPUs only: see
 * device/arithmetic/target.h.
 *
 * On a GPU each thread of a warp is a lane and holds its own part of an array over lanes; the C
 * twin holds all parts, and lane 0's call does the work of all 32. */
#ifndef DEVICE_ARITHMETIC_WARP_H
#define DEVICE_ARITHMETIC_WARP_H

#include "device/arithmetic/target.h"

#define WARP_LANES 32u

#ifdef __CUDACC__
#define LANES_HELD 1u
#else
#define LANES_HELD WARP_LANES
#endif

#define EACH_LANE(held)                                                                            \
    ARITHMETIC_UNROLL                                                                              \
    for (unsigned held = 0; held < LANES_HELD; held++)

/* The lane whose part is at `held`. */
ARITHMETIC unsigned lane_of(uint64_t thread, unsigned held)
{
    return (unsigned)(thread % WARP_LANES) + held;
}

ARITHMETIC int another_lane_does_it(uint64_t thread)
{
    return LANES_HELD > 1 && thread % WARP_LANES != 0;
}

/* Tensor cores that know bits come with sm_80. Elsewhere, and where a test says so, integers do. */
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ < 800 && !defined ARITHMETIC_WITHOUT_TENSORS
#define ARITHMETIC_WITHOUT_TENSORS
#endif

#ifdef ARITHMETIC_WITHOUT_TENSORS

/* Adds to each lane's block those of the three lanes beside it. */
ARITHMETIC void add_four_lanes(struct words blocks[LANES_HELD])
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
#ifdef __CUDACC__
        blocks[0].w[i] ^= __shfl_xor_sync(0xffffffffu, blocks[0].w[i], 1);
        blocks[0].w[i] ^= __shfl_xor_sync(0xffffffffu, blocks[0].w[i], 2);
#else
        for (unsigned lane = 0; lane < WARP_LANES; lane += 4) {
            const uint32_t sum = blocks[lane].w[i] ^ blocks[lane + 1].w[i] ^ blocks[lane + 2].w[i] ^
                                 blocks[lane + 3].w[i];
            for (unsigned j = 0; j < 4; j++)
                blocks[lane + j].w[i] = sum;
        }
#endif
    }
}

#else

/* A matrix of 16 rows of 256 bits times one of 8 columns of 256 bits: adds to 16 times 8 counts the
 * places where a row and a column are both 1. Parts are as PTX has them for mma.m16n8k256: lane
 * 4 g + t holds words t and 4 + t of rows g and 8 + g (`rows`: words t of both, then 4 + t of both)
 * and of column g (`low`, `high`), and the counts of these rows and columns 2 t and 2 t + 1. */
struct bit_columns {
    uint32_t low, high;
};
struct bit_counts {
    uint32_t c[4]; /* row g, both columns; then row 8 + g */
};

#ifdef __CUDACC__

ARITHMETIC void count_bits(const struct words rows[1], const struct bit_columns columns[1],
                           struct bit_counts counts[1])
{
    asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(counts->c[0]), "+r"(counts->c[1]), "+r"(counts->c[2]), "+r"(counts->c[3])
        : "r"(rows->w[0]), "r"(rows->w[1]), "r"(rows->w[2]), "r"(rows->w[3]), "r"(columns->low),
          "r"(columns->high));
}

#else

/* Of what tensor cores count, only whether it is odd is ever used; the twin counts no further. */
ARITHMETIC void count_bits(const struct words rows[WARP_LANES],
                           const struct bit_columns columns[WARP_LANES],
                           struct bit_counts counts[WARP_LANES])
{
    for (unsigned lane = 0; lane < WARP_LANES; lane++)
        for (unsigned i = 0; i < 4; i++) {
            const struct words *a = &rows[lane / 4 * 4];
            const struct bit_columns *b = &columns[(lane % 4 * 2 + i % 2) * 4];
            uint32_t both = 0;
            for (unsigned part = 0; part < 4; part++)
                both ^= (a[part].w[i / 2] & b[part].low) ^ (a[part].w[2 + i / 2] & b[part].high);
            counts[lane].c[i] += (uint32_t)__builtin_parity(both);
        }
}

#endif
#endif
#endif
