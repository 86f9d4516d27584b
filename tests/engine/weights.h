/* tests/engine/weights.h -- bytes that stand for weights: tests, observers and helper engines know
 * them from a seed, so that nobody who looks for them has to hold a copy. */
#ifndef TESTS_ENGINE_WEIGHTS_H
#define TESTS_ENGINE_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint8_t weight_at(uint64_t seed, size_t offset)
{
    uint64_t x = ((seed << 40) + offset / 8) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    return (uint8_t)((x ^ x >> 27) >> (offset % 8 * 8));
}

static inline void weights_fill(uint8_t *out, size_t size_bytes, uint64_t seed)
{
    for (size_t i = 0; i < size_bytes; i++)
        out[i] = weight_at(seed, i);
}

static inline bool weights_equal(const uint8_t *bytes, size_t size_bytes, uint64_t seed)
{
    size_t same = 0;
    while (same < size_bytes && bytes[same] == weight_at(seed, same))
        same++;
    return same == size_bytes;
}

#define WEIGHTS_WINDOW_BYTES 24u

/* Whether some window of the first 64 KiB of the weights stands anywhere in these bytes. */
static inline bool weights_are_in(const uint8_t *bytes, size_t size_bytes, uint64_t seed)
{
    for (size_t at = 0; at + WEIGHTS_WINDOW_BYTES <= size_bytes; at++) {
        for (size_t offset = 0; offset < 65536; offset += 4096) {
            size_t same = 0;
            while (same < WEIGHTS_WINDOW_BYTES &&
                   bytes[at + same] == weight_at(seed, offset + same))
                same++;
            if (same == WEIGHTS_WINDOW_BYTES)
                return true;
        }
    }
    return false;
}

#endif
