/* tiny.h -- the parts of tiny-llama, from the bottom up.
 *
 *   number.c   the formats that weights are kept in
 *   gguf.c     what a model's file says is in it
 *   words.c    text to tokens and back
 *   llama.c    the arithmetic: a token goes in, scores for the next come out
 *   store.c    where the model's file is: in sealed memory, or mapped as any engine does
 *   options.c  the command line
 *   main.c     requests, one after another
 *
 * Results and errors are the library's. What users say is in a session of the library's KV cache,
 * and only there; all that is kept of the file are offsets, as its address ends with a request. */
#ifndef TINY_H
#define TINY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lethe/kv.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TRY(call)                                                                                  \
    do {                                                                                           \
        lethe_result try_result = (call);                                                          \
        if (try_result != LETHE_OK)                                                                \
            return try_result;                                                                     \
    } while (0)

/* Writes what went wrong, and gives `code`. */
__attribute__((__format__(__printf__, 3, 4))) static inline lethe_result
fail(struct lethe_error *err, lethe_result code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *err = (struct lethe_error){.code = code};
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return code;
}

/* ---- number.c -------------------------------------------------------------------------------- */

struct number {
    uint32_t type;                                           /* ggml's id: F32, F16, Q8_0       */
    uint32_t block;                                          /* so many numbers ...             */
    uint32_t block_bytes;                                    /* ... take so many bytes          */
    void (*unpack)(const void *row, float *out, uint32_t n); /* n: a multiple of block          */
};
/* NULL for any other type. */
const struct number *number_of(uint32_t type);
float dot(const float *a, const float *b, uint32_t n);

/* ---- gguf.c ---------------------------------------------------------------------------------- */

enum gguf_type { GGUF_U32 = 4, GGUF_F32 = 6, GGUF_TEXT = 8, GGUF_ARRAY = 9, GGUF_TYPES = 13 };

/* The file's bytes may come from anywhere, and this is the only way to them: it knows their end. */
struct cursor {
    const uint8_t *file;
    uint64_t at;
    uint64_t end;
};
struct text {
    uint64_t at;
    uint64_t size_bytes;
};
/* LETHE_MALFORMED when fewer bytes are left. */
lethe_result take(struct cursor *cursor, void *out, size_t size_bytes, struct lethe_error *err);
lethe_result take_text(struct cursor *cursor, struct text *out, struct lethe_error *err);

struct key {
    struct text name;
    uint32_t type;
    uint64_t at; /* of the value */
};
struct tensor { /* `rows` rows of `columns` numbers, one after another */
    struct text name;
    const struct number *number;
    uint32_t columns;
    uint32_t rows;
    uint64_t at;
};
static inline uint64_t tensor_row_bytes(const struct tensor *tensor)
{
    return (uint64_t)tensor->columns / tensor->number->block * tensor->number->block_bytes;
}
struct gguf {
    struct cursor cursor;
    uint64_t key_count;
    uint64_t tensor_count;
    struct key *keys;
    struct tensor *tensors;
};
/* LETHE_MALFORMED says where it is wrong; LETHE_FAILED: a tensor is of another type. *out is to be
 * cleared in any case. */
lethe_result gguf_read(const uint8_t *file, uint64_t size_bytes, struct gguf *out,
                       struct lethe_error *err);
void gguf_clear(struct gguf *gguf);
/* A cursor at the value of a key; its `file` is NULL when there is no such key. */
lethe_result gguf_find(const struct gguf *gguf, const char *name, enum gguf_type type,
                       struct cursor *out, struct lethe_error *err);
/* A value of 4 bytes; *out stays as it is when there is none. */
lethe_result gguf_number(const struct gguf *gguf, const char *name, enum gguf_type type, void *out,
                         struct lethe_error *err);
const struct tensor *gguf_tensor(const struct gguf *gguf, const char *name); /* or NULL */

/* ---- words.c --------------------------------------------------------------------------------- */

