/* Tink Streaming AEAD: the official vectors, vectors that Tink's Go library agrees with, and what
 * must be refused. Origin of the vectors: tests/vectors/README.md. */
#include "check.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "model/tink.h"

struct bytes {
    uint8_t *at;
    size_t size;
};

static struct lethe_error err;

static struct bytes bytes_of(size_t size)
{
    struct bytes b = {.at = malloc(size + 1), .size = size};
    assert_non_null(b.at);
    return b;
}

static struct bytes from_hex(const json_t *text)
{
    struct bytes b = bytes_of(json_string_length(text) / 2);
    assert_result(LETHE_OK,
                  hex_decode(json_string_value(text), json_string_length(text), b.at, b.size));
    return b;
}

/* SHAKE128("tink-ref" || decimal size), size bytes: the plaintext of vectors.json. */
static struct bytes reference_plaintext(size_t size)
{
    char seed[64];
    int length = snprintf(seed, sizeof seed, "tink-ref%zu", size);
    struct bytes b = bytes_of(size);
    EVP_MD_CTX *shake = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(shake, EVP_shake128(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(shake, seed, (size_t)length), 1);
    if (size > 0)
        assert_int_equal(EVP_DigestFinalXOF(shake, b.at, size), 1);
    EVP_MD_CTX_free(shake);
    return b;
}

/* Gives salt and nonce prefix of a vector in place of random bytes. */
static lethe_result give_known(void *context, void *out, size_t size_bytes)
{
    const struct bytes *known = context;
    assert_int_equal(size_bytes, known->size);
    memcpy(out, known->at, size_bytes);
    return LETHE_OK;
}

struct stream_case {
    struct tink_parameters parameters;
    struct bytes key;
    struct bytes aad;
};

static struct lethe_secret *secret_of(const struct bytes *bytes)
{
    struct lethe_secret *secret;
    assert_ok(lethe_secret_create(bytes->size, &secret, &err), &err);
    memcpy(lethe_secret_bytes(secret), bytes->at, bytes->size);
    return secret;
}

static struct bytes seal(const struct stream_case *c, const struct bytes *known,
                         const struct bytes *plain)
{
    struct lethe_secret *key = secret_of(&c->key);
    const struct tink_binding binding = {.key = key, .aad = c->aad.at, .aad_bytes = c->aad.size};
    const struct random_source random = {.fill = give_known, .context = (void *)known};
    uint64_t size;
    assert_result(LETHE_OK, tink_cipher_size(&c->parameters, plain->size, &size));
    struct bytes cipher = bytes_of(size);
    uint8_t header[TINK_HEADER_MAX];
    struct tink_stream *stream;
    assert_ok(tink_seal_begin(&c->parameters, &binding, &random, header, &stream, &err), &err);
    lethe_secret_free(key);
    memcpy(cipher.at, header, tink_header_bytes(&c->parameters));
    for (uint64_t i = 0; i < tink_segment_count(&c->parameters, plain->size); i++) {
        struct tink_segment segment = tink_segment_at(&c->parameters, plain->size, i);
        assert_result(LETHE_OK,
                      tink_seal_segment(stream, &segment, plain->at + segment.plain_offset,
                                        cipher.at + segment.cipher_offset));
    }
    tink_stream_free(stream);
    return cipher;
}

/* As a reader that knows nothing but the ciphertext. `plain` is allocated when LETHE_OK. */
static lethe_result open_stream(const struct stream_case *c, const struct bytes *cipher,
                                struct bytes *plain)
{
    uint64_t size;
    TRY(tink_plain_size(&c->parameters, cipher->size, &size));
    struct lethe_secret *key = secret_of(&c->key);
    const struct tink_binding binding = {.key = key, .aad = c->aad.at, .aad_bytes = c->aad.size};
    struct tink_stream *stream = NULL;
    lethe_result result = tink_open_begin(&c->parameters, &binding, cipher->at, &stream, &err);
    lethe_secret_free(key);
    TRY(result);
    *plain = bytes_of(size);
    for (uint64_t i = 0; result == LETHE_OK && i < tink_segment_count(&c->parameters, size); i++) {
        struct tink_segment segment = tink_segment_at(&c->parameters, size, i);
        result = tink_open_segment(stream, &segment, cipher->at + segment.cipher_offset,
                                   plain->at + segment.plain_offset);
        if (result != LETHE_OK)
            assert_true(lethe_is_zero(plain->at + segment.plain_offset, segment.plain_bytes));
    }
    tink_stream_free(stream);
    if (result != LETHE_OK)
        free(plain->at);
    return result;
}

static json_t *read_vectors(const char *path)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    json_t *root;
    assert_ok(file_read_all(AT_FDCWD, path, 1 << 20, &text, &err), &err);
    assert_ok(json_parse(text.bytes, text.size_bytes, &root, &err), &err);
    return root;
}

