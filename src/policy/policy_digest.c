#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its like: the only ones that need no memory \
                                     */
#include "policy/policy.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/error.h"
#include "base/text.h"

#define DOMAIN "lethe-policy/1"

/* As buffer_prefixed(): no two lists of texts are the same bytes. Texts have fewer than 2^32. */
static void add(SHA256_CTX *hash, const void *bytes, size_t size_bytes)
{
    uint32_t length = htole32((uint32_t)size_bytes);
    SHA256_Update(hash, &length, sizeof length);
    SHA256_Update(hash, bytes, size_bytes);
}

static int compare_modules(const void *a, const void *b)
{
    const struct lethe_policy_module *left = *(const struct lethe_policy_module *const *)a;
    const struct lethe_policy_module *right = *(const struct lethe_policy_module *const *)b;
    int order = strcmp(left->name, right->name);
    if (order == 0)
        order = memcmp(left->text, right->text, MIN(left->size_bytes, right->size_bytes));
    if (order == 0)
        order = (left->size_bytes > right->size_bytes) - (left->size_bytes < right->size_bytes);
    return order;
}

static void add_modules(SHA256_CTX *hash, const struct lethe_policy_options *options,
                        const struct lethe_policy_module **sorted)
{
    for (size_t i = 0; i < options->module_count; i++)
        sorted[i] = &options->modules[i];
    qsort(sorted, options->module_count, sizeof(sorted[0]), compare_modules);
    for (size_t i = 0; i < options->module_count; i++) {
        add(hash, sorted[i]->name, strlen(sorted[i]->name));
        add(hash, sorted[i]->text, sorted[i]->size_bytes);
    }
}

lethe_result policy_digest(const struct lethe_policy_options *options, const struct value *data,
                           char out[LETHE_POLICY_DIGEST_SIZE], struct lethe_error *err)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX hash;
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(memory_free)
    const struct lethe_policy_module **sorted =
        calloc(options->module_count + 1, sizeof(struct lethe_policy_module *));
    if (sorted == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the list of modules");
    value_print_json(data, &text);
    TRY(buffer_result(&text, err));
    SHA256_Init(&hash);
    add(&hash, DOMAIN, strlen(DOMAIN));
    add(&hash, options->v0 ? "v0" : "v1", 2);
    add_modules(&hash, options, sorted);
    add(&hash, text.bytes, text.size_bytes);
    SHA256_Final(digest, &hash);
    memcpy(out, "sha256:", sizeof "sha256:");
    hex_encode(digest, sizeof digest, out + strlen("sha256:"));
    return LETHE_OK;
}
