#include "model/tensors.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/validate.h"
#include "model/array.h"

static const char *const type_names[] = {
    [MODEL_FILE_OTHER] = "other",
    [MODEL_FILE_SAFETENSORS] = "safetensors",
    [MODEL_FILE_GGUF] = "gguf",
};

const char *model_file_type_name(enum model_file_type type)
{
    REQUIRE((size_t)type < ARRAY_LEN(type_names));
    return type_names[type];
}

lethe_result model_file_type_parse(const char *name, enum model_file_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (strcmp(type_names[i], name) == 0) {
            *out = (enum model_file_type)i;
            return LETHE_OK;
        }
    }
    return LETHE_MALFORMED;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t name_length = strlen(name);
    size_t suffix_length = strlen(suffix);
    return name_length >= suffix_length &&
           strcasecmp(name + name_length - suffix_length, suffix) == 0;
}

enum model_file_type model_file_type_of(const char *name, const void *bytes, size_t size_bytes)
{
    if (size_bytes >= 4 && memcmp(bytes, "GGUF", 4) == 0)
        return MODEL_FILE_GGUF;
    if (ends_in(name, ".gguf"))
        return MODEL_FILE_GGUF;
    if (ends_in(name, ".safetensors"))
        return MODEL_FILE_SAFETENSORS;
    return MODEL_FILE_OTHER;
}

void tensor_list_clear(struct tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->tensors[i].name);
    free(list->tensors);
    *list = (struct tensor_list){0};
}

static lethe_result check_shape(const struct tensor *tensor, size_t index, struct lethe_error *err)
{
    REQUIRE(tensor->dimensions <= TENSOR_DIMENSIONS_MAX);
    for (unsigned i = 0; i < tensor->dimensions; i++)
        if (tensor->shape[i] > TENSOR_SIZE_MAX)
            return error_set(err, LETHE_MALFORMED, "tensor %zu: dimension %u is over 2^53 - 1",
                             index, i);
    return LETHE_OK;
}

static lethe_result check_name(const char *name, size_t index, struct lethe_error *err)
{
    size_t length = strnlen(name, TENSOR_NAME_MAX + 1);
    if (length == 0 || length > TENSOR_NAME_MAX)
        return error_set(err, LETHE_MALFORMED,
                         "tensor %zu: a name has 1 to %u bytes, this one has %s", index,
                         TENSOR_NAME_MAX, length == 0 ? "none" : "more");
    if (!text_is_utf8(name, length))
        return error_set(err, LETHE_MALFORMED, "tensor %zu: the name is not UTF-8", index);
    return LETHE_OK;
}

lethe_result tensor_list_add(struct tensor_list *list, const struct tensor *tensor,
                             struct lethe_error *err)
{
    if (list->count == TENSORS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u tensors in one file", TENSORS_MAX);
    TRY(check_name(tensor->name, list->count, err));
    TRY(check_shape(tensor, list->count, err));

    struct tensor *tensors =
        array_grow(list->tensors, list->count, &list->capacity, sizeof *list->tensors);
    if (tensors != NULL)
        list->tensors = tensors;
    char *name = tensors == NULL ? NULL : strdup(tensor->name);
    if (name == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu tensors", list->count + 1);
    tensors[list->count] = *tensor;
    tensors[list->count].name = name;
    list->count++;
    return LETHE_OK;
}