static uint32_t number(const json_t *vector, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(vector, name));
}

static struct stream_case case_of(const json_t *vector)
{
    const char *hash = json_string_value(json_object_get(vector, "hash"));
    const json_t *derived = json_object_get(vector, "derived_key_size");
    return (struct stream_case){
        .parameters = {.segment_bytes = number(vector, "segment_size"),
                       .derived_key_bytes =
                           derived != NULL ? number(vector, "derived_key_size") : 32,
                       .hash = hash == NULL || strcmp(hash, "SHA256") == 0 ? HKDF_SHA256
                               : strcmp(hash, "SHA512") == 0               ? HKDF_SHA512
                                                                           : HKDF_SHA1},
        .key = from_hex(json_object_get(vector, "key")),
        .aad = from_hex(json_object_get(vector, "aad")),
    };
}

static void case_free(struct stream_case *c)
{
    free(c->key.at);
    free(c->aad.at);
}

static void assert_sha256(const json_t *vector, const struct bytes *cipher)
{
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    sha256(cipher->at, cipher->size, digest);
    hex_encode(digest, sizeof digest, hex);
    assert_string_equal(hex, json_string_value(json_object_get(vector, "ciphertext_sha256")));
}

static void assert_bytes_equal(const struct bytes *a, const struct bytes *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->at, b->at, a->size);
}

/* Sealing with the vector's salt and prefix gives its bytes; opening them gives the plaintext. */
static struct bytes both_ways(const struct stream_case *c, const struct bytes *known,
                              const struct bytes *plain)
{
    struct bytes cipher = seal(c, known, plain);
    struct bytes opened;
    assert_result(LETHE_OK, open_stream(c, &cipher, &opened));
    assert_bytes_equal(&opened, plain);
    free(opened.at);
    return cipher;
}

static struct bytes concatenate(const struct bytes *a, const struct bytes *b)
{
    struct bytes joined = bytes_of(a->size + b->size);
    memcpy(joined.at, a->at, a->size);
    memcpy(joined.at + a->size, b->at, b->size);
    return joined;
}

static void official_vectors_both_ways(void **state)
{
    json_t *root = read_vectors(TEST_VECTORS "/tink/tink_official.json");
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        struct stream_case c = case_of(vector);
        struct bytes expected = from_hex(json_object_get(vector, "ciphertext"));
        struct bytes plain = from_hex(json_object_get(vector, "plaintext"));
        const struct bytes known = {.at = expected.at + 1,
                                    .size = tink_header_bytes(&c.parameters) - 1};
        struct bytes cipher = both_ways(&c, &known, &plain);
        assert_bytes_equal(&cipher, &expected);
        free(cipher.at);
        free(plain.at);
        free(expected.at);
        case_free(&c);
    }
    assert_int_equal(i, 8);
    json_decref(root);
}

static void vectors_both_ways(void **state)
{
    json_t *root = read_vectors(TEST_VECTORS "/tink/vectors.json");
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        struct stream_case c = case_of(vector);
        struct bytes salt = from_hex(json_object_get(vector, "salt"));
        struct bytes prefix = from_hex(json_object_get(vector, "nonce_prefix"));
        struct bytes known = concatenate(&salt, &prefix);
        struct bytes plain = reference_plaintext(number(vector, "plaintext_size"));
        struct bytes cipher = both_ways(&c, &known, &plain);
        assert_int_equal(cipher.size, number(vector, "ciphertext_size"));
        assert_sha256(vector, &cipher);
        free(cipher.at);
        free(plain.at);
        free(known.at);
        free(prefix.at);
        free(salt.at);
        case_free(&c);
    }
    assert_int_equal(i, 59);
    json_decref(root);
}

/* ---- what must be refused -------------------------------------------------------------------- */

static void flip_at(struct bytes *b, size_t at, uint8_t bits)
{
    b->at[at] ^= bits;
}

static void cut_to(struct bytes *b, size_t size)
{
    b->size = size;
}

