/* device/arithmetic/kernels.h -- what each thread of each kernel does. On GPUs only: see
 * device/arithmetic/target.h.
 *
 * A kernel takes one structure, by value, and runs a function for each of `threads` numbers. No
 * thread waits for another: what needs the work of others is a launch of its own. Secrets are never
 * in these structures, only in device memory that is wiped. */
#ifndef DEVICE_ARITHMETIC_KERNELS_H
#define DEVICE_ARITHMETIC_KERNELS_H

#include "device/arithmetic/gmac.h"
#include "device/arithmetic/sha256.h"

/* X(name): the kernel lethe_<name> takes a struct <name>_task and runs <name>_thread. */
#define DEVICE_KERNELS(X)                                                                          \
    X(wipe)                                                                                        \
    X(find_nonzero)                                                                                \
    X(hash_blocks)                                                                                 \
    X(hash_stream)                                                                                 \
    X(prepare_key)                                                                                 \
    X(prepare_powers)                                                                              \
    X(prepare_matrices)                                                                            \
    X(gmac)                                                                                        \
    X(add_columns)                                                                                 \
    X(gcm)                                                                                         \
    X(add_lanes)                                                                                   \
    X(finish_tags)

#define KERNEL_BLOCK_THREADS 128u

/* ---- wipe and prove -------------------------------------------------------------------------- */

struct wipe_task {
    uint64_t threads;
    uint64_t address;
    uint64_t size_bytes;
};

/* Bytes before the first multiple of 16. */
ARITHMETIC uint64_t head_bytes(uint64_t address, uint64_t size_bytes)
{
    const uint64_t head = (16 - address % 16) % 16;
    return head < size_bytes ? head : size_bytes;
}

ARITHMETIC void wipe_thread(const struct wipe_task *task, uint64_t thread)
{
    const uint64_t head = head_bytes(task->address, task->size_bytes);
    const uint64_t first = task->address + head, whole = (task->size_bytes - head) / 16;
    const struct words zero = {{0, 0, 0, 0}};
    for (uint64_t i = thread; i < whole; i += task->threads)
        gpu_store16(first + 16 * i, zero);
    if (thread != 0)
        return;
    for (uint64_t i = 0; i < head; i++)
        gpu_store1(task->address + i, 0);
    for (uint64_t i = head + 16 * whole; i < task->size_bytes; i++)
        gpu_store1(task->address + i, 0);
}

struct find_nonzero_task {
    uint64_t threads;
    uint64_t address;
    uint64_t size_bytes;
    uint64_t found; /* address of four bytes, zero at first: not zero once something is */
};

ARITHMETIC void find_nonzero_thread(const struct find_nonzero_task *task, uint64_t thread)
{
    const uint64_t head = head_bytes(task->address, task->size_bytes);
    const uint64_t first = task->address + head, whole = (task->size_bytes - head) / 16;
    uint32_t any = 0;
    for (uint64_t i = thread; i < whole; i += task->threads) {
        const struct words block = gpu_load16(first + 16 * i);
        any |= block.w[0] | block.w[1] | block.w[2] | block.w[3];
    }
    if (thread == 0) {
        for (uint64_t i = 0; i < head; i++)
            any |= gpu_load1(task->address + i);
        for (uint64_t i = head + 16 * whole; i < task->size_bytes; i++)
            any |= gpu_load1(task->address + i);
    }
    if (any != 0)
        gpu_store4(task->found, 1);
}

/* ---- hash ------------------------------------------------------------------------------------ */

#define KERNEL_HASH_BLOCK_BYTES 4096u
#define KERNEL_HASH_BYTES 32u

ARITHMETIC void load_sha256_block(uint64_t address, uint64_t left_bytes, uint32_t w[16])
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t left = left_bytes > 16 * i ? left_bytes - 16 * i : 0;
        const struct words part = gpu_load_block(address + 16 * i, left < 16 ? (unsigned)left : 16);
        ARITHMETIC_UNROLL
        for (unsigned j = 0; j < 4; j++)
            w[4 * i + j] = swap_bytes(part.w[j]);
    }
}

ARITHMETIC void store_hash(uint64_t address, const struct sha256_state *state)
{
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 8; i++)
        gpu_store4(address + 4 * i, swap_bytes(state->h[i]));
}

