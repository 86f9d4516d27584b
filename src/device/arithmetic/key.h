/* device/arithmetic/key.h -- what a key becomes on the device: round keys and powers of the hash
 * key. On GPUs only: see device/arithmetic/target.h. */
#ifndef DEVICE_ARITHMETIC_KEY_H
#define DEVICE_ARITHMETIC_KEY_H

#include "device/arithmetic/aes.h"
#include "device/arithmetic/ghash.h"

/* Threads that share the GHASH of one text that is decrypted. */
#define KERNEL_LANES 1024u
#define KERNEL_DOUBLINGS 16u /* H^(2^0) to H^(2^15): enough for all powers below */

/* What GMAC needs of a text (device/arithmetic/gmac.h): tiles of 1024 blocks, in which 64 blocks at
 * a time are added up in 16 columns. */
#define TILE_STEPS 16u
#define TILE_STEP_BLOCKS 64u
#define TILE_BLOCKS (TILE_STEPS * TILE_STEP_BLOCKS)
#define TILE_COLUMNS 16u
#define TEXT_TILES 64u
#define TEXT_COLUMNS (TEXT_TILES * TILE_COLUMNS)
#define MATRIX_WORDS 512u /* 128 rows of 128 bits */
#define MATRICES_WORDS (TILE_STEPS * 4u * MATRIX_WORDS)

/* What a key becomes, in device memory. */
#define PREPARED_SCHEDULE_AT 0u
#define PREPARED_DOUBLINGS_AT AES_SCHEDULE_BYTES
#define PREPARED_POWERS_AT (PREPARED_DOUBLINGS_AT + 16u * KERNEL_DOUBLINGS)
#define PREPARED_POWERS (KERNEL_LANES + 2u) /* H^0 (unused) to H^(KERNEL_LANES + 1) */
#define PREPARED_COLUMNS_AT (PREPARED_POWERS_AT + 16u * PREPARED_POWERS)
#define PREPARED_MATRICES_AT (PREPARED_COLUMNS_AT + 16u * TEXT_COLUMNS)
#define PREPARED_BYTES (PREPARED_MATRICES_AT + 4u * MATRICES_WORDS)

ARITHMETIC struct field load_field(uint64_t address)
{
    const struct words block = gpu_load16(address);
    return field_of(&block);
}

/* First of three: the round keys, H, and H squared over and over. */
struct prepare_key_task {
    uint64_t threads; /* 1 */
    uint64_t key;     /* address of 32 bytes */
    uint64_t prepared;
};

ARITHMETIC void prepare_key_thread(const struct prepare_key_task *task, uint64_t thread)
{
    struct words zero = {{0, 0, 0, 0}}, unused = {{0, 0, 0, 0}};
    aes_expand(task->key, task->prepared + PREPARED_SCHEDULE_AT);
    aes_encrypt(task->prepared + PREPARED_SCHEDULE_AT, &zero, &unused);
    struct field power = field_of(&zero);
    for (unsigned i = 0; i < KERNEL_DOUBLINGS; i++) {
        gpu_store16(task->prepared + PREPARED_DOUBLINGS_AT + 16 * i, field_words(power));
        power = field_multiply(power, power);
    }
}

/* Second of three: what a lane of GCM and a column of GMAC multiply by. */
struct prepare_powers_task {
    uint64_t threads; /* KERNEL_LANES + 1, then TEXT_COLUMNS: as they lie in memory */
    uint64_t prepared;
};
#define PREPARE_POWERS_THREADS (KERNEL_LANES + 1u + TEXT_COLUMNS)

/* Columns are counted from the end of a text: behind the last there is the block of lengths, behind
 * each before it in a tile there are four blocks more. */
ARITHMETIC uint64_t prepared_power(uint64_t thread)
{
    if (thread <= KERNEL_LANES)
        return thread + 1;
    const uint64_t column = thread - (KERNEL_LANES + 1);
    return column / TILE_COLUMNS * TILE_BLOCKS + column % TILE_COLUMNS * 4 + 1;
}

ARITHMETIC void prepare_powers_thread(const struct prepare_powers_task *task, uint64_t thread)
{
    const uint64_t power = prepared_power(thread);
    struct field product = {0x8000000000000000u, 0}; /* one */
    for (unsigned i = 0; i < KERNEL_DOUBLINGS; i++)
        if (power >> i & 1)
            product = field_multiply(product,
                                     load_field(task->prepared + PREPARED_DOUBLINGS_AT + 16 * i));
    gpu_store16(task->prepared + PREPARED_POWERS_AT + 16 * (thread + 1), field_words(product));
}

ARITHMETIC struct field power_of_h(uint64_t prepared, uint64_t power)
{
    return load_field(prepared + PREPARED_POWERS_AT + 16 * power);
}

#endif
