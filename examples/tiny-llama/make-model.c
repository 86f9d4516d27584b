/* make-model -- writes a llama of random weights, in GGUF: the same bytes for the same words of the
 * command line, on every machine. It says nothing of use, at the cost of a real one. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ALIGNMENT 32u
#define ROW_MAX (1u << 18)
#define LAYERS_MAX 1024u

/* ---- formats of numbers ---------------------------------------------------------------------- */

static uint64_t draw(uint64_t *state) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* From -1 to less than 1, and exact. */
static float draw_number(uint64_t *state)
{
    return (float)(draw(state) >> 40) * 0x1p-23f - 1;
}

/* IEEE 754 binary16 of what is normal there; smaller numbers become zero. */
static uint16_t half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000;
    int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    return (uint16_t)(exponent <= 0 ? sign
                                    : sign | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

static void write_f32(FILE *out, uint64_t *random, float scale, uint32_t n)
{
    static float row[ROW_MAX];
    for (uint32_t i = 0; i < n; i++)
        row[i] = scale * draw_number(random);
    fwrite(row, sizeof *row, n, out);
}

static void write_f16(FILE *out, uint64_t *random, float scale, uint32_t n)
{
    static uint16_t row[ROW_MAX];
    for (uint32_t i = 0; i < n; i++)
        row[i] = half(scale * draw_number(random));
    fwrite(row, sizeof *row, n, out);
}

static void write_q8(FILE *out, uint64_t *random, float scale, uint32_t n)
{
    struct {
        uint16_t scale;
        int8_t values[32];
    } block = {.scale = half(scale / 127)};
    for (; n > 0; n -= 32) {
        for (size_t i = 0; i < COUNT_OF(block.values); i++)
            block.values[i] = (int8_t)(draw(random) % 255 - 127);
        fwrite(&block, sizeof block, 1, out);
    }
}

static const struct format {
    const char *name;
    uint32_t type; /* ggml's id */
    uint32_t block;
    uint32_t block_bytes;
    void (*write)(FILE *out, uint64_t *random, float scale, uint32_t n);
} formats[] = {
    {"F32", 0, 1, 4, write_f32}, {"F16", 1, 1, 2, write_f16}, {"Q8_0", 8, 32, 34, write_q8}};

/* ---- the model ------------------------------------------------------------------------------- */

enum size { ONE, WIDTH, KV_WIDTH, HIDDEN, VOCABULARY, SIZES };
struct model {
    uint32_t sizes[SIZES];
    uint32_t layers;
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t context;
    uint32_t tied; /* no output matrix of its own */
    uint32_t size_mib;
    uint64_t seed;
    const struct format *format;
    const char *path;
};

static const struct tensor {
    const char *name;
    enum size columns, rows;
} model_tensors[] = {{"token_embd", WIDTH, VOCABULARY},
                     {"output_norm", WIDTH, ONE},
                     {"output", WIDTH, VOCABULARY}},
  layer_tensors[] = {
      {"attn_norm", WIDTH, ONE},   {"attn_q", WIDTH, WIDTH},      {"attn_k", WIDTH, KV_WIDTH},
      {"attn_v", WIDTH, KV_WIDTH}, {"attn_output", WIDTH, WIDTH}, {"ffn_norm", WIDTH, ONE},
      {"ffn_gate", WIDTH, HIDDEN}, {"ffn_up", WIDTH, HIDDEN},     {"ffn_down", HIDDEN, WIDTH}};

/* The tensor's index among all, its table and the layer; false behind the last. */
static bool tensor_at(const struct model *model, uint32_t index, const struct tensor **out,
                      char name[64])
{
    uint32_t outer = COUNT_OF(model_tensors) - model->tied;
    if (index < outer) {
        *out = &model_tensors[index];
        snprintf(name, 64, "%s.weight", (*out)->name);
        return true;
    }
    uint32_t layer = (index - outer) / COUNT_OF(layer_tensors);
    *out = &layer_tensors[(index - outer) % COUNT_OF(layer_tensors)];
    snprintf(name, 64, "blk.%u.%s.weight", layer, (*out)->name);
    return layer < model->layers;
}

/* Norms are F32, as everywhere. */
static const struct format *format_of(const struct model *model, const struct tensor *tensor)
{
    return tensor->rows == ONE ? &formats[0] : model->format;
}

static uint64_t padded_bytes(const struct model *model, const struct tensor *tensor)
{
    const struct format *format = format_of(model, tensor);
    uint64_t bytes = (uint64_t)model->sizes[tensor->columns] * model->sizes[tensor->rows] /
                     format->block * format->block_bytes;
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void put_u32(FILE *out, uint32_t value)
{
    fwrite(&value, sizeof value, 1, out);
}

static void put_u64(FILE *out, uint64_t value)
{
    fwrite(&value, sizeof value, 1, out);
}

static void put_text(FILE *out, const char *text)
{
    put_u64(out, strlen(text));
    fputs(text, out);
}

static void put_key(FILE *out, const char *name, uint32_t type)
{
    put_text(out, name);
    put_u32(out, type);
}

enum { TYPE_I32 = 5, TYPE_U32 = 4, TYPE_F32 = 6, TYPE_TEXT = 8, TYPE_ARRAY = 9 };

static void put_array(FILE *out, const char *name, uint32_t type, uint32_t count)
{
    put_key(out, name, TYPE_ARRAY);
    put_u32(out, type);
    put_u64(out, count);
}

static void put_float(FILE *out, float value)
{
    fwrite(&value, sizeof value, 1, out);
}

/* "<unk>", "<s>", "</s>", the end of a line, what ASCII can show, and syllables. */
static const char *const special[] = {"<unk>", "<s>", "</s>", "<0x0A>"};
#define LETTERS 95u
static void word_at(uint32_t index, char out[16])
{
    static const char consonants[] = "bdfgklmnprstvz";
    static const char vowels[] = "aeiou";
    if (index < COUNT_OF(special)) {
        snprintf(out, 16, "%s", special[index]);
        return;
    }
    index -= COUNT_OF(special);
    if (index < LETTERS) {
        snprintf(out, 16, "%c", (char)(' ' + index));
        if (index == 0)
            snprintf(out, 16, "\xe2\x96\x81");
        return;
    }
    index -= LETTERS;
    size_t length = (size_t)snprintf(out, 16, "%s", index % 2 == 0 ? "\xe2\x96\x81" : "");
    for (index = index / 2 + 1; index > 0 && length < 14; index /= 70) {
        out[length++] = consonants[index % 14];
        out[length++] = vowels[index / 14 % 5];
    }
    out[length] = '\0';
}

static void put_vocabulary(FILE *out, uint32_t count)
{
    char word[16];
    put_key(out, "tokenizer.ggml.model", TYPE_TEXT);
    put_text(out, "llama");
    put_array(out, "tokenizer.ggml.tokens", TYPE_TEXT, count);
    for (uint32_t i = 0; i < count; i++) {
        word_at(i, word);
        put_text(out, word);
    }
    put_array(out, "tokenizer.ggml.scores", TYPE_F32, count);
    for (uint32_t i = 0; i < count; i++)
        put_float(out, -(float)i);
    put_array(out, "tokenizer.ggml.token_type", TYPE_I32, count);
    for (uint32_t i = 0; i < count; i++)
        put_u32(out, i == 0 ? 2 : i < 3 ? 3 : i == 3 ? 6 : 1);
    const struct {
        const char *name;
        uint32_t token;
    } tokens[] = {{"tokenizer.ggml.unknown_token_id", 0},
                  {"tokenizer.ggml.bos_token_id", 1},
                  {"tokenizer.ggml.eos_token_id", 2}};
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        put_key(out, tokens[i].name, TYPE_U32);
        put_u32(out, tokens[i].token);
    }
}

static void put_keys(FILE *out, const struct model *model)
{
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {{"llama.block_count", model->layers},
                   {"llama.context_length", model->context},
                   {"llama.embedding_length", model->sizes[WIDTH]},
                   {"llama.feed_forward_length", model->sizes[HIDDEN]},
                   {"llama.attention.head_count", model->heads},
                   {"llama.attention.head_count_kv", model->kv_heads},
                   {"llama.rope.dimension_count", model->sizes[WIDTH] / model->heads},
                   {"llama.vocab_size", model->sizes[VOCABULARY]}};
    put_key(out, "general.architecture", TYPE_TEXT);
    put_text(out, "llama");
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        put_key(out, numbers[i].name, TYPE_U32);
        put_u32(out, numbers[i].value);
    }
    put_key(out, "llama.attention.layer_norm_rms_epsilon", TYPE_F32);
    put_float(out, 1e-5f);
    put_key(out, "llama.rope.freq_base", TYPE_F32);
    put_float(out, 10000);
    put_vocabulary(out, model->sizes[VOCABULARY]);
}
#define KEYS (1u + 8u + 2u + 4u + 3u)

