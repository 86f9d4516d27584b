/* Sources in, model, the same bytes out: by load, by decrypt, and checked by verify. */
#include "model_fixture.h"

#include "base/json.h"
#include "model/opened.h"

#define SAMPLES TEST_VECTORS "/models/"

/* Sizes around the ends of blocks, segments and ranges: 2^20 - 16 - 40 fills the first segment. */
static void sizes_at_every_edge_survive(void **state)
{
    struct fixture *f = *state;
    enum { FIRST = (1 << 20) - 56, NEXT = (1 << 20) - 16 };
    static const size_t sizes[] = {0,         1,       4095,      4096,         4097,
                                   FIRST - 1, FIRST,   FIRST + 1, FIRST + NEXT, FIRST + NEXT + 1,
                                   1 << 21,   3 * NEXT};
    assert_int_equal(mkdir(AT(f, "sources"), 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char name[32];
        snprintf(name, sizeof name, "sources/%02zu.bin", i);
        put_pattern(AT(f, name), sizes[i], i);
    }
    struct encrypt_summary summary = must_encrypt(f, AT(f, "sources"), AT(f, "model"));
    assert_int_equal(summary.shards, ARRAY_LEN(sizes));

    struct model *model = must_open(f, AT(f, "model"));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char name[32];
        snprintf(name, sizeof name, "sources/%02zu.bin", i);
        must_load_equal(f, model, i, AT(f, name));
    }
    assert_ok(model_verify_cipher(model, &two_threads, &f->err), &f->err);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    model_close(model);
}

/* More than one range of 64 segments, so that hashes are handed in out of order by two threads, and
 * blocks go over the ends of ranges. */
static void several_ranges_survive(void **state)
{
    struct fixture *f = *state;
    size_t size = ((size_t)130 << 20) + 12345;
    put_pattern(AT(f, "large.bin"), size, 7);
    uint8_t digest[TREE_HASH_BYTES];
    uint8_t *plain = get_file(AT(f, "large.bin"), &size);
    assert_ok(tree_digest(plain, size, 1, digest, &f->err), &f->err);
    must_encrypt(f, AT(f, "large.bin"), AT(f, "model"));

    struct model *model = must_open(f, AT(f, "model"));
    assert_memory_equal(model_manifest(model)->shards[0].digest, digest, sizeof digest);
    assert_int_equal(model->signed_list.count, 4); /* the manifest, and 3 ranges */
    assert_ok(model_verify_cipher(model, &two_threads, &f->err), &f->err);
    assert_ok(model_verify(model, &f->keys->source, &two_threads, &f->err), &f->err);
    static const unsigned threads[] = {1, 2, 5};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        const struct model_work work = {.threads = threads[i]};
        memset(plain, 0, size);
        assert_ok(model_load_shard(model, 0, &f->keys->source, plain, &work, &f->err), &f->err);
        assert_ok(model_check_digest(model, 0, plain, 2, &f->err), &f->err);
    }
    model_close(model);
    free(plain);
}

static void tensors_and_types_are_in_the_manifest(void **state)
{
    struct fixture *f = *state;
    const char *sources[] = {SAMPLES "silero_vad_16k.safetensors",
                             SAMPLES "ollama_llama-2-tiny-random.gguf", AT(f, "notes.txt"),
                             AT(f, "optimizer.pt")};
    put_text(sources[2], "hello");
    put_text(sources[3], "state");
    struct encrypt_options options = options_for(sources, AT(f, "model"));
    options.source_count = ARRAY_LEN(sources);
    options.tier = TIER_COLD;
    struct encrypt_summary summary;
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_string_equal(summary.model, "silero_vad_16k");
    assert_int_equal(summary.release, 1);

    struct model *model = must_open(f, AT(f, "model"));
    const struct manifest *m = model_manifest(model);
    assert_int_equal(m->count, 4);
    assert_string_equal(m->created, "2026-11-20T12:00:00Z");
    assert_string_equal(m->tenant, "acme");
    static const struct {
        const char *name;
        enum shard_kind kind;
        enum model_file_type type;
        size_t tensors;
    } expected[] = {
        {"notes.txt", SHARD_OTHER, MODEL_FILE_OTHER, 0},
        {"ollama_llama-2-tiny-random.gguf", SHARD_WEIGHTS, MODEL_FILE_GGUF, 12},
        {"optimizer.pt", SHARD_OPTIMIZER, MODEL_FILE_OTHER, 0},
        {"silero_vad_16k.safetensors", SHARD_WEIGHTS, MODEL_FILE_SAFETENSORS, 15},
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct shard *shard = &m->shards[i];
        assert_string_equal(shard->name, expected[i].name);
        assert_int_equal(shard->kind, expected[i].kind);
        assert_int_equal(shard->tensors.type, expected[i].type);
        assert_int_equal(shard->tensors.count, expected[i].tensors);
        assert_int_equal(shard->tier, TIER_COLD);
        assert_string_equal(shard->key, "acme.silero_vad_16k.cold");
        assert_int_equal(shard->key_version, 1);
    }
    must_load_equal(f, model, 1, sources[1]);
    must_load_equal(f, model, 3, sources[0]);
    model_close(model);
}

