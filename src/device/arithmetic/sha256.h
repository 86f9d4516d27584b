/* device/arithmetic/sha256.h -- SHA-256's compression (FIPS 180-4, 6.2.2). On GPUs only: see
 * device/arithmetic/target.h. */
#ifndef DEVICE_ARITHMETIC_SHA256_H
#define DEVICE_ARITHMETIC_SHA256_H

#include "device/arithmetic/target.h"

struct sha256_state {
    uint32_t h[8];
};

/* FIPS 180-4, 4.2.2. */
ARITHMETIC_TABLE uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

ARITHMETIC uint32_t rotate_right(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

/* FIPS 180-4, 5.3.3. */
ARITHMETIC struct sha256_state sha256_start(void)
{
    const struct sha256_state start = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                        0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    return start;
}

/* Sixteen words of the message schedule from the sixteen before. */
ARITHMETIC void sha256_schedule(uint32_t w[16])
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 16; i++) {
        const uint32_t a = w[(i + 1) % 16], b = w[(i + 14) % 16];
        w[i] += (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) + w[(i + 9) % 16] +
                (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
    }
}

ARITHMETIC void sha256_sixteen_rounds(uint32_t v[8], const uint32_t w[16], const uint32_t *k)
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 16; i++) {
        const uint32_t e = v[4], a = v[0];
        const uint32_t one = v[7] + k[i] + w[i] +
                             (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                             (v[6] ^ (e & (v[5] ^ v[6])));
        const uint32_t two = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
                             ((a & v[1]) | (v[2] & (a | v[1])));
        ARITHMETIC_UNROLL
        for (unsigned j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += one;
        v[0] = one + two;
    }
}

/* One block, given as sixteen big-endian words already turned into numbers; w is used up. */
ARITHMETIC void sha256_compress(struct sha256_state *state, uint32_t w[16])
{
    uint32_t v[8];
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        v[i] = state->h[i];
    ARITHMETIC_UNROLL
    for (unsigned round = 0; round < 64; round += 16) {
        if (round > 0)
            sha256_schedule(w);
        sha256_sixteen_rounds(v, w, sha256_k + round);
    }
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        state->h[i] += v[i];
}

/* Ends a message of a whole number of blocks. */
ARITHMETIC void sha256_end_whole(struct sha256_state *state, uint64_t size_bytes)
{
    uint32_t w[16] = {0x80000000u, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    w[14] = (uint32_t)(size_bytes >> 29);
    w[15] = (uint32_t)(size_bytes << 3);
    sha256_compress(state, w);
}

#endif
