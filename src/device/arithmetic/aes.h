/* device/arithmetic/aes.h -- AES-256 (FIPS 197), two blocks at a time, without tables. On GPUs
 * only: see device/arithmetic/target.h.
 *
 * The two states are sliced by bits: word i of eight holds bit i of all 32 bytes, so that the S-box
 * is a circuit of ANDs and XORs, and no memory access depends on the key. Within a word, bit
 * 8 * row + 2 * column + block. */
#ifndef DEVICE_ARITHMETIC_AES_H
#define DEVICE_ARITHMETIC_AES_H

#include "device/arithmetic/target.h"

#define AES_ROUNDS 14u
#define AES_KEY_WORDS 8u

struct aes_slices {
    uint32_t s[8];
};

/* Round keys are in device memory, sliced, the same for both blocks, and nowhere else: a copy that
 * each thread had would be memory that nobody wipes. */
#define AES_ROUND_KEY_BYTES 32u
#define AES_SCHEDULE_BYTES ((AES_ROUNDS + 1) * AES_ROUND_KEY_BYTES)

/* Exchanges the bits of *a under `mask << by` with those of *b under `mask`. */
ARITHMETIC void aes_exchange(uint32_t *a, uint32_t *b, uint32_t mask, unsigned by)
{
    const uint32_t changed = (*a >> by ^ *b) & mask;
    *b ^= changed;
    *a ^= changed << by;
}

/* Transposes the 8 x 8 bits that byte k of each word makes, for every k. Its own inverse. */
ARITHMETIC void aes_transpose(struct aes_slices *x)
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i += 2)
        aes_exchange(&x->s[i], &x->s[i + 1], 0x55555555u, 1);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        if (i % 4 < 2)
            aes_exchange(&x->s[i], &x->s[i + 2], 0x33333333u, 2);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++)
        aes_exchange(&x->s[i], &x->s[i + 4], 0x0f0f0f0fu, 4);
}

ARITHMETIC struct aes_slices aes_slice(const struct words *one, const struct words *two)
{
    struct aes_slices out;
    ARITHMETIC_UNROLL
    for (unsigned column = 0; column < 4; column++) {
        out.s[2 * column] = one->w[column];
        out.s[2 * column + 1] = two->w[column];
    }
    aes_transpose(&out);
    return out;
}

ARITHMETIC void aes_unslice(struct aes_slices x, struct words *one, struct words *two)
{
    aes_transpose(&x);
    ARITHMETIC_UNROLL
    for (unsigned column = 0; column < 4; column++) {
        one->w[column] = x.s[2 * column];
        two->w[column] = x.s[2 * column + 1];
    }
}

/* The S-box of all 32 bytes: the circuit of J. Boyar and R. Peralta, "A depth-16 circuit for the
 * AES S-box", IACR ePrint 2011/332, under the names of its gates; their U0 is the highest bit. */
ARITHMETIC void aes_substitute(struct aes_slices *x)
{
    const uint32_t u0 = x->s[7], u1 = x->s[6], u2 = x->s[5], u3 = x->s[4], u4 = x->s[3],
                   u5 = x->s[2], u6 = x->s[1], u7 = x->s[0];

    /* linear, on the way in */
    const uint32_t y14 = u3 ^ u5, y13 = u0 ^ u6, y9 = u0 ^ u3, y8 = u0 ^ u5, t0 = u1 ^ u2,
                   y1 = t0 ^ u7, y4 = y1 ^ u3, y12 = y13 ^ y14, y2 = y1 ^ u0, y5 = y1 ^ u6,
                   y3 = y5 ^ y8, t1 = u4 ^ y12, y15 = t1 ^ u5, y20 = t1 ^ u1, y6 = y15 ^ u7,
                   y10 = y15 ^ t0, y11 = y20 ^ y9, y7 = u7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8,
                   y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = u0 ^ y16;

    /* inversion, in a tower of fields */
    const uint32_t t2 = y12 & y15, t4 = (y3 & y6) ^ t2, t6 = (y4 & u7) ^ t2, t7 = y13 & y16,
                   t9 = (y5 & y1) ^ t7, t11 = (y2 & y7) ^ t7, t12 = y9 & y11,
                   t14 = (y14 & y17) ^ t12, t16 = (y8 & y10) ^ t12, t21 = t4 ^ t14 ^ y20,
                   t22 = t6 ^ t16 ^ y19, t23 = t9 ^ t14 ^ y21, t24 = t11 ^ t16 ^ y18,
                   t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26, t29 = (t25 & t27) ^ t22,
                   t30 = t23 ^ t24, t31 = t22 ^ t26, t33 = (t31 & t30) ^ t24, t34 = t23 ^ t33,
                   t35 = t27 ^ t33, t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36,
                   t40 = t25 ^ (t29 & t38), t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40,
                   t44 = t33 ^ t37, t45 = t42 ^ t41;
    const uint32_t z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & u7, z3 = t43 & y16, z4 = t40 & y1,
                   z5 = t29 & y7, z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12,
                   z10 = t37 & y3, z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2,
                   z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;

    /* linear, on the way out */
    const uint32_t t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10, t50 = z2 ^ z12,
                   t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7, t55 = z16 ^ z17,
                   t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46, t59 = z3 ^ t54,
                   t60 = t46 ^ t57, t61 = z14 ^ t57, t62 = t52 ^ t58, t63 = t49 ^ t58,
                   t64 = z4 ^ t59, t65 = t61 ^ t62, t66 = z1 ^ t63, t67 = t64 ^ t65;
    x->s[7] = t59 ^ t63;
    x->s[4] = t53 ^ t66;
    x->s[6] = t64 ^ ~x->s[4];
    x->s[5] = t55 ^ ~t67;
    x->s[3] = t51 ^ t66;
    x->s[2] = t47 ^ t65;
    x->s[1] = t56 ^ ~t62;
    x->s[0] = t48 ^ ~t60;
}

