/* fuzz/fuzz_tensors.h -- what holds for every list of tensors that a reader gives. */
#ifndef FUZZ_FUZZ_TENSORS_H
#define FUZZ_FUZZ_TENSORS_H

#include <stdlib.h>
#include <string.h>

#include "base/validate.h"
#include "model/split.h"

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

/* However its tensors are called, a file that is split has each byte in one part. */
static inline void require_sound_split(const struct tensor_list *list, size_t file_bytes)
{
    CLEANUP(split_clear) struct split split = {0};
    if (split_experts(list, file_bytes, &split, NULL) != LETHE_OK || split.count == 0)
        return;
    CLEANUP(memory_free) uint8_t *owned = calloc(1, file_bytes);
    FUZZ_PROPERTY(owned != NULL && split.count >= 2 && split.items[0].kind == SHARD_DENSE);
    for (size_t i = 0; i < split.count; i++) {
        const struct split_part *part = &split.items[i];
        for (size_t j = 0; j < part->extents.count; j++) {
            const struct extent *extent = &part->extents.items[j];
            FUZZ_PROPERTY(extent->begin < extent->end && extent->end <= file_bytes);
            for (uint64_t at = extent->begin; at < extent->end; at++)
                FUZZ_PROPERTY(owned[at]++ == 0);
        }
        for (size_t j = 0; j < part->tensors.count; j++)
            FUZZ_PROPERTY(part->tensors.tensors[j].end <= extent_list_bytes(&part->extents));
    }
    FUZZ_PROPERTY(memchr(owned, 0, file_bytes) == NULL);
}

/* A refusal leaves nothing behind. */
static inline void require_empty_list(const struct tensor_list *list)
{
    FUZZ_PROPERTY(list->tensors == NULL && list->count == 0);
}

static inline void fuzz_reader(lethe_result (*reader)(struct file_head *, struct tensor_list *,
                                                      struct lethe_error *),
                               enum model_file_type type, const uint8_t *data, size_t size)
{
    CLEANUP(tensor_list_clear) struct tensor_list whole = {0};
    struct lethe_error err = {0};
    struct file_head head = {data, size, size, false};
    lethe_result result = reader(&head, &whole, &err);
    FUZZ_PROPERTY(!head.too_short);
    if (result == LETHE_OK) {
        require_sound_list(&whole, type, size);
        require_sound_split(&whole, size);
    } else {
        require_empty_list(&whole);
    }
    for (size_t length = 0; length < size; length = 2 * length + 1) {
        CLEANUP(tensor_list_clear) struct tensor_list list = {0};
        head = (struct file_head){data, length, size, false};
        lethe_result of_head = reader(&head, &list, &err);
        FUZZ_PROPERTY(head.too_short || (of_head == result && list.count == whole.count));
        if (head.too_short)
            require_empty_list(&list);
    }
}

#endif
