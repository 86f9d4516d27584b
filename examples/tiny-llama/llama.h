/* llama.h -- the model: a token goes in, scores for the next come out.
 *
 * Results and errors are the library's. What users say is in a session of the library's KV cache,
 * and only there; all that is kept of the file are offsets, as its address ends with a request. */
#ifndef LLAMA_H
#define LLAMA_H

#include <lethe/gguf.h>
#include <lethe/kv.h>

#define TRY(call) LETHE_TRY(call)

/* What is computed with, of a session. PAST_KEYS, PAST_VALUES: of all tokens so far, where the
 * cache has spilled and they are not all there; SCORES: of all tokens so far, in a head's eyes;
 * ROW: of a matrix; LOGITS: the higher, the likelier a token is the next. */
enum vector {
    X,
    NORMED,
    Q,
    K,
    V,
    MIXED,
    GATE,
    UP,
    SCORES,
    ROW,
    LOGITS,
    PAST_KEYS,
    PAST_VALUES,
    VECTORS
};

struct llama {
    const uint8_t *file; /* for the caller to set, in every request */
    struct lethe_gguf *gguf;
    uint32_t layers, context, width, kv_width, hidden, vocabulary;
    uint32_t heads;     /* each looks for something else in earlier tokens */
    uint32_t kv_heads;  /* heads / kv_heads of them share keys and values  */
    uint32_t head_size; /* of which `rotated` are turned by its position   */
    uint32_t rotated;
    uint64_t end; /* the token behind an answer                      */
    bool spills;  /* the cache may not hold all of a session at once */
    double epsilon, freq_base;
    const char *output; /* the matrix: of its own, or that of the embedding */
    struct lethe_kv *session;
    float *at[VECTORS];
    uint32_t count[VECTORS];
    uint32_t layer, position; /* of the next token */
    char prefix[16];          /* of the names of tensors: "blk.7.", where they are a layer's */
    struct lethe_error *err;
};

/* Reads the file. LETHE_MALFORMED, LETHE_NOT_FOUND: what is wrong with it, or missing;
 * LETHE_FAILED: that is not computed here. llama->gguf is to be freed in any case. */
lethe_result llama_read(struct llama *llama, uint64_t file_bytes, struct lethe_error *err);
/* What is computed is memory of the session from here on. */
lethe_result llama_start(struct llama *llama, struct lethe_kv *session, struct lethe_error *err);
/* The next token, which is below `vocabulary`; at most `context` of them. Tensors are looked for
 * here: results as llama_read(), and those of the session. */
lethe_result llama_step(struct llama *llama, uint32_t token, struct lethe_error *err);
/* The likeliest token, or with a temperature above 0 one that is drawn. Spoils LOGITS. */
uint32_t llama_choose(struct llama *llama, float temperature, unsigned short random[3]);

#endif
