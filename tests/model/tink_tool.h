/* tests/model/tink_tool.h -- another implementation of Tink's streams, as a program. */
#ifndef TESTS_MODEL_TINK_TOOL_H
#define TESTS_MODEL_TINK_TOOL_H

#include "model_fixture.h"

#include <spawn.h>
#include <sys/wait.h>

#include "base/text.h"
#include "model/opened.h"

extern char **environ;

#define READER TEST_VECTORS "/../model/tink_reader.py"

/* The program's exit status. */
static inline int run_program(const char *const *arguments)
{
    pid_t child;
    int status;
    assert_int_equal(posix_spawnp(&child, arguments[0], NULL, NULL, (char **)arguments, environ),
                     0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline int reader(const char *verb, const char *keyset, const char *aad_hex, const char *in,
                         const char *out)
{
    const char *arguments[] = {"/usr/bin/python3", READER, verb, keyset, aad_hex, in, out, NULL};
    return run_program(arguments);
}

/* What `lethe key export --tink-keyset` does for a shard. */
static inline void export_keyset(struct fixture *f, const struct model *model, size_t index,
                                 const char *path, char aad_hex[512])
{
    const struct shard *shard = &model_manifest(model)->shards[index];
    CLEANUP(buffer_clear) struct buffer aad = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *keyset = NULL;
    manifest_shard_aad(model_manifest(model), shard, &aad);
    const struct key_use use = {
        .key = shard->key, .shard = shard->id, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    assert_ok(f->keys->source.unwrap(f->keys, &use, shard->wrapped_key, &key, &f->err), &f->err);
    assert_ok(tink_keyset_json(&tink_shard_parameters, key, &keyset, &f->err), &f->err);
    put_file(path, lethe_secret_bytes(keyset), lethe_secret_size(keyset));
    hex_encode(aad.bytes, aad.size_bytes, aad_hex);
}

static inline void assert_same_file(const char *a, const char *b)
{
    size_t a_size;
    size_t b_size;
    uint8_t *a_bytes = get_file(a, &a_size);
    uint8_t *b_bytes = get_file(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    free(a_bytes);
    free(b_bytes);
}

#endif