static void put_descriptions(FILE *out, const struct model *model)
{
    const struct tensor *tensor;
    char name[64];
    uint64_t at = 0;
    for (uint32_t i = 0; tensor_at(model, i, &tensor, name); i++) {
        put_text(out, name);
        put_u32(out, tensor->rows == ONE ? 1 : 2);
        put_u64(out, model->sizes[tensor->columns]);
        if (tensor->rows != ONE)
            put_u64(out, model->sizes[tensor->rows]);
        put_u32(out, format_of(model, tensor)->type);
        put_u64(out, at);
        at += padded_bytes(model, tensor);
    }
}

static void put_padding(FILE *out)
{
    while (ftell(out) % ALIGNMENT != 0)
        putc(0, out);
}

/* Uniform, with the variance that keeps what passes through a matrix as large as it was; norms
 * about as large as what they are made for. */
static void put_tensors(FILE *out, const struct model *model)
{
    const struct tensor *tensor;
    char name[64];
    for (uint32_t i = 0; tensor_at(model, i, &tensor, name); i++) {
        uint64_t random = model->seed * 1000003 + i;
        uint32_t columns = model->sizes[tensor->columns];
        float scale = 2;
        for (uint32_t n = columns; n > 1 && tensor->rows != ONE; n /= 4)
            scale /= 2;
        for (uint32_t row = 0; row < model->sizes[tensor->rows]; row++)
            format_of(model, tensor)->write(out, &random, scale, columns);
        put_padding(out);
    }
}

