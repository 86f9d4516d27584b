/* model/gguf.h -- the keys of a GGUF file, for those who want more of it than its tensors
 * (tensors.h): lethe/gguf.h is made of both. */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "model/tensors.h"

enum gguf_type { /* of values: ggml's numbers */
                 GGUF_U8 = 0,
                 GGUF_U16 = 2,
                 GGUF_U32 = 4,
                 GGUF_F32 = 6,
                 GGUF_STRING = 8,
                 GGUF_ARRAY = 9,
                 GGUF_U64 = 10,
                 GGUF_F64 = 12,
                 GGUF_TYPES = 13,
};

struct gguf_key {
    char *name;      /* owned by the list */
    uint32_t type;   /* enum gguf_type, below GGUF_TYPES */
    uint64_t number; /* the value's bits; 0 where it is a text or an array */
    uint64_t begin;  /* [begin, end) of the value in the file; of a text, without its length */
    uint64_t end;
};
struct gguf_keys { /* plain storage; {0} is empty */
    struct gguf_key *items;
    size_t count;
    size_t capacity;
};
void gguf_keys_clear(struct gguf_keys *keys);
static inline void gguf_keys_clear_at_scope_end(struct gguf_keys *keys)
{
    gguf_keys_clear(keys);
}

/* As gguf_read(), and the keys besides, in the order of the file; both lists are empty unless the
 * result is LETHE_OK. */
LETHE_MUST_CHECK lethe_result gguf_read_keys(struct file_head *head, struct tensor_list *out,
                                             struct gguf_keys *keys, struct lethe_error *err);

#endif