/* One thread a block of 4096 bytes; the last counts as padded with zeros. */
struct hash_blocks_task {
    uint64_t threads;
    uint64_t address; /* a multiple of 4, as `out` */
    uint64_t size_bytes;
    uint64_t out; /* KERNEL_HASH_BYTES a block */
};

ARITHMETIC void hash_blocks_thread(const struct hash_blocks_task *task, uint64_t thread)
{
    const uint64_t offset = thread * KERNEL_HASH_BLOCK_BYTES;
    struct sha256_state state = sha256_start();
    for (unsigned at = 0; at < KERNEL_HASH_BLOCK_BYTES; at += 64) {
        uint32_t w[16];
        const uint64_t here = offset + at;
        load_sha256_block(task->address + here,
                          here < task->size_bytes ? task->size_bytes - here : 0, w);
        sha256_compress(&state, w);
    }
    sha256_end_whole(&state, KERNEL_HASH_BLOCK_BYTES);
    store_hash(task->out + thread * KERNEL_HASH_BYTES, &state);
}

/* Plain SHA-256, which only one thread can compute, in steps of whole blocks but for the last. */
struct hash_stream_task {
    uint64_t threads; /* 1 */
    uint64_t address;
    uint64_t size_bytes;
    uint64_t total_bytes; /* in the last step; before it, 0 */
    uint64_t state;       /* address of KERNEL_HASH_BYTES: the state, and at last the digest */
    uint64_t is_first;
};

ARITHMETIC void hash_stream_end(struct sha256_state *state, const struct hash_stream_task *task)
{
    const unsigned rest = (unsigned)(task->size_bytes % 64);
    uint32_t w[16];
    if (rest == 0) {
        sha256_end_whole(state, task->total_bytes);
        return;
    }
    load_sha256_block(task->address + task->size_bytes - rest, rest, w);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 16; i++)
        w[i] |= i == rest / 4 ? 0x80000000u >> 8 * (rest % 4) : 0;
    if (rest >= 56) {
        sha256_compress(state, w);
        ARITHMETIC_UNROLL
        for (unsigned i = 0; i < 16; i++)
            w[i] = 0;
    }
    w[14] = (uint32_t)(task->total_bytes >> 29);
    w[15] = (uint32_t)(task->total_bytes << 3);
    sha256_compress(state, w);
}

ARITHMETIC void hash_stream_thread(const struct hash_stream_task *task, uint64_t thread)
{
    struct sha256_state state = sha256_start();
    if (!task->is_first)
        for (unsigned i = 0; i < 8; i++)
            state.h[i] = swap_bytes(gpu_load4(task->state + 4 * i));
    for (uint64_t at = 0; at + 64 <= task->size_bytes; at += 64) {
        uint32_t w[16];
        load_sha256_block(task->address + at, 64, w);
        sha256_compress(&state, w);
    }
    if (task->total_bytes > 0)
        hash_stream_end(&state, task);
    store_hash(task->state, &state);
}

/* ---- GCM, and the end of both ---------------------------------------------------------------- */

struct gcm_task {
    uint64_t threads; /* KERNEL_LANES a text */
    uint64_t texts;   /* address of struct kernel_text */
    uint64_t prepared;
    uint64_t partials; /* address of 16 bytes a thread */
};

/* A text counts as preceded by so many zero blocks that every lane gets the same number; lane l
 * takes blocks l, l + KERNEL_LANES, and so on. Zeros in front do not change the hash. So, whatever
 * the text, what lane l has summed up is followed by KERNEL_LANES - l blocks, the last of them that
 * of the lengths. */
ARITHMETIC void store_partial(const struct gcm_task *task, uint64_t thread, struct field sum)
{
    const uint64_t lane = thread % KERNEL_LANES;
    const struct field rest = power_of_h(task->prepared, KERNEL_LANES - lane + 1);
    gpu_store16(task->partials + 16 * thread, field_words(field_multiply(sum, rest)));
}

/* Counters of a message start at 2; 1 is the tag's. */
ARITHMETIC struct words counter_block(uint64_t text, uint32_t counter)
{
    struct words out;
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 3; i++)
        out.w[i] = gpu_load4(text + 16 + 4 * i);
    out.w[3] = swap_bytes(counter);
    return out;
}

