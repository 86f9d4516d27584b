/* lethe/gguf.h: keys and tensors by name, of good files and of hostile ones. */
#include <lethe/gguf.h>

#include "gguf_writer.h"

DEFINE_CLEANUP(lethe_gguf_free, struct lethe_gguf *);

/* From an allocation of exactly its size, which is gone when anything is looked up. */
static lethe_result open_exact(const struct buffer *file, size_t size_bytes,
                               struct lethe_gguf **out, struct lethe_error *err)
{
    CLEANUP(memory_free) void *exact = malloc(size_bytes);
    assert_true(exact != NULL || size_bytes == 0);
    if (size_bytes > 0)
        memcpy(exact, file->bytes, size_bytes);
    return lethe_gguf_open(exact, size_bytes, out, err);
}

static struct lethe_gguf *must_open(const struct buffer *file)
{
    struct lethe_error err = {0};
    struct lethe_gguf *gguf;
    assert_ok(open_exact(file, file->size_bytes, &gguf, &err), &err);
    return gguf;
}

static void must_refuse(const struct buffer *file, size_t size_bytes, const char *why)
{
    struct lethe_error err = {0};
    struct lethe_gguf *gguf = (struct lethe_gguf *)(uintptr_t)1;
    lethe_result result = open_exact(file, size_bytes, &gguf, &err);
    if (result != LETHE_MALFORMED || strstr(err.text, why) == NULL)
        fail_msg("expected MALFORMED with \"%s\", got %s: %s", why, lethe_result_name(result),
                 err.text);
    assert_null(gguf);
}

static void put_key(struct buffer *out, const char *key, uint32_t type, const void *value,
                    size_t size_bytes)
{
    put_text(out, key);
    put_u32(out, type);
    buffer_append(out, value, size_bytes);
}

enum { VALUE_I8 = 1, VALUE_U16 = 2, VALUE_F32 = 6, VALUE_BOOL = 7, VALUE_F64 = 12 };

/* One key of every kind that is looked up, and of some that are not; names out of order. */
static void put_keys(struct buffer *out)
{
    const float single = -0.5f;
    const double twice = 1e-300;
    put_key(out, "u8", VALUE_U8, &(uint8_t){0xff}, 1);
    put_key(out, "u64", VALUE_U64, &(uint64_t){UINT64_MAX}, 8);
    put_key(out, "u32", VALUE_U32, &(uint32_t){0x80000001}, 4);
    put_key(out, "u16", VALUE_U16, &(uint16_t){0xfffe}, 2);
    put_key(out, "i8", VALUE_I8, &(int8_t){-1}, 1);
    put_key(out, "bool", VALUE_BOOL, &(uint8_t){1}, 1);
    put_key(out, "f64", VALUE_F64, &twice, sizeof twice);
    put_key(out, "f32", VALUE_F32, &single, sizeof single);
    put_key(out, "empty", VALUE_STRING, &(uint64_t){0}, 8);
    put_key(out, "text", VALUE_STRING, &(uint64_t){5}, 8);
    buffer_text(out, "llama");
    put_array(out, VALUE_U32, 1);
    put_u32(out, 7);
}
#define KEYS 11u

static struct lethe_gguf *open_keys(struct buffer *file)
{
    put_start(file, 0, KEYS);
    put_keys(file);
    return must_open(file);
}

static void numbers_of_every_size(void **state)
{
    static const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"u8", 0xff}, {"u16", 0xfffe}, {"u32", 0x80000001}, {"u64", UINT64_MAX}};
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = open_keys(&file);
    struct lethe_error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uint64_t value = 0;
        assert_ok(lethe_gguf_unsigned(gguf, numbers[i].key, &value, &err), &err);
        assert_int_equal(value, numbers[i].value);
    }
    double value = 0;
    assert_ok(lethe_gguf_float(gguf, "f32", &value, &err), &err);
    assert_true(value == -0.5);
    assert_ok(lethe_gguf_float(gguf, "f64", &value, &err), &err);
    assert_true(value == 1e-300);
}