#define WORD_NONE UINT32_MAX
struct words {
    struct text *texts;
    uint32_t count; /* 0: the file has no vocabulary          */
    uint32_t begin; /* put before a text; WORD_NONE: nothing  */
    uint32_t end;   /* behind an answer                       */
};
lethe_result words_read(const struct gguf *gguf, struct words *out, struct lethe_error *err);
/* The longest word that the text begins with; false when there is none. This is not how llama.cpp
 * cuts up text (it merges by score), but a model can read it. */
bool words_match(const struct words *words, const uint8_t *file, const char *text,
                 size_t size_bytes, uint32_t *word);
/* White space in a vocabulary is U+2581: from text and, in place, back to text. The result has at
 * most 3 times as many bytes, or no more. */
size_t words_mark_spaces(const char *text, size_t size_bytes, char *out);
size_t words_clear_spaces(char *text, size_t size_bytes);

/* ---- llama.c --------------------------------------------------------------------------------- */

enum llama_size { ONE, WIDTH, KV_WIDTH, HIDDEN, VOCABULARY, SIZES };
struct layer {
    struct tensor attn_norm, attn_q, attn_k, attn_v, attn_output;
    struct tensor ffn_norm, ffn_gate, ffn_up, ffn_down;
};
struct llama {
    uint32_t sizes[SIZES];
    uint32_t layers;
    uint32_t context;  /* tokens at most                                  */
    uint32_t heads;    /* each looks for something else in earlier tokens */
    uint32_t kv_heads; /* heads / kv_heads of them share keys and values  */
    uint32_t head_size;
    uint32_t rotated; /* numbers of a head that its position turns       */
    float epsilon;
    float freq_base;
    struct tensor token_embd, output_norm, output;
    struct layer *layer;
};
/* LETHE_FAILED for what is not computed here. *out->layer is to be freed in any case. */
lethe_result llama_read(const struct gguf *gguf, struct llama *out, struct lethe_error *err);

/* One session's: all of it is memory of the session. */
struct state {
    const struct llama *llama;
    struct lethe_kv *session;
    const uint8_t *file; /* for the caller to set, in every request */
    float *x, *normed, *q, *k, *v, *mixed, *gate, *up;
    float *turn;   /* cosines and sines of a position          */
    float *scores; /* of all tokens so far, in a head's eyes   */
    float *row;    /* of a matrix                              */
    float *logits; /* VOCABULARY scores for the next token     */
};
lethe_result llama_start(const struct llama *llama, struct lethe_kv *session, struct state *out,
                         struct lethe_error *err);
/* Positions come one after another and are below `context`, tokens below VOCABULARY. */
lethe_result llama_step(struct state *state, uint32_t token, uint32_t position,
                        struct lethe_error *err);
void softmax(float *values, size_t count);

/* ---- store.c --------------------------------------------------------------------------------- */

struct store_options {
    const char *model;
    const char *home; /* NULL: as lethe finds it */
    bool sealed;      /* `model` is an encrypted model; otherwise a file */
    enum lethe_verify_mode verify;
};
struct store {
    struct store_options options;
    struct lethe_home *home;
    struct lethe_model *model;
    struct lethe_worker *worker;
    struct lethe_shard *shard;
    struct lethe_execution *execution;
    const uint8_t *mapped; /* NULL when the model is sealed */
    uint64_t file_bytes;
};
/* *out is to be closed in any case. */
lethe_result store_open(const struct store_options *options, struct store *out,
                        struct lethe_error *err);
lethe_result store_close(struct store *store, struct lethe_error *err);
/* A request: *file is where the model's file is, verified, until store_end(). */
lethe_result store_begin(struct store *store, const uint8_t **file, struct lethe_error *err);
lethe_result store_verify(struct store *store, struct lethe_error *err); /* once more */
void store_end(struct store *store);

/* ---- options.c ------------------------------------------------------------------------------- */

struct options {
    struct store_options store;
    bool takes_ids;       /* prompts are token ids, not text  */
    bool verifies_tokens; /* before each, not just before the first */
    uint32_t answer;      /* tokens at most */
    uint32_t context;     /* the same of prompt and answer together */
    float temperature;    /* 0: the likeliest token, always */
    uint64_t seed;
};
/* Exits after --help, and with a word about what is wrong. */
void options_parse(int argc, char **argv, struct options *out);

#endif
