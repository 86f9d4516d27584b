/* lethe/gguf.h -- what a GGUF file says is in it: the reader that encrypts models, for engines.
 *
 * A file is bytes in memory, perhaps hostile ones: versions 2 and 3 are read, every length is
 * checked against their end, and what is not sound is refused as a whole. What is kept of them are
 * names, numbers and offsets. Their address is not: that of sealed weights ends with an execution
 * (lethe/residency.h), and a file that was opened in one is looked up in any time later.
 *
 *     lethe_gguf_open(file, size_bytes, &gguf, &err);
 *     lethe_gguf_unsigned(gguf, "llama.block_count", &layers, &err);
 *     lethe_gguf_tensor(gguf, "token_embd.weight", &tensor, &err);
 *     ... compute with file + tensor.begin ...
 *     lethe_gguf_free(gguf);
 *
 * Thread rule: looking things up from any thread; freeing when nobody does any more. */
#ifndef LETHE_GGUF_H
#define LETHE_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

struct lethe_gguf;

/* Reads the whole file, which nobody changes meanwhile, and all of which is there: data too. Time
 * and memory follow the number of keys and tensors (at most 65,536 and 262,144) and the bytes that
 * describe them.
 *
 * On success the caller owns *out and ends it with lethe_gguf_free(). *out is NULL otherwise.
 * LETHE_MALFORMED: it is no such file, it is cut short, two keys or two tensors have one name, a
 *                  tensor is not where the alignment puts it; the text says what is wrong where.
 * LETHE_NO_MEMORY: as it says. */
LETHE_MUST_CHECK lethe_result lethe_gguf_open(const void *bytes, size_t size_bytes,
                                              struct lethe_gguf **out, struct lethe_error *err);
/* NULL is fine. */
void lethe_gguf_free(struct lethe_gguf *gguf);

/* The value of a key. In each of these LETHE_NOT_FOUND says that there is no such key, and
 * LETHE_MALFORMED that its value is of another type; *out then stays as it is, so that it may have
 * been given what is meant by a key that is missing. */

/* A whole number of 8 to 64 bits, without a sign. */
LETHE_MUST_CHECK lethe_result lethe_gguf_unsigned(const struct lethe_gguf *gguf, const char *key,
                                                  uint64_t *out, struct lethe_error *err);
/* A floating-point number of 32 or 64 bits; any, infinities and NaNs too. */
LETHE_MUST_CHECK lethe_result lethe_gguf_float(const struct lethe_gguf *gguf, const char *key,
                                               double *out, struct lethe_error *err);
/* A text is where the file has it: any bytes, and no NUL behind them. */
struct lethe_gguf_text {
    uint64_t begin; /* in the file */
    uint64_t size_bytes;
};
LETHE_MUST_CHECK lethe_result lethe_gguf_text(const struct lethe_gguf *gguf, const char *key,
                                              struct lethe_gguf_text *out, struct lethe_error *err);

#define LETHE_GGUF_DIMENSIONS 4
struct lethe_gguf_tensor {
    const char *type;                      /* static text, ggml's name: "F32", "Q4_K"            */
    uint32_t dimensions;                   /* 0 (one number) to 4                                */
    uint64_t shape[LETHE_GGUF_DIMENSIONS]; /* innermost first, as in the file; 1 where there is
                                              no dimension, 0 where there are no numbers         */
    uint64_t begin;                        /* in the file: a multiple of general.alignment, which
                                              is any power of two up to 2^20, and 32 by default  */
    uint64_t size_bytes;                   /* whole blocks of the type, all of them in the file  */
};
/* LETHE_NOT_FOUND: there is no tensor of that name, and *out stays as it is. */
LETHE_MUST_CHECK lethe_result lethe_gguf_tensor(const struct lethe_gguf *gguf, const char *name,
                                                struct lethe_gguf_tensor *out,
                                                struct lethe_error *err);
size_t lethe_gguf_tensor_count(const struct lethe_gguf *gguf);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
