/* tests/model/model_fixture.h -- a directory of its own, sources in it, and models made of them. */
#ifndef TESTS_MODEL_MODEL_FIXTURE_H
#define TESTS_MODEL_MODEL_FIXTURE_H

#include "test_keys.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/model.h"

struct known_path {
    struct known_path *next;
    char text[400];
};
struct fixture {
    char directory[64]; /* in memory where the host has /dev/shm */
    struct test_keys *keys;
    struct lethe_error err;
    struct known_path *paths;
};

/* cmocka setup and teardown. */
static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(f->directory, sizeof f->directory, "%s/lethe-model-XXXXXX", parent);
    assert_non_null(mkdtemp(f->directory));
    f->keys = test_keys_create(1);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    lethe_result result = file_remove_tree(AT_FDCWD, f->directory, &f->err);
    test_keys_free(f->keys);
    for (struct known_path *next; f->paths != NULL; f->paths = next) {
        next = f->paths->next;
        free(f->paths);
    }
    free(f);
    return result == LETHE_OK ? 0 : -1;
}

/* A path in the fixture's directory, which lives as long as the fixture. */
static inline const char *in_fixture(struct fixture *f, const char *name)
{
    struct known_path *known = malloc(sizeof *known);
    assert_non_null(known);
    snprintf(known->text, sizeof known->text, "%s/%s", f->directory, name);
    known->next = f->paths;
    f->paths = known;
    return known->text;
}
#define AT(f, name) in_fixture(f, name)

static inline void put_file(const char *path, const void *bytes, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size_bytes), size_bytes);
    close(fd);
}

static inline void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

static inline uint8_t *get_file(const char *path, size_t *size_bytes)
{
    struct buffer text = {0};
    struct lethe_error err = {0};
    assert_ok(file_read_all(AT_FDCWD, path, (size_t)1 << 30, &text, &err), &err);
    buffer_byte(&text, 0); /* also an empty file has bytes to point at */
    REQUIRE(text.bytes != NULL);
    *size_bytes = text.size_bytes - 1;
    return (uint8_t *)text.bytes;
}

/* Bytes that are no file format and differ at every place. */
static inline uint8_t *pattern(size_t size_bytes, uint64_t seed)
{
    uint8_t *bytes = malloc(size_bytes + 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < size_bytes; i += 8) {
        uint64_t mixed = (seed + i) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 29;
        memcpy(bytes + i, &mixed, 8);
    }
    return bytes;
}

static inline void put_pattern(const char *path, size_t size_bytes, uint64_t seed)
{
    uint8_t *bytes = pattern(size_bytes, seed);
    put_file(path, bytes, size_bytes);
    free(bytes);
}

static inline uint64_t fixed_time(void *context)
{
    return 1795176000000000000; /* 2026-11-20T12:00:00Z */
}
static const struct clock_source fixed_clock = {.wall_ns = fixed_time, .monotonic_ns = fixed_time};

/* One source, everything else as a careful user would leave it; changed by the caller. */
static inline struct encrypt_options options_for(const char *const *source, const char *output)
{
    return (struct encrypt_options){.sources = source,
                                    .source_count = 1,
                                    .output = output,
                                    .tenant = "acme",
                                    .threads = 2,
                                    .clock = &fixed_clock,
                                    .random = &random_system};
}

static inline struct encrypt_summary must_encrypt(struct fixture *f, const char *source,
                                                  const char *output)
{
    struct encrypt_summary summary;
    const struct encrypt_options options = options_for(&source, output);
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    return summary;
}

static inline struct model *must_open(struct fixture *f, const char *path)
{
    struct model *model;
    assert_ok(model_open(path, &model, &f->err), &f->err);
    assert_ok(model_check_signature(model, sign_pair_public(f->keys->pair), &f->err), &f->err);
    return model;
}

static const struct model_work two_threads = {.threads = 2};

/* What a user of the model goes through, up to the plaintext of every shard in one buffer. */
static inline lethe_result open_check_load(const struct test_keys *keys, const char *path,
                                           struct lethe_error *err)
{
    CLEANUP(model_close) struct model *model = NULL;
    TRY(model_open(path, &model, err));
    TRY(model_check_signature(model, sign_pair_public(keys->pair), err));
    CLEANUP(memory_free) uint8_t *plain = malloc(model_plain_bytes(model) + 1);
    assert_non_null(plain);
    uint8_t *at = plain;
    for (size_t i = 0; i < model_manifest(model)->count; i++) {
        TRY(model_load_shard(model, i, &keys->source, at, &two_threads, err));
        at += model_manifest(model)->shards[i].size;
    }
    return LETHE_OK;
}

static inline void must_load_equal(struct fixture *f, struct model *model, size_t index,
                                   const char *source)
{
    size_t size;
    uint8_t *expected = get_file(source, &size);
    uint8_t *loaded = malloc(size + 1);
    assert_int_equal(model_manifest(model)->shards[index].size, size);
    assert_ok(model_load_shard(model, index, &f->keys->source, loaded, &two_threads, &f->err),
              &f->err);
    assert_memory_equal(loaded, expected, size);
    assert_ok(model_check_digest(model, index, loaded, 2, &f->err), &f->err);
    free(loaded);
    free(expected);
}

/* How many names there are in a directory. */
static inline size_t count_names(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

#endif