/* Hashes the ciphertext of a block and leaves its plaintext in its place. */
ARITHMETIC void open_block(uint64_t address, unsigned size_bytes, const struct words *stream,
                           struct field *sum)
{
    struct words block = gpu_load_block(address, size_bytes);
    *sum = field_add(*sum, field_of(&block));
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++)
        block.w[i] ^= stream->w[i];
    gpu_store_block(address, size_bytes, block);
}

/* Hashes, and decrypts in place. A lane goes two blocks at a time, which are KERNEL_LANES apart.
 */
ARITHMETIC void gcm_thread(const struct gcm_task *task, uint64_t thread)
{
    const uint64_t text = task->texts + thread / KERNEL_LANES * KERNEL_TEXT_BYTES;
    const uint64_t address = load_u64(text), size_bytes = load_u64(text + 8);
    const uint64_t blocks = blocks_of(size_bytes), pair = 2 * KERNEL_LANES;
    const uint64_t padding = (pair - blocks % pair) % pair;
    const struct field stride = power_of_h(task->prepared, KERNEL_LANES);
    struct field sum = {0, 0};
    for (uint64_t i = thread % KERNEL_LANES; i < blocks + padding; i += pair) {
        struct words stream[2];
        stream[0] = counter_block(text, (uint32_t)(2 + i - padding));
        stream[1] = counter_block(text, (uint32_t)(2 + i + KERNEL_LANES - padding));
        aes_encrypt(task->prepared + PREPARED_SCHEDULE_AT, &stream[0], &stream[1]);
        ARITHMETIC_UNROLL
        for (unsigned half = 0; half < 2; half++) {
            const uint64_t block = i + half * KERNEL_LANES;
            sum = field_multiply(sum, stride);
            if (block >= padding)
                open_block(address + 16 * (block - padding),
                           block_bytes(size_bytes, block - padding), &stream[half], &sum);
        }
    }
    store_partial(task, thread, sum);
}

/* What lanes summed up, added by fewer threads and more than the one that makes the tag. */
#define ADD_LANES_THREADS 32u

struct add_lanes_task {
    uint64_t threads; /* ADD_LANES_THREADS a text */
    uint64_t partials;
    uint64_t sums; /* address of 16 bytes a thread */
};

ARITHMETIC void add_lanes_thread(const struct add_lanes_task *task, uint64_t thread)
{
    const uint64_t partials = task->partials + thread / ADD_LANES_THREADS * KERNEL_LANES * 16;
    struct field sum = {0, 0};
    for (uint64_t lane = thread % ADD_LANES_THREADS; lane < KERNEL_LANES; lane += ADD_LANES_THREADS)
        sum = field_add(sum, load_field(partials + 16 * lane));
    gpu_store16(task->sums + 16 * thread, field_words(sum));
}

/* One thread a text. */
struct finish_tags_task {
    uint64_t threads;
    uint64_t texts;
    uint64_t prepared;
    uint64_t sums;      /* address of 16 bytes each */
    uint64_t sums_each; /* of a text */
    uint64_t tags;      /* address of 16 bytes a text */
    uint64_t is_gcm;    /* the text is encrypted; otherwise it is associated data */
};

ARITHMETIC void finish_tags_thread(const struct finish_tags_task *task, uint64_t thread)
{
    const uint64_t text = task->texts + thread * KERNEL_TEXT_BYTES;
    const uint64_t bits = 8 * load_u64(text + 8);
    struct field lengths = {task->is_gcm ? 0 : bits, task->is_gcm ? bits : 0};
    struct field sum = field_multiply(lengths, power_of_h(task->prepared, 1));
    const uint64_t sums = task->sums + 16 * thread * task->sums_each;
    for (uint64_t i = 0; i < task->sums_each; i++)
        sum = field_add(sum, load_field(sums + 16 * i));

    struct words mask = counter_block(text, 1), unused = mask, tag = field_words(sum);
    aes_encrypt(task->prepared + PREPARED_SCHEDULE_AT, &mask, &unused);
    ARITHMETIC_UNROLL
    for (unsigned i = 0; i < 4; i++)
        tag.w[i] ^= mask.w[i];
    gpu_store16(task->tags + 16 * thread, tag);
}

#endif
