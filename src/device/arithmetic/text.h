/* device/arithmetic/text.h -- texts that have tags. On GPUs only: see device/arithmetic/target.h.
 */
#ifndef DEVICE_ARITHMETIC_TEXT_H
#define DEVICE_ARITHMETIC_TEXT_H

#include "device/arithmetic/target.h"

/* A text that has a tag, in device memory. */
struct kernel_text {
    uint64_t address;
    uint64_t size_bytes;
    uint8_t nonce[12];
    uint8_t unused[4];
};
#define KERNEL_TEXT_BYTES 32u

ARITHMETIC uint64_t load_u64(uint64_t address)
{
    return gpu_load4(address) | (uint64_t)gpu_load4(address + 4) << 32;
}

ARITHMETIC uint64_t blocks_of(uint64_t size_bytes)
{
    return size_bytes / 16 + (size_bytes % 16 > 0);
}

ARITHMETIC unsigned block_bytes(uint64_t size_bytes, uint64_t block)
{
    const uint64_t left = size_bytes - 16 * block;
    return left < 16 ? (unsigned)left : 16;
}

#endif
