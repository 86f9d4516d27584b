/* tiny-llama -- answers prompts with a small llama.
 *
 * One prompt per line of standard input, one request each. What a user says is read, computed with
 * and written in the session's memory; no stream buffers it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tiny.h"

#define LINE_MAX_BYTES 65536u /* of a prompt */
#define WORD_MAX_BYTES 1024u  /* of a word's text; what is longer is cut */
#define BLOCK_TOKENS 16u      /* of the KV cache */

/* What stays between requests. */
struct engine {
    struct options options;
    struct store store;
    struct llama llama;
    struct words words;
    struct lethe_kv_cache *cache;
    unsigned requests;
    uint64_t computed; /* tokens */
    uint64_t all_ns;
    uint64_t verify_ns; /* of all_ns */
};

/* What does not: all that it points to is memory of its session. */
struct request {
    struct lethe_kv *session;
    struct state state;
    uint64_t *random;
    char *line;
    char *text; /* of the prompt as the vocabulary has it; of a word */
    uint32_t *tokens;
    uint32_t count;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the prompt ------------------------------------------------------------------------------ */

/* Byte by byte: what follows the line belongs to the next session. */
static lethe_result read_line(struct request *request, bool *is_end, struct lethe_error *err)
{
    for (size_t length = 0; length < LINE_MAX_BYTES; length++) {
        ssize_t got = read(STDIN_FILENO, request->line + length, 1);
        if (got < 0)
            return fail(err, LETHE_IO, "standard input: %s", strerror(errno));
        *is_end = got == 0 && length == 0;
        if (got > 0 && request->line[length] != '\n')
            continue;
        request->line[length] = '\0';
        return LETHE_OK;
    }
    return fail(err, LETHE_LIMIT, "a prompt has more than %u bytes", LINE_MAX_BYTES);
}

static lethe_result add_token(const struct engine *engine, struct request *request, uint64_t token,
                              struct lethe_error *err)
{
    if (token >= engine->llama.sizes[VOCABULARY])
        return fail(err, LETHE_INVALID, "the prompt has a token that the model has not");
    if (request->count == engine->llama.context)
        return fail(err, LETHE_LIMIT, "more than %u tokens", engine->llama.context);
    request->tokens[request->count++] = (uint32_t)token;
    return LETHE_OK;
}

static lethe_result parse_ids(const struct engine *engine, struct request *request,
                              struct lethe_error *err)
{
    char *end;
    for (char *at = request->line; at[strspn(at, " ")] != '\0'; at = end) {
        unsigned long long token = strtoull(at, &end, 10);
        if (end == at)
            return fail(err, LETHE_INVALID, "the prompt is no list of token ids");
        TRY(add_token(engine, request, token, err));
    }
    return LETHE_OK;
}

static lethe_result parse_text(const struct engine *engine, struct request *request,
                               struct lethe_error *err)
{
    const struct words *words = &engine->words;
    const uint8_t *file = request->state.file;
    if (words->begin != WORD_NONE)
        TRY(add_token(engine, request, words->begin, err));
    size_t length = words_mark_spaces(" ", 1, request->text); /* as before any word */
    length += words_mark_spaces(request->line, strlen(request->line), request->text + length);
    for (size_t at = 0; at < length;) {
        uint32_t word;
        if (!words_match(words, file, request->text + at, length - at, &word))
            return fail(err, LETHE_INVALID, "the vocabulary has no words for the prompt");
        TRY(add_token(engine, request, word, err));
        at += words->texts[word].size_bytes;
    }
    return LETHE_OK;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static lethe_result write_all(const char *bytes, size_t size_bytes, struct lethe_error *err)
{
    while (size_bytes > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, size_bytes);
        if (written < 0)
            return fail(err, LETHE_IO, "standard output: %s", strerror(errno));
        bytes += written;
        size_bytes -= (size_t)written;
    }
    return LETHE_OK;
}

/* From 0 to less than 1: splitmix64 (Steele, Lea, Flood 2014). */
static float draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((z ^ (z >> 31)) >> 40) * 0x1p-24f;
}

static uint32_t choose(float *logits, uint32_t count, float temperature, uint64_t *random)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    if (temperature <= 0)
        return best;
    for (uint32_t i = 0; i < count; i++)
        logits[i] /= temperature;
    softmax(logits, count);
    float left = draw(random);
    for (uint32_t i = 0; i < count; i++)
        if ((left -= logits[i]) < 0)
            return i;
    return best; /* what rounding leaves over */
}