static void texts_are_where_the_file_has_them(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = open_keys(&file);
    struct lethe_error err = {0};
    struct lethe_gguf_text text;
    assert_ok(lethe_gguf_text(gguf, "text", &text, &err), &err);
    assert_int_equal(text.size_bytes, 5);
    assert_true(text.begin <= file.size_bytes - 5);
    assert_memory_equal(file.bytes + text.begin, "llama", 5);
    assert_ok(lethe_gguf_text(gguf, "empty", &text, &err), &err);
    assert_int_equal(text.size_bytes, 0);
}

static void keys_that_are_missing_or_of_another_type(void **state)
{
    static const struct {
        const char *key;
        lethe_result number, real, text;
    } rows[] = {
        {"u32", LETHE_OK, LETHE_MALFORMED, LETHE_MALFORMED},
        {"f32", LETHE_MALFORMED, LETHE_OK, LETHE_MALFORMED},
        {"text", LETHE_MALFORMED, LETHE_MALFORMED, LETHE_OK},
        {"i8", LETHE_MALFORMED, LETHE_MALFORMED, LETHE_MALFORMED},
        {"bool", LETHE_MALFORMED, LETHE_MALFORMED, LETHE_MALFORMED},
        {"array", LETHE_MALFORMED, LETHE_MALFORMED, LETHE_MALFORMED},
        {"u3", LETHE_NOT_FOUND, LETHE_NOT_FOUND, LETHE_NOT_FOUND},
        {"u322", LETHE_NOT_FOUND, LETHE_NOT_FOUND, LETHE_NOT_FOUND},
        {"", LETHE_NOT_FOUND, LETHE_NOT_FOUND, LETHE_NOT_FOUND},
    };
    CLEANUP(buffer_clear) struct buffer file = {0};
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = open_keys(&file);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        uint64_t number = 42;
        double real = 42;
        struct lethe_gguf_text text = {42, 42};
        assert_result(rows[i].number, lethe_gguf_unsigned(gguf, rows[i].key, &number, &err));
        assert_result(rows[i].real, lethe_gguf_float(gguf, rows[i].key, &real, &err));
        assert_result(rows[i].text, lethe_gguf_text(gguf, rows[i].key, &text, NULL));
        assert_true((number == 42) == (rows[i].number != LETHE_OK));
        assert_true((real == 42) == (rows[i].real != LETHE_OK));
        assert_true((text.begin == 42) == (rows[i].text != LETHE_OK));
        if (rows[i].real != LETHE_OK)
            assert_non_null(strstr(err.text, rows[i].key));
    }
}

static void tensors_as_the_file_describes_them(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_good_file(&file, 3);
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = must_open(&file);
    struct lethe_error err = {0};
    struct lethe_gguf_tensor first;
    struct lethe_gguf_tensor second;
    uint64_t data = file.size_bytes - 256;
    assert_int_equal(lethe_gguf_tensor_count(gguf), 2);
    assert_ok(lethe_gguf_tensor(gguf, "second", &second, &err), &err);
    assert_ok(lethe_gguf_tensor(gguf, "first", &first, &err), &err);
    assert_string_equal(first.type, "F32");
    assert_int_equal(first.dimensions, 2);
    assert_memory_equal(first.shape, ((uint64_t[]){3, 5, 1, 1}), sizeof first.shape);
    assert_int_equal(first.begin, data);
    assert_int_equal(first.size_bytes, 60);
    assert_string_equal(second.type, "Q4_K");
    assert_memory_equal(second.shape, ((uint64_t[]){256, 1, 1, 1}), sizeof second.shape);
    assert_int_equal(second.begin, data + 64);
    assert_int_equal(second.size_bytes, 144);
    uint64_t alignment = 0;
    assert_ok(lethe_gguf_unsigned(gguf, "general.alignment", &alignment, &err), &err);
    assert_int_equal(alignment, 64);

    const struct lethe_gguf_tensor before = first;
    assert_result(LETHE_NOT_FOUND, lethe_gguf_tensor(gguf, "third", &first, &err));
    assert_memory_equal(&first, &before, sizeof first);
}

