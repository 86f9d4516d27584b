/* GGUF version 2 and 3 (ggml docs/gguf.md; the checks are those of ggml's src/gguf.cpp, and more):
 *
 *   "GGUF" | u32 version | u64 tensors | u64 keys | keys and values | tensor descriptions | padding
 * | data of each tensor, padded to the alignment
 *
 * Everything is little-endian. Counts are only ever counted down while bytes last. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/validate.h"
#include "model/array.h"
#include "model/dtypes.h"
#include "model/gguf.h"
#include "model/names.h"

#define GGUF_NAME_MAX 63u      /* ggml keeps names in 64 bytes, NUL included          */
#define GGUF_KEY_MAX 65535u    /* docs/gguf.md                                        */
#define GGUF_KEYS_MAX 65536u   /* models have dozens                                  */
#define GGUF_DIMENSIONS_MAX 4u /* GGML_MAX_DIMS                                       */
#define GGUF_STRING_MAX (UINT64_C(1) << 30)
#define GGUF_ITEMS_MAX (UINT64_C(1) << 30)
#define GGUF_DEFAULT_ALIGNMENT 32u
#define GGUF_TENSOR_BYTES_MIN 25u /* name of one byte, dimensions, type, offset         */
#define GGUF_KEY_BYTES_MIN 14u    /* key of one byte, type, value of one byte            */

/* Bytes of a value; 0 where its own length says. */
static const uint8_t value_bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct reader {
    struct cursor cursor;
    struct file_head *head;
    uint32_t alignment;
    uint64_t data_bytes; /* of the tensors so far, each padded */
    struct names keys;
    struct gguf_keys *kept; /* NULL: nobody wants them */
    struct tensor_list list;
};

struct text {
    const uint8_t *bytes;
    uint64_t size_bytes;
};

static size_t position(const struct reader *reader)
{
    return (size_t)(reader->cursor.at - (const uint8_t *)reader->head->bytes);
}

/* Bytes of the file, seen or not. */
static uint64_t file_left(const struct reader *reader)
{
    return reader->head->file_bytes - position(reader);
}

/* What is wanted next is not in the head, and perhaps not in the file. */
static lethe_result ends_early(struct reader *reader, uint64_t wanted_bytes,
                               struct lethe_error *err)
{
    reader->head->too_short = wanted_bytes <= file_left(reader);
    return error_set(err, LETHE_MALFORMED, "GGUF: the file ends in the description at byte %zu",
                     position(reader));
}

static lethe_result read_u32(struct reader *reader, uint32_t *out, struct lethe_error *err)
{
    return cursor_le32(&reader->cursor, out) == LETHE_OK ? LETHE_OK
                                                         : ends_early(reader, sizeof *out, err);
}

static lethe_result read_u64(struct reader *reader, uint64_t *out, struct lethe_error *err)
{
    return cursor_le64(&reader->cursor, out) == LETHE_OK ? LETHE_OK
                                                         : ends_early(reader, sizeof *out, err);
}

static lethe_result skip(struct reader *reader, uint64_t size_bytes, struct lethe_error *err)
{
    return cursor_skip(&reader->cursor, size_bytes) == LETHE_OK
               ? LETHE_OK
               : ends_early(reader, size_bytes, err);
}

static lethe_result read_text(struct reader *reader, uint64_t max_bytes, struct text *out,
                              struct lethe_error *err)
{
    TRY(read_u64(reader, &out->size_bytes, err));
    if (out->size_bytes > max_bytes)
        return error_set(err, LETHE_MALFORMED,
                         "GGUF: a text of %llu bytes at byte %zu, where at most %llu can be",
                         (unsigned long long)out->size_bytes, position(reader),
                         (unsigned long long)max_bytes);
    if (cursor_bytes(&reader->cursor, out->size_bytes, &out->bytes) != LETHE_OK)
        return ends_early(reader, out->size_bytes, err);
    return LETHE_OK;
}

/* Keys and tensor names: not empty, UTF-8, no NUL. */
static lethe_result read_name(struct reader *reader, uint64_t max_bytes, struct text *out,
                              struct lethe_error *err)
{
    size_t at = position(reader);
    TRY(read_text(reader, max_bytes, out, err));
    if (out->size_bytes == 0 || memchr(out->bytes, 0, out->size_bytes) != NULL ||
        !text_is_utf8((const char *)out->bytes, out->size_bytes))
        return error_set(err, LETHE_MALFORMED,
                         "GGUF: the name at byte %zu is empty or not UTF-8 text", at);
    return LETHE_OK;
}

