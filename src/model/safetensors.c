/* safetensors (huggingface/safetensors, README and tensor.rs):
 *
 *   u64 N, little-endian | N bytes of JSON, which may end in spaces | data
 *
 * The JSON maps names to {"dtype", "shape", "data_offsets": [begin, end)} relative to the data, and
 * "__metadata__" to an object of texts. The tensors cover the data without hole or overlap. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/json.h"
#include "model/dtypes.h"

/* Where the data starts, too. */
static lethe_result read_header(struct file_head *head, json_t **header, uint64_t *data_start,
                                struct lethe_error *err)
{
    uint64_t header_bytes;
    const uint8_t *json;
    struct cursor at = cursor_over(head->bytes, head->size_bytes);
    struct cursor *cursor = &at;
    if (cursor_le64(cursor, &header_bytes) != LETHE_OK) {
        head->too_short = head->file_bytes >= sizeof header_bytes;
        return error_set(err, LETHE_MALFORMED, "safetensors: the file is shorter than 8 bytes");
    }
    if (header_bytes > SAFETENSORS_HEADER_MAX)
        return error_set(err, LETHE_MALFORMED,
                         "safetensors: a header of %llu bytes, where %u are allowed",
                         (unsigned long long)header_bytes, SAFETENSORS_HEADER_MAX);
    uint64_t left = head->file_bytes - sizeof header_bytes;
    if (cursor_bytes(cursor, header_bytes, &json) != LETHE_OK) {
        head->too_short = header_bytes <= left;
        return error_set(err, LETHE_MALFORMED,
                         "safetensors: a header of %llu bytes, and the file has %llu left",
                         (unsigned long long)header_bytes, (unsigned long long)left);
    }
    *data_start = sizeof header_bytes + header_bytes;
    size_t length = header_bytes;
    while (length > 0 && json[length - 1] == ' ')
        length--;
    if (length < 2 || json[0] != '{' || json[length - 1] != '}')
        return error_set(err, LETHE_MALFORMED, "safetensors: the header is no JSON object");
    return error_context(err, json_parse((const char *)json, length, header, err),
                         "safetensors header");
}

static lethe_result check_metadata(const json_t *metadata, struct lethe_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return error_set(err, LETHE_MALFORMED, "safetensors: __metadata__ is no object");
    json_object_foreach(
        (json_t *)metadata, key,
        value) if (!json_is_string(value)) return error_set(err, LETHE_MALFORMED,
                                                            "safetensors: __metadata__ holds "
                                                            "something else than text");
    return LETHE_OK;
}

/* All items as numbers; false when one is not, or they are more than `capacity`. */
static bool read_numbers(const json_t *array, uint64_t *out, size_t capacity, size_t *count)
{
    *count = json_array_size(array);
    if (*count > capacity)
        return false;
    for (size_t i = 0; i < *count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0)
            return false;
        out[i] = (uint64_t)json_integer_value(item);
    }
    return true;
}

static lethe_result read_entry(const json_t *entry, size_t index, struct tensor *tensor,
                               struct lethe_error *err)
{
    const char *dtype_name;
    const json_t *shape;
    const json_t *offsets;
    const struct json_field fields[] = {
        {"dtype", JSON_FIELD_TEXT, false, &dtype_name},
        {"shape", JSON_FIELD_ARRAY, false, &shape},
        {"data_offsets", JSON_FIELD_ARRAY, false, &offsets},
    };
    TRY(error_context(err, json_read_fields(entry, "entry", fields, ARRAY_LEN(fields), err),
                      "safetensors: tensor %zu of the header", index));
    const struct dtype *dtype = safetensors_dtype(dtype_name);
    uint64_t range[2];
    size_t range_count;
    size_t dimensions;
    if (dtype == NULL)
        return error_set(err, LETHE_MALFORMED, "safetensors: tensor %zu is of unknown dtype",
                         index);
    if (!read_numbers(shape, tensor->shape, TENSOR_DIMENSIONS_MAX, &dimensions))
        return error_set(err, LETHE_MALFORMED,
                         "safetensors: the shape of tensor %zu is not up to %u natural numbers",
                         index, TENSOR_DIMENSIONS_MAX);
    if (!read_numbers(offsets, range, 2, &range_count) || range_count != 2 || range[0] > range[1])
        return error_set(err, LETHE_MALFORMED,
                         "safetensors: the offsets of tensor %zu are no range", index);
    tensor->dtype = dtype->name;
    tensor->dimensions = (unsigned)dimensions;
    tensor->begin = range[0];
    tensor->end = range[1];
    uint64_t size_bytes;
    if (dtype_size(dtype, tensor, &size_bytes) != LETHE_OK || size_bytes != range[1] - range[0])
        return error_set(
            err, LETHE_MALFORMED,
            "safetensors: tensor %zu has a shape and dtype that do not take %llu bytes", index,
            (unsigned long long)(range[1] - range[0]));
    return LETHE_OK;
}

static lethe_result read_entries(json_t *header, struct tensor_list *list, struct lethe_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value)
    {
        if (strcmp(key, "__metadata__") == 0) {
            TRY(check_metadata(value, err));
            continue;
        }
        struct tensor tensor = {.name = (char *)key};
        TRY(read_entry(value, list->count, &tensor, err));
        TRY(tensor_list_add(list, &tensor, err));
    }
    return LETHE_OK;
}

static int compare_places(const void *left, const void *right)
{
    const struct tensor *a = left;
    const struct tensor *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return strcmp(a->name, b->name); /* empty tensors may share a place */
}

static lethe_result place_tensors(struct tensor_list *list, uint64_t data_start,
                                  uint64_t data_bytes, struct lethe_error *err)
{
    if (list->count > 1)
        qsort(list->tensors, list->count, sizeof *list->tensors, compare_places);
    uint64_t covered = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct tensor *tensor = &list->tensors[i];
        if (tensor->begin != covered)
            return error_set(err, LETHE_MALFORMED, "safetensors: %s before offset %llu of the data",
                             tensor->begin > covered ? "a hole" : "two tensors overlap",
                             (unsigned long long)MAX(tensor->begin, covered));
        covered = tensor->end;
        if (covered > data_bytes)
            break;
        tensor->begin += data_start;
        tensor->end += data_start;
    }
    if (covered != data_bytes)
        return error_set(err, LETHE_MALFORMED,
                         "safetensors: the tensors take %llu bytes of data, and the file has %llu",
                         (unsigned long long)covered, (unsigned long long)data_bytes);
    return LETHE_OK;
}

lethe_result safetensors_read(struct file_head *head, struct tensor_list *out,
                              struct lethe_error *err)
{
    *out = (struct tensor_list){0};
    head->too_short = false;
    uint64_t data_start;
    CLEANUP(json_decref) json_t *header = NULL;
    CLEANUP(tensor_list_clear) struct tensor_list list = {.type = MODEL_FILE_SAFETENSORS};
    TRY(read_header(head, &header, &data_start, err));
    TRY(read_entries(header, &list, err));
    TRY(place_tensors(&list, data_start, head->file_bytes - data_start, err));
    *out = list;
    list = (struct tensor_list){0}; /* moved */
    return LETHE_OK;
}
