/* safetensors: real files as another reader sees them, and headers that lie. */
#include "tensor_files.h"

#include <time.h>

static void put_file(struct buffer *out, const char *json, size_t data_bytes)
{
    uint64_t header_bytes = strlen(json);
    buffer_append(out, &header_bytes, sizeof header_bytes); /* x86-64 is little-endian, as it is */
    buffer_text(out, json);
    for (size_t i = 0; i < data_bytes; i++)
        buffer_byte(out, 0x5a);
}

static void list_of(const char *json, size_t data_bytes, struct tensor_list *list)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_file(&file, json, data_bytes);
    assert_ok(read_exact(safetensors_read, file.bytes, file.size_bytes, list, &err), &err);
}

/* ---- files that are fine --------------------------------------------------------------------- */

static void real_files_as_another_reader_lists_them(void **state)
{
    assert_list_of_vector(safetensors_read, "silero_vad_16k.safetensors");
    assert_list_of_vector(safetensors_read, "model2vec_test-model-float16_model.safetensors");
    assert_list_of_vector(safetensors_read, "model2vec_test-model-int8_model.safetensors");
}

static void tensors_come_in_the_order_of_their_data(void **state)
{
    static const char json[] =
        "{\"late\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[2,26]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[2,2]},"
        "\"early\":{\"data_offsets\":[0,2],\"shape\":[],\"dtype\":\"BF16\"}}   ";
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    list_of(json, 26, &list);
    assert_int_equal(list.type, MODEL_FILE_SAFETENSORS);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.tensors[0].name, "early");
    assert_string_equal(list.tensors[0].dtype, "BF16");
    assert_int_equal(list.tensors[0].dimensions, 0);
    assert_int_equal(list.tensors[0].begin, 8 + sizeof json - 1);
    assert_string_equal(list.tensors[1].name, "none");
    assert_string_equal(list.tensors[2].name, "late");
    assert_int_equal(list.tensors[2].shape[0], 2);
    assert_int_equal(list.tensors[2].shape[1], 3);
    assert_int_equal(list.tensors[2].end, 8 + sizeof json - 1 + 26);
}

static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},    {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"I64", 64},    {"U64", 64},
    {"F64", 64},        {"C64", 64},
};

static void every_dtype_has_its_bits(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        CLEANUP(tensor_list_clear) struct tensor_list list = {0};
        char json[200];
        unsigned bytes = 4 * dtypes[i].bits / 8;
        snprintf(json, sizeof json,
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%u]}}", dtypes[i].name,
                 bytes);
        list_of(json, bytes, &list);
        assert_string_equal(list.tensors[0].dtype, dtypes[i].name);
    }
}

static void a_file_without_tensors_is_fine(void **state)
{
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    list_of("{}", 0, &list);
    assert_int_equal(list.count, 0);
    list_of("{\"__metadata__\":{}}", 0, &list);
    assert_int_equal(list.count, 0);
}

/* ---- attacks --------------------------------------------------------------------------------- */

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define TENSOR(name, dtype, shape, offsets) "\"" name "\":" ENTRY(dtype, shape, offsets)

