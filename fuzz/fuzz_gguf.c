/* Whatever gguf_read() takes is a sound list of tensors; whatever it refuses leaves none. It says
 * the same of any beginning that is long enough for it. What was taken can be looked up, and all
 * that is then given lies in the file. */
#include <lethe/gguf.h>

#include "fuzz_tensors.h"
#include "model/gguf.h"

static void require_tensor(const struct lethe_gguf *gguf, const struct tensor *listed)
{
    struct lethe_gguf_tensor found;
    FUZZ_PROPERTY(lethe_gguf_tensor(gguf, listed->name, &found, NULL) == LETHE_OK);
    FUZZ_PROPERTY(found.type == listed->dtype && found.dimensions == listed->dimensions);
    FUZZ_PROPERTY(found.begin == listed->begin);
    FUZZ_PROPERTY(found.begin + found.size_bytes == listed->end);
    for (unsigned i = 0; i < listed->dimensions; i++)
        FUZZ_PROPERTY(found.shape[i] == listed->shape[listed->dimensions - 1 - i]);
}

/* At most one of the three types is a key's, and its value is what the file has there. */
static void require_key(const struct lethe_gguf *gguf, const struct gguf_key *key,
                        const uint8_t *data, size_t size)
{
    struct lethe_gguf_text text = {0};
    uint64_t number = 0;
    double real = 0;
    bool is_number = lethe_gguf_unsigned(gguf, key->name, &number, NULL) == LETHE_OK;
    bool is_real = lethe_gguf_float(gguf, key->name, &real, NULL) == LETHE_OK;
    bool is_text = lethe_gguf_text(gguf, key->name, &text, NULL) == LETHE_OK;
    FUZZ_PROPERTY(is_number + is_real + is_text <= 1);
    FUZZ_PROPERTY(key->begin <= key->end && key->end <= size);
    if (is_number)
        FUZZ_PROPERTY(memcmp(&number, data + key->begin, key->end - key->begin) == 0);
    if (is_real && key->end - key->begin == sizeof real)
        FUZZ_PROPERTY(memcmp(&real, data + key->begin, sizeof real) == 0);
    if (!is_text)
        return;
    FUZZ_PROPERTY(text.begin == key->begin && text.size_bytes == key->end - key->begin);
    memcpy(&number, data + text.begin - sizeof number, sizeof number);
    FUZZ_PROPERTY(number == text.size_bytes);
}

static void look_up(const uint8_t *data, size_t size)
{
    CLEANUP(tensor_list_clear) struct tensor_list tensors = {0};
    CLEANUP(gguf_keys_clear) struct gguf_keys keys = {0};
    struct file_head head = {data, size, size, false};
    struct lethe_gguf *gguf;
    lethe_result result = gguf_read_keys(&head, &tensors, &keys, NULL);
    FUZZ_PROPERTY(lethe_gguf_open(data, size, &gguf, NULL) == result);
    if (result != LETHE_OK) {
        FUZZ_PROPERTY(gguf == NULL && keys.items == NULL);
        return;
    }
    FUZZ_PROPERTY(lethe_gguf_tensor_count(gguf) == tensors.count);
    for (size_t i = 0; i < tensors.count; i++)
        require_tensor(gguf, &tensors.tensors[i]);
    for (size_t i = 0; i < keys.count; i++)
        require_key(gguf, &keys.items[i], data, size);
    lethe_gguf_free(gguf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_reader(gguf_read, MODEL_FILE_GGUF, data, size);
    look_up(data, size);
    return 0;
}
