/* GGUF: every published attack on readers of it, damage, and truncation. */
#include "gguf_writer.h"

static void no_magic(struct buffer *out)
{
    put_start(out, 0, 0);
    out->bytes[3] = 'X';
}

static void put_version(struct buffer *out, uint32_t version)
{
    put_start(out, 0, 0);
    memcpy(out->bytes + 4, &version, sizeof version);
}

static void version_0(struct buffer *out)
{
    put_version(out, 0);
}

static void version_1(struct buffer *out)
{
    put_version(out, 1);
}

static void version_4(struct buffer *out)
{
    put_version(out, 4);
}

static void big_endian(struct buffer *out)
{
    put_version(out, 3u << 24);
}

/* CVE-2024-21836, CVE-2024-23605: counts that are multiplied and allocated. */
static void tensors_beyond_counting(struct buffer *out)
{
    put_start(out, UINT64_MAX, 0);
    put_data(out, 32, 4096);
}

static void tensors_beyond_the_bytes(struct buffer *out)
{
    put_start(out, 4096 / 25 + 1, 0);
    for (size_t i = 0; i < 4096; i++)
        buffer_byte(out, 1);
}

static void keys_beyond_counting(struct buffer *out)
{
    put_start(out, 0, (uint64_t)1 << 63);
    put_data(out, 32, 4096);
}

/* CVE-2024-23496: a length plus one that wraps, and a length that is believed. */
static void text_of_all_bytes(struct buffer *out)
{
    put_start(out, 0, 1);
    put_text(out, "key");
    put_u32(out, VALUE_STRING);
    put_u64(out, UINT64_MAX);
    put_data(out, 32, 64);
}

static void text_longer_than_the_file(struct buffer *out)
{
    put_start(out, 0, 1);
    put_text(out, "key");
    put_u32(out, VALUE_STRING);
    put_u64(out, 1 << 20);
    put_data(out, 32, 64);
}

static void key_longer_than_keys_are(struct buffer *out)
{
    put_start(out, 0, 1);
    put_u64(out, 65536);
    for (size_t i = 0; i < 70000; i++)
        buffer_byte(out, 'k');
}

/* CVE-2024-21825: count times size wraps to something small. ggml PR 1516: 1 GiB from 160 bytes. */
static void array_that_wraps(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, VALUE_U64, ((uint64_t)1 << 61) + 1);
    put_data(out, 32, 64);
}

static void array_of_too_many_numbers(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, VALUE_U8, (uint64_t)1 << 30);
    put_data(out, 32, 160);
}

static void array_of_too_many_texts(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, VALUE_STRING, 9);
    for (size_t i = 0; i < 8; i++)
        put_text(out, "");
}

static void array_of_texts_that_ends(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, VALUE_STRING, 2);
    put_text(out, "eight by");
    put_u64(out, 1);
}

static void array_of_arrays(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, VALUE_ARRAY, 1);
    put_u32(out, VALUE_U8);
    put_u64(out, 1);
    put_data(out, 32, 64);
}

static void array_of_unknown_type(struct buffer *out)
{
    put_start(out, 0, 1);
    put_array(out, 13, 1);
    put_data(out, 32, 64);
}

static void value_of_unknown_type(struct buffer *out)
{
    put_start(out, 0, 1);
    put_text(out, "key");
    put_u32(out, UINT32_MAX);
    put_data(out, 32, 64);
}

static void two_equal_keys(struct buffer *out)
{
    put_start(out, 0, 3);
    put_key_u32(out, "one", 1);
    put_key_u32(out, "two", 2);
    put_key_u32(out, "one", 1);
}

static void two_alignments(struct buffer *out)
{
    put_start(out, 0, 2);
    put_key_u32(out, "general.alignment", 32);
    put_key_u32(out, "general.alignment", 64);
}

static void key_without_name(struct buffer *out)
{
    put_start(out, 0, 1);
    put_key_u32(out, "", 1);
    put_data(out, 32, 64);
}

static void key_that_is_not_utf8(struct buffer *out)
{
    put_start(out, 0, 1);
    put_key_u32(out, "k\xff", 1);
}

static void key_with_nul(struct buffer *out)
{
    put_start(out, 0, 1);
    put_key_u32(out, "kkk", 1);
    out->bytes[24 + 8 + 1] = '\0';
}

static void alignment_0(struct buffer *out)
{
    put_start(out, 0, 1);
    put_key_u32(out, "general.alignment", 0);
}

static void alignment_48(struct buffer *out)
{
    put_start(out, 0, 1);
    put_key_u32(out, "general.alignment", 48);
}

static void alignment_1_gib(struct buffer *out)
{
    put_start(out, 1, 1);
    put_key_u32(out, "general.alignment", 1u << 30);
    TENSOR("t", 1, {1}, I8, 0);
    put_data(out, 32, 1);
}

static void alignment_of_64_bits(struct buffer *out)
{
    put_start(out, 0, 1);
    put_text(out, "general.alignment");
    put_u32(out, VALUE_U64);
    put_u64(out, 32);
}