static const struct {
    const char *json;
    size_t data_bytes;
    const char *why;
} attacks[] = {
    /* the frame */
    {"", 0, "no JSON object"},
    {"   ", 0, "no JSON object"},
    {" {}", 0, "no JSON object"},
    {"[]", 0, "no JSON object"},
    {"{}\n", 0, "no JSON object"},
    {"{} {}", 0, "more text behind"},
    {"{\"t\":", 0, "no JSON object"},
    {"{\"t\"}", 0, "not valid JSON"},
    {"{\"t\xff\":{}}", 0, "not UTF-8"},
    {"{\"\\ud800\":{}}", 0, "JSON"},
    {"{\"t\\u0000\":{}}", 0, "NUL"},
    {"{" TENSOR("t", "U8", "[1]", "[0,1]") "," TENSOR("t", "U8", "[1]", "[1,2]") "}", 2,
     "a name that the object has already"},
    {"{\"t\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "a name that the object has already"},
    /* entries */
    {"{\"t\":[]}", 0, "not a JSON object"},
    {"{\"t\":null}", 0, "not a JSON object"},
    {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "\"data_offsets\" is missing"},
    {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, "does not know"},
    {"{" TENSOR("t", "Q4_0", "[1]", "[0,1]") "}", 1, "unknown dtype"},
    {"{" TENSOR("t", "f32", "[1]", "[0,4]") "}", 4, "unknown dtype"},
    {"{" TENSOR("", "U8", "[1]", "[0,1]") "}", 1, "this one has none"},
    /* shapes */
    {"{" TENSOR("t", "U8", "[-1]", "[0,1]") "}", 1, "natural numbers"},
    {"{" TENSOR("t", "U8", "[1.0]", "[0,1]") "}", 1, "natural numbers"},
    {"{" TENSOR("t", "U8", "[\"1\"]", "[0,1]") "}", 1, "natural numbers"},
    {"{" TENSOR("t", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "natural numbers"},
    {"{" TENSOR("t", "U8", "[18446744073709551616]", "[0,1]") "}", 1, "too large"},
    {"{" TENSOR("t", "U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "do not take 0 bytes"},
    {"{" TENSOR("t", "F64", "[2305843009213693952,9]", "[0,0]") "}", 0, "do not take 0 bytes"},
    {"{" TENSOR("t", "F64", "[9,2305843009213693952]", "[0,0]") "}", 0, "do not take 0 bytes"},
    {"{" TENSOR("t", "U8", "[9007199254740992,0]", "[0,0]") "}", 0, "over 2^53 - 1"},
    {"{" TENSOR("t", "F32", "[2]", "[0,4]") "}", 4, "do not take 4 bytes"},
    {"{" TENSOR("t", "F4", "[3]", "[0,1]") "}", 1, "do not take 1 bytes"},
    {"{" TENSOR("t", "F6_E2M3", "[2]", "[0,1]") "}", 1, "do not take 1 bytes"},
    /* offsets */
    {"{" TENSOR("t", "U8", "[1]", "[0]") "}", 1, "no range"},
    {"{" TENSOR("t", "U8", "[1]", "[0,1,2]") "}", 1, "no range"},
    {"{" TENSOR("t", "U8", "[1]", "[1,0]") "}", 1, "no range"},
    {"{" TENSOR("t", "U8", "[1]", "[-1,0]") "}", 1, "no range"},
    {"{" TENSOR("t", "U8", "[1]", "[1,2]") "}", 2, "a hole before offset 1"},
    {"{" TENSOR("a", "U8", "[2]", "[0,2]") "," TENSOR("b", "U8", "[1]", "[3,4]") "}", 4,
     "a hole before offset 3"},
    {"{" TENSOR("a", "U8", "[2]", "[0,2]") "," TENSOR("b", "U8", "[2]", "[1,3]") "}", 3,
     "two tensors overlap before offset 2"},
    {"{" TENSOR("a", "U8", "[2]", "[0,2]") "," TENSOR("b", "U8", "[2]", "[0,2]") "}", 2,
     "two tensors overlap"},
    {"{" TENSOR("t", "U8", "[9]", "[0,9]") "}", 8, "take 9 bytes of data, and the file has 8"},
    {"{" TENSOR("t", "U8", "[9]", "[0,9]") "}", 10, "take 9 bytes of data, and the file has 10"},
    {"{}", 1, "take 0 bytes of data, and the file has 1"},
    {"{" TENSOR("t", "U8", "[9223372036854775807]", "[0,9223372036854775807]") "}", 8,
     "do not take"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, "__metadata__ is no object"},
    {"{\"__metadata__\":\"pt\"}", 0, "__metadata__ is no object"},
    {"{\"__metadata__\":{\"format\":1}}", 0, "something else than text"},
    {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "something else than text"},
    {"{\"__metadata__\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, "something else than text"},
};

static void attacks_are_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        put_file(&file, attacks[i].json, attacks[i].data_bytes);
        assert_refused(safetensors_read, file.bytes, file.size_bytes, attacks[i].why);
    }
}

static void header_sizes_are_not_believed(void **state)
{
    static const struct {
        uint64_t header_bytes;
        const char *why;
    } lies[] = {
        {3, "the file has 2 left"},
        {SAFETENSORS_HEADER_MAX, "the file has 2 left"},
        {(uint64_t)SAFETENSORS_HEADER_MAX + 1, "where 100000000 are allowed"},
        {UINT64_MAX, "a header of 18446744073709551615 bytes"},
        {UINT64_MAX - 7, "a header of"}, /* plus 8 is 0 */
        {0, "no JSON object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        CLEANUP(buffer_clear) struct buffer file = {0};
        put_file(&file, "{}", 0);
        memcpy(file.bytes, &lies[i].header_bytes, 8);
        assert_refused(safetensors_read, file.bytes, file.size_bytes, lies[i].why);
    }
}

static void put_many(struct buffer *out, const char *text, size_t count)
{
    while (count-- > 0)
        buffer_text(out, text);
}

static void deep_json_is_refused_before_it_is_parsed(void **state)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_many(&json, "{\"t\":", 1000000);
    put_many(&json, "}", 1000000);
    put_file(&file, json.bytes, 0);
    assert_refused(safetensors_read, file.bytes, file.size_bytes, "nested too deeply");
}

/* A tree is up to a hundred times its text: 20 MB of empty objects must not become 1.5 GB. */
static void bloated_json_is_refused_before_it_is_parsed(void **state)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    CLEANUP(buffer_clear) struct buffer file = {0};
    buffer_text(&json, "{\"t\":[{}");
    put_many(&json, ",{}", 6000000);
    buffer_text(&json, "]}");
    put_file(&file, json.bytes, 0);
    assert_refused(safetensors_read, file.bytes, file.size_bytes, "too many values");
}

static void names_over_the_limit_are_refused(void **state)
{
    for (size_t length = TENSOR_NAME_MAX; length <= TENSOR_NAME_MAX + 1; length++) {
        struct lethe_error err = {0};
        CLEANUP(buffer_clear) struct buffer json = {0};
        CLEANUP(buffer_clear) struct buffer file = {0};
        CLEANUP(tensor_list_clear) struct tensor_list list = {0};
        buffer_text(&json, "{\"");
        put_many(&json, "n", length);
        buffer_text(&json, "\":" ENTRY("U8", "[1]", "[0,1]") "}");
        put_file(&file, json.bytes, 1);
        assert_result(length > TENSOR_NAME_MAX ? LETHE_MALFORMED : LETHE_OK,
                      read_exact(safetensors_read, file.bytes, file.size_bytes, &list, &err));
    }
}

static void every_prefix_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    put_file(&file,
             "{" TENSOR("a", "F32", "[2,3]", "[0,24]") "," TENSOR("b", "U8", "[2]", "[24,26]") "}",
             26);
    for (size_t length = 0; length < file.size_bytes; length++)
        assert_refused(safetensors_read, file.bytes, length, "safetensors");
}

static void real_file_cut_or_extended_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer file = {0};
    read_model_vector("silero_vad_16k.safetensors", &file);
    for (size_t cut = 1; cut < file.size_bytes; cut = cut * 2 + 1)
        assert_refused(safetensors_read, file.bytes, file.size_bytes - cut, "safetensors");
    buffer_byte(&file, 0);
    assert_refused(safetensors_read, file.bytes, file.size_bytes, "the file has");
}