/* Each builds the case of vectors.json from a good stream of four segments of 4096 bytes. */
static void truncate_last_byte(struct bytes *b)
{
    cut_to(b, b->size - 1);
}
static void drop_last_segment(struct bytes *b)
{
    cut_to(b, 3 * 4096);
}
static void drop_to_first(struct bytes *b)
{
    cut_to(b, 4096);
}
static void append_byte(struct bytes *b)
{
    b->at[b->size++] = 0;
}
static void change_header_length(struct bytes *b)
{
    flip_at(b, 0, 1);
}
static void flip_salt(struct bytes *b)
{
    flip_at(b, 5, 1);
}
static void flip_prefix(struct bytes *b)
{
    flip_at(b, 35, 1);
}
static void swap_segments(struct bytes *b)
{
    uint8_t kept[4096];
    memcpy(kept, b->at + 4096, 4096);
    memcpy(b->at + 4096, b->at + 2 * 4096, 4096);
    memcpy(b->at + 2 * 4096, kept, 4096);
}
static void flip_tag(struct bytes *b)
{
    flip_at(b, 2 * 4096 - 1, 1);
}
static void flip_body(struct bytes *b)
{
    flip_at(b, 2 * 4096 + 9, 0x80);
}
static void header_only(struct bytes *b)
{
    cut_to(b, 40);
}
static void header_and_15(struct bytes *b)
{
    cut_to(b, 55);
}
static void nothing(struct bytes *b)
{
    cut_to(b, 0);
}
static void duplicate_last(struct bytes *b)
{
    size_t last = b->size - 3 * 4096;
    memcpy(b->at + b->size, b->at + 3 * 4096, last);
    b->size += last;
}
static void remove_middle(struct bytes *b)
{
    memmove(b->at + 4096, b->at + 2 * 4096, b->size - 2 * 4096);
    b->size -= 4096;
}

static const struct {
    const char *name;
    void (*change)(struct bytes *b);
} changes[] = {
    {"truncate last byte", truncate_last_byte},
    {"drop last segment", drop_last_segment},
    {"drop to segment boundary 1", drop_to_first},
    {"append byte", append_byte},
    {"header len byte", change_header_length},
    {"flip salt", flip_salt},
    {"flip prefix", flip_prefix},
    {"swap segments 1,2", swap_segments},
    {"flip tag seg 1", flip_tag},
    {"flip body seg 2", flip_body},
    {"header only", header_only},
    {"header+15", header_and_15},
    {"empty", nothing},
    {"duplicate last", duplicate_last},
    {"remove middle", remove_middle},
};

static void change_by_name(const char *name, struct bytes *b)
{
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        if (strcmp(changes[i].name, name) == 0) {
            changes[i].change(b);
            return;
        }
    }
    fail_msg("no such change: %s", name);
}

/* The digests show that these are the very bytes that Tink's Go library refuses, too. */
static void negative_vectors_are_refused(void **state)
{
    json_t *root = read_vectors(TEST_VECTORS "/tink/vectors.json");
    const json_t *base = json_object_get(root, "negative_base");
    struct stream_case c = case_of(base);
    struct bytes salt = from_hex(json_object_get(base, "salt"));
    struct bytes prefix = from_hex(json_object_get(base, "nonce_prefix"));
    struct bytes known = concatenate(&salt, &prefix);
    struct bytes plain = reference_plaintext(number(base, "plaintext_size"));
    struct bytes good = both_ways(&c, &known, &plain);
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(root, "negative"), i, vector)
    {
        struct bytes bad = bytes_of(2 * good.size);
        memcpy(bad.at, good.at, good.size);
        bad.size = good.size;
        change_by_name(json_string_value(json_object_get(vector, "name")), &bad);
        assert_int_equal(bad.size, number(vector, "size"));
        assert_sha256(vector, &bad);
        struct bytes opened;
        assert_result(LETHE_INTEGRITY, open_stream(&c, &bad, &opened));
        free(bad.at);
    }
    assert_int_equal(i, ARRAY_LEN(changes));
    free(good.at);
    free(plain.at);
    free(known.at);
    free(prefix.at);
    free(salt.at);
    case_free(&c);
    json_decref(root);
}

static const struct tink_parameters smallest = {
    .segment_bytes = 57, .derived_key_bytes = 32, .hash = HKDF_SHA256};

