/* device/arithmetic/ghash.h -- GHASH's field (NIST SP 800-38D, 6.3): multiplication in GF(2^128)
 * without carry-less multiply instructions and without tables. On GPUs only: see
 * device/arithmetic/target.h.
 *
 * A polynomial over GF(2) is multiplied by integer multiplication of pieces in which only every
 * fourth bit may be set: at most eight products meet in a place, so what they carry stays within
 * the three places that are then masked away. */
#ifndef DEVICE_ARITHMETIC_GHASH_H
#define DEVICE_ARITHMETIC_GHASH_H

#include "device/arithmetic/target.h"

/* As a big-endian number: the coefficient of x^0 is the highest bit of `high`. */
struct field {
    uint64_t high, low;
};

ARITHMETIC struct field field_of(const struct words *block)
{
    struct field out;
    out.high = (uint64_t)swap_bytes(block->w[0]) << 32 | swap_bytes(block->w[1]);
    out.low = (uint64_t)swap_bytes(block->w[2]) << 32 | swap_bytes(block->w[3]);
    return out;
}

ARITHMETIC struct words field_words(struct field x)
{
    struct words out;
    out.w[0] = swap_bytes((uint32_t)(x.high >> 32));
    out.w[1] = swap_bytes((uint32_t)x.high);
    out.w[2] = swap_bytes((uint32_t)(x.low >> 32));
    out.w[3] = swap_bytes((uint32_t)x.low);
    return out;
}

ARITHMETIC struct field field_add(struct field a, struct field b)
{
    a.high ^= b.high;
    a.low ^= b.low;
    return a;
}

ARITHMETIC uint64_t field_piece(const uint32_t a[4], const uint32_t b[4], unsigned sum)
{
    uint64_t out = 0;
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++)
        out ^= (uint64_t)a[i] * b[(sum + 4 - i) % 4];
    return out & 0x1111111111111111u << sum;
}

ARITHMETIC uint64_t multiply_32(uint32_t a, uint32_t b)
{
    uint32_t as[4], bs[4];
    uint64_t out = 0;
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        as[i] = a & 0x11111111u << i;
        bs[i] = b & 0x11111111u << i;
    }
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++)
        out |= field_piece(as, bs, i);
    return out;
}

/* Karatsuba: three products of halves instead of four. */
ARITHMETIC struct field multiply_64(uint64_t a, uint64_t b)
{
    const uint32_t a1 = (uint32_t)(a >> 32), a0 = (uint32_t)a, b1 = (uint32_t)(b >> 32),
                   b0 = (uint32_t)b;
    const uint64_t high = multiply_32(a1, b1), low = multiply_32(a0, b0),
                   middle = multiply_32(a1 ^ a0, b1 ^ b0) ^ high ^ low;
    struct field out;
    out.high = high ^ middle >> 32;
    out.low = low ^ middle << 32;
    return out;
}

/* The product of two reflected polynomials is the reflected product shifted by one place; then
 * everything below x^128 is folded with x^128 = x^7 + x^2 + x + 1. */
ARITHMETIC struct field field_reduce(struct field high, struct field low)
{
    const uint64_t x3 = high.high << 1 | high.low >> 63, x2 = high.low << 1 | low.high >> 63,
                   x1 = low.high << 1 | low.low >> 63, x0 = low.low << 1;
    const uint64_t d = x1 ^ x0 << 63 ^ x0 << 62 ^ x0 << 57;
    struct field out;
    out.high = x3 ^ d ^ d >> 1 ^ d >> 2 ^ d >> 7;
    out.low = x2 ^ x0 ^ (x0 >> 1 | d << 63) ^ (x0 >> 2 | d << 62) ^ (x0 >> 7 | d << 57);
    return out;
}

ARITHMETIC struct field field_multiply(struct field a, struct field b)
{
    struct field high = multiply_64(a.high, b.high), low = multiply_64(a.low, b.low);
    const struct field middle =
        field_add(multiply_64(a.high ^ a.low, b.high ^ b.low), field_add(high, low));
    high.low ^= middle.high;
    low.high ^= middle.low;
    return field_reduce(high, low);
}

#endif