static lethe_result verify(struct engine *engine, struct lethe_error *err)
{
    uint64_t began_ns = now_ns();
    TRY(store_verify(&engine->store, err));
    engine->verify_ns += now_ns() - began_ns;
    return LETHE_OK;
}

/* One token after another goes in: those of the prompt, then each that was chosen. */
static lethe_result compute(struct engine *engine, struct request *request, struct lethe_error *err)
{
    const struct options *options = &engine->options;
    struct state *state = &request->state;
    uint32_t prompt = request->count;
    uint32_t last = MIN(prompt + options->answer, engine->llama.context);
    for (uint32_t i = 0; i < request->count && request->count < last; i++, engine->computed++) {
        if (options->verifies_tokens)
            TRY(verify(engine, err));
        TRY(llama_step(state, request->tokens[i], i, err));
        if (i + 1 < request->count)
            continue;
        uint32_t token = choose(state->logits, engine->llama.sizes[VOCABULARY],
                                options->temperature, request->random);
        if (token == engine->words.end)
            break;
        TRY(add_token(engine, request, token, err));
        const char *space = request->count - prompt > 1 ? " " : "";
        int length = snprintf(request->text, WORD_MAX_BYTES, "%s%u", space, token);
        TRY(write_all(request->text, (size_t)length, err));
    }
    return write_all("\n", 1, err);
}

/* What could move a terminal's cursor becomes a question mark. */
static lethe_result write_text(const struct engine *engine, struct request *request, uint32_t first,
                               struct lethe_error *err)
{
    for (uint32_t i = first; i < request->count && request->tokens[i] < engine->words.count; i++) {
        struct text word = engine->words.texts[request->tokens[i]];
        size_t length = MIN(word.size_bytes, WORD_MAX_BYTES);
        memcpy(request->text, request->state.file + word.at, length);
        length = words_clear_spaces(request->text, length);
        for (size_t j = 0; j < length; j++)
            request->text[j] = (unsigned char)request->text[j] < ' ' ? '?' : request->text[j];
        TRY(write_all(request->text, length, err));
    }
    return engine->words.count > 0 ? write_all("\n", 1, err) : LETHE_OK;
}

/* ---- a request ------------------------------------------------------------------------------- */

static lethe_result begin(struct engine *engine, struct request *request, struct lethe_error *err)
{
    char name[32];
    uint8_t *seed;
    void *line;
    void *tokens;
    snprintf(name, sizeof name, "request-%u", ++engine->requests);
    const struct lethe_kv_session_options options = {.tenant = "default", .session = name};
    TRY(lethe_kv_open(engine->cache, &options, now_ns() / 1000000, &request->session, err));
    TRY(lethe_kv_seed(request->session, sizeof *request->random, &seed, err));
    TRY(lethe_kv_buffer(request->session, 4 * (LINE_MAX_BYTES + 1), &line, err));
    TRY(lethe_kv_buffer(request->session, engine->llama.context * sizeof(uint32_t), &tokens, err));
    TRY(llama_start(&engine->llama, request->session, &request->state, err));
    request->line = line;
    request->text = request->line + LINE_MAX_BYTES;
    request->tokens = tokens;
    request->random = (uint64_t *)(void *)seed;
    *request->random = engine->options.seed;
    return LETHE_OK;
}

/* With the model's file in sight. */
static lethe_result answer(struct engine *engine, struct request *request, struct lethe_error *err)
{
    TRY(engine->options.takes_ids ? parse_ids(engine, request, err)
                                  : parse_text(engine, request, err));
    uint32_t prompt = request->count;
    if (prompt == 0)
        return fail(err, LETHE_INVALID, "the prompt is empty");
    TRY(compute(engine, request, err));
    return write_text(engine, request, prompt, err);
}

static lethe_result serve(struct engine *engine, struct request *request, bool *is_end,
                          struct lethe_error *err)
{
    TRY(begin(engine, request, err));
    TRY(read_line(request, is_end, err));
    if (*is_end)
        return LETHE_OK;
    uint64_t began_ns = now_ns();
    TRY(store_begin(&engine->store, &request->state.file, err));
    engine->verify_ns += now_ns() - began_ns;
    lethe_result result = answer(engine, request, err);
    store_end(&engine->store);
    engine->all_ns += now_ns() - began_ns;
    return result;
}

