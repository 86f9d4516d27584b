#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

/* ---- formats of numbers ---------------------------------------------------------------------- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

/* IEEE 754 binary16. The exponent is corrected by a multiplication, which is right for subnormal
 * numbers too; infinities and NaNs get the largest one there is. */
static inline float half(uint16_t bits)
{
    union {
        uint32_t bits;
        float value;
    } number = {(uint32_t)(bits & 0x7fff) << 13};
    number.value *= 0x1p112f;
    number.bits |= (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    number.bits |= (uint32_t)(bits & 0x8000) << 16;
    return number.value;
}

static void unpack_f32(const void *row, float *out, uint32_t n)
{
    memcpy(out, row, n * sizeof *out);
}

static void unpack_f16(const void *row, float *out, uint32_t n)
{
    const uint16_t *values = row;
    for (uint32_t i = 0; i < n; i++)
        out[i] = half(values[i]);
}

/* Blocks of 32 numbers: what they are multiplied with, then a byte of each. */
static void unpack_q8(const void *row, float *out, uint32_t n)
{
    for (const uint8_t *block = row; n > 0; block += 34, out += 32, n -= 32) {
        float scale = half((uint16_t)(block[0] | block[1] << 8));
        for (uint32_t i = 0; i < 32; i++)
            out[i] = scale * (int8_t)block[2 + i];
    }
}

static const struct {
    const char *type;
    void (*unpack)(const void *row, float *out, uint32_t n);
} formats[] = {{"F32", unpack_f32}, {"F16", unpack_f16}, {"Q8_0", unpack_q8}};

/* Eight sums that do not depend on one another, so that a compiler may use vectors. */
static float dot(const float *a, const float *b, uint32_t n)
{
    float sums[8] = {0};
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (uint32_t j = 0; j < 8; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sums[i % 8] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* ---- what a file has to say ------------------------------------------------------------------ */

/* Keys may be missing where the format says what is meant then. */
static lethe_result optional(lethe_result result)
{
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

/* From 1 to `most`; *out is what is meant when there is none. */
static lethe_result read_number(const struct llama *llama, const char *key, uint32_t most,
                                uint32_t *out, struct lethe_error *err)
{
    uint64_t value = *out;
    TRY(optional(lethe_gguf_unsigned(llama->gguf, key, &value, err)));
    if (value == 0 || value > most)
        return lethe_error_set(err, LETHE_MALFORMED, "%s is missing, or not 1 to %u", key, most);
    *out = (uint32_t)value;
    return LETHE_OK;
}

static lethe_result read_numbers(struct llama *llama, struct lethe_error *err)
{
    TRY(read_number(llama, "llama.block_count", 1024, &llama->layers, err));
    TRY(read_number(llama, "llama.context_length", 1 << 22, &llama->context, err));
    TRY(read_number(llama, "llama.embedding_length", 1 << 16, &llama->width, err));
    TRY(read_number(llama, "llama.feed_forward_length", 1 << 18, &llama->hidden, err));
    TRY(read_number(llama, "llama.attention.head_count", 1 << 10, &llama->heads, err));
    llama->kv_heads = llama->heads;
    llama->rotated = llama->head_size = llama->width / llama->heads;
    llama->end = UINT64_MAX;
    llama->freq_base = 10000;
    TRY(read_number(llama, "llama.attention.head_count_kv", llama->heads, &llama->kv_heads, err));
    TRY(read_number(llama, "llama.rope.dimension_count", llama->head_size, &llama->rotated, err));
    TRY(optional(
        lethe_gguf_unsigned(llama->gguf, "tokenizer.ggml.eos_token_id", &llama->end, err)));
    TRY(optional(lethe_gguf_float(llama->gguf, "llama.rope.freq_base", &llama->freq_base, err)));
    TRY(lethe_gguf_float(llama->gguf, "llama.attention.layer_norm_rms_epsilon", &llama->epsilon,
                         err));
    if (llama->heads % llama->kv_heads != 0 || llama->width % llama->heads != 0 ||
        llama->rotated % 2 != 0 || !(llama->epsilon >= 0) || !(llama->freq_base > 0))
        return lethe_error_set(err, LETHE_MALFORMED, "heads, positions, norms do not fit together");
    llama->kv_width = llama->kv_heads * llama->head_size;
    return LETHE_OK;
}

lethe_result llama_read(struct llama *llama, uint64_t file_bytes, struct lethe_error *err)
{
    struct lethe_gguf_text name;
    struct lethe_gguf_tensor found;
    TRY(lethe_gguf_open(llama->file, file_bytes, &llama->gguf, err));
    TRY(lethe_gguf_text(llama->gguf, "general.architecture", &name, err));
    if (name.size_bytes != 5 || memcmp(llama->file + name.begin, "llama", 5) != 0)
        return lethe_error_set(err, LETHE_FAILED, "the model's architecture is not llama");
    if (lethe_gguf_text(llama->gguf, "llama.rope.scaling.type", &name, NULL) != LETHE_NOT_FOUND)
        return lethe_error_set(err, LETHE_FAILED, "scaled positions are not computed here");
    TRY(read_numbers(llama, err));
    bool tied = lethe_gguf_tensor(llama->gguf, "output.weight", &found, NULL) == LETHE_NOT_FOUND;
    llama->output = tied ? "token_embd" : "output";
    /* One that is not asked for would not be computed with, and the result be wrong. */
    if (lethe_gguf_tensor_count(llama->gguf) != llama->layers * UINT64_C(9) + (tied ? 2 : 3))
        return lethe_error_set(err, LETHE_FAILED, "there are more or fewer tensors than a llama's");
    TRY(lethe_gguf_tensor(llama->gguf, "token_embd.weight", &found, err));
    if (found.shape[1] == 0 || found.shape[1] > 1 << 24)
        return lethe_error_set(err, LETHE_MALFORMED, "the vocabulary is not 1 to 2^24 tokens");
    llama->vocabulary = (uint32_t)found.shape[1];
    return LETHE_OK;
}

lethe_result llama_start(struct llama *llama, struct lethe_kv *session, struct lethe_error *err)
{
    uint32_t w = llama->width;
    uint32_t kv = llama->kv_width;
    uint32_t h = llama->hidden;
    uint32_t past = llama->spills ? llama->context * kv : 0;
    uint32_t counts[] = {w,    w,   w, kv, kv, w, h, h, llama->context, w + h, llama->vocabulary,
                         past, past};
    size_t total = 0;
    void *memory;
    for (size_t i = 0; i < VECTORS; i++)
        total += llama->count[i] = counts[i];
    TRY(lethe_kv_buffer(session, total * sizeof(float), &memory, err));
    llama->session = session;
    llama->position = 0;
    llama->at[0] = memory;
    for (size_t i = 1; i < VECTORS; i++)
        llama->at[i] = llama->at[i - 1] + counts[i - 1];
    return LETHE_OK;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

struct matrix { /* rows one after another */
    const uint8_t *at;
    uint64_t row_bytes;
    void (*unpack)(const void *row, float *out, uint32_t n);
};

/* One of the layer's, or of all layers'. It has the shape that is computed with, or is refused. */
static lethe_result find(const struct llama *llama, const char *name, uint32_t columns,
                         uint32_t rows, struct matrix *out)
{
    struct lethe_gguf_tensor found;
    char full[64];
    snprintf(full, sizeof full, "%s%s.weight", llama->prefix, name);
    TRY(lethe_gguf_tensor(llama->gguf, full, &found, llama->err));
    *out = (struct matrix){.at = llama->file + found.begin, .row_bytes = found.size_bytes / rows};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(found.type, formats[i].type) == 0)
            out->unpack = formats[i].unpack;
    if (found.dimensions > 2 || found.shape[0] != columns || found.shape[1] != rows ||
        out->unpack == NULL || found.begin % sizeof(float) != 0) {
        lethe_error_set(llama->err, LETHE_FAILED, "%s is not [%u, %u] of F32, F16 or Q8_0", full,
                        columns, rows);
        return LETHE_FAILED;
    }
    return LETHE_OK;
}

static lethe_result multiply(struct llama *llama, const char *name, enum vector in, enum vector out)
{
    struct matrix matrix;
    uint32_t columns = llama->count[in];
    TRY(find(llama, name, columns, llama->count[out], &matrix));
    for (uint32_t i = 0; i < llama->count[out]; i++) {
        matrix.unpack(matrix.at + i * matrix.row_bytes, llama->at[ROW], columns);
        llama->at[out][i] = dot(llama->at[ROW], llama->at[in], columns);
    }
    return LETHE_OK;
}

static void add(float *to, const float *from, float factor, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] += factor * from[i];
}

/* NORMED becomes X over its root mean square, times the weights. */
static lethe_result norm(struct llama *llama, const char *name)
{
    struct matrix weights;
    const float *x = llama->at[X];
    uint32_t n = llama->count[X];
    float scale = 1 / sqrtf(dot(x, x, n) / (float)n + (float)llama->epsilon);
    TRY(find(llama, name, n, 1, &weights));
    weights.unpack(weights.at, llama->at[ROW], n);
    for (uint32_t i = 0; i < n; i++)
        llama->at[NORMED][i] = x[i] * scale * llama->at[ROW][i];
    return LETHE_OK;
}

static void softmax(float *values, size_t count, float temperature)
{
    float largest = -INFINITY;
    float total = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, values[i]);
    for (size_t i = 0; i < count; i++)
        total += values[i] = expf((values[i] - largest) / temperature);
    for (size_t i = 0; i < count; i++)
        values[i] /= total;
}

/* Pairs of neighbours are turned by angles that grow with the position: fast ones first. */
static void turn(const struct llama *llama, enum vector heads)
{
    const float *end = llama->at[heads] + llama->count[heads];
    for (uint32_t i = 0; i < llama->rotated; i += 2) {
        float slower = powf((float)llama->freq_base, -(float)i / (float)llama->rotated);
        float cosine = cosf((float)llama->position * slower);
        float sine = sinf((float)llama->position * slower);
        for (float *pair = llama->at[heads] + i; pair < end; pair += llama->head_size) {
            float first = pair[0];
            pair[0] = first * cosine - pair[1] * sine;
            pair[1] = first * sine + pair[1] * cosine;
        }
    }
}

static void attend_head(struct llama *llama, const struct lethe_kv_view *view, uint32_t head)
{
    uint32_t size = llama->head_size;
    uint32_t width = llama->kv_width;
    float scale = 1 / sqrtf((float)size);
    uint32_t shared = head / (llama->heads / llama->kv_heads) * size;
    const float *q = llama->at[Q] + head * size;
    float *mixed = llama->at[MIXED] + head * size;
    float *score = llama->at[SCORES];
    for (const struct lethe_kv_span *span = view->spans; span < view->spans + view->count; span++)
        for (uint64_t i = 0; i < span->tokens; i++)
            *score++ = scale * dot(q, (const float *)span->keys + i * width + shared, size);
    softmax(llama->at[SCORES], (size_t)(score - llama->at[SCORES]), 1);
    memset(mixed, 0, size * sizeof *mixed);
    score = llama->at[SCORES];
    for (const struct lethe_kv_span *span = view->spans; span < view->spans + view->count; span++)
        for (uint64_t i = 0; i < span->tokens; i++)
            add(mixed, (const float *)span->values + i * width + shared, *score++, size);
}

static void attend_heads(struct llama *llama, const struct lethe_kv_view *view)
{
    for (uint32_t head = 0; head < llama->heads; head++)
        attend_head(llama, view, head);
}

/* Not all rows may be there at once: they are copied, wherever each of them is. */
static lethe_result gather(struct llama *llama)
{
    const struct lethe_kv_span all = {.tokens = (uint64_t)llama->position + 1,
                                      .keys = llama->at[PAST_KEYS],
                                      .values = llama->at[PAST_VALUES]};
    TRY(lethe_kv_gather(llama->session, llama->layer, 0, all.tokens, llama->at[PAST_KEYS],
                        llama->at[PAST_VALUES], llama->err));
    attend_heads(llama, &(struct lethe_kv_view){.spans = &all, .count = 1});
    return LETHE_OK;
}

static lethe_result attend(struct llama *llama)
{
    struct lethe_kv_view view;
    TRY(norm(llama, "attn_norm"));
    TRY(multiply(llama, "attn_q", NORMED, Q));
    TRY(multiply(llama, "attn_k", NORMED, K));
    TRY(multiply(llama, "attn_v", NORMED, V));
    turn(llama, Q);
    turn(llama, K);
    TRY(lethe_kv_append(llama->session, llama->layer, llama->at[K], llama->at[V], 1, llama->err));
    if (llama->spills) {
        TRY(gather(llama));
    } else {
        TRY(lethe_kv_read_begin(llama->session, llama->layer, &view, llama->err));
        attend_heads(llama, &view);
        lethe_kv_read_end(&view);
    }
    TRY(multiply(llama, "attn_output", MIXED, NORMED));
    add(llama->at[X], llama->at[NORMED], 1, llama->count[X]);
    return LETHE_OK;
}

static lethe_result feed_forward(struct llama *llama)
{
    float *gate = llama->at[GATE];
    TRY(norm(llama, "ffn_norm"));
    TRY(multiply(llama, "ffn_gate", NORMED, GATE));
    TRY(multiply(llama, "ffn_up", NORMED, UP));
    for (uint32_t i = 0; i < llama->count[GATE]; i++)
        gate[i] *= llama->at[UP][i] / (1 + expf(-gate[i]));
    TRY(multiply(llama, "ffn_down", GATE, NORMED));
    add(llama->at[X], llama->at[NORMED], 1, llama->count[X]);
    return LETHE_OK;
}

lethe_result llama_step(struct llama *llama, uint32_t token, struct lethe_error *err)
{
    struct matrix words;
    llama->err = err;
    llama->prefix[0] = '\0';
    TRY(find(llama, "token_embd", llama->count[X], llama->count[LOGITS], &words));
    words.unpack(words.at + token * words.row_bytes, llama->at[X], llama->count[X]);
    for (llama->layer = 0; llama->layer < llama->layers; llama->layer++) {
        snprintf(llama->prefix, sizeof llama->prefix, "blk.%u.", llama->layer);
        TRY(attend(llama));
        TRY(feed_forward(llama));
    }
    llama->prefix[0] = '\0';
    llama->position++;
    TRY(norm(llama, "output_norm"));
    return multiply(llama, llama->output, NORMED, LOGITS);
}

uint32_t llama_choose(struct llama *llama, float temperature, unsigned short random[3])
{
    float *logits = llama->at[LOGITS];
    uint32_t count = llama->count[LOGITS];
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    if (temperature <= 0)
        return best;
    softmax(logits, count, temperature);
    float left = (float)erand48(random);
    for (uint32_t i = 0; i < count; i++)
        if ((left -= logits[i]) < 0)
            return i;
    return best; /* what rounding leaves over */
}
