#include "tiny.h"

#include <math.h>
#include <stdlib.h>

/* ---- what a file has to say ------------------------------------------------------------------ */

#define IN(member) offsetof(struct llama, member)
static const struct {
    const char *name;
    size_t at;
    uint32_t most;
} numbers[] = {
    {"llama.block_count", IN(layers), 1024},
    {"llama.context_length", IN(context), 1 << 22},
    {"llama.embedding_length", IN(sizes[WIDTH]), 1 << 16},
    {"llama.feed_forward_length", IN(sizes[HIDDEN]), 1 << 18},
    {"llama.attention.head_count", IN(heads), 1 << 10},
};

#define OF(member) offsetof(struct layer, member)
static const struct {
    const char *name;
    size_t at;
    enum llama_size columns, rows;
} tensors[] = {
    {"attn_norm", OF(attn_norm), WIDTH, ONE},       {"attn_q", OF(attn_q), WIDTH, WIDTH},
    {"attn_k", OF(attn_k), WIDTH, KV_WIDTH},        {"attn_v", OF(attn_v), WIDTH, KV_WIDTH},
    {"attn_output", OF(attn_output), WIDTH, WIDTH}, {"ffn_norm", OF(ffn_norm), WIDTH, ONE},
    {"ffn_gate", OF(ffn_gate), WIDTH, HIDDEN},      {"ffn_up", OF(ffn_up), WIDTH, HIDDEN},
    {"ffn_down", OF(ffn_down), HIDDEN, WIDTH},
};

static lethe_result check_architecture(const struct gguf *gguf, struct lethe_error *err)
{
    struct cursor value;
    struct text name = {0};
    TRY(gguf_find(gguf, "llama.rope.scaling.type", GGUF_TEXT, &value, err));
    if (value.file != NULL)
        return fail(err, LETHE_FAILED, "scaled positions are not computed here");
    TRY(gguf_find(gguf, "general.architecture", GGUF_TEXT, &value, err));
    if (value.file != NULL)
        TRY(take_text(&value, &name, err));
    if (name.size_bytes != 5 || memcmp(value.file + name.at, "llama", 5) != 0)
        return fail(err, LETHE_FAILED, "the model's architecture is not llama");
    return LETHE_OK;
}

/* Keys may be missing where the format says what is meant then. */
static lethe_result read_numbers(const struct gguf *gguf, struct llama *out,
                                 struct lethe_error *err)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uint32_t *number = (uint32_t *)((char *)out + numbers[i].at);
        TRY(gguf_number(gguf, numbers[i].name, GGUF_U32, number, err));
        if (*number == 0 || *number > numbers[i].most)
            return fail(err, LETHE_MALFORMED, "%s is %u instead of 1 to %u", numbers[i].name,
                        *number, numbers[i].most);
    }
    out->kv_heads = out->heads;
    out->head_size = out->sizes[WIDTH] / out->heads;
    out->rotated = out->head_size;
    out->epsilon = -1;
    out->freq_base = 10000;
    TRY(gguf_number(gguf, "llama.attention.head_count_kv", GGUF_U32, &out->kv_heads, err));
    TRY(gguf_number(gguf, "llama.rope.dimension_count", GGUF_U32, &out->rotated, err));
    TRY(gguf_number(gguf, "llama.rope.freq_base", GGUF_F32, &out->freq_base, err));
    TRY(gguf_number(gguf, "llama.attention.layer_norm_rms_epsilon", GGUF_F32, &out->epsilon, err));
    if (out->kv_heads == 0 || out->heads % out->kv_heads != 0 ||
        out->head_size * out->heads != out->sizes[WIDTH] || out->rotated > out->head_size ||
        out->rotated % 2 != 0 || !(out->epsilon >= 0) || !(out->freq_base > 0))
        return fail(err, LETHE_MALFORMED, "heads, positions and norms do not fit one another");
    out->sizes[ONE] = 1;
    out->sizes[KV_WIDTH] = out->kv_heads * out->head_size;
    return LETHE_OK;
}

static lethe_result find_tensor(const struct gguf *gguf, const char *name, uint32_t columns,
                                uint32_t rows, struct tensor *out, struct lethe_error *err)
{
    const struct tensor *tensor = gguf_tensor(gguf, name);
    if (tensor == NULL)
        return fail(err, LETHE_MALFORMED, "there is no tensor %s", name);
    if (tensor->columns != columns || tensor->rows != rows)
        return fail(err, LETHE_MALFORMED, "%s is [%u, %u] instead of [%u, %u]", name,
                    tensor->columns, tensor->rows, columns, rows);
    *out = *tensor;
    return LETHE_OK;
}

