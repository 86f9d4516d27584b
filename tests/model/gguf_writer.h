/* tests/model/gguf_writer.h -- a small writer of GGUF, which checks nothing. */
#ifndef TESTS_MODEL_GGUF_WRITER_H
#define TESTS_MODEL_GGUF_WRITER_H

#include "tensor_files.h"

enum {
    F32 = 0,
    Q4_K = 12,
    I8 = 24,
    F64 = 28,
    VALUE_U8 = 0,
    VALUE_U32 = 4,
    VALUE_STRING = 8,
    VALUE_ARRAY = 9,
    VALUE_U64 = 10,
};

struct described {
    const char *name;
    uint32_t dimensions;
    uint64_t ne[8]; /* innermost first, as in the file */
    uint32_t type;
    uint64_t offset;
};

static inline void put_u32(struct buffer *out, uint32_t value)
{
    buffer_append(out, &value, sizeof value); /* x86-64 is little-endian, as GGUF is */
}

static inline void put_u64(struct buffer *out, uint64_t value)
{
    buffer_append(out, &value, sizeof value);
}

static inline void put_text(struct buffer *out, const char *text)
{
    put_u64(out, strlen(text));
    buffer_text(out, text);
}

static inline void put_start(struct buffer *out, uint64_t tensors, uint64_t keys)
{
    buffer_text(out, "GGUF");
    put_u32(out, 3);
    put_u64(out, tensors);
    put_u64(out, keys);
}

static inline void put_key_u32(struct buffer *out, const char *key, uint32_t value)
{
    put_text(out, key);
    put_u32(out, VALUE_U32);
    put_u32(out, value);
}

static inline void put_array(struct buffer *out, uint32_t type, uint64_t count)
{
    put_text(out, "array");
    put_u32(out, VALUE_ARRAY);
    put_u32(out, type);
    put_u64(out, count);
}

static inline void put_tensor(struct buffer *out, const struct described *tensor)
{
    put_text(out, tensor->name);
    put_u32(out, tensor->dimensions);
    for (uint32_t i = 0; i < tensor->dimensions && i < ARRAY_LEN(tensor->ne); i++)
        put_u64(out, tensor->ne[i]);
    put_u32(out, tensor->type);
    put_u64(out, tensor->offset);
}

static inline void put_data(struct buffer *out, size_t alignment, size_t size_bytes)
{
    while (out->size_bytes % alignment != 0)
        buffer_byte(out, 0);
    for (size_t i = 0; i < size_bytes; i++)
        buffer_byte(out, 0x5a);
}

#define TENSOR(...) put_tensor(out, &(struct described){__VA_ARGS__})

/* Two tensors, one key of every kind; shapes turn outermost first, ranges count from the file. */
static inline void put_good_file(struct buffer *out, uint32_t version)
{
    static const uint8_t value_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    put_start(out, 2, 15);
    memcpy(out->bytes + 4, &version, sizeof version);
    put_key_u32(out, "general.alignment", 64);
    for (uint32_t type = 0; type < ARRAY_LEN(value_bytes); type++) {
        char key[] = {'k', (char)('a' + type), '\0'};
        put_text(out, key);
        put_u32(out, type);
        if (type == VALUE_STRING)
            put_text(out, "a text");
        else if (type == VALUE_ARRAY)
            put_u32(out, VALUE_U64), put_u64(out, 0);
        for (uint8_t i = 0; i < value_bytes[type]; i++)
            buffer_byte(out, 1);
    }
    put_array(out, VALUE_STRING, 2);
    put_text(out, "");
    put_text(out, "second");
    TENSOR("first", 2, {3, 5}, F32, 0);
    TENSOR("second", 1, {256}, Q4_K, 64);
    put_data(out, 64, 64 + 192);
}

#endif
