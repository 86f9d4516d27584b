#include "tiny.h"

#include <inttypes.h>
#include <stdlib.h>

#define GGUF_MAGIC UINT32_C(0x46554747)
#define COUNT_MAX 65536u        /* keys, tensors: models have dozens, and hundreds */
#define ITEMS_MAX (1u << 24)    /* of an array */
#define SIZE_MAX_31 0x7fffffffu /* of a tensor, in each direction */
#define ALIGNMENT_MIN 8u        /* so that every number can be read where it is */
#define ALIGNMENT_MAX (1u << 20)

/* ---- the cursor ------------------------------------------------------------------------------ */

static lethe_result skip(struct cursor *cursor, uint64_t size_bytes, struct lethe_error *err)
{
    if (size_bytes > cursor->end - cursor->at)
        return fail(err, LETHE_MALFORMED, "GGUF: the file ends in what begins at byte %" PRIu64,
                    cursor->at);
    cursor->at += size_bytes;
    return LETHE_OK;
}

lethe_result take(struct cursor *cursor, void *out, size_t size_bytes, struct lethe_error *err)
{
    const uint8_t *bytes = cursor->file + cursor->at;
    TRY(skip(cursor, size_bytes, err));
    memcpy(out, bytes, size_bytes);
    return LETHE_OK;
}

lethe_result take_text(struct cursor *cursor, struct text *out, struct lethe_error *err)
{
    TRY(take(cursor, &out->size_bytes, sizeof out->size_bytes, err));
    out->at = cursor->at;
    return skip(cursor, out->size_bytes, err);
}

static bool text_is(const struct gguf *gguf, struct text text, const char *expected)
{
    return text.size_bytes == strlen(expected) &&
           memcmp(gguf->cursor.file + text.at, expected, text.size_bytes) == 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static lethe_result skip_values(struct cursor *cursor, uint32_t type, uint64_t count,
                                struct lethe_error *err)
{
    static const uint8_t sizes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    struct text text;
    if (type >= GGUF_TYPES || type == GGUF_ARRAY || count > ITEMS_MAX)
        return fail(err, LETHE_MALFORMED, "GGUF: type or number of values at byte %" PRIu64,
                    cursor->at);
    if (type != GGUF_TEXT)
        return skip(cursor, count * sizes[type], err);
    while (count-- > 0)
        TRY(take_text(cursor, &text, err));
    return LETHE_OK;
}

static lethe_result take_key(struct cursor *cursor, struct key *out, struct lethe_error *err)
{
    TRY(take_text(cursor, &out->name, err));
    TRY(take(cursor, &out->type, sizeof out->type, err));
    out->at = cursor->at;
    if (out->type != GGUF_ARRAY)
        return skip_values(cursor, out->type, 1, err);
    uint32_t type;
    uint64_t count;
    TRY(take(cursor, &type, sizeof type, err));
    TRY(take(cursor, &count, sizeof count, err));
    return skip_values(cursor, type, count, err);
}

lethe_result gguf_find(const struct gguf *gguf, const char *name, enum gguf_type type,
                       struct cursor *out, struct lethe_error *err)
{
    *out = (struct cursor){0};
    for (uint64_t i = 0; i < gguf->key_count; i++) {
        if (!text_is(gguf, gguf->keys[i].name, name))
            continue;
        if (gguf->keys[i].type != type)
            return fail(err, LETHE_MALFORMED, "GGUF: %s has a value of type %" PRIu32, name,
                        gguf->keys[i].type);
        *out = gguf->cursor;
        out->at = gguf->keys[i].at;
        return LETHE_OK;
    }
    return LETHE_OK;
}

lethe_result gguf_number(const struct gguf *gguf, const char *name, enum gguf_type type, void *out,
                         struct lethe_error *err)
{
    struct cursor value;
    TRY(gguf_find(gguf, name, type, &value, err));
    return value.file == NULL ? LETHE_OK : take(&value, out, sizeof(uint32_t), err);
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* The first dimension is what a row is made of, all others count rows. */
static lethe_result take_shape(struct cursor *cursor, struct tensor *out, struct lethe_error *err)
{
    uint32_t dimensions;
    uint64_t size;
    out->columns = out->rows = 1;
    TRY(take(cursor, &dimensions, sizeof dimensions, err));
    for (uint32_t i = 0; i < dimensions; i++) {
        uint32_t *into = i == 0 ? &out->columns : &out->rows;
        TRY(take(cursor, &size, sizeof size, err));
        if (size == 0 || size > SIZE_MAX_31 / *into)
            return fail(err, LETHE_MALFORMED, "GGUF: the size of a tensor, at byte %" PRIu64,
                        cursor->at);
        *into *= (uint32_t)size;
    }
    return LETHE_OK;
}

/* `at` is then from the beginning of the data. */
static lethe_result take_tensor(struct cursor *cursor, struct tensor *out, struct lethe_error *err)
{
    uint32_t type;
    TRY(take_text(cursor, &out->name, err));
    TRY(take_shape(cursor, out, err));
    TRY(take(cursor, &type, sizeof type, err));
    TRY(take(cursor, &out->at, sizeof out->at, err));
    out->number = number_of(type);
    if (out->number == NULL)
        return fail(err, LETHE_FAILED, "type %" PRIu32 " of a tensor is not F32, F16 or Q8_0",
                    type);
    if (out->columns % out->number->block != 0)
        return fail(err, LETHE_MALFORMED, "GGUF: %" PRIu32 " numbers are no whole blocks",
                    out->columns);
    return LETHE_OK;
}

/* The data begins behind the descriptions, aligned. */
static lethe_result place_tensors(struct gguf *gguf, uint64_t described, struct lethe_error *err)
{
    uint32_t alignment = 32;
    TRY(gguf_number(gguf, "general.alignment", GGUF_U32, &alignment, err));
    if (alignment < ALIGNMENT_MIN || alignment > ALIGNMENT_MAX ||
        (alignment & (alignment - 1)) != 0)
        return fail(err, LETHE_MALFORMED, "GGUF: an alignment of %" PRIu32, alignment);
    uint64_t data = (described + alignment - 1) / alignment * alignment;
    uint64_t data_bytes = gguf->cursor.end > data ? gguf->cursor.end - data : 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        struct tensor *tensor = &gguf->tensors[i];
        uint64_t size_bytes = tensor->rows * tensor_row_bytes(tensor);
        if (tensor->at % alignment != 0 || size_bytes > data_bytes ||
            tensor->at > data_bytes - size_bytes)
            return fail(err, LETHE_MALFORMED, "GGUF: tensor %" PRIu64 " is not in the file", i);
        tensor->at += data;
    }
    return LETHE_OK;
}

const struct tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
    for (uint64_t i = 0; i < gguf->tensor_count; i++)
        if (text_is(gguf, gguf->tensors[i].name, name))
            return &gguf->tensors[i];
    return NULL;
}