static struct stream_case small_case(void)
{
    struct stream_case c = {.parameters = smallest, .key = bytes_of(32), .aad = bytes_of(3)};
    memset(c.key.at, 7, c.key.size);
    memcpy(c.aad.at, "aad", 3);
    return c;
}

static struct bytes small_stream(const struct stream_case *c, size_t plain_bytes)
{
    struct bytes plain = bytes_of(plain_bytes);
    memset(plain.at, 'p', plain.size);
    struct bytes known = bytes_of(39);
    memset(known.at, 3, known.size);
    struct bytes cipher = both_ways(c, &known, &plain);
    free(known.at);
    free(plain.at);
    return cipher;
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    struct stream_case c = small_case();
    struct bytes cipher = small_stream(&c, 100);
    struct bytes opened;
    for (size_t bit = 0; bit < 8 * cipher.size; bit++) {
        cipher.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_result(LETHE_INTEGRITY, open_stream(&c, &cipher, &opened));
        cipher.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (struct bytes cut = {.at = cipher.at}; cut.size < cipher.size; cut.size++)
        assert_result(LETHE_INTEGRITY, open_stream(&c, &cut, &opened));
    assert_result(LETHE_OK, open_stream(&c, &cipher, &opened));
    free(opened.at);
    free(cipher.at);
    case_free(&c);
}

static void other_key_or_associated_data_is_refused(void **state)
{
    struct stream_case c = small_case();
    struct bytes cipher = small_stream(&c, 100);
    struct bytes opened;
    c.key.at[31] ^= 1;
    assert_result(LETHE_INTEGRITY, open_stream(&c, &cipher, &opened));
    c.key.at[31] ^= 1;
    c.aad.at[0] ^= 1;
    assert_result(LETHE_INTEGRITY, open_stream(&c, &cipher, &opened));
    c.aad.at[0] ^= 1;
    c.aad.size--;
    assert_result(LETHE_INTEGRITY, open_stream(&c, &cipher, &opened));
    free(cipher.at);
    case_free(&c);
}

/* A key holder can make a full segment that is not the last, and an empty last one: two streams for
 * one plaintext. Tink never writes it; other readers take it; we do not. */
static void empty_last_segment_is_refused(void **state)
{
    struct stream_case c = small_case();
    struct lethe_secret *key = secret_of(&c.key);
    const struct tink_binding binding = {.key = key, .aad = c.aad.at, .aad_bytes = c.aad.size};
    struct bytes cipher = bytes_of(57 + 16);
    struct tink_stream *stream;
    assert_ok(tink_seal_begin(&smallest, &binding, &random_system, cipher.at, &stream, &err), &err);
    const struct tink_segment full = {.plain_bytes = 1};
    const struct tink_segment empty = {.index = 1, .last = true};
    assert_result(LETHE_OK, tink_seal_segment(stream, &full, "p", cipher.at + 40));
    assert_result(LETHE_OK, tink_seal_segment(stream, &empty, "", cipher.at + 57));
    tink_stream_free(stream);

    struct bytes opened;
    assert_result(LETHE_INTEGRITY, open_stream(&c, &cipher, &opened));
    lethe_secret_free(key);
    free(cipher.at);
    case_free(&c);
}

static void short_keys_are_refused(void **state)
{
    struct stream_case c = small_case();
    c.key.size = 31;
    struct lethe_secret *key = secret_of(&c.key);
    const struct tink_binding binding = {.key = key};
    uint8_t header[TINK_HEADER_MAX] = {40};
    struct tink_stream *stream;
    assert_result(LETHE_INVALID,
                  tink_seal_begin(&smallest, &binding, &random_system, header, &stream, &err));
    assert_result(LETHE_INVALID, tink_open_begin(&smallest, &binding, header, &stream, &err));
    assert_null(stream);
    lethe_secret_free(key);
    case_free(&c);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void sizes_are_each_others_inverse(void **state)
{
    uint64_t cipher = 0;
    uint64_t plain = 0;
    for (uint64_t size = 0; size < 500; size++) {
        assert_result(LETHE_OK, tink_cipher_size(&smallest, size, &cipher));
        assert_result(LETHE_OK, tink_plain_size(&smallest, cipher, &plain));
        assert_int_equal(plain, size);
    }
    uint64_t reached = 0; /* every ciphertext size is some plaintext's, or refused */
    for (uint64_t size = 0; size <= cipher; size++) {
        if (tink_plain_size(&smallest, size, &plain) != LETHE_OK)
            continue;
        assert_int_equal(plain, reached++);
        uint64_t back;
        assert_result(LETHE_OK, tink_cipher_size(&smallest, plain, &back));
        assert_int_equal(back, size);
    }
    assert_int_equal(reached, 500);
}

static void segments_cover_everything_once(void **state)
{
    static const uint64_t sizes[] = {0, 1, 41, 42, 82, 83, 1000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        uint64_t plain = 0;
        uint64_t cipher = tink_header_bytes(&smallest);
        uint64_t count = tink_segment_count(&smallest, sizes[s]);
        for (uint64_t i = 0; i < count; i++) {
            struct tink_segment segment = tink_segment_at(&smallest, sizes[s], i);
            assert_int_equal(segment.plain_offset, plain);
            assert_int_equal(segment.cipher_offset, cipher);
            assert_int_equal(segment.last, i + 1 == count);
            plain += segment.plain_bytes;
            cipher += segment.cipher_bytes;
        }
        uint64_t expected;
        assert_result(LETHE_OK, tink_cipher_size(&smallest, sizes[s], &expected));
        assert_int_equal(plain, sizes[s]);
        assert_int_equal(cipher, expected);
    }
}

static void too_many_segments_are_refused(void **state)
{
    uint64_t most = TINK_SEGMENTS_MAX * (57 - 16) - 40;
    uint64_t size;
    assert_result(LETHE_OK, tink_cipher_size(&smallest, most, &size));
    assert_result(LETHE_OK, tink_plain_size(&smallest, size, &size));
    assert_int_equal(size, most);
    assert_result(LETHE_LIMIT, tink_cipher_size(&smallest, most + 1, &size));
    assert_result(LETHE_LIMIT, tink_cipher_size(&smallest, UINT64_MAX, &size));
    assert_result(LETHE_INTEGRITY, tink_plain_size(&smallest, UINT64_MAX, &size));
}

/* ---- keyset ---------------------------------------------------------------------------------- */

static void keyset_is_tinks(void **state)
{
    struct lethe_secret *key;
    struct lethe_secret *text;
    assert_ok(lethe_secret_create(32, &key, &err), &err);
    for (uint8_t i = 0; i < 32; i++)
        lethe_secret_bytes(key)[i] = i;
    assert_ok(tink_keyset_json(&tink_shard_parameters, key, &text, &err), &err);

    json_t *root;
    assert_ok(
        json_parse((const char *)lethe_secret_bytes(text), lethe_secret_size(text), &root, &err),
        &err);
    const json_t *entry = json_array_get(json_object_get(root, "key"), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "status")), "ENABLED");
    assert_string_equal(json_string_value(json_object_get(entry, "outputPrefixType")), "RAW");
    const json_t *data = json_object_get(entry, "keyData");
    assert_string_equal(json_string_value(json_object_get(data, "typeUrl")),
                        "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey");
    uint8_t proto[64];
    size_t size;
    const json_t *value = json_object_get(data, "value");
    assert_result(LETHE_OK, base64_decode(json_string_value(value), json_string_length(value),
                                          proto, sizeof proto, &size));
    /* params { segment 1048576, derived 32, SHA256 = 3 } key_value: 32 bytes */
    static const uint8_t head[] = {0x12, 8, 0x08, 0x80, 0x80, 0x40, 0x10, 32, 0x18, 3, 0x1a, 32};
    assert_int_equal(size, sizeof head + 32);
    assert_memory_equal(proto, head, sizeof head);
    assert_memory_equal(proto + sizeof head, lethe_secret_bytes(key), 32);
    json_decref(root);
    lethe_secret_free(text);
    lethe_secret_free(key);
}

static int start_crypto(void **state)
{
    return crypto_start(NULL) == LETHE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_vectors_both_ways),
        cmocka_unit_test(vectors_both_ways),
        cmocka_unit_test(negative_vectors_are_refused),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(other_key_or_associated_data_is_refused),
        cmocka_unit_test(empty_last_segment_is_refused),
        cmocka_unit_test(short_keys_are_refused),
        cmocka_unit_test(sizes_are_each_others_inverse),
        cmocka_unit_test(segments_cover_everything_once),
        cmocka_unit_test(too_many_segments_are_refused),
        cmocka_unit_test(keyset_is_tinks),
    };
    return cmocka_run_group_tests_name("tink", tests, start_crypto, NULL);
}
