#include "crypto_check.h"

#include "crypto/hash.h"

static void sha256_gives_the_known_answers(void **state)
{
    /* FIPS 180-4, by way of NIST's examples. */
    static const struct {
        const char *text, *digest;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t digest[SHA256_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        sha256(known[i].text, strlen(known[i].text), digest);
        assert_hex(known[i].digest, digest, sizeof digest);
    }
}

static void a_stream_gives_what_one_call_gives(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    assert_ok(sha256_create(&stream, &err), &err);
    uint8_t bytes[5000], expected[SHA256_BYTES], got[SHA256_BYTES];
    fill_random(bytes, sizeof bytes);
    sha256(bytes, sizeof bytes, expected);
    for (int round = 0; round < 50; round++) { /* finishing starts anew */
        for (size_t done = 0, piece; done < sizeof bytes; done += piece) {
            piece = random_up_to(MIN(sizeof bytes - done, 300));
            sha256_update(stream, bytes + done, piece);
        }
        sha256_finish(stream, got);
        assert_memory_equal(got, expected, sizeof got);
    }
    sha256_finish(stream, got);
    assert_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", got, sizeof got);
}

static void hmac_gives_the_known_answers(void **state)
{
    /* RFC 4231, cases 1, 2, 3 and 6; and an empty key and text (python3 hmac). */
    static const char aa_20[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        const char *key, *text, *mac;
        size_t key_repeats;
    } known[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", 1},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", 1},
        {aa_20,
         "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
         "d"
         "dddddddddd",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe", 1},
        {"aa",
         "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368"
         "204b6579204669727374",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 131},
        {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct vector part = unhex(known[i].key), text = unhex(known[i].text);
        uint8_t key[256], mac[SHA256_BYTES];
        size_t key_bytes = 0;
        for (size_t n = 0; n < known[i].key_repeats; n++, key_bytes += part.size_bytes)
            memcpy(key + key_bytes, part.bytes, part.size_bytes);
        assert_result(LETHE_OK, hmac_sha256(key, key_bytes, text.bytes, text.size_bytes, mac));
        assert_hex(known[i].mac, mac, sizeof mac);
    }
}

static void one_different_bit_anywhere_is_different(void **state)
{
    uint8_t a[100], b[100];
    fill_random(a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(bytes_equal(a, b, sizeof a));
    assert_true(bytes_equal(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(bytes_equal(a, b, sizeof a));
        assert_true(bytes_equal(a, b, bit / 8));
        b[bit / 8] = a[bit / 8];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_known_answers),
        cmocka_unit_test(a_stream_gives_what_one_call_gives),
        cmocka_unit_test(hmac_gives_the_known_answers),
        cmocka_unit_test(one_different_bit_anywhere_is_different),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