static int write_model(const struct model *model)
{
    FILE *out = fopen(model->path, "wbx");
    if (out == NULL) {
        fprintf(stderr, "make-model: %s: %s\n", model->path, strerror(errno));
        return 1;
    }
    fputs("GGUF", out);
    put_u32(out, 3);
    put_u64(out, COUNT_OF(model_tensors) - model->tied + model->layers * COUNT_OF(layer_tensors));
    put_u64(out, KEYS);
    put_keys(out, model);
    put_descriptions(out, model);
    put_padding(out);
    put_tensors(out, model);
    if (fflush(out) == 0 && !ferror(out) && fclose(out) == 0)
        return 0;
    fprintf(stderr, "make-model: %s: %s\n", model->path, strerror(errno));
    remove(model->path);
    return 1;
}

/* ---- the command line ------------------------------------------------------------------------ */

#define NUMBER(key, name, member, most, help)                                                      \
    {                                                                                              \
        {name, key, "N", 0, help, 0}, offsetof(struct model, member), most                         \
    }
static const struct {
    struct argp_option option;
    size_t at;
    uint32_t most;
} numbers[] = {
    NUMBER('w', "width", sizes[WIDTH], 1 << 14, "Numbers of a token (64)"),
    NUMBER('f', "hidden", sizes[HIDDEN], ROW_MAX, "Numbers between (192)"),
    NUMBER('v', "vocabulary", sizes[VOCABULARY], 1 << 20, "Words (512)"),
    NUMBER('l', "layers", layers, LAYERS_MAX, "Layers (2)"),
    NUMBER('h', "heads", heads, 1024, "Heads (4)"),
    NUMBER('k', "kv-heads", kv_heads, 1024, "Heads of keys and values (2)"),
    NUMBER('c', "context", context, 1 << 20, "Tokens (2048)"),
    NUMBER('m', "size", size_mib, 1 << 16, "As many layers as make about N MiB"),
};

