#include <stdlib.h>

#include "tiny.h"

#define WORDS_MAX (1u << 24)
static const char space[] = "\xe2\x96\x81";
#define SPACE_BYTES (sizeof space - 1)

static lethe_result take_texts(struct cursor *cursor, struct words *out, struct lethe_error *err)
{
    uint32_t type;
    uint64_t count;
    TRY(take(cursor, &type, sizeof type, err));
    TRY(take(cursor, &count, sizeof count, err));
    if (type != GGUF_TEXT || count > WORDS_MAX)
        return fail(err, LETHE_MALFORMED, "the vocabulary is no list of texts");
    out->texts = calloc(count + 1, sizeof *out->texts);
    if (out->texts == NULL)
        return fail(err, LETHE_NO_MEMORY, "no memory for a vocabulary");
    for (; out->count < count; out->count++)
        TRY(take_text(cursor, &out->texts[out->count], err));
    return LETHE_OK;
}

lethe_result words_read(const struct gguf *gguf, struct words *out, struct lethe_error *err)
{
    struct cursor value;
    *out = (struct words){.begin = WORD_NONE, .end = WORD_NONE};
    TRY(gguf_number(gguf, "tokenizer.ggml.bos_token_id", GGUF_U32, &out->begin, err));
    TRY(gguf_number(gguf, "tokenizer.ggml.eos_token_id", GGUF_U32, &out->end, err));
    TRY(gguf_find(gguf, "tokenizer.ggml.tokens", GGUF_ARRAY, &value, err));
    return value.file == NULL ? LETHE_OK : take_texts(&value, out, err);
}

/* "<s>" and the like mean something to the model, and no text may name them. */
static bool is_special(const uint8_t *word, uint64_t size_bytes)
{
    return size_bytes > 2 && word[0] == '<' && word[size_bytes - 1] == '>';
}

bool words_match(const struct words *words, const uint8_t *file, const char *text,
                 size_t size_bytes, uint32_t *word)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < words->count; i++) {
        const uint8_t *bytes = file + words->texts[i].at;
        uint64_t length = words->texts[i].size_bytes;
        if (length <= longest || length > size_bytes || memcmp(bytes, text, length) != 0 ||
            is_special(bytes, length))
            continue;
        longest = length;
        *word = i;
    }
    return longest > 0;
}

size_t words_mark_spaces(const char *text, size_t size_bytes, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        bool is_space = text[i] == ' ';
        memcpy(out + length, is_space ? space : text + i, is_space ? SPACE_BYTES : 1);
        length += is_space ? SPACE_BYTES : 1;
    }
    return length;
}

size_t words_clear_spaces(char *text, size_t size_bytes)
{
    size_t length = 0;
    for (size_t i = 0; i < size_bytes;) {
        bool is_space = size_bytes - i >= SPACE_BYTES && memcmp(text + i, space, SPACE_BYTES) == 0;
        text[length++] = is_space ? ' ' : text[i];
        i += is_space ? SPACE_BYTES : 1;
    }
    return length;
}
