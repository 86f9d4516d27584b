/* tests/model/oms_signing.h -- a key, a directory and bundles, for the tests of model signatures.
 */
#ifndef TESTS_MODEL_OMS_SIGNING_H
#define TESTS_MODEL_OMS_SIGNING_H

#include "check_files.h"
#include "crypto/crypto_check.h"

#include "model/oms.h"

static struct sign_pair *fresh_pair(enum signature_kind kind)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    struct sign_pair *pair = NULL;
    assert_ok(sign_generate(kind, &secret, &err), &err);
    assert_ok(sign_pair_create(kind, secret, &pair, &err), &err);
    return pair;
}

/* Whatever the payload, signed and in a bundle of our own form. */
__attribute__((unused)) static void bundle_of(const char *payload, const struct sign_pair *pair,
                                              struct buffer *out)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    struct signature signature;
    buffer_text(&text, payload);
    oms_pae(text.bytes, text.size_bytes, &encoded);
    assert_ok(sign_message(pair, encoded.bytes, encoded.size_bytes, &signature, &err), &err);
    assert_ok(oms_bundle(&text, &signature, sign_pair_public(pair), out, &err), &err);
}

__attribute__((unused)) static void bundle_of_list(struct oms_list *list,
                                                   const struct sign_pair *pair, struct buffer *out)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer payload = {0};
    if (list->subject == NULL)
        list->subject = strdup("a \"model\"");
    assert_ok(oms_statement(list, &payload, &err), &err);
    bundle_of(payload.bytes, pair, out);
}

/* Three files, the first two of them below a folder whose name sorts between those of files. */
static const struct oms_file model_files[] = {
    {"a/b", 5000},
    {"a/c", 1},
    {"a.b", 999},
};

__attribute__((unused)) static char *model_directory(void)
{
    char *directory = temp_dir();
    CLEANUP(memory_free) char *folder = path_join(directory, "a");
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(model_files); i++) {
        CLEANUP(memory_free) char *path = path_join(directory, model_files[i].path);
        CLEANUP(memory_free) uint8_t *content = malloc(model_files[i].size_bytes);
        fill_random(content, model_files[i].size_bytes);
        put_file(path, content, model_files[i].size_bytes);
    }
    return directory;
}

__attribute__((unused)) static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* "-----BEGIN" may have notes in front of it, which upstream's key file has. */
__attribute__((unused)) static struct sign_public *public_from_file(const char *path)
{
    struct lethe_error err = {0};
    struct sign_public *key = NULL;
    CLEANUP(buffer_clear) struct buffer text = get_file(path);
    const char *pem = strstr(text.bytes, "-----BEGIN");
    assert_non_null(pem);
    assert_ok(sign_public_from_pem(pem, strlen(pem), &key, &err), &err);
    return key;
}

#endif