static lethe_result find_layer(const struct gguf *gguf, const struct llama *llama, uint32_t index,
                               struct layer *out, struct lethe_error *err)
{
    char name[64];
    for (size_t i = 0; i < COUNT_OF(tensors); i++) {
        snprintf(name, sizeof name, "blk.%u.%s.weight", index, tensors[i].name);
        TRY(find_tensor(gguf, name, llama->sizes[tensors[i].columns], llama->sizes[tensors[i].rows],
                        (struct tensor *)((char *)out + tensors[i].at), err));
    }
    return LETHE_OK;
}

/* A tensor that is not asked for would not be computed with, and the result be wrong. */
static lethe_result find_tensors(const struct gguf *gguf, struct llama *out,
                                 struct lethe_error *err)
{
    const struct tensor *embedding = gguf_tensor(gguf, "token_embd.weight");
    bool tied = gguf_tensor(gguf, "output.weight") == NULL;
    uint32_t width = out->sizes[WIDTH];
    uint32_t vocabulary = out->sizes[VOCABULARY] = embedding != NULL ? embedding->rows : 0;
    TRY(find_tensor(gguf, "token_embd.weight", width, vocabulary, &out->token_embd, err));
    TRY(find_tensor(gguf, "output_norm.weight", width, 1, &out->output_norm, err));
    out->output = out->token_embd;
    if (!tied)
        TRY(find_tensor(gguf, "output.weight", width, vocabulary, &out->output, err));
    out->layer = calloc(out->layers, sizeof *out->layer);
    if (out->layer == NULL)
        return fail(err, LETHE_NO_MEMORY, "no memory for %u layers", out->layers);
    for (uint32_t i = 0; i < out->layers; i++)
        TRY(find_layer(gguf, out, i, &out->layer[i], err));
    if (gguf->tensor_count != COUNT_OF(tensors) * out->layers + (tied ? 2 : 3))
        return fail(err, LETHE_FAILED, "the model has tensors that are not computed with here");
    return LETHE_OK;
}

lethe_result llama_read(const struct gguf *gguf, struct llama *out, struct lethe_error *err)
{
    *out = (struct llama){0};
    TRY(check_architecture(gguf, err));
    TRY(read_numbers(gguf, out, err));
    return find_tensors(gguf, out, err);
}

/* ---- memory ---------------------------------------------------------------------------------- */

lethe_result llama_start(const struct llama *llama, struct lethe_kv *session, struct state *out,
                         struct lethe_error *err)
{
    const uint32_t *sizes = llama->sizes;
    const struct {
        float **array;
        uint32_t count;
    } arrays[] = {
        {&out->x, sizes[WIDTH]},
        {&out->normed, sizes[WIDTH]},
        {&out->q, sizes[WIDTH]},
        {&out->k, sizes[KV_WIDTH]},
        {&out->v, sizes[KV_WIDTH]},
        {&out->mixed, sizes[WIDTH]},
        {&out->gate, sizes[HIDDEN]},
        {&out->up, sizes[HIDDEN]},
        {&out->turn, llama->rotated},
        {&out->scores, llama->context},
        {&out->row, sizes[WIDTH] + sizes[HIDDEN]},
        {&out->logits, sizes[VOCABULARY]},
    };
    size_t total = 0;
    void *memory;
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        total += arrays[i].count;
    TRY(lethe_kv_buffer(session, total * sizeof(float), &memory, err));
    *out = (struct state){.llama = llama, .session = session};
    float *next = memory;
    for (size_t i = 0; i < COUNT_OF(arrays); next += arrays[i++].count)
        *arrays[i].array = next;
    return LETHE_OK;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static void unpack_row(const struct state *state, const struct tensor *matrix, uint32_t row,
                       float *out)
{
    const uint8_t *bytes = state->file + matrix->at + row * tensor_row_bytes(matrix);
    matrix->number->unpack(bytes, out, matrix->columns);
}

static void multiply(const struct state *state, const struct tensor *matrix, const float *in,
                     float *out)
{
    for (uint32_t row = 0; row < matrix->rows; row++) {
        unpack_row(state, matrix, row, state->row);
        out[row] = dot(state->row, in, matrix->columns);
    }
}

static void add(float *to, const float *from, float factor, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] += factor * from[i];
}

/* state->normed becomes state->x over its root mean square, times the weights. */
static void norm(struct state *state, const struct tensor *weights)
{
    uint32_t n = weights->columns;
    float scale = 1 / sqrtf(dot(state->x, state->x, n) / (float)n + state->llama->epsilon);
    unpack_row(state, weights, 0, state->row);
    for (uint32_t i = 0; i < n; i++)
        state->normed[i] = state->x[i] * scale * state->row[i];
}