/* ---- keys and values ------------------------------------------------------------------------- */

static lethe_result bad_type(const struct reader *reader, uint32_t type, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "GGUF: type %u of the value at byte %zu is unknown",
                     type, position(reader));
}

/* Upstream's readers refuse arrays of arrays too; the format allows them, nobody writes them. */
static lethe_result skip_array(struct reader *reader, struct lethe_error *err)
{
    uint32_t type;
    uint64_t count;
    TRY(read_u32(reader, &type, err));
    TRY(read_u64(reader, &count, err));
    if (type == GGUF_ARRAY)
        return error_set(err, LETHE_MALFORMED, "GGUF: an array of arrays at byte %zu",
                         position(reader));
    if (type >= GGUF_TYPES)
        return bad_type(reader, type, err);
    size_t item_bytes = type == GGUF_STRING ? sizeof(uint64_t) : value_bytes[type];
    if (count > GGUF_ITEMS_MAX || count > file_left(reader) / item_bytes)
        return error_set(err, LETHE_MALFORMED, "GGUF: an array of %llu items at byte %zu of %llu",
                         (unsigned long long)count, position(reader),
                         (unsigned long long)reader->head->file_bytes);
    if (type != GGUF_STRING)
        return skip(reader, count * item_bytes, err);
    struct text item;
    while (count-- > 0)
        TRY(read_text(reader, GGUF_STRING_MAX, &item, err));
    return LETHE_OK;
}

static lethe_result skip_value(struct reader *reader, uint32_t type, struct lethe_error *err)
{
    struct text value;
    if (type >= GGUF_TYPES)
        return bad_type(reader, type, err);
    if (type == GGUF_STRING)
        return read_text(reader, GGUF_STRING_MAX, &value, err);
    if (type == GGUF_ARRAY)
        return skip_array(reader, err);
    return skip(reader, value_bytes[type], err);
}

static lethe_result read_alignment(struct reader *reader, uint32_t type, struct lethe_error *err)
{
    if (type != GGUF_U32)
        return error_set(err, LETHE_MALFORMED, "GGUF: general.alignment is no 32-bit number");
    TRY(read_u32(reader, &reader->alignment, err));
    uint32_t alignment = reader->alignment;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > GGUF_ALIGNMENT_MAX)
        return error_set(err, LETHE_MALFORMED,
                         "GGUF: an alignment of %u, which is no power of two up to %u", alignment,
                         GGUF_ALIGNMENT_MAX);
    return LETHE_OK;
}

static bool text_is(const struct text *text, const char *expected)
{
    size_t length = strlen(expected);
    return text->size_bytes == length && memcmp(text->bytes, expected, length) == 0;
}

