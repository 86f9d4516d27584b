/* Published vectors, computed where the bytes are: fs-verity digests and Tink's streams. Origins:
 * tests/vectors/README.md. */
#include "check_files.h"

#include <openssl/evp.h>

#include "device_check.h"

#include "base/json.h"
#include "crypto/hash.h"

struct device_under_test under_test;

static uint8_t *shake(const char *seed, size_t size_bytes)
{
    uint8_t *out = malloc(size_bytes + 1);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_non_null(out);
    assert_int_equal(EVP_DigestInit_ex(context, EVP_shake128(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(context, seed, strlen(seed)), 1);
    if (size_bytes > 0)
        assert_int_equal(EVP_DigestFinalXOF(context, out, size_bytes), 1);
    EVP_MD_CTX_free(context);
    return out;
}

static json_t *read_vectors(const char *path)
{
    json_t *vectors;
    struct buffer text = get_file(path);
    assert_ok(json_parse(text.bytes, text.size_bytes, &vectors, &err), &err);
    buffer_clear(&text);
    return vectors;
}

static bool check_verity(const json_t *vector)
{
    const char *alg, *salt, *data, *expected;
    char seed[64];
    int block_size, size;
    uint8_t digest[32], one_byte, *bytes = &one_byte;
    assert_int_equal(json_unpack((json_t *)(uintptr_t)vector, "{s:s,s:i,s:s,s:i,s:s,s:s}", "alg",
                                 &alg, "block_size", &block_size, "salt", &salt, "size", &size,
                                 "data", &data, "digest", &expected),
                     0);
    if (strcmp(alg, "sha256") != 0 || block_size != 4096 || salt[0] != '\0' || size == 0)
        return false;
    if (sscanf(data, "shake128('%63[^']')", seed) == 1)
        bytes = shake(seed, (size_t)size);
    else
        assert_result(LETHE_OK, hex_decode(data, strlen(data), &one_byte, 1));
    struct device_memory *memory = memory_of((uint64_t)size);
    put(memory, 0, bytes, (uint64_t)size);
    assert_ok(device_digest(memory, DEVICE_FSVERITY, 1, digest, &err), &err);
    assert_hex(expected, digest, sizeof digest);
    free_ok(memory);
    if (bytes != &one_byte)
        free(bytes);
    return true;
}

static void fsverity_digests(void **state)
{
    json_t *vectors = read_vectors(TEST_VECTORS "/fsverity/vectors.json"), *vector;
    size_t index, checked = 0;
    json_array_foreach(vectors, index, vector)
    {
        checked += check_verity(vector);
    }
    assert_int_equal(checked, 7); /* all but that of an empty file */
    json_decref(vectors);
}

static struct vector hex_of(const json_t *vector, const char *name)
{
    return unhex(json_string_value(json_object_get(vector, name)));
}

/* The streaming format by hand: HKDF for the key; header 1 + 32 + 7; nonce prefix || be32 index ||
 * last. */
static void check_stream(const json_t *vector, size_t plain_bytes, size_t segment_bytes)
{
    struct vector key = hex_of(vector, "key"), salt = hex_of(vector, "salt"),
                  aad = hex_of(vector, "aad"), prefix = hex_of(vector, "nonce_prefix");
    const char *text = json_string_value(json_object_get(vector, "ciphertext"));
    uint8_t derived[32], *cipher = malloc(strlen(text) / 2 + 1);
    const struct hkdf_input input = {.hash = HKDF_SHA256,
                                     .key = key.bytes,
                                     .key_bytes = key.size_bytes,
                                     .salt = salt.bytes,
                                     .salt_bytes = salt.size_bytes,
                                     .info = aad.bytes,
                                     .info_bytes = aad.size_bytes};
    assert_ok(hkdf(&input, derived, sizeof derived, &err), &err);
    assert_result(LETHE_OK, hex_decode(text, strlen(text), cipher, strlen(text) / 2));

    static struct device_segment segments[64];
    static uint8_t nonces[64][12];
    size_t count = 0, at = 40, first = segment_bytes - 40 - 16, done = 0;
    do {
        const size_t size = MIN(plain_bytes - done, count == 0 ? first : segment_bytes - 16);
        assert_true(count < ARRAY_LEN(segments));
        memcpy(nonces[count], prefix.bytes, 7);
        nonces[count][9] = 0;
        nonces[count][10] = (uint8_t)count;
        nonces[count][11] = done + size == plain_bytes;
        segments[count] = (struct device_segment){.nonce = nonces[count],
                                                  .cipher = cipher + at,
                                                  .plain_bytes = size,
                                                  .offset_bytes = done};
        at += size + 16;
        done += size;
        count++;
    } while (done < plain_bytes);

    char seed[64];
    snprintf(seed, sizeof seed, "tink-ref%zu", plain_bytes);
    uint8_t *expected = shake(seed, plain_bytes), *got = malloc(plain_bytes + 1);
    struct device_memory *memory = memory_of(MAX(plain_bytes, 1));
    struct device_key *device_key = key_of(derived);
    assert_ok(device_open_segments(memory, device_key, segments, count, NULL, &err), &err);
    assert_ok(device_read(memory, 0, got, plain_bytes, &err), &err);
    assert_memory_equal(got, expected, plain_bytes);
    device_key_free(device_key);
    free_ok(memory);
    free(expected);
    free(got);
    free(cipher);
}

static void tink_streams(void **state)
{
    json_t *all = read_vectors(TEST_VECTORS "/tink/vectors.json"), *vector;
    size_t index, checked = 0;
    json_array_foreach(json_object_get(all, "vectors"), index, vector)
    {
        const char *hash = json_string_value(json_object_get(vector, "hash"));
        if (strcmp(hash, "SHA256") != 0 || json_object_get(vector, "ciphertext") == NULL ||
            json_integer_value(json_object_get(vector, "derived_key_size")) != 32)
            continue;
        check_stream(vector, (size_t)json_integer_value(json_object_get(vector, "plaintext_size")),
                     (size_t)json_integer_value(json_object_get(vector, "segment_size")));
        checked++;
    }
    printf("%zu streams\n", checked);
    assert_true(checked >= 5);
    json_decref(all);
}

static int open_device(void **state)
{
    return start_crypto(state) == 0 &&
                   device_open(under_test.kind, 0, &under_test.device, &err) == LETHE_OK
               ? 0
               : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fsverity_digests),
                                       cmocka_unit_test(tink_streams)};
    int failed = 0;
    for (size_t kind = 0; kind < DEVICE_KINDS; kind++) {
        under_test = (struct device_under_test){.kind = (enum lethe_device_kind)kind};
        failed += cmocka_run_group_tests(tests, open_device, NULL);
    }
    return failed;
}