static void a_real_file(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    read_model_vector("ollama_llama-2-tiny-random.gguf", &file);
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = must_open(&file);
    struct lethe_error err = {0};
    struct lethe_gguf_text name;
    struct lethe_gguf_tensor embedding;
    uint64_t width = 0;
    double epsilon = 0;
    assert_ok(lethe_gguf_text(gguf, "general.architecture", &name, &err), &err);
    assert_int_equal(name.size_bytes, 5);
    assert_memory_equal(file.bytes + name.begin, "llama", 5);
    assert_ok(lethe_gguf_unsigned(gguf, "llama.embedding_length", &width, &err), &err);
    assert_ok(lethe_gguf_float(gguf, "llama.attention.layer_norm_rms_epsilon", &epsilon, &err),
              &err);
    assert_true(epsilon > 0 && epsilon < 1e-3);
    assert_ok(lethe_gguf_tensor(gguf, "token_embd.weight", &embedding, &err), &err);
    assert_int_equal(embedding.shape[0], width);
    assert_result(LETHE_MALFORMED, lethe_gguf_text(gguf, "tokenizer.ggml.tokens", &name, &err));
}

static void a_file_of_nothing(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_start(&file, 0, 0);
    CLEANUP(lethe_gguf_free) struct lethe_gguf *gguf = must_open(&file);
    struct lethe_gguf_tensor tensor;
    uint64_t number;
    assert_int_equal(lethe_gguf_tensor_count(gguf), 0);
    assert_result(LETHE_NOT_FOUND, lethe_gguf_tensor(gguf, "a", &tensor, NULL));
    assert_result(LETHE_NOT_FOUND, lethe_gguf_unsigned(gguf, "a", &number, NULL));
    must_refuse(&file, 0, "does not start");
    lethe_gguf_free(NULL);
}

static void every_beginning_of_a_file_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_good_file(&file, 3);
    for (size_t length = 0; length < file.size_bytes - 48; length++) /* 48: the last padding */
        must_refuse(&file, length, "GGUF: ");
}

static void two_of_one_name_are_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer keys = {0};
    put_start(&keys, 0, 3);
    put_key_u32(&keys, "twice", 1);
    put_key_u32(&keys, "between", 1);
    put_key_u32(&keys, "twice", 2);
    must_refuse(&keys, keys.size_bytes, "two keys");

    CLEANUP(buffer_clear) struct buffer tensors = {0};
    struct buffer *out = &tensors;
    put_start(out, 2, 0);
    TENSOR("twice", 1, {1}, I8, 0);
    TENSOR("twice", 1, {1}, I8, 32);
    put_data(out, 32, 64);
    must_refuse(out, out->size_bytes, "two tensors");
}

static void a_tensor_that_is_not_aligned_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    struct buffer *out = &file;
    put_start(out, 2, 0);
    TENSOR("a", 1, {1}, F32, 0);
    TENSOR("b", 1, {1}, F32, 4);
    put_data(out, 32, 64);
    must_refuse(out, out->size_bytes, "at offset 4 instead of 32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_size),
        cmocka_unit_test(texts_are_where_the_file_has_them),
        cmocka_unit_test(keys_that_are_missing_or_of_another_type),
        cmocka_unit_test(tensors_as_the_file_describes_them),
        cmocka_unit_test(a_real_file),
        cmocka_unit_test(a_file_of_nothing),
        cmocka_unit_test(every_beginning_of_a_file_is_refused),
        cmocka_unit_test(two_of_one_name_are_refused),
        cmocka_unit_test(a_tensor_that_is_not_aligned_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