/* Whatever became of it, nothing of a request stays. */
static lethe_result serve_one(struct engine *engine, bool *is_end, struct lethe_error *err)
{
    struct request request = {0};
    struct lethe_error end_error = {0};
    lethe_result result = serve(engine, &request, is_end, err);
    lethe_result ended = lethe_kv_end(
        request.session, result == LETHE_OK ? LETHE_SESSION_ENDED : LETHE_SESSION_CANCELLED,
        &end_error);
    if (result != LETHE_OK)
        return result;
    *err = end_error;
    return ended;
}

/* ---- the model ------------------------------------------------------------------------------- */

static lethe_result read_file(struct engine *engine, const uint8_t *file, struct lethe_error *err)
{
    struct gguf gguf;
    lethe_result result = gguf_read(file, engine->store.file_bytes, &gguf, err);
    if (result == LETHE_OK)
        result = llama_read(&gguf, &engine->llama, err);
    if (result == LETHE_OK)
        result = words_read(&gguf, &engine->words, err);
    gguf_clear(&gguf);
    return result;
}

static lethe_result load(struct engine *engine, struct lethe_error *err)
{
    struct llama *llama = &engine->llama;
    const uint8_t *file;
    TRY(store_open(&engine->options.store, &engine->store, err));
    TRY(store_begin(&engine->store, &file, err));
    lethe_result result = read_file(engine, file, err);
    store_end(&engine->store);
    TRY(result);
    if (engine->words.count == 0 && !engine->options.takes_ids)
        return fail(err, LETHE_INVALID, "the model has no vocabulary: give token ids (--ids)");

    llama->context = MIN(llama->context, engine->options.context);
    uint32_t row_bytes = llama->sizes[KV_WIDTH] * (uint32_t)sizeof(float);
    uint64_t blocks = (llama->context + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    const struct lethe_kv_options options = {.name = "kv",
                                             .layers = llama->layers,
                                             .row_bytes = row_bytes,
                                             .block_tokens = BLOCK_TOKENS,
                                             .budget_bytes = blocks * BLOCK_TOKENS * llama->layers *
                                                             2 * row_bytes};
    return lethe_kv_cache_create(engine->store.worker, &options, &engine->cache, err);
}

static void report(const struct engine *engine)
{
    double all_s = (double)engine->all_ns / 1e9;
    double verify_s = (double)engine->verify_ns / 1e9;
    double tokens = (double)engine->computed;
    if (engine->computed > 0)
        fprintf(stderr, "tiny-llama: %.0f tokens, %.1f a second, and %.1f without verification\n",
                tokens, tokens / all_s, tokens / (all_s - verify_s));
}

static lethe_result run(struct engine *engine, struct lethe_error *err)
{
    TRY(load(engine, err));
    for (bool is_end = false; !is_end;)
        TRY(serve_one(engine, &is_end, err));
    report(engine);
    return LETHE_OK;
}

static lethe_result run_and_close(struct engine *engine, struct lethe_error *err)
{
    struct lethe_error errors[2] = {0};
    lethe_result result = run(engine, err);
    lethe_result freed = lethe_kv_cache_free(engine->cache, &errors[0]);
    lethe_result closed = store_close(&engine->store, &errors[1]);
    free(engine->llama.layer);
    free(engine->words.texts);
    if (result == LETHE_OK)
        *err = freed != LETHE_OK ? errors[0] : errors[1];
    return result != LETHE_OK ? result : freed != LETHE_OK ? freed : closed;
}

int main(int argc, char **argv)
{
    struct engine engine = {0};
    struct lethe_error err = {0};
    options_parse(argc, argv, &engine.options);
    prctl(PR_SET_DUMPABLE, 0); /* no core file, and no debugger of the same user */
    signal(SIGPIPE, SIG_IGN);  /* who reads no more ends the program, after it has wiped */
    lethe_result result = run_and_close(&engine, &err);
    if (result != LETHE_OK)
        fprintf(stderr, "tiny-llama: error: %s\n", err.text);
    if (result != LETHE_OK && err.hint[0] != '\0')
        fprintf(stderr, "tiny-llama: hint: %s\n", err.hint);
    return lethe_result_exit_code(result);
}
