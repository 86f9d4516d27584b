/* model/tensors.h -- what is inside a model file: the tensors of safetensors and GGUF.
 *
 * Readers work on the file's bytes as an attack: a capped cursor, checked arithmetic, no allocation
 * by a declared size, every limit named here. They need the whole file mapped or its beginning and
 * its size. Sources: huggingface/safetensors format; ggml GGUF v2 and v3. */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include "base/buffer.h"

#define TENSOR_NAME_MAX 1024u
#define TENSOR_DIMENSIONS_MAX 8u
#define TENSORS_MAX 1000000u
#define SAFETENSORS_HEADER_MAX 100000000u /* the format's own limit */
#define GGUF_ALIGNMENT_MAX (1u << 20)

enum model_file_type { MODEL_FILE_OTHER, MODEL_FILE_SAFETENSORS, MODEL_FILE_GGUF };
const char *model_file_type_name(enum model_file_type type); /* "other", "safetensors", "gguf" */

struct tensor {
    char *name;        /* owned by the list */
    const char *dtype; /* static text: "F32", "Q4_K" */
    unsigned dimensions;
    uint64_t shape[TENSOR_DIMENSIONS_MAX]; /* outermost first */
    uint64_t begin;                        /* [begin, end) in the file */
    uint64_t end;
};
struct tensor_list { /* plain storage; {0} is empty */
    enum model_file_type type;
    struct tensor *tensors;
    size_t count;
    size_t capacity;
};
void tensor_list_clear(struct tensor_list *list);
static inline void tensor_list_clear_at_scope_end(struct tensor_list *list)
{
    tensor_list_clear(list);
}
/* Adds one; takes a copy of the name. LETHE_LIMIT, LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result tensor_list_add(struct tensor_list *list, const struct tensor *tensor,
                                              struct lethe_error *err);

/* By magic, and by suffix where there is no magic. */
enum model_file_type model_file_type_of(const char *name, const void *bytes, size_t size_bytes);

/* `bytes` is the whole file (mapped). LETHE_MALFORMED says where and what. */
LETHE_MUST_CHECK lethe_result safetensors_read(const void *bytes, size_t size_bytes,
                                               struct tensor_list *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result gguf_read(const void *bytes, size_t size_bytes,
                                        struct tensor_list *out, struct lethe_error *err);

#endif
