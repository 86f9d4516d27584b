#include <string.h>
#include <unistd.h>

#include <lethe/mem.h>

#include "base/error.h"
#include "mem/wipe.h"

#define LINE_BYTES 64u

atomic_bool wipe_flushes_caches;

/* ---- what the CPU is asked for --------------------------------------------------------------- */

#if defined __x86_64__ && !defined WIPE_PORTABLE
#include <emmintrin.h>

#define CAN_FLUSH_CACHES true
/* One body, three machine codes, chosen when the program is loaded: a single core reads memory
 * half as fast again with 64-byte loads as with 16-byte ones. */
#define WIDEST_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))

static void fence(void)
{
    _mm_sfence();
}

/* 16-byte streaming stores fill a line as fast as wider ones: memory is the limit, not the core. */
static void stream_zeros(uint8_t *lines, size_t count)
{
    const __m128i zero = _mm_setzero_si128();
    for (uint8_t *end = lines + count * LINE_BYTES; lines < end; lines += LINE_BYTES) {
        _mm_stream_si128((__m128i *)(void *)lines, zero);
        _mm_stream_si128((__m128i *)(void *)(lines + 16), zero);
        _mm_stream_si128((__m128i *)(void *)(lines + 32), zero);
        _mm_stream_si128((__m128i *)(void *)(lines + 48), zero);
    }
}

static void flush_lines(const uint8_t *first, const uint8_t *end)
{
    first -= (uintptr_t)first % LINE_BYTES;
    for (; first < end; first += LINE_BYTES)
        _mm_clflush(first);
}

#else

#define CAN_FLUSH_CACHES false
#define WIDEST_VECTORS

static void fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

static void stream_zeros(uint8_t *lines, size_t count)
{
    memset(lines, 0, count * LINE_BYTES);
}

static void flush_lines(const uint8_t *first, const uint8_t *end)
{
}

#endif

/* ---- wipe ------------------------------------------------------------------------------------ */

/* The compiler must believe that somebody reads the memory after the stores. */
static inline void pretend_to_read(const void *memory)
{
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* From where on going past the cache is quicker. Below, the zeros stay in the cache and the check
 * that follows reads them there. */
static size_t streaming_threshold_bytes(void)
{
    static _Atomic size_t threshold_bytes;
    size_t known = atomic_load_explicit(&threshold_bytes, memory_order_relaxed);
    if (known != 0)
        return known;
    long last_level_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    known = MAX((size_t)MAX(last_level_bytes, 0) / 4, (size_t)4 << 20);
    atomic_store_explicit(&threshold_bytes, known, memory_order_relaxed);
    return known;
}

static void wipe_through_cache(uint8_t *bytes, size_t size_bytes)
{
    memset(bytes, 0, size_bytes);
    pretend_to_read(bytes);
    if (atomic_load_explicit(&wipe_flushes_caches, memory_order_relaxed))
        flush_lines(bytes, bytes + size_bytes);
}

static void wipe_past_cache(uint8_t *bytes, size_t size_bytes)
{
    size_t head = -(uintptr_t)bytes % LINE_BYTES;
    size_t lines = (size_bytes - head) / LINE_BYTES;
    size_t tail = (size_bytes - head) % LINE_BYTES;
    wipe_through_cache(bytes, head);
    stream_zeros(bytes + head, lines);
    pretend_to_read(bytes);
    wipe_through_cache(bytes + size_bytes - tail, tail);
}

void lethe_wipe(void *memory, size_t size_bytes)
{
    if (size_bytes < streaming_threshold_bytes())
        wipe_through_cache(memory, size_bytes);
    else
        wipe_past_cache(memory, size_bytes);
    fence();
}

lethe_result lethe_wipe_flush_caches(bool on, struct lethe_error *err)
{
    if (on && !CAN_FLUSH_CACHES)
        return error_set(err, LETHE_UNPROTECTED,
                         "caches cannot be flushed on this kind of CPU: expected x86-64");
    atomic_store_explicit(&wipe_flushes_caches, on, memory_order_relaxed);
    return LETHE_OK;
}

/* ---- check ----------------------------------------------------------------------------------- */

typedef uint64_t wide __attribute__((vector_size(LINE_BYTES), may_alias));

WIDEST_VECTORS
static uint64_t any_bit_in_lines(const wide *lines, size_t count)
{
    wide a = {0}, b = {0}, c = {0}, d = {0};
    for (; count >= 4; count -= 4, lines += 4) {
        a |= lines[0];
        b |= lines[1];
        c |= lines[2];
        d |= lines[3];
    }
    for (; count > 0; count--, lines++)
        a |= *lines;
    a |= b | c | d;
    return a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7];
}

static uint64_t any_bit_in_bytes(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= bytes[i];
    return any;
}

bool lethe_is_zero(const void *memory, size_t size_bytes)
{
    const uint8_t *bytes = memory;
    size_t head = MIN(-(uintptr_t)bytes % LINE_BYTES, size_bytes);
    size_t lines = (size_bytes - head) / LINE_BYTES;
    size_t tail = (size_bytes - head) % LINE_BYTES;
    uint64_t any = any_bit_in_bytes(bytes, head);
    any |= any_bit_in_lines((const wide *)(const void *)(bytes + head), lines);
    any |= any_bit_in_bytes(bytes + head + lines * LINE_BYTES, tail);
    return any == 0;
}