/* ---- the file -------------------------------------------------------------------------------- */

static lethe_result take_head(struct cursor *cursor, struct gguf *out, struct lethe_error *err)
{
    uint32_t magic;
    uint32_t version;
    TRY(take(cursor, &magic, sizeof magic, err));
    TRY(take(cursor, &version, sizeof version, err));
    if (magic != GGUF_MAGIC || version < 2 || version > 3)
        return fail(err, LETHE_MALFORMED, "this is no GGUF file of version 2 or 3");
    TRY(take(cursor, &out->tensor_count, sizeof out->tensor_count, err));
    TRY(take(cursor, &out->key_count, sizeof out->key_count, err));
    if (out->tensor_count > COUNT_MAX || out->key_count > COUNT_MAX)
        return fail(err, LETHE_MALFORMED, "GGUF: %" PRIu64 " tensors and %" PRIu64 " keys",
                    out->tensor_count, out->key_count);
    return LETHE_OK;
}

lethe_result gguf_read(const uint8_t *file, uint64_t size_bytes, struct gguf *out,
                       struct lethe_error *err)
{
    *out = (struct gguf){.cursor = {.file = file, .end = size_bytes}};
    struct cursor cursor = out->cursor;
    TRY(take_head(&cursor, out, err));
    out->keys = calloc(out->key_count + 1, sizeof *out->keys);
    out->tensors = calloc(out->tensor_count + 1, sizeof *out->tensors);
    if (out->keys == NULL || out->tensors == NULL)
        return fail(err, LETHE_NO_MEMORY, "no memory for what is in the file");
    for (uint64_t i = 0; i < out->key_count; i++)
        TRY(take_key(&cursor, &out->keys[i], err));
    for (uint64_t i = 0; i < out->tensor_count; i++)
        TRY(take_tensor(&cursor, &out->tensors[i], err));
    return place_tensors(out, cursor.at, err);
}

void gguf_clear(struct gguf *gguf)
{
    free(gguf->keys);
    free(gguf->tensors);
    *gguf = (struct gguf){0};
}
