#include "tiny.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

/* IEEE 754 binary16. The exponent is corrected by a multiplication, which is right for subnormal
 * numbers too; infinities and NaNs get the largest one there is. */
static inline float half(uint16_t bits)
{
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13;
    float value;
    memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112f;
    memcpy(&magnitude, &value, sizeof value);
    magnitude |= (uint32_t)(bits & 0x8000) << 16;
    magnitude |= (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    memcpy(&value, &magnitude, sizeof value);
    return value;
}

static void unpack_f32(const void *row, float *out, uint32_t n)
{
    memcpy(out, row, n * sizeof *out);
}

static void unpack_f16(const void *row, float *out, uint32_t n)
{
    const uint16_t *values = row;
    for (uint32_t i = 0; i < n; i++)
        out[i] = half(values[i]);
}

#define Q8_BLOCK 32
struct q8_block {
    uint16_t scale;
    int8_t values[Q8_BLOCK];
};

static void unpack_q8(const void *row, float *out, uint32_t n)
{
    const struct q8_block *block = row;
    for (; n > 0; block++, out += Q8_BLOCK, n -= Q8_BLOCK) {
        float scale = half(block->scale);
        for (uint32_t i = 0; i < Q8_BLOCK; i++)
            out[i] = scale * block->values[i];
    }
}

static const struct number numbers[] = {
    {0, 1, sizeof(float), unpack_f32},
    {1, 1, sizeof(uint16_t), unpack_f16},
    {8, Q8_BLOCK, sizeof(struct q8_block), unpack_q8},
};

const struct number *number_of(uint32_t type)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (numbers[i].type == type)
            return &numbers[i];
    return NULL;
}

/* Eight sums that do not depend on one another, so that a compiler may use vectors. */
float dot(const float *a, const float *b, uint32_t n)
{
    float sums[8] = {0};
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (uint32_t j = 0; j < 8; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sums[i % 8] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}
