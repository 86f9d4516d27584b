#include "model/dtypes.h"

#include <string.h>

/* ggml's enum ggml_type and the sizes of its blocks (ggml.h, ggml-common.h). Numbers without a row
 * belong to types that were removed from the format. */
#define BLOCK(name, elements, bytes)                                                               \
    {                                                                                              \
        name, elements, (bytes)*8                                                                  \
    }
static const struct dtype gguf_dtypes[] = {
    [0] = BLOCK("F32", 1, 4),         [1] = BLOCK("F16", 1, 2),
    [2] = BLOCK("Q4_0", 32, 18),      [3] = BLOCK("Q4_1", 32, 20),
    [6] = BLOCK("Q5_0", 32, 22),      [7] = BLOCK("Q5_1", 32, 24),
    [8] = BLOCK("Q8_0", 32, 34),      [9] = BLOCK("Q8_1", 32, 36),
    [10] = BLOCK("Q2_K", 256, 84),    [11] = BLOCK("Q3_K", 256, 110),
    [12] = BLOCK("Q4_K", 256, 144),   [13] = BLOCK("Q5_K", 256, 176),
    [14] = BLOCK("Q6_K", 256, 210),   [15] = BLOCK("Q8_K", 256, 292),
    [16] = BLOCK("IQ2_XXS", 256, 66), [17] = BLOCK("IQ2_XS", 256, 74),
    [18] = BLOCK("IQ3_XXS", 256, 98), [19] = BLOCK("IQ1_S", 256, 50),
    [20] = BLOCK("IQ4_NL", 32, 18),   [21] = BLOCK("IQ3_S", 256, 110),
    [22] = BLOCK("IQ2_S", 256, 82),   [23] = BLOCK("IQ4_XS", 256, 136),
    [24] = BLOCK("I8", 1, 1),         [25] = BLOCK("I16", 1, 2),
    [26] = BLOCK("I32", 1, 4),        [27] = BLOCK("I64", 1, 8),
    [28] = BLOCK("F64", 1, 8),        [29] = BLOCK("IQ1_M", 256, 56),
    [30] = BLOCK("BF16", 1, 2),       [34] = BLOCK("TQ1_0", 256, 54),
    [35] = BLOCK("TQ2_0", 256, 66),   [39] = BLOCK("MXFP4", 32, 17),
    [40] = BLOCK("NVFP4", 64, 36),    [41] = BLOCK("Q1_0", 128, 18),
    [42] = BLOCK("Q2_0", 64, 18),
};

/* huggingface/safetensors, enum Dtype. */
static const struct dtype safetensors_dtypes[] = {
    {"F4", 1, 4},          {"F6_E2M3", 1, 6},     {"F6_E3M2", 1, 6}, {"BOOL", 1, 8},
    {"U8", 1, 8},          {"I8", 1, 8},          {"F8_E5M2", 1, 8}, {"F8_E4M3", 1, 8},
    {"F8_E4M3FNUZ", 1, 8}, {"F8_E5M2FNUZ", 1, 8}, {"F8_E8M0", 1, 8}, {"I16", 1, 16},
    {"U16", 1, 16},        {"F16", 1, 16},        {"BF16", 1, 16},   {"I32", 1, 32},
    {"U32", 1, 32},        {"F32", 1, 32},        {"I64", 1, 64},    {"U64", 1, 64},
    {"F64", 1, 64},        {"C64", 1, 64},
};

const struct dtype *gguf_dtype(uint32_t number)
{
    if (number >= ARRAY_LEN(gguf_dtypes) || gguf_dtypes[number].name == NULL)
        return NULL;
    return &gguf_dtypes[number];
}

static const struct dtype *dtype_named(const struct dtype *dtypes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (dtypes[i].name != NULL && strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

const struct dtype *safetensors_dtype(const char *name)
{
    return dtype_named(safetensors_dtypes, ARRAY_LEN(safetensors_dtypes), name);
}

const char *tensor_dtype_find(enum model_file_type type, const char *name)
{
    const struct dtype *dtype = NULL;
    if (type == MODEL_FILE_SAFETENSORS)
        dtype = safetensors_dtype(name);
    else if (type == MODEL_FILE_GGUF)
        dtype = dtype_named(gguf_dtypes, ARRAY_LEN(gguf_dtypes), name);
    return dtype == NULL ? NULL : dtype->name;
}

lethe_result dtype_size(const struct dtype *dtype, const struct tensor *tensor,
                        uint64_t *size_bytes)
{
    unsigned dimensions = tensor->dimensions;
    uint64_t row_elements = dimensions > 0 ? tensor->shape[dimensions - 1] : 1;
    if (row_elements % dtype->block_elements != 0)
        return LETHE_MALFORMED;
    uint64_t bits;
    if (__builtin_mul_overflow(row_elements / dtype->block_elements, dtype->block_bits, &bits))
        return LETHE_MALFORMED;
    for (unsigned i = 0; i + 1 < dimensions; i++)
        if (__builtin_mul_overflow(bits, tensor->shape[i], &bits))
            return LETHE_MALFORMED;
    if (bits % 8 != 0)
        return LETHE_MALFORMED;
    *size_bytes = bits / 8;
    return LETHE_OK;
}
