/* GGUF: real files as another reader sees them, every type, and what must not be refused. */
#include "gguf_writer.h"

#include <time.h>

static void list_of(struct buffer *file, struct tensor_list *list)
{
    struct lethe_error err = {0};
    assert_ok(read_exact(gguf_read, file->bytes, file->size_bytes, list, &err), &err);
}

static void real_file_as_another_reader_lists_it(void **state)
{
    assert_list_of_vector(gguf_read, "ollama_llama-2-tiny-random.gguf");
}

static void every_kind_of_key_is_stepped_over(void **state)
{
    for (uint32_t version = 2; version <= 3; version++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        CLEANUP(tensor_list_clear) struct tensor_list list = {0};
        put_good_file(&file, version);
        list_of(&file, &list);
        uint64_t data = file.size_bytes - 256;
        assert_int_equal(list.type, MODEL_FILE_GGUF);
        assert_int_equal(list.count, 2);
        assert_string_equal(list.tensors[0].name, "first");
        assert_string_equal(list.tensors[0].dtype, "F32");
        assert_int_equal(list.tensors[0].dimensions, 2);
        assert_int_equal(list.tensors[0].shape[0], 5);
        assert_int_equal(list.tensors[0].shape[1], 3);
        assert_int_equal(list.tensors[0].begin, data);
        assert_int_equal(list.tensors[0].end, data + 60);
        assert_string_equal(list.tensors[1].dtype, "Q4_K");
        assert_int_equal(list.tensors[1].begin, data + 64);
        assert_int_equal(list.tensors[1].end, data + 64 + 144);
    }
}

/* From the structures in ggml-common.h: scales and minima, then the packed quants. */
static const struct {
    uint32_t type;
    const char *name;
    uint64_t elements;
    uint64_t bytes;
} blocks[] = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {2, "Q4_0", 32, 2 + 32 / 2},
    {3, "Q4_1", 32, 2 + 2 + 32 / 2},
    {6, "Q5_0", 32, 2 + 4 + 32 / 2},
    {7, "Q5_1", 32, 2 + 2 + 4 + 32 / 2},
    {8, "Q8_0", 32, 2 + 32},
    {9, "Q8_1", 32, 2 + 2 + 32},
    {10, "Q2_K", 256, 2 + 2 + 256 / 16 + 256 / 4},
    {11, "Q3_K", 256, 2 + 256 / 4 + 256 / 8 + 12},
    {12, "Q4_K", 256, 2 + 2 + 12 + 256 / 2},
    {13, "Q5_K", 256, 2 + 2 + 12 + 256 / 2 + 256 / 8},
    {14, "Q6_K", 256, 2 + 256 / 16 + 3 * 256 / 4},
    {15, "Q8_K", 256, 4 + 256 + 2 * 256 / 16},
    {16, "IQ2_XXS", 256, 2 + 2 * 256 / 8},
    {17, "IQ2_XS", 256, 2 + 2 * 256 / 8 + 256 / 32},
    {18, "IQ3_XXS", 256, 2 + 3 * 256 / 8},
    {19, "IQ1_S", 256, 2 + 256 / 8 + 256 / 16},
    {20, "IQ4_NL", 32, 2 + 32 / 2},
    {21, "IQ3_S", 256, 2 + 13 * (256 / 32) + 256 / 64},
    {22, "IQ2_S", 256, 2 + 256 / 4 + 256 / 16},
    {23, "IQ4_XS", 256, 2 + 2 + 256 / 64 + 256 / 2},
    {24, "I8", 1, 1},
    {25, "I16", 1, 2},
    {26, "I32", 1, 4},
    {27, "I64", 1, 8},
    {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 256 / 8 + 256 / 16 + 256 / 32},
    {30, "BF16", 1, 2},
    {34, "TQ1_0", 256, 2 + 256 / 64 + (256 - 4 * 256 / 64) / 5},
    {35, "TQ2_0", 256, 2 + 256 / 4},
    {39, "MXFP4", 32, 1 + 32 / 2},
    {40, "NVFP4", 64, 64 / 16 + 64 / 2},
    {41, "Q1_0", 128, 2 + 128 / 8},
    {42, "Q2_0", 64, 2 + 64 / 4},
};

static void every_type_has_its_block(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        CLEANUP(tensor_list_clear) struct tensor_list list = {0};
        struct buffer *out = &file;
        put_start(out, 1, 0);
        TENSOR("t", 2, {blocks[i].elements, 3}, blocks[i].type, 0);
        put_data(out, 32, 3 * blocks[i].bytes);
        list_of(out, &list);
        assert_string_equal(list.tensors[0].dtype, blocks[i].name);
        assert_int_equal(list.tensors[0].end - list.tensors[0].begin, 3 * blocks[i].bytes);
    }
}