static bool parse_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0' && *out >= 1 && *out <= most;
}

static void choose_format(struct model *model, const char *name, struct argp_state *state)
{
    model->format = NULL;
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (strcmp(name, formats[i].name) == 0)
            model->format = &formats[i];
    if (model->format == NULL)
        argp_error(state, "the type is F32, F16 or Q8_0");
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct model *model = state->input;
    uint64_t number;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (numbers[i].option.key != key)
            continue;
        if (!parse_number(value, numbers[i].most, &number))
            argp_error(state, "--%s is 1 to %u", numbers[i].option.name, numbers[i].most);
        *(uint32_t *)((char *)model + numbers[i].at) = (uint32_t)number;
        return 0;
    }
    if (key == 's' && parse_number(value, UINT32_MAX, &number))
        model->seed = number;
    else if (key == 't')
        choose_format(model, value, state);
    else if (key == 'o')
        model->tied = 1;
    else if (key == ARGP_KEY_ARG && state->arg_num == 0)
        model->path = value;
    else if (key == ARGP_KEY_ARG || key == ARGP_KEY_NO_ARGS)
        argp_usage(state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Computes what follows from the rest; NULL, or why this is no model. */
static const char *complete(struct model *model)
{
    uint32_t *sizes = model->sizes;
    if (sizes[WIDTH] % 32 != 0 || sizes[HIDDEN] % 32 != 0)
        return "width and hidden are multiples of 32";
    if (sizes[WIDTH] % (2 * model->heads) != 0)
        return "width is a multiple of twice the heads";
    if (model->heads % model->kv_heads != 0)
        return "heads are a multiple of the heads of keys and values";
    if (sizes[VOCABULARY] < COUNT_OF(special) + LETTERS)
        return "a vocabulary has at least 99 words";
    sizes[KV_WIDTH] = sizes[WIDTH] / model->heads * model->kv_heads;
    uint64_t layer_bytes = 0;
    for (size_t i = 0; i < COUNT_OF(layer_tensors); i++)
        layer_bytes += padded_bytes(model, &layer_tensors[i]);
    if (model->size_mib != 0)
        model->layers = (uint32_t)(((uint64_t)model->size_mib << 20) / layer_bytes) + 1;
    return model->layers <= LAYERS_MAX ? NULL : "that takes more than 1024 layers: make them wider";
}

int main(int argc, char **argv)
{
    struct argp_option options[COUNT_OF(numbers) + 4] = {{0}};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        options[i] = numbers[i].option;
    options[COUNT_OF(numbers)] =
        (struct argp_option){"seed", 's', "N", 0, "For another model of that shape (1)", 0};
    options[COUNT_OF(numbers) + 1] =
        (struct argp_option){"type", 't', "TYPE", 0, "F32, F16 or Q8_0 (F16)", 0};
    options[COUNT_OF(numbers) + 2] =
        (struct argp_option){"tied", 'o', NULL, 0, "No output matrix of its own", 0};
    const struct argp table = {
        options, parse_option, "MODEL.gguf", "Writes a llama of random weights.", NULL, NULL, NULL};
    struct model model = {.sizes = {[ONE] = 1, [WIDTH] = 64, [HIDDEN] = 192, [VOCABULARY] = 512},
                          .layers = 2,
                          .heads = 4,
                          .kv_heads = 2,
                          .context = 2048,
                          .seed = 1,
                          .format = &formats[1]};
    argp_err_exit_status = 2;
    argp_parse(&table, argc, argv, 0, NULL, &model);
    const char *why_not = complete(&model);
    if (why_not != NULL) {
        fprintf(stderr, "make-model: %s\n", why_not);
        return 2;
    }
    return write_model(&model);
}
