/* tests/model/tensor_files.h -- what the tests of both readers share: files as attacks, read from
 * an allocation of exactly their size, and lists of tensors that other programs made. */
#ifndef TESTS_MODEL_TENSOR_FILES_H
#define TESTS_MODEL_TENSOR_FILES_H

#include "check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "model/tensors.h"

typedef lethe_result tensor_reader(struct file_head *head, struct tensor_list *out,
                                   struct lethe_error *err);

/* Beginnings of the file that are too short are tried first: one says so and leaves nothing, or
 * gives what the whole file gives. Each is an allocation of exactly its size: a sanitizer sees the
 * first byte read past the end. */
static inline lethe_result read_exact(tensor_reader *reader, const void *bytes, size_t size_bytes,
                                      struct tensor_list *out, struct lethe_error *err)
{
    for (size_t length = size_bytes % 7;; length = length * 3 + 1) {
        length = length < size_bytes ? length : size_bytes;
        CLEANUP(memory_free) void *exact = malloc(length);
        assert_true(exact != NULL || length == 0);
        if (length > 0)
            memcpy(exact, bytes, length);
        struct file_head head = {exact, length, size_bytes, false};
        lethe_result result = reader(&head, out, err);
        if (!head.too_short)
            return result;
        assert_int_equal(result, LETHE_MALFORMED);
        assert_true(length < size_bytes && out->tensors == NULL && out->count == 0);
    }
}

/* Refused, for the reason whose words are `why`, and nothing left behind. */
static inline void assert_refused(tensor_reader *reader, const void *bytes, size_t size_bytes,
                                  const char *why)
{
    struct lethe_error err = {0};
    struct tensor_list list = {0};
    lethe_result result = read_exact(reader, bytes, size_bytes, &list, &err);
    if (result != LETHE_MALFORMED || strstr(err.text, why) == NULL)
        fail_msg("expected MALFORMED with \"%s\", got %s: %s", why, lethe_result_name(result),
                 err.text);
    assert_null(list.tensors);
    assert_int_equal(list.count, 0);
}

/* Vectors: no test of this room needs more than 2 MiB of one. */
static inline void read_model_vector(const char *name, struct buffer *out)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *path = path_join(TEST_VECTORS "/models", name);
    assert_ok(file_read_all(AT_FDCWD, path, 2 << 20, out, &err), &err);
}

static inline void describe(const struct tensor *tensor, struct buffer *out)
{
    buffer_format(out, "%s %s [", tensor->name, tensor->dtype);
    for (unsigned i = 0; i < tensor->dimensions; i++)
        buffer_format(out, "%s%" PRIu64, i == 0 ? "" : ",", tensor->shape[i]);
    buffer_format(out, "] %" PRIu64 " %" PRIu64 "\n", tensor->begin, tensor->end);
}

/* <name>.tensors beside a vector is the list that another reader gave for it. */
static inline void assert_list_of_vector(tensor_reader *reader, const char *name)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(buffer_clear) struct buffer expected = {0};
    CLEANUP(buffer_clear) struct buffer found = {0};
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    char list_name[256];
    snprintf(list_name, sizeof list_name, "%s.tensors", name);
    read_model_vector(name, &file);
    read_model_vector(list_name, &expected);
    assert_ok(read_exact(reader, file.bytes, file.size_bytes, &list, &err), &err);
    for (size_t i = 0; i < list.count; i++)
        describe(&list.tensors[i], &found);
    assert_string_equal(found.bytes, expected.bytes);
}

#endif