/* Comparing every name with every other would take minutes here. */
static void time_does_not_grow_with_the_square(void **state)
{
    enum { COUNT = 100000 };
    CLEANUP(buffer_clear) struct buffer json = {0};
    CLEANUP(tensor_list_clear) struct tensor_list list = {0};
    for (unsigned i = 0; i < COUNT; i++)
        buffer_format(&json, "%s\"layers.%u.weight\":" ENTRY("U8", "[1]", "[%u,%u]"),
                      i == 0 ? "{" : ",", i, COUNT - i - 1, COUNT - i);
    buffer_text(&json, "}");
    clock_t start = clock();
    list_of(json.bytes, COUNT, &list);
    assert_int_equal(list.count, COUNT);
    assert_string_equal(list.tensors[0].name, "layers.99999.weight");
    assert_true((clock() - start) / CLOCKS_PER_SEC < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_files_as_another_reader_lists_them),
        cmocka_unit_test(tensors_come_in_the_order_of_their_data),
        cmocka_unit_test(every_dtype_has_its_bits),
        cmocka_unit_test(a_file_without_tensors_is_fine),
        cmocka_unit_test(attacks_are_refused),
        cmocka_unit_test(header_sizes_are_not_believed),
        cmocka_unit_test(deep_json_is_refused_before_it_is_parsed),
        cmocka_unit_test(bloated_json_is_refused_before_it_is_parsed),
        cmocka_unit_test(names_over_the_limit_are_refused),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(real_file_cut_or_extended_is_refused),
        cmocka_unit_test(time_does_not_grow_with_the_square),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
