/* A file that was read once, looked up by name: in sorted lists, so that no choice of names makes
 * it slow. */
#include <lethe/gguf.h>

#include <string.h>

#include "base/error.h"
#include "model/array.h"
#include "model/gguf.h"

struct lethe_gguf {
    struct tensor_list tensors; /* both sorted by name */
    struct gguf_keys keys;
};

void gguf_keys_clear(struct gguf_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->items[i].name);
    free(keys->items);
    *keys = (struct gguf_keys){0};
}

void lethe_gguf_free(struct lethe_gguf *gguf)
{
    if (gguf == NULL)
        return;
    tensor_list_clear(&gguf->tensors);
    gguf_keys_clear(&gguf->keys);
    free(gguf);
}

static int compare_keys(const void *left, const void *right)
{
    const struct gguf_key *a = left;
    const struct gguf_key *b = right;
    return strcmp(a->name, b->name);
}

static int compare_tensors(const void *left, const void *right)
{
    const struct tensor *a = left;
    const struct tensor *b = right;
    return strcmp(a->name, b->name);
}

lethe_result lethe_gguf_open(const void *bytes, size_t size_bytes, struct lethe_gguf **out,
                             struct lethe_error *err)
{
    *out = NULL;
    struct file_head head = {bytes, size_bytes, size_bytes, false};
    struct lethe_gguf *gguf = calloc(1, sizeof *gguf);
    if (gguf == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for what is in a GGUF file");
    lethe_result result = gguf_read_keys(&head, &gguf->tensors, &gguf->keys, err);
    if (result != LETHE_OK) {
        lethe_gguf_free(gguf);
        return result;
    }
    if (gguf->keys.count > 1)
        qsort(gguf->keys.items, gguf->keys.count, sizeof *gguf->keys.items, compare_keys);
    if (gguf->tensors.count > 1)
        qsort(gguf->tensors.tensors, gguf->tensors.count, sizeof *gguf->tensors.tensors,
              compare_tensors);
    *out = gguf;
    return LETHE_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* `types` has a bit for each that will do. */
static lethe_result find_key(const struct lethe_gguf *gguf, const char *name, unsigned types,
                             const struct gguf_key **out, struct lethe_error *err)
{
    const struct gguf_key wanted = {.name = (char *)name};
    const struct gguf_key *key = NULL;
    if (gguf->keys.count > 0)
        key = bsearch(&wanted, gguf->keys.items, gguf->keys.count, sizeof wanted, compare_keys);
    if (key == NULL)
        return error_set(err, LETHE_NOT_FOUND, "GGUF: there is no key %s", name);
    if ((types >> key->type & 1) == 0)
        return error_set(err, LETHE_MALFORMED, "GGUF: the value of %s is of type %u", name,
                         key->type);
    *out = key;
    return LETHE_OK;
}

lethe_result lethe_gguf_unsigned(const struct lethe_gguf *gguf, const char *key, uint64_t *out,
                                 struct lethe_error *err)
{
    const unsigned types = 1u << GGUF_U8 | 1u << GGUF_U16 | 1u << GGUF_U32 | 1u << GGUF_U64;
    const struct gguf_key *found;
    TRY(find_key(gguf, key, types, &found, err));
    *out = found->number;
    return LETHE_OK;
}

lethe_result lethe_gguf_float(const struct lethe_gguf *gguf, const char *key, double *out,
                              struct lethe_error *err)
{
    const struct gguf_key *found;
    TRY(find_key(gguf, key, 1u << GGUF_F32 | 1u << GGUF_F64, &found, err));
    uint32_t bits = (uint32_t)found->number;
    float single;
    memcpy(&single, &bits, sizeof single);
    if (found->type == GGUF_F32)
        *out = (double)single;
    else
        memcpy(out, &found->number, sizeof *out);
    return LETHE_OK;
}

lethe_result lethe_gguf_text(const struct lethe_gguf *gguf, const char *key,
                             struct lethe_gguf_text *out, struct lethe_error *err)
{
    const struct gguf_key *found;
    TRY(find_key(gguf, key, 1u << GGUF_STRING, &found, err));
    *out = (struct lethe_gguf_text){found->begin, found->end - found->begin};
    return LETHE_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

lethe_result lethe_gguf_tensor(const struct lethe_gguf *gguf, const char *name,
                               struct lethe_gguf_tensor *out, struct lethe_error *err)
{
    const struct tensor_list *list = &gguf->tensors;
    const struct tensor wanted = {.name = (char *)name};
    const struct tensor *found = NULL;
    if (list->count > 0)
        found = bsearch(&wanted, list->tensors, list->count, sizeof wanted, compare_tensors);
    if (found == NULL)
        return error_set(err, LETHE_NOT_FOUND, "GGUF: there is no tensor %s", name);
    REQUIRE(found->dimensions <= LETHE_GGUF_DIMENSIONS);
    *out = (struct lethe_gguf_tensor){.type = found->dtype,
                                      .dimensions = found->dimensions,
                                      .shape = {1, 1, 1, 1},
                                      .begin = found->begin,
                                      .size_bytes = found->end - found->begin};
    for (unsigned i = 0; i < found->dimensions; i++)
        out->shape[i] = found->shape[found->dimensions - 1 - i];
    return LETHE_OK;
}

size_t lethe_gguf_tensor_count(const struct lethe_gguf *gguf)
{
    return gguf->tensors.count;
}
