/* The example engine: of a file that it takes, a step is computed, or refused with a reason.
 * Nothing that is computed with is larger than the file, so a step is short; the session that it
 * takes place in is a stand-in, whose every byte is a byte of the heap. */
#include <stdlib.h>

#include "../examples/tiny-llama/llama.h"

#include "fuzz.h"

#define CONTEXT 2u

static void *memory;
static struct lethe_kv_span span;

lethe_result lethe_kv_buffer(struct lethe_kv *session, size_t size_bytes, void **out,
                             struct lethe_error *err)
{
    *out = memory = calloc(1, size_bytes);
    return *out != NULL ? LETHE_OK : lethe_error_set(err, LETHE_NO_MEMORY, "no memory");
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

/* For sessions that spill, and this one does not. */
lethe_result lethe_kv_gather(struct lethe_kv *session, uint32_t layer, uint64_t first,
                             uint64_t tokens, void *keys, void *values, struct lethe_error *err)
{
    return lethe_error_set(err, LETHE_UNAVAILABLE, "nothing is spilled here");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct lethe_error err = {0};
    struct llama llama = {.file = data};
    unsigned short random[3] = {1, 2, 3};
    lethe_result result = llama_read(&llama, size_bytes, &err);
    if (result == LETHE_OK) {
        llama.context = CONTEXT;
        result = llama_start(&llama, NULL, &err);
        if (result == LETHE_OK)
            result = llama_step(&llama, llama.vocabulary - 1, &err);
        if (result == LETHE_OK)
            FUZZ_PROPERTY(llama_choose(&llama, 1, random) < llama.vocabulary);
        free(memory);
    }
    FUZZ_PROPERTY(result == LETHE_OK || err.text[0] != '\0');
    lethe_gguf_free(llama.gguf);
    return 0;
}