/* E-1: the bytes of the files are in no file of the model. */
static void nothing_is_left_in_plain(void **state)
{
    struct fixture *f = *state;
    const char *source = SAMPLES "silero_vad_16k.safetensors";
    size_t plain_size;
    size_t cipher_size;
    uint8_t *plain = get_file(source, &plain_size);
    must_encrypt(f, source, AT(f, "model"));
    uint8_t *cipher = get_file(AT(f, "model/shards/0000.tink"), &cipher_size);
    assert_int_equal(cipher_size, plain_size + 40 + 2 * 16);
    uint8_t piece[32];
    for (size_t at = 0; at + sizeof piece <= plain_size; at += 10007) {
        memcpy(piece, plain + at, sizeof piece);
        assert_null(memmem(cipher, cipher_size, piece, sizeof piece));
        assert_non_null(memmem(plain, plain_size, piece, sizeof piece)); /* it would be seen */
    }
    free(cipher);
    free(plain);
}

/* Z-2: one unwrap per shard and load, no key kept. */
static void each_load_asks_for_the_key(void **state)
{
    struct fixture *f = *state;
    must_encrypt(f, SAMPLES "model2vec_test-model-int8_model.safetensors", AT(f, "model"));
    assert_int_equal(f->keys->wrapped, 1);
    assert_int_equal(f->keys->unwrapped, 0);
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(f->keys->unwrapped, 0);
    for (unsigned i = 1; i <= 3; i++) {
        must_load_equal(f, model, 0, SAMPLES "model2vec_test-model-int8_model.safetensors");
        assert_int_equal(f->keys->unwrapped, i);
    }
    model_close(model);
}

/* ---- decrypt --------------------------------------------------------------------------------- */

static void assert_same_file(const char *a, const char *b)
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