static void put_one(struct buffer *out, const struct described *tensor, size_t data_bytes)
{
    put_start(out, 1, 0);
    put_tensor(out, tensor);
    put_data(out, 32, data_bytes);
}

#define ONE(data_bytes, ...) put_one(out, &(struct described){__VA_ARGS__}, data_bytes)

static void tensor_without_name(struct buffer *out)
{
    ONE(4, "", 1, {1}, F32, 0);
}

static void tensor_name_of_64_bytes(struct buffer *out)
{
    ONE(4, "0123456789012345678901234567890123456789012345678901234567890123", 1, {1}, F32, 0);
}

static void tensor_name_that_is_not_utf8(struct buffer *out)
{
    ONE(4, "\xc0\xaf", 1, {1}, F32, 0); /* an overlong '/' */
}

static void tensor_name_with_nul(struct buffer *out)
{
    ONE(4, "ttt", 1, {1}, F32, 0);
    out->bytes[24 + 8] = '\0';
}

static void two_equal_tensors(struct buffer *out)
{
    put_start(out, 3, 0);
    TENSOR("one", 1, {1}, F32, 0);
    TENSOR("two", 1, {1}, F32, 32);
    TENSOR("one", 1, {1}, F32, 64);
    put_data(out, 32, 96);
}

/* gguf-tools issue 25, openvino.genai PR 4170: limits that only assert() kept. */
static void five_dimensions(struct buffer *out)
{
    ONE(4, "t", 5, {1, 1, 1, 1, 1}, F32, 0);
}

static void dimensions_beyond_counting(struct buffer *out)
{
    ONE(4, "t", UINT32_MAX, {1, 1, 1, 1, 1, 1, 1, 1}, F32, 0);
}

/* llama.cpp issue 27203: the product is negative. */
static void elements_that_turn_negative(struct buffer *out)
{
    ONE(64, "t", 4, {INT64_MAX, 2, 1, 1}, F32, 0);
}

/* CVE-2026-33298: elements times size wraps. */
static void bytes_that_wrap(struct buffer *out)
{
    ONE(64, "t", 2, {(uint64_t)1 << 31, ((uint64_t)1 << 30) + 1}, F64, 0);
}

static void row_that_wraps_to_0(struct buffer *out)
{
    ONE(64, "t", 1, {(uint64_t)1 << 61}, F64, 0);
}

static void elements_that_wrap_to_0(struct buffer *out)
{
    ONE(64, "t", 2, {(uint64_t)1 << 32, (uint64_t)1 << 32}, I8, 0);
}

static void dimension_that_no_manifest_holds(struct buffer *out)
{
    ONE(64, "t", 2, {0, (uint64_t)1 << 53}, I8, 0);
}

/* CVE-2026-7482: data behind the end of the file. */
static void offset_past_the_end(struct buffer *out)
{
    ONE(64, "t", 1, {16}, F32, 1 << 20);
}

static void size_past_the_end(struct buffer *out)
{
    ONE(64, "t", 1, {17}, F32, 0);
}

static void offset_of_all_bytes(struct buffer *out)
{
    ONE(64, "t", 1, {16}, F32, UINT64_MAX - 31);
}

static void hole_between_tensors(struct buffer *out)
{
    put_start(out, 2, 0);
    TENSOR("one", 1, {8}, F32, 0);
    TENSOR("two", 1, {8}, F32, 64);
    put_data(out, 32, 96);
}

static void tensors_that_overlap(struct buffer *out)
{
    put_start(out, 2, 0);
    TENSOR("one", 1, {8}, F32, 0);
    TENSOR("two", 1, {8}, F32, 0);
    put_data(out, 32, 64);
}

/* CVE-2025-53630, CVE-2026-27940: each size fits, the sum wraps. */
static void sum_that_wraps(struct buffer *out)
{
    put_start(out, 17, 0);
    for (uint64_t i = 0; i < 17; i++) {
        char name[] = {'t', (char)('a' + i), '\0'};
        TENSOR(name, 2, {(uint64_t)1 << 30, (uint64_t)1 << 30}, I8, i << 60);
    }
    put_data(out, 32, 64);
}

/* llama.cpp PR 24759: the sum fits, and padding it wraps to 0. The last one has 2^60 - 8 bytes. */
static void padding_that_wraps(struct buffer *out)
{
    put_start(out, 17, 0);
    for (uint64_t i = 0; i < 15; i++) {
        char name[] = {'t', (char)('a' + i), '\0'};
        TENSOR(name, 2, {(uint64_t)1 << 30, (uint64_t)1 << 30}, I8, i << 60);
    }
    TENSOR("last", 2, {56 * 32377, UINT64_C(524287) * 1212847}, I8, UINT64_C(15) << 60);
    TENSOR("behind", 1, {1}, I8, 0);
    put_data(out, 32, 64);
}

/* Nothing is missing but the place that the empty tensor claims to have. */
static void empty_tensor_behind_the_end(struct buffer *out)
{
    put_start(out, 1, 0);
    TENSOR("t", 1, {0}, F32, 0);
}