static void rows_must_be_whole_blocks(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        if (blocks[i].elements == 1)
            continue;
        CLEANUP(buffer_clear) struct buffer file = {0};
        struct buffer *out = &file;
        put_start(out, 1, 0);
        TENSOR("t", 2, {blocks[i].elements / 2, 2}, blocks[i].type, 0);
        put_data(out, 32, blocks[i].bytes);
        assert_refused(gguf_read, out->bytes, out->size_bytes, "whole blocks");
    }
}

static void removed_and_future_types_are_unknown(void **state)
{
    static const uint32_t unknown[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        struct buffer *out = &file;
        put_start(out, 1, 0);
        TENSOR("t", 1, {32}, unknown[i], 0);
        put_data(out, 32, 128);
        assert_refused(gguf_read, out->bytes, out->size_bytes, "unknown type");
    }
}

static void corners_that_are_fine(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    struct buffer *out = &file;
    char longest[64] = {0};
    memset(longest, 'n', 63);
    put_start(out, 4, 1);
    put_key_u32(out, "general.alignment", GGUF_ALIGNMENT_MAX);
    TENSOR("scalar", 0, {0}, F32, 0);
    TENSOR("nothing", 2, {0, 7}, F32, GGUF_ALIGNMENT_MAX);
    TENSOR("\xc3\xa4", 4, {1, 1, 1, 2}, I8, GGUF_ALIGNMENT_MAX);
    TENSOR(longest, 1, {1}, I8, 2 * GGUF_ALIGNMENT_MAX);
    put_data(out, GGUF_ALIGNMENT_MAX, 2 * GGUF_ALIGNMENT_MAX + 1); /* no padding at the end */
    list_of(out, &list);
    assert_int_equal(list.tensors[0].end, GGUF_ALIGNMENT_MAX + 4);
    assert_int_equal(list.tensors[1].begin, list.tensors[1].end);
    assert_int_equal(list.tensors[3].end, out->size_bytes);
    assert_string_equal(list.tensors[3].name, longest);
}

static void a_file_without_tensors_is_fine(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    put_start(&file, 0, 1);
    put_key_u32(&file, "a", 1);
    list_of(&file, &list);
    assert_int_equal(list.count, 0);
    assert_int_equal(list.type, MODEL_FILE_GGUF);
}

/* Comparing every name with every other would take minutes here. */
static void time_does_not_grow_with_the_square(void **state)
{
    enum { COUNT = 200000 };
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    struct buffer *out = &file;
    put_start(out, COUNT, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.a-long-common-beginning.experts.%06u", i);
        TENSOR(name, 1, {0}, F32, 0);
    }
    put_data(out, 32, 0);
    clock_t start = clock();
    list_of(out, &list);
    assert_int_equal(list.count, COUNT);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 10);
}

static void type_comes_from_magic_before_suffix(void **state)
{
    assert_int_equal(model_file_type_of("model", "GGUF", 4), MODEL_FILE_GGUF);
    assert_int_equal(model_file_type_of("a.safetensors", "GGUF", 4), MODEL_FILE_GGUF);
    assert_int_equal(model_file_type_of("a.gguf", "GGU", 3), MODEL_FILE_GGUF);
    assert_int_equal(model_file_type_of("a.GGUF", "", 0), MODEL_FILE_GGUF);
    assert_int_equal(model_file_type_of("a.safetensors", "12345678{", 9), MODEL_FILE_SAFETENSORS);
    assert_int_equal(model_file_type_of("safetensors", "12345678{", 9), MODEL_FILE_OTHER);
    assert_int_equal(model_file_type_of("", "", 0), MODEL_FILE_OTHER);
}

static void names_of_types_go_both_ways(void **state)
{
    enum model_file_type type;
    for (unsigned i = MODEL_FILE_OTHER; i <= MODEL_FILE_GGUF; i++) {
        assert_result(LETHE_OK, model_file_type_parse(model_file_type_name(i), &type));
        assert_int_equal(type, i);
    }
    assert_result(LETHE_MALFORMED, model_file_type_parse("onnx", &type));
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        assert_string_equal(tensor_dtype_find(MODEL_FILE_GGUF, blocks[i].name), blocks[i].name);
    assert_non_null(tensor_dtype_find(MODEL_FILE_SAFETENSORS, "F8_E8M0"));
    assert_null(tensor_dtype_find(MODEL_FILE_SAFETENSORS, "Q4_K"));
    assert_null(tensor_dtype_find(MODEL_FILE_GGUF, "Q4_2"));
    assert_null(tensor_dtype_find(MODEL_FILE_OTHER, "F32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_file_as_another_reader_lists_it),
        cmocka_unit_test(every_kind_of_key_is_stepped_over),
        cmocka_unit_test(every_type_has_its_block),
        cmocka_unit_test(rows_must_be_whole_blocks),
        cmocka_unit_test(removed_and_future_types_are_unknown),
        cmocka_unit_test(corners_that_are_fine),
        cmocka_unit_test(a_file_without_tensors_is_fine),
        cmocka_unit_test(time_does_not_grow_with_the_square),
        cmocka_unit_test(type_comes_from_magic_before_suffix),
        cmocka_unit_test(names_of_types_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
