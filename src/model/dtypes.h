/* model/dtypes.h -- how many bytes the elements of a tensor take, for every type of both formats.
 */
#ifndef MODEL_DTYPES_H
#define MODEL_DTYPES_H

#include "model/tensors.h"

/* Elements along the innermost dimension come in blocks. */
struct dtype {
    const char *name;
    uint32_t block_elements;
    uint32_t block_bits;
};
/* NULL when there is no such type, or no longer. */
const struct dtype *gguf_dtype(uint32_t number);
const struct dtype *safetensors_dtype(const char *name);

/* The bytes of a tensor with this shape. LETHE_MALFORMED without a text: the product does not fit
 * 64 bits, or the innermost dimension is not whole blocks, or the whole is not whole bytes. */
LETHE_MUST_CHECK lethe_result dtype_size(const struct dtype *dtype, const struct tensor *tensor,
                                         uint64_t *size_bytes);

#endif
