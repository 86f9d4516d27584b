#include "model/expert_names.h"

#include <ctype.h>
#include <string.h>

#include "model/manifest.h"

/* '#' is a number, the layer's and then the expert's; '*' at the end is anything; '@' at the
 * beginning is where the layers are in a safetensors model, one of `stacks`. The first row that
 * fits counts. */
static const struct {
    enum model_file_type type;
    enum tensor_role role;
    const char *pattern;
} names[] = {
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERT, "@layers.#.block_sparse_moe.experts.#.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERT, "@layers.#.mlp.experts.#.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERT, "@layers.#.feed_forward.experts.#.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERT, "@layers.#.ffn.experts.#.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERTS, "@layers.#.mlp.experts.gate_up_proj*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERTS, "@layers.#.mlp.experts.down_proj*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERTS, "@layers.#.feed_forward.experts.gate_up_proj*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_EXPERTS, "@layers.#.feed_forward.experts.down_proj*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_ROUTER, "@layers.#.block_sparse_moe.gate.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_ROUTER, "@layers.#.mlp.gate.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_ROUTER, "@layers.#.mlp.router.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_ROUTER, "@layers.#.feed_forward.router.*"},
    {MODEL_FILE_SAFETENSORS, TENSOR_ROUTER, "@layers.#.ffn.gate.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERT, "blk.#.ffn_gate.#.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERT, "blk.#.ffn_up.#.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERT, "blk.#.ffn_down.#.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERTS, "blk.#.ffn_gate_exps.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERTS, "blk.#.ffn_up_exps.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERTS, "blk.#.ffn_down_exps.*"},
    {MODEL_FILE_GGUF, TENSOR_EXPERTS, "blk.#.ffn_gate_up_exps.*"},
    {MODEL_FILE_GGUF, TENSOR_ROUTER, "blk.#.ffn_gate_inp.*"},
    {MODEL_FILE_GGUF, TENSOR_ROUTER, "blk.#.exp_probs_b*"},
    {MODEL_FILE_GGUF, TENSOR_ROUTER, "blk.#.ffn_gate_tid2eid*"},
};

/* Other stacks (of an encoder, or for predicting further tokens) count their layers from 0, too:
 * they stay dense, lest two experts be taken for one. */
static const char *const stacks[] = {"", "model.", "language_model.model.",
                                     "model.language_model."};

/* A number as it is written in one way only, up to EXPERT_NUMBER_MAX; NULL for anything else. */
static const char *read_number(const char *text, uint64_t *out)
{
    const char *at = text;
    for (*out = 0; isdigit((unsigned char)*at) && *out <= EXPERT_NUMBER_MAX; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    bool leading_zero = text[0] == '0' && at - text > 1;
    return at == text || leading_zero || *out > EXPERT_NUMBER_MAX ? NULL : at;
}

static bool fits(const char *pattern, const char *name, struct expert_id *id)
{
    uint64_t *const numbers[] = {&id->layer, &id->index};
    size_t count = 0;
    *id = (struct expert_id){0};
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*')
            return true;
        if (*pattern != '#' && *pattern != *name)
            return false;
        REQUIRE(*pattern != '#' || count < ARRAY_LEN(numbers));
        name = *pattern == '#' ? read_number(name, numbers[count++]) : name + 1;
        if (name == NULL)
            return false;
    }
    return *name == '\0';
}

static bool fits_in_a_stack(const char *pattern, const char *name, struct expert_id *id)
{
    if (*pattern != '@')
        return fits(pattern, name, id);
    for (size_t i = 0; i < ARRAY_LEN(stacks); i++) {
        size_t length = strlen(stacks[i]);
        if (strncmp(stacks[i], name, length) == 0 && fits(pattern + 1, name + length, id))
            return true;
    }
    return false;
}

enum tensor_role tensor_role_of(enum model_file_type type, const char *name, struct expert_id *id)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].type == type && fits_in_a_stack(names[i].pattern, name, id))
            return names[i].role;
    return TENSOR_DENSE;
}