static void bytes_behind_the_last_tensor(struct buffer *out)
{
    ONE(64 + 1, "t", 1, {16}, F32, 0);
}

static void bytes_behind_no_tensor(struct buffer *out)
{
    put_start(out, 0, 0);
    put_data(out, 32, 1);
}

static const struct {
    void (*make)(struct buffer *out);
    const char *why;
} attacks[] = {
    {no_magic, "does not start with"},
    {version_0, "version 0"},
    {version_1, "version 1"},
    {version_4, "version 4"},
    {big_endian, "big-endian"},
    {tensors_beyond_counting, "18446744073709551615 tensors"},
    {tensors_beyond_the_bytes, "164 tensors, and room for 163"},
    {keys_beyond_counting, "9223372036854775808 keys"},
    {text_of_all_bytes, "a text of 18446744073709551615 bytes"},
    {text_longer_than_the_file, "the file ends"},
    {key_longer_than_keys_are, "a text of 65536 bytes"},
    {array_that_wraps, "an array of 2305843009213693953 items"},
    {array_of_too_many_numbers, "an array of 1073741824 items"},
    {array_of_too_many_texts, "an array of 9 items"},
    {array_of_texts_that_ends, "the file ends"},
    {array_of_arrays, "an array of arrays"},
    {array_of_unknown_type, "type 13"},
    {value_of_unknown_type, "type 4294967295"},
    {two_equal_keys, "two keys"},
    {two_alignments, "two keys"},
    {key_without_name, "empty or not UTF-8"},
    {key_that_is_not_utf8, "empty or not UTF-8"},
    {key_with_nul, "empty or not UTF-8"},
    {alignment_0, "an alignment of 0"},
    {alignment_48, "an alignment of 48"},
    {alignment_1_gib, "an alignment of 1073741824"},
    {alignment_of_64_bits, "no 32-bit number"},
    {tensor_without_name, "empty or not UTF-8"},
    {tensor_name_of_64_bytes, "a text of 64 bytes"},
    {tensor_name_that_is_not_utf8, "empty or not UTF-8"},
    {tensor_name_with_nul, "empty or not UTF-8"},
    {two_equal_tensors, "two tensors"},
    {five_dimensions, "5 dimensions"},
    {dimensions_beyond_counting, "4294967295 dimensions"},
    {elements_that_turn_negative, "more than fits"},
    {bytes_that_wrap, "more than fits"},
    {row_that_wraps_to_0, "more than fits"},
    {elements_that_wrap_to_0, "more than fits"},
    {dimension_that_no_manifest_holds, "over 2^53 - 1"},
    {offset_past_the_end, "at offset 1048576 instead of 0"},
    {size_past_the_end, "need 68 bytes of data, and the file has 64"},
    {offset_of_all_bytes, "instead of 0"},
    {hole_between_tensors, "at offset 64 instead of 32"},
    {tensors_that_overlap, "at offset 0 instead of 32"},
    {sum_that_wraps, "tensor 15 ends beyond 2^64"},
    {padding_that_wraps, "tensor 15 ends beyond 2^64"},
    {empty_tensor_behind_the_end, "ends before its data starts"},
    {bytes_behind_the_last_tensor, "need 64 bytes of data, and the file has 65"},
    {bytes_behind_no_tensor, "need 0 bytes of data, and the file has 1"},
};

static void attacks_are_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        attacks[i].make(&file);
        assert_refused(gguf_read, file.bytes, file.size_bytes, attacks[i].why);
    }
}

static void truly_damaged_file_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    read_model_vector("corrupted_utf8_ggml-vocab-bert-bge.gguf", &file);
    assert_refused(gguf_read, file.bytes, file.size_bytes, "GGUF: ");
}

static void assert_prefix_refused(const struct buffer *file, size_t length)
{
    assert_refused(gguf_read, file->bytes, length, "GGUF: ");
}

static void every_prefix_of_a_small_file_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_good_file(&file, 3);
    for (size_t length = 0; length < file.size_bytes - 48; length++) /* 48: the last padding */
        assert_prefix_refused(&file, length);
}

/* Its description is 700 kB, so: all of the start and the end of it, and samples between. */
static void prefixes_of_a_real_file_are_refused(void **state)
{
    enum { DATA_START = 724416 };
    CLEANUP(buffer_clear) struct buffer file = {0};
    read_model_vector("ollama_llama-2-tiny-random.gguf", &file);
    for (size_t length = 0; length < 2000; length++)
        assert_prefix_refused(&file, length);
    for (size_t length = 2000; length < DATA_START; length += 3001)
        assert_prefix_refused(&file, length);
    for (size_t length = DATA_START - 800; length < DATA_START + 40; length++)
        assert_prefix_refused(&file, length);
    assert_prefix_refused(&file, file.size_bytes - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_are_refused),
        cmocka_unit_test(truly_damaged_file_is_refused),
        cmocka_unit_test(every_prefix_of_a_small_file_is_refused),
        cmocka_unit_test(prefixes_of_a_real_file_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
