/* fuzz/fuzz_tensors.h -- what holds for every list of tensors that a reader gives. */
#ifndef FUZZ_FUZZ_TENSORS_H
#define FUZZ_FUZZ_TENSORS_H

#include <string.h>

#include "base/validate.h"
#include "model/tensors.h"

#include "fuzz.h"

/* Ranges follow one another inside the file; names and types are what a manifest can hold. */
static inline void require_sound_list(const struct tensor_list *list, enum model_file_type type,
                                      size_t file_bytes)
{
    FUZZ_PROPERTY(list->type == type);
    uint64_t covered = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor *tensor = &list->tensors[i];
        size_t length = strlen(tensor->name);
        FUZZ_PROPERTY(length > 0 && length <= TENSOR_NAME_MAX);
        FUZZ_PROPERTY(text_is_utf8(tensor->name, length));
        FUZZ_PROPERTY(tensor_dtype_find(type, tensor->dtype) == tensor->dtype);
        FUZZ_PROPERTY(tensor->dimensions <= TENSOR_DIMENSIONS_MAX);
        FUZZ_PROPERTY(covered <= tensor->begin && tensor->begin <= tensor->end);
        covered = tensor->end;
        FUZZ_PROPERTY(covered <= file_bytes);
    }
}

/* A refusal leaves nothing behind. */
static inline void require_empty_list(const struct tensor_list *list)
{
    FUZZ_PROPERTY(list->tensors == NULL && list->count == 0);
}

#endif
