/* The hashes and HMACs that clients may ask for. */
#include "crypto_check.h"

#include "crypto/digest.h"

/* Made with Python's hashlib and hmac: of "abc", and of 60 times "Lethe" under the bytes 0 to 199,
 * which is more than a block of any of them. */
static const struct {
    enum digest_kind kind;
    const char *name, *digest, *hmac;
} known[] = {
    {DIGEST_SHA2_224, "sha2-224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
     "36579a1050d4b844d5e1a931aa5dbe6bf1f857d8f19c92ee5789a1ab"},
    {DIGEST_SHA2_256, "sha2-256",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "cc77ac7a6d18e30f3e2adc803ae9988ec01021559fc1661b4faa0ea207b4139b"},
    {DIGEST_SHA2_384, "sha2-384",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7",
     "42b706d08979a8711b1a5172b58fa18227ccdf12356ad820d81021fc6aa0d359"
     "c2315e716f3a5c78c0f6c5d71eb2c9e6"},
    {DIGEST_SHA2_512, "sha2-512",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "2a8f8240fcd45a56a2bc82a61f01615945c7e57e019b2f0230a77117c9bf44c8"
     "4f51c6a9f9124a93da77a3e1fc4dcf2a7007a9143c58e8a7bdf1504e3421a466"},
    {DIGEST_SHA3_224, "sha3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
     "bf87d80db9f0525e5428d49b716ff2de0867e1be430d636c26dd683a"},
    {DIGEST_SHA3_256, "sha3-256",
     "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
     "e7abeda53edd9a5d51716a230c5d3fd60dbf86fc0131ddf54c73eaf94bb017a7"},
    {DIGEST_SHA3_384, "sha3-384",
     "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
     "98d88cea927ac7f539f1edf228376d25",
     "fc61cad5c32a79b876fb91249695a948a0dba4ff2c2ee4f4dc4f7d73ead1c966"
     "efd436567044a73f1106980493888d5a"},
    {DIGEST_SHA3_512, "sha3-512",
     "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
     "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
     "f14b0ff2759452aa915a5965fc002dd76a6f4d6752de89912c60b330ae7fbfd0"
     "55355540cfe5070bfa8f2a19cc56a49c2cca91b37b1996834b79278eadc923cc"},
};

static void the_known_answers(void **state)
{
    uint8_t key[200], message[300], out[DIGEST_MAX_BYTES];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t) "Lethe"[i % 5];
    assert_int_equal(DIGEST_KIND_COUNT, ARRAY_LEN(known));
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        enum digest_kind kind;
        assert_true(digest_kind_parse(known[i].name, strlen(known[i].name), &kind));
        assert_int_equal(known[i].kind, kind);
        assert_string_equal(known[i].name, digest_kind_name(kind));
        assert_int_equal(2 * digest_bytes(kind), strlen(known[i].digest));
        assert_result(LETHE_OK, digest_compute(kind, "abc", 3, out));
        assert_hex(known[i].digest, out, digest_bytes(kind));
        assert_result(LETHE_OK, digest_hmac(kind, key, sizeof key, message, sizeof message, out));
        assert_hex(known[i].hmac, out, digest_bytes(kind));
    }
}

static void other_names_are_none(void **state)
{
    static const char *const names[] = {"",         "sha1",      "none",      "sha2-25",
                                        "SHA2-256", "sha2-2560", "sha2-256 ", "sha256"};
    enum digest_kind kind;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(digest_kind_parse(names[i], strlen(names[i]), &kind));
    assert_false(digest_kind_parse("sha2-256", 7, &kind));
}

static void nothing_has_a_digest_too(void **state)
{
    uint8_t out[DIGEST_MAX_BYTES];
    assert_result(LETHE_OK, digest_compute(DIGEST_SHA2_256, NULL, 0, out));
    assert_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", out, 32);
    assert_result(LETHE_OK, digest_hmac(DIGEST_SHA2_256, NULL, 0, NULL, 0, out));
    assert_hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", out, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_answers),
        cmocka_unit_test(other_names_are_none),
        cmocka_unit_test(nothing_has_a_digest_too),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