/* The value was read: it is between `begin` and where the reader is now. */
static lethe_result keep_key(const struct reader *reader, const struct text *name, uint32_t type,
                             size_t begin, struct lethe_error *err)
{
    const uint8_t *bytes = reader->head->bytes;
    struct gguf_keys *keys = reader->kept;
    struct gguf_key key = {.type = type, .begin = begin, .end = position(reader)};
    if (type == GGUF_STRING)
        key.begin += sizeof(uint64_t); /* its length */
    for (size_t i = 0; i < value_bytes[type]; i++)
        key.number |= (uint64_t)bytes[begin + i] << 8 * i;

    struct gguf_key *items =
        array_grow(keys->items, keys->count, &keys->capacity, sizeof *keys->items);
    if (items != NULL)
        keys->items = items;
    if (items != NULL)
        key.name = strndup((const char *)name->bytes, name->size_bytes);
    if (key.name == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu keys", keys->count + 1);
    items[keys->count++] = key;
    return LETHE_OK;
}

static lethe_result read_key(struct reader *reader, struct lethe_error *err)
{
    struct text name;
    uint32_t type;
    TRY(read_name(reader, GGUF_KEY_MAX, &name, err));
    TRY(names_add(&reader->keys, name.bytes, name.size_bytes, err));
    TRY(read_u32(reader, &type, err));
    size_t begin = position(reader);
    TRY(text_is(&name, "general.alignment") ? read_alignment(reader, type, err)
                                            : skip_value(reader, type, err));
    return reader->kept == NULL ? LETHE_OK : keep_key(reader, &name, type, begin, err);
}

static lethe_result read_keys(struct reader *reader, uint64_t count, struct lethe_error *err)
{
    for (uint64_t i = 0; i < count; i++)
        TRY(read_key(reader, err));
    return names_all_different(&reader->keys, "keys of the GGUF file", err);
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Rounds up; false when that does not fit 64 bits. */
static bool pad(uint64_t size_bytes, uint32_t alignment, uint64_t *padded)
{
    if (__builtin_add_overflow(size_bytes, alignment - 1, padded))
        return false;
    *padded &= ~(uint64_t)(alignment - 1);
    return true;
}

/* GGUF lists the innermost dimension first. */
static lethe_result read_shape(struct reader *reader, struct tensor *tensor,
                               struct lethe_error *err)
{
    uint32_t dimensions;
    TRY(read_u32(reader, &dimensions, err));
    if (dimensions > GGUF_DIMENSIONS_MAX)
        return error_set(err, LETHE_MALFORMED, "GGUF: tensor %zu has %u dimensions, more than %u",
                         reader->list.count, dimensions, GGUF_DIMENSIONS_MAX);
    tensor->dimensions = dimensions;
    for (uint32_t i = dimensions; i-- > 0;)
        TRY(read_u64(reader, &tensor->shape[i], err));
    return LETHE_OK;
}

static lethe_result read_extent(struct reader *reader, struct tensor *tensor,
                                struct lethe_error *err)
{
    size_t index = reader->list.count;
    uint32_t type;
    uint64_t size_bytes;
    TRY(read_u32(reader, &type, err));
    TRY(read_u64(reader, &tensor->begin, err));
    const struct dtype *dtype = gguf_dtype(type);
    if (dtype == NULL)
        return error_set(err, LETHE_MALFORMED, "GGUF: tensor %zu is of unknown type %u", index,
                         type);
    tensor->dtype = dtype->name;
    if (dtype_size(dtype, tensor, &size_bytes) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED,
                         "GGUF: the shape of tensor %zu does not make whole blocks of %s, or more "
                         "than fits a file",
                         index, dtype->name);
    if (tensor->begin != reader->data_bytes)
        return error_set(err, LETHE_MALFORMED, "GGUF: tensor %zu is at offset %llu instead of %llu",
                         index, (unsigned long long)tensor->begin,
                         (unsigned long long)reader->data_bytes);
    if (__builtin_add_overflow(tensor->begin, size_bytes, &tensor->end) ||
        !pad(tensor->end, reader->alignment, &reader->data_bytes))
        return error_set(err, LETHE_MALFORMED, "GGUF: tensor %zu ends beyond 2^64", index);
    return LETHE_OK;
}

static lethe_result read_tensors(struct reader *reader, uint64_t count, struct lethe_error *err)
{
    for (uint64_t i = 0; i < count; i++) {
        struct text text;
        char name[GGUF_NAME_MAX + 1] = {0};
        struct tensor tensor = {.name = name};
        TRY(read_name(reader, GGUF_NAME_MAX, &text, err));
        memcpy(name, text.bytes, text.size_bytes);
        TRY(read_shape(reader, &tensor, err));
        TRY(read_extent(reader, &tensor, err));
        TRY(tensor_list_add(&reader->list, &tensor, err));
    }
    CLEANUP(names_clear) struct names names = {0};
    for (size_t i = 0; i < reader->list.count; i++) {
        const char *name = reader->list.tensors[i].name;
        TRY(names_add(&names, name, strlen(name), err));
    }
    return names_all_different(&names, "tensors of the GGUF file", err);
}

/* From offsets in the data to offsets in the file, which must hold the data and nothing more. The
 * padding behind the last tensor may be missing: readers that map the file never look at it. */
static lethe_result place_tensors(struct reader *reader, struct lethe_error *err)
{
    struct tensor_list *list = &reader->list;
    uint64_t data_start;
    uint64_t file_bytes = reader->head->file_bytes;
    if (!pad(position(reader), reader->alignment, &data_start) ||
        (list->count > 0 && data_start > file_bytes))
        return error_set(err, LETHE_MALFORMED, "GGUF: the file ends before its data starts");
    uint64_t available = file_bytes > data_start ? file_bytes - data_start : 0;
    uint64_t needed = list->count > 0 ? list->tensors[list->count - 1].end : 0;
    if (needed > available || available > reader->data_bytes)
        return error_set(err, LETHE_MALFORMED,
                         "GGUF: the tensors need %llu bytes of data, and the file has %llu",
                         (unsigned long long)needed, (unsigned long long)available);
    for (size_t i = 0; i < list->count; i++) {
        list->tensors[i].begin += data_start;
        list->tensors[i].end += data_start;
    }
    return LETHE_OK;
}

/* ---- the whole file -------------------------------------------------------------------------- */

static lethe_result read_version(struct reader *reader, struct lethe_error *err)
{
    uint32_t version;
    const uint8_t *magic;
    if (cursor_bytes(&reader->cursor, 4, &magic) != LETHE_OK) {
        reader->head->too_short = reader->head->file_bytes >= 4;
        magic = NULL;
    }
    if (magic == NULL || memcmp(magic, "GGUF", 4) != 0)
        return error_set(err, LETHE_MALFORMED, "GGUF: the file does not start with \"GGUF\"");
    TRY(read_u32(reader, &version, err));
    if ((version & 0xffff) == 0 && version != 0)
        return error_set(err, LETHE_MALFORMED, "GGUF: the file is big-endian");
    if (version != 2 && version != 3)
        return error_set(err, LETHE_MALFORMED, "GGUF: version %u, where 2 and 3 are known",
                         version);
    return LETHE_OK;
}

/* A count that the bytes behind it cannot hold is a lie, and is not believed for a moment. */
static lethe_result check_count(const struct reader *reader, const char *what, uint64_t count,
                                uint64_t max, struct lethe_error *err)
{
    if (count > max)
        return error_set(err, LETHE_MALFORMED, "GGUF: %llu %s, and room for %llu in %llu bytes",
                         (unsigned long long)count, what, (unsigned long long)max,
                         (unsigned long long)reader->head->file_bytes);
    return LETHE_OK;
}

static lethe_result read_file(struct reader *reader, struct lethe_error *err)
{
    uint64_t tensor_count;
    uint64_t key_count;
    TRY(read_version(reader, err));
    TRY(read_u64(reader, &tensor_count, err));
    TRY(read_u64(reader, &key_count, err));
    uint64_t left = file_left(reader);
    TRY(check_count(reader, "tensors", tensor_count, MIN(left / GGUF_TENSOR_BYTES_MIN, TENSORS_MAX),
                    err));
    TRY(check_count(reader, "keys", key_count, MIN(left / GGUF_KEY_BYTES_MIN, GGUF_KEYS_MAX), err));
    TRY(read_keys(reader, key_count, err));
    TRY(read_tensors(reader, tensor_count, err));
    return place_tensors(reader, err);
}

static lethe_result read_with(struct file_head *head, struct gguf_keys *kept,
                              struct tensor_list *out, struct lethe_error *err)
{
    head->too_short = false;
    struct reader reader = {
        .cursor = cursor_over(head->bytes, head->size_bytes),
        .head = head,
        .alignment = GGUF_DEFAULT_ALIGNMENT,
        .kept = kept,
        .list = {.type = MODEL_FILE_GGUF},
    };
    lethe_result result = read_file(&reader, err);
    names_clear(&reader.keys);
    if (result != LETHE_OK)
        tensor_list_clear(&reader.list);
    *out = reader.list; /* moved, or empty */
    return result;
}

lethe_result gguf_read(struct file_head *head, struct tensor_list *out, struct lethe_error *err)
{
    return read_with(head, NULL, out, err);
}

lethe_result gguf_read_keys(struct file_head *head, struct tensor_list *out, struct gguf_keys *keys,
                            struct lethe_error *err)
{
    *keys = (struct gguf_keys){0};
    lethe_result result = read_with(head, keys, out, err);
    if (result != LETHE_OK)
        gguf_keys_clear(keys);
    return result;
}
