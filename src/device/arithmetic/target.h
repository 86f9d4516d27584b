/* device/arithmetic/target.h -- what lets the same lines run on a GPU and, in tests, on a CPU.
 *
 * The headers of this folder hold cryptographic primitives that are ours: there is no library that
 * offers them on a GPU. They are used on GPUs only. On the host everything goes through crypto/;
 * there these lines are only ever run by tests, which hold them to published vectors and to
 * crypto/.
 *
 * They are C17 and CUDA C++ at once. Nothing in them branches on, or indexes with, a key, a
 * plaintext or anything made from one.
 *
 * Device memory is a number. A kernel reaches it through the functions below; in tests those are
 * answered by a software driver, which checks every single access. */
#ifndef DEVICE_ARITHMETIC_TARGET_H
#define DEVICE_ARITHMETIC_TARGET_H

#include <stdint.h>

#ifdef __CUDACC__
#define ARITHMETIC __device__ static __forceinline__
#define ARITHMETIC_TABLE __device__ __constant__ static const
#define ARITHMETIC_UNROLL _Pragma("unroll")
#define ARITHMETIC_LOOP _Pragma("unroll 1")
#else
#define ARITHMETIC __attribute__((unused)) static inline
#define ARITHMETIC_TABLE __attribute__((unused)) static const
#define ARITHMETIC_UNROLL
#define ARITHMETIC_LOOP
#endif

/* 16 bytes as they lie in memory, in little-endian words. */
struct words {
    uint32_t w[4];
};

ARITHMETIC uint32_t swap_bytes(uint32_t x)
{
    return x >> 24 | (x >> 8 & 0xff00u) | (x << 8 & 0xff0000u) | x << 24;
}

#ifdef __CUDACC__

ARITHMETIC uint8_t gpu_load1(uint64_t address)
{
    return *(const uint8_t *)address;
}

ARITHMETIC void gpu_store1(uint64_t address, uint8_t value)
{
    *(uint8_t *)address = value;
}

ARITHMETIC uint32_t gpu_load4(uint64_t address) /* a multiple of 4 */
{
    return *(const uint32_t *)address;
}

ARITHMETIC void gpu_store4(uint64_t address, uint32_t value)
{
    *(uint32_t *)address = value;
}

ARITHMETIC struct words gpu_load16(uint64_t address) /* a multiple of 16 */
{
    const uint4 v = *(const uint4 *)address;
    struct words out;
    out.w[0] = v.x;
    out.w[1] = v.y;
    out.w[2] = v.z;
    out.w[3] = v.w;
    return out;
}

ARITHMETIC void gpu_store16(uint64_t address, struct words value)
{
    *(uint4 *)address = make_uint4(value.w[0], value.w[1], value.w[2], value.w[3]);
}

#else

/* Whoever runs kernels on a CPU says what is there. */
uint8_t gpu_load1(uint64_t address);
void gpu_store1(uint64_t address, uint8_t value);
uint32_t gpu_load4(uint64_t address);
void gpu_store4(uint64_t address, uint32_t value);
struct words gpu_load16(uint64_t address);
void gpu_store16(uint64_t address, struct words value);

#endif

/* At any address; what is behind size_bytes (0 to 16) counts as zero, and is not touched. The loops
 * over bytes are unrolled so that a block stays in registers: what a thread keeps in memory of its
 * own, nobody wipes. */
ARITHMETIC struct words gpu_load_block(uint64_t address, unsigned size_bytes)
{
    struct words block = {{0, 0, 0, 0}};
    if (size_bytes == 16 && address % 16 == 0)
        return gpu_load16(address);
    if (size_bytes == 16 && address % 4 == 0) {
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 4; i++)
            block.w[i] = gpu_load4(address + 4 * i);
        return block;
    }
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 16; i++)
        if (i < size_bytes)
            block.w[i / 4] |= (uint32_t)gpu_load1(address + i) << 8 * (i % 4);
    return block;
}

ARITHMETIC void gpu_store_block(uint64_t address, unsigned size_bytes, struct words block)
{
    if (size_bytes == 16 && address % 16 == 0) {
        gpu_store16(address, block);
        return;
    }
    if (size_bytes == 16 && address % 4 == 0) {
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 4; i++)
            gpu_store4(address + 4 * i, block.w[i]);
        return;
    }
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 16; i++)
        if (i < size_bytes)
            gpu_store1(address + i, (uint8_t)(block.w[i / 4] >> 8 * (i % 4)));
}

#endif