/* Row r moves left by r columns: two bits a column. */
ARITHMETIC uint32_t aes_shift_rows(uint32_t x)
{
    return (x & 0x000000ffu) | (x >> 2 & 0x00003f00u) | (x << 6 & 0x0000c000u) |
           (x >> 4 & 0x000f0000u) | (x << 4 & 0x00f00000u) | (x >> 6 & 0x03000000u) |
           (x << 2 & 0xfc000000u);
}

ARITHMETIC uint32_t aes_next_row(uint32_t x, unsigned rows)
{
    return x >> 8 * rows | x << (32 - 8 * rows);
}

/* Byte r becomes 2 (b_r + b_{r+1}) + b_{r+1} + b_{r+2} + b_{r+3}. Doubling moves each bit up; what
 * falls out comes back as 0x1b. */
ARITHMETIC void aes_mix_columns(struct aes_slices *x)
{
    uint32_t pair[8];
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        pair[i] = x->s[i] ^ aes_next_row(x->s[i], 1);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++) {
        const uint32_t doubled =
            i == 0 ? pair[7] : pair[i - 1] ^ (i == 1 || i == 3 || i == 4 ? pair[7] : 0);
        x->s[i] = doubled ^ aes_next_row(x->s[i], 1) ^ aes_next_row(pair[i], 2);
    }
}

ARITHMETIC void aes_add_key(struct aes_slices *x, uint64_t schedule, unsigned round)
{
    const struct words low = gpu_load16(schedule + round * AES_ROUND_KEY_BYTES),
                       high = gpu_load16(schedule + round * AES_ROUND_KEY_BYTES + 16);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        x->s[i] ^= low.w[i];
        x->s[4 + i] ^= high.w[i];
    }
}

ARITHMETIC void aes_shift_all_rows(struct aes_slices *x)
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        x->s[i] = aes_shift_rows(x->s[i]);
}

/* Encrypts both blocks in place, under the schedule at that address. */
ARITHMETIC void aes_encrypt(uint64_t schedule, struct words *one, struct words *two)
{
    struct aes_slices x = aes_slice(one, two);
    aes_add_key(&x, schedule, 0);
    for (unsigned round = 1; round < AES_ROUNDS; round++) {
        aes_substitute(&x);
        aes_shift_all_rows(&x);
        aes_mix_columns(&x);
        aes_add_key(&x, schedule, round);
    }
    aes_substitute(&x);
    aes_shift_all_rows(&x);
    aes_add_key(&x, schedule, AES_ROUNDS);
    aes_unslice(x, one, two);
}

/* The S-box of the four bytes of a word. */
ARITHMETIC uint32_t aes_substitute_word(uint32_t word)
{
    struct aes_slices x = {{word, 0, 0, 0, 0, 0, 0, 0}};
    aes_transpose(&x);
    aes_substitute(&x);
    aes_transpose(&x);
    return x.s[0];
}

ARITHMETIC void aes_store_round_key(uint64_t schedule, unsigned round, const uint32_t w[4])
{
    struct words block = {{w[0], w[1], w[2], w[3]}}, half;
    const struct aes_slices key = aes_slice(&block, &block);
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = 0; i < 4; i++)
            half.w[i] = key.s[4 * part + i];
        gpu_store16(schedule + round * AES_ROUND_KEY_BYTES + 16 * part, half);
    }
}

/* Key expansion (FIPS 197, 5.2) of the key at that address, eight words at a time. */
ARITHMETIC void aes_expand(uint64_t key, uint64_t schedule)
{
    uint32_t w[AES_KEY_WORDS];
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < AES_KEY_WORDS; i++)
        w[i] = gpu_load4(key + 4 * i);
    for (unsigned round = 0;; round += 2) {
        aes_store_round_key(schedule, round, w);
        if (round == AES_ROUNDS)
            break;
        aes_store_round_key(schedule, round + 1, w + 4);
        w[0] ^= aes_substitute_word(aes_next_row(w[7], 1)) ^ 1u << round / 2;
        ARITHMETIC_UNROLL
        for (unsigned i = 1; i < AES_KEY_WORDS; i++)
            w[i] ^= i == 4 ? aes_substitute_word(w[3]) : w[i - 1];
    }
}

#endif
