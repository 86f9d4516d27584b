/* The example engine's reader of GGUF: what it takes, it can compute with. Tensors may overlap in
 * the file, but nothing of the model is larger than it, so a step is short; the session that it
 * takes place in is a stand-in, whose every byte is a byte of the heap. */
#include <stdlib.h>

#include "../examples/tiny-llama/tiny.h"

#include "fuzz.h"

#define CONTEXT 2u

static void *memory;
static struct lethe_kv_span span;

lethe_result lethe_kv_buffer(struct lethe_kv *session, size_t size_bytes, void **out,
                             struct lethe_error *err)
{
    *out = memory = calloc(1, size_bytes);
    return *out != NULL ? LETHE_OK : fail(err, LETHE_NO_MEMORY, "no memory");
}

lethe_result lethe_kv_append(struct lethe_kv *session, uint32_t layer, const void *keys,
                             const void *values, uint64_t tokens, struct lethe_error *err)
{
    span = (struct lethe_kv_span){.tokens = tokens, .keys = keys, .values = values};
    return LETHE_OK;
}

lethe_result lethe_kv_read_begin(struct lethe_kv *session, uint32_t layer,
                                 struct lethe_kv_view *out, struct lethe_error *err)
{
    *out = (struct lethe_kv_view){.spans = &span, .count = 1};
    return LETHE_OK;
}

void lethe_kv_read_end(struct lethe_kv_view *view)
{
}

static void step(struct llama *llama, const uint8_t *file)
{
    struct lethe_error err = {0};
    struct state state;
    llama->context = CONTEXT;
    if (llama->layers > 8 || llama_start(llama, NULL, &state, &err) != LETHE_OK)
        return;
    state.file = file;
    FUZZ_PROPERTY(llama_step(&state, llama->sizes[VOCABULARY] - 1, 1, &err) == LETHE_OK);
    free(memory);
}

/* A text of the file's own words is cut into words; and what is marked is cleared again. */
static void split(const struct words *words, const uint8_t *data, size_t size_bytes)
{
    const char *text = (const char *)data;
    char *marked = malloc(3 * size_bytes + 1);
    uint32_t word;
    if (marked == NULL)
        return;
    size_t length = words_mark_spaces(text, size_bytes, marked);
    for (size_t at = 0; at < MIN(length, 64); at++)
        if (words_match(words, data, marked + at, length - at, &word))
            FUZZ_PROPERTY(word < words->count && words->texts[word].size_bytes <= length - at);
    FUZZ_PROPERTY(words_clear_spaces(marked, length) <= size_bytes);
    free(marked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct lethe_error err = {0};
    struct gguf gguf = {0};
    struct llama llama = {0};
    struct words words = {0};
    if (gguf_read(data, size_bytes, &gguf, &err) == LETHE_OK) {
        if (llama_read(&gguf, &llama, &err) == LETHE_OK)
            step(&llama, data);
        if (words_read(&gguf, &words, &err) == LETHE_OK)
            split(&words, data, size_bytes);
    }
    FUZZ_PROPERTY(err.code == LETHE_OK || err.text[0] != '\0');
    gguf_clear(&gguf);
    free(llama.layer);
    free(words.texts);
    return 0;
}
