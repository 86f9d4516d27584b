/* model/tensors.h -- what is inside a model file: the tensors of safetensors and GGUF.
 *
 * Readers work on the file's bytes as an attack: a capped cursor, checked arithmetic, no allocation
 * by a declared size, every limit named here. Sources: huggingface/safetensors format; ggml GGUF v2
 * and v3. */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include "base/buffer.h"

#define TENSOR_NAME_MAX 1024u
#define TENSOR_DIMENSIONS_MAX 8u
#define TENSORS_MAX (1u << 18) /* 61 layers of 256 experts, 3 matrices each, are 47,000 */
#define SAFETENSORS_HEADER_MAX 100000000u         /* the format's own limit */
#define TENSOR_SIZE_MAX (((uint64_t)1 << 53) - 1) /* of a dimension: a manifest must hold it */
#define GGUF_ALIGNMENT_MAX (1u << 20)

enum model_file_type { MODEL_FILE_OTHER, MODEL_FILE_SAFETENSORS, MODEL_FILE_GGUF };
const char *model_file_type_name(enum model_file_type type); /* "other", "safetensors", "gguf" */
LETHE_MUST_CHECK lethe_result model_file_type_parse(const char *name, enum model_file_type *out);
/* The static text of a dtype of that kind of file, for struct tensor; NULL when it has no such. */
const char *tensor_dtype_find(enum model_file_type type, const char *name);

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
/* Adds one; takes a copy of the name, which is 1 to TENSOR_NAME_MAX bytes of UTF-8;
 * no dimension is over TENSOR_SIZE_MAX.
 * LETHE_MALFORMED, LETHE_LIMIT (TENSORS_MAX), LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result tensor_list_add(struct tensor_list *list, const struct tensor *tensor,
                                              struct lethe_error *err);

/* By magic (the first four bytes are enough), and by suffix where there is no magic. */
enum model_file_type model_file_type_of(const char *name, const void *bytes, size_t size_bytes);

/* The beginning of a file: all that a reader sees, because how long a description is only it can
 * tell. Files are not mapped: one that somebody cuts short meanwhile would kill us. */
struct file_head {
    const void *bytes;
    size_t size_bytes;
    uint64_t file_bytes; /* of the whole file; size_bytes or more */
    bool too_short;      /* set by a reader that needs more of the file than this */
};

/* The tensors come in the order of their data, which they cover without a gap (GGUF: but for
 * padding). LETHE_MALFORMED says where and what, and leaves *out empty; with head->too_short the
 * same reader gives the answer for a longer head. The time is linear in the header (but for
 * sorting), the memory in the number of tensors. */
LETHE_MUST_CHECK lethe_result safetensors_read(struct file_head *head, struct tensor_list *out,
                                               struct lethe_error *err);
LETHE_MUST_CHECK lethe_result gguf_read(struct file_head *head, struct tensor_list *out,
                                        struct lethe_error *err);

#endif