void softmax(float *values, size_t count)
{
    float largest = -INFINITY;
    float total = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, values[i]);
    for (size_t i = 0; i < count; i++)
        total += values[i] = expf(values[i] - largest);
    for (size_t i = 0; i < count; i++)
        values[i] /= total;
}

/* Pairs of neighbours are turned by angles that grow with the position: fast ones first. */
static void fill_turn(struct state *state, uint32_t position)
{
    const struct llama *llama = state->llama;
    for (uint32_t i = 0; i < llama->rotated; i += 2) {
        float angle = (float)position * powf(llama->freq_base, -(float)i / (float)llama->rotated);
        state->turn[i] = cosf(angle);
        state->turn[i + 1] = sinf(angle);
    }
}

static void turn(const struct state *state, float *heads, uint32_t count)
{
    for (; count > 0; count--, heads += state->llama->head_size) {
        for (uint32_t i = 0; i < state->llama->rotated; i += 2) {
            float a = heads[i];
            float b = heads[i + 1];
            heads[i] = a * state->turn[i] - b * state->turn[i + 1];
            heads[i + 1] = a * state->turn[i + 1] + b * state->turn[i];
        }
    }
}

/* The keys or values that a head shares, of one token. */
static const float *part_of(const struct llama *llama, const void *rows, uint64_t token,
                            uint32_t head)
{
    uint32_t shared = head / (llama->heads / llama->kv_heads);
    return (const float *)rows + token * llama->sizes[KV_WIDTH] + shared * llama->head_size;
}

static void attend_head(struct state *state, const struct lethe_kv_view *view, uint32_t head)
{
    const struct llama *llama = state->llama;
    uint32_t size = llama->head_size;
    const float *q = state->q + head * size;
    float *mixed = state->mixed + head * size;
    float *score = state->scores;
    for (const struct lethe_kv_span *span = view->spans; span < view->spans + view->count; span++)
        for (uint64_t i = 0; i < span->tokens; i++)
            *score++ = dot(q, part_of(llama, span->keys, i, head), size) / sqrtf((float)size);
    softmax(state->scores, (size_t)(score - state->scores));

    memset(mixed, 0, size * sizeof *mixed);
    score = state->scores;
    for (const struct lethe_kv_span *span = view->spans; span < view->spans + view->count; span++)
        for (uint64_t i = 0; i < span->tokens; i++)
            add(mixed, part_of(llama, span->values, i, head), *score++, size);
}

static lethe_result attend(struct state *state, uint32_t index, struct lethe_error *err)
{
    const struct layer *layer = &state->llama->layer[index];
    struct lethe_kv_view view;
    norm(state, &layer->attn_norm);
    multiply(state, &layer->attn_q, state->normed, state->q);
    multiply(state, &layer->attn_k, state->normed, state->k);
    multiply(state, &layer->attn_v, state->normed, state->v);
    turn(state, state->q, state->llama->heads);
    turn(state, state->k, state->llama->kv_heads);
    TRY(lethe_kv_append(state->session, index, state->k, state->v, 1, err));
    TRY(lethe_kv_read_begin(state->session, index, &view, err));
    for (uint32_t head = 0; head < state->llama->heads; head++)
        attend_head(state, &view, head);
    lethe_kv_read_end(&view);
    multiply(state, &layer->attn_output, state->mixed, state->normed);
    add(state->x, state->normed, 1, state->llama->sizes[WIDTH]);
    return LETHE_OK;
}

static void feed_forward(struct state *state, const struct layer *layer)
{
    norm(state, &layer->ffn_norm);
    multiply(state, &layer->ffn_gate, state->normed, state->gate);
    multiply(state, &layer->ffn_up, state->normed, state->up);
    for (uint32_t i = 0; i < state->llama->sizes[HIDDEN]; i++)
        state->gate[i] *= state->up[i] / (1 + expf(-state->gate[i]));
    multiply(state, &layer->ffn_down, state->gate, state->normed);
    add(state->x, state->normed, 1, state->llama->sizes[WIDTH]);
}

lethe_result llama_step(struct state *state, uint32_t token, uint32_t position,
                        struct lethe_error *err)
{
    const struct llama *llama = state->llama;
    unpack_row(state, &llama->token_embd, token, state->x);
    fill_turn(state, position);
    for (uint32_t i = 0; i < llama->layers; i++) {
        TRY(attend(state, i, err));
        feed_forward(state, &llama->layer[i]);
    }
    norm(state, &llama->output_norm);
    multiply(state, &llama->output, state->normed, state->logits);
    return LETHE_OK;
}