static void decrypt_gives_the_directory_back(void **state)
{
    struct fixture *f = *state;
    static const char *const folders[] = {"in", "in/sub", "in/sub/deeper"};
    static const char *const files[] = {"config.json", "sub/a.bin", "sub/deeper/b.bin", "sub.bin"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        assert_int_equal(mkdir(AT(f, folders[i]), 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char name[64];
        snprintf(name, sizeof name, "in/%s", files[i]);
        put_pattern(AT(f, name), 1000 * i + (1 << 20) * (i % 3), i);
    }
    must_encrypt(f, AT(f, "in"), AT(f, "model"));
    struct model *model = must_open(f, AT(f, "model"));
    assert_ok(model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err), &f->err);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char in[64];
        char out[64];
        snprintf(in, sizeof in, "in/%s", files[i]);
        snprintf(out, sizeof out, "out/%s", files[i]);
        assert_same_file(AT(f, in), AT(f, out));
        struct stat status;
        assert_int_equal(stat(AT(f, out), &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    struct stat status;
    assert_int_equal(stat(AT(f, "out"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(count_names(f->directory), 3); /* in, model, out */

    assert_result(LETHE_EXISTS,
                  model_decrypt(model, &f->keys->source, AT(f, "out"), &two_threads, &f->err));
    model_close(model);
}

/* ---- replacing ------------------------------------------------------------------------------- */

static void force_replaces_and_counts_releases(void **state)
{
    struct fixture *f = *state;
    put_text(AT(f, "a.bin"), "first");
    must_encrypt(f, AT(f, "a.bin"), AT(f, "model"));
    put_text(AT(f, "a.bin"), "second, and longer");

    const char *source = AT(f, "a.bin");
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    struct encrypt_summary summary;
    assert_result(LETHE_EXISTS, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    options.force = true;
    for (uint64_t release = 2; release <= 4; release++) {
        assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
        assert_int_equal(summary.release, release);
    }
    struct model *model = must_open(f, AT(f, "model"));
    assert_int_equal(model_manifest(model)->release, 4);
    must_load_equal(f, model, 0, AT(f, "a.bin"));
    model_close(model);

    options.model = "another";
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_int_equal(summary.release, 1);
    assert_int_equal(count_names(f->directory), 2);
}

static void only_models_are_replaced(void **state)
{
    struct fixture *f = *state;
    put_text(AT(f, "a.bin"), "bytes");
    assert_int_equal(mkdir(AT(f, "home"), 0700), 0);
    put_text(AT(f, "home/precious"), "photos");
    const char *source = AT(f, "a.bin");
    struct encrypt_options options = options_for(&source, AT(f, "home"));
    options.force = true;
    struct encrypt_summary summary;
    assert_result(LETHE_MALFORMED, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    assert_int_equal(access(AT(f, "home/precious"), F_OK), 0);
    options.output = AT(f, "a.bin");
    assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    assert_int_equal(symlink("home", AT(f, "link")), 0);
    options.output = AT(f, "link");
    assert_result(LETHE_INVALID, model_encrypt(&options, &f->keys->source, &summary, &f->err));
    assert_int_equal(count_names(f->directory), 3);
}

/* ---- progress, form -------------------------------------------------------------------------- */

struct seen {
    uint64_t last;
    uint64_t total;
    unsigned calls;
};

static void see(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct seen *seen = context;
    assert_true(done_bytes >= seen->last);
    seen->last = done_bytes;
    seen->total = total_bytes;
    seen->calls++;
}

static void progress_ends_at_the_total(void **state)
{
    struct fixture *f = *state;
    size_t size = (size_t)20 << 20;
    put_pattern(AT(f, "a.bin"), size, 1);
    struct seen seen = {0};
    const struct model_progress progress = {.report = see, .context = &seen};
    const char *source = AT(f, "a.bin");
    struct encrypt_options options = options_for(&source, AT(f, "model"));
    options.progress = &progress;
    struct encrypt_summary summary;
    assert_ok(model_encrypt(&options, &f->keys->source, &summary, &f->err), &f->err);
    assert_int_equal(seen.last, size);
    assert_int_equal(seen.total, size);
    assert_true(seen.calls > 1);

    struct model *model = must_open(f, AT(f, "model"));
    const struct model_work work = {.threads = 2, .progress = &progress};
    seen = (struct seen){0};
    assert_ok(model_verify(model, &f->keys->source, &work, &f->err), &f->err);
    assert_int_equal(seen.last, size);
    seen = (struct seen){0};
    assert_ok(model_verify_cipher(model, &work, &f->err), &f->err);
    assert_true(seen.last == seen.total && seen.total > size);
    seen = (struct seen){0};
    assert_ok(model_decrypt(model, &f->keys->source, AT(f, "out"), &work, &f->err), &f->err);
    assert_int_equal(seen.last, size);
    model_close(model);
}

/* The signature covers the manifest as canonical JSON: what we write is what RFC 8785 says. */
static void manifest_is_canonical(void **state)
{
    struct fixture *f = *state;
    must_encrypt(f, SAMPLES "model2vec_test-model-float16_model.safetensors", AT(f, "model"));
    size_t size;
    char *text = (char *)get_file(AT(f, "model/manifest.json"), &size);
    json_t *root;
    assert_ok(json_parse(text, size, &root, &f->err), &f->err);
    CLEANUP(buffer_clear) struct buffer canonical = {0};
    assert_ok(json_canonical(root, &canonical, &f->err), &f->err);
    buffer_byte(&canonical, '\n');
    assert_int_equal(canonical.size_bytes, size);
    assert_memory_equal(canonical.bytes, text, size);
    json_decref(root);
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_at_every_edge_survive),
        TEST(several_ranges_survive),
        TEST(tensors_and_types_are_in_the_manifest),
        TEST(nothing_is_left_in_plain),
        TEST(each_load_asks_for_the_key),
        TEST(decrypt_gives_the_directory_back),
        TEST(force_replaces_and_counts_releases),
        TEST(only_models_are_replaced),
        TEST(progress_ends_at_the_total),
        TEST(manifest_is_canonical),
    };
    return cmocka_run_group_tests_name("roundtrip", tests, NULL, NULL);
}
