/* residency/kv_rows.h -- how rows get to their block in host memory. */
#ifndef RESIDENCY_KV_ROWS_H
#define RESIDENCY_KV_ROWS_H

#include <stddef.h>
#include <string.h>

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* Less is worth no fence. */
#define KV_STREAM_MIN_BYTES 1024u
#define KV_STREAM_LINE_BYTES 64u

/* Past the caches: a row's lines need not be read from memory to be overwritten whole, and what is
 * there from tokens long ago is not what the next layer needs. The fence lets whoever sees the rows
 * counted see them, too. */
static inline void kv_rows_stream(uint8_t *to, const uint8_t *from, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i += sizeof(__m128i))
        _mm_stream_si128((__m128i *)(void *)(to + i),
                         _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
    _mm_sfence();
}

static inline void kv_rows_copy(uint8_t *to, const uint8_t *from, size_t size_bytes)
{
    if (size_bytes >= KV_STREAM_MIN_BYTES &&
        (((uintptr_t)to | size_bytes) & (KV_STREAM_LINE_BYTES - 1)) == 0)
        kv_rows_stream(to, from, size_bytes);
    else
        memcpy(to, from, size_bytes);
}

#else

static inline void kv_rows_copy(uint8_t *to, const uint8_t *from, size_t size_bytes)
{
    memcpy(to, from, size_bytes);
}

#endif
#endif
