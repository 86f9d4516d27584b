#include <pthread.h>
#include <unistd.h>

#include "crypto_check.h"
#include "memory_search.h"

#include "crypto/aead.h"

#define TEXT_MAX ((size_t)200 << 10)

static const enum aead_backend backends[] = {AEAD_BACKEND_IPSEC, AEAD_BACKEND_OPENSSL};

static struct aead_key *key_of(const void *bytes, size_t size_bytes, enum aead_backend backend)
{
    struct lethe_error err = {0};
    struct aead_key *key = NULL;
    assert_ok(aead_key_create(bytes, size_bytes, backend, &key, &err), &err);
    return key;
}

/* ---- known answers --------------------------------------------------------------------------- */

#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_NONCE "cafebabefacedbaddecaf888"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_TEXT                                                                                   \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6" \
    "b525b16aedf5aa0de657ba637b39"
#define ZEROS_12 "000000000000000000000000"
#define ZEROS_16 "00000000000000000000000000000000"

/* McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B: cases 13 to 16 and 4.
 * The last is GMAC, from python3-cryptography. */
static const struct {
    const char *key, *nonce, *aad, *text, *cipher, *tag;
} known[] = {
    {ZEROS_16 ZEROS_16, ZEROS_12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {ZEROS_16 ZEROS_16, ZEROS_12, "", ZEROS_16, "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {GCM_KEY GCM_KEY, GCM_NONCE, "", GCM_TEXT "1aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {GCM_KEY GCM_KEY, GCM_NONCE, GCM_AAD, GCM_TEXT,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {GCM_KEY, GCM_NONCE, GCM_AAD, GCM_TEXT,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84"
     "aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {GCM_KEY GCM_KEY, GCM_NONCE, GCM_AAD, "", "", "9f6be07603c0b0bd1272854063e9c9ba"},
};

static void both_back_ends_give_the_known_answers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct vector key = unhex(known[i].key), nonce = unhex(known[i].nonce),
                      aad = unhex(known[i].aad), text = unhex(known[i].text);
        uint8_t out[64], tag[AEAD_TAG_BYTES];
        for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
            if (!aead_backend_available(backends[b]))
                continue;
            CLEANUP(aead_key_free)
            struct aead_key *k = key_of(key.bytes, key.size_bytes, backends[b]);
            struct aead_message m = {.nonce = nonce.bytes,
                                     .aad = aad.bytes,
                                     .aad_bytes = aad.size_bytes,
                                     .in = text.bytes,
                                     .out = out,
                                     .size_bytes = text.size_bytes};
            assert_result(LETHE_OK, aead_seal(k, &m, tag));
            assert_hex(known[i].cipher, out, text.size_bytes);
            assert_hex(known[i].tag, tag, sizeof tag);
            m.in = out;
            assert_result(LETHE_OK, aead_open(k, &m, tag));
            assert_hex(known[i].text, out, text.size_bytes);
            if (text.size_bytes > 0)
                continue;
            assert_result(LETHE_OK, aead_gmac(k, nonce.bytes, aad.bytes, aad.size_bytes, tag));
            assert_hex(known[i].tag, tag, sizeof tag);
        }
    }
}

/* ---- the back ends against each other -------------------------------------------------------- */

struct pair_of_keys {
    struct aead_key *ipsec, *openssl;
    uint8_t *text, *sealed, *again;
};

/* RFC 8439, 2.8.2. */
static void chacha20_gives_the_known_answer(void **state)
{
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only "
        "one tip for the future, sunscreen would be it.";
    struct lethe_error err = {0};
    struct vector bytes = unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    struct vector nonce = unhex("070000004041424344454647");
    struct vector aad = unhex("50515253c0c1c2c3c4c5c6c7");
    uint8_t cipher[sizeof text - 1], opened[sizeof text - 1], tag[AEAD_TAG_BYTES];
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    assert_ok(aead_chacha20_create(bytes.bytes, &key, &err), &err);
    struct aead_message message = {.nonce = nonce.bytes,
                                   .aad = aad.bytes,
                                   .aad_bytes = aad.size_bytes,
                                   .in = text,
                                   .out = cipher,
                                   .size_bytes = sizeof cipher};
    assert_result(LETHE_OK, aead_seal(key, &message, tag));
    assert_hex("1ae10b594f09e26a7e902ecbd0600691", tag, sizeof tag);
    assert_hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
               "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
               "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
               "3ff4def08e4b7a9de576d26586cec64b6116",
               cipher, sizeof cipher);
    message.in = cipher;
    message.out = opened;
    assert_result(LETHE_OK, aead_open(key, &message, tag));
    assert_memory_equal(text, opened, sizeof opened);
    for (size_t bit = 0; bit < 8 * sizeof tag; bit++) {
        tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_result(LETHE_INTEGRITY, aead_open(key, &message, tag));
        tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    message.aad_bytes--;
    assert_result(LETHE_INTEGRITY, aead_open(key, &message, tag));
    assert_int_equal(0, opened[0] | opened[sizeof opened - 1]);
}

static void compare_once(struct pair_of_keys *p, size_t text_bytes, size_t aad_bytes)
{
    uint8_t nonce[AEAD_NONCE_BYTES], aad[512], tag[AEAD_TAG_BYTES], other_tag[AEAD_TAG_BYTES];
    fill_random(nonce, sizeof nonce);
    fill_random(aad, aad_bytes);
    fill_random(p->text, text_bytes);
    struct aead_message m = {.nonce = nonce,
                             .aad = aad,
                             .aad_bytes = aad_bytes,
                             .in = p->text,
                             .out = p->sealed,
                             .size_bytes = text_bytes};
    assert_result(LETHE_OK, aead_seal(p->ipsec, &m, tag));

    /* The other one, in place. */
    memcpy(p->again, p->text, text_bytes);
    m.in = m.out = p->again;
    assert_result(LETHE_OK, aead_seal(p->openssl, &m, other_tag));
    assert_memory_equal(tag, other_tag, sizeof tag);
    assert_memory_equal(p->sealed, p->again, text_bytes);

    /* Each opens, one in place, one not. */
    assert_result(LETHE_OK, aead_open(p->ipsec, &m, tag));
    assert_memory_equal(p->again, p->text, text_bytes);
    m.in = p->sealed;
    memset(p->again, 0, text_bytes);
    assert_result(LETHE_OK, aead_open(p->openssl, &m, tag));
    assert_memory_equal(p->again, p->text, text_bytes);

    assert_result(LETHE_OK, aead_gmac(p->ipsec, nonce, p->text, text_bytes, tag));
    assert_result(LETHE_OK, aead_gmac(p->openssl, nonce, p->text, text_bytes, other_tag));
    assert_memory_equal(tag, other_tag, sizeof tag);
}

static void the_back_ends_agree_on_every_size(void **state)
{
    if (!aead_backend_available(AEAD_BACKEND_IPSEC)) {
        printf("%s\n", aead_backend_name(AEAD_BACKEND_IPSEC));
        skip();
    }
    const size_t key_sizes[] = {AEAD_KEY_BYTES, AEAD_KEY_128_BYTES};
    for (size_t k = 0; k < ARRAY_LEN(key_sizes); k++) {
        uint8_t key[AEAD_KEY_BYTES];
        fill_random(key, sizeof key);
        struct pair_of_keys p = {.ipsec = key_of(key, key_sizes[k], AEAD_BACKEND_IPSEC),
                                 .openssl = key_of(key, key_sizes[k], AEAD_BACKEND_OPENSSL),
                                 .text = malloc(TEXT_MAX + 64),
                                 .sealed = malloc(TEXT_MAX + 64),
                                 .again = malloc(TEXT_MAX + 64)};
        for (size_t size = 0; size <= 1100; size++) /* every path of a 48-block stride */
            compare_once(&p, size, size % 67);
        for (int i = 0; i < 150; i++)
            compare_once(&p, random_up_to(TEXT_MAX), random_up_to(511));
        p.text++; /* and unaligned */
        p.sealed += 3;
        p.again += 7;
        for (int i = 0; i < 20; i++)
            compare_once(&p, random_up_to(TEXT_MAX), random_up_to(511));
        free(p.text - 1);
        free(p.sealed - 3);
        free(p.again - 7);
        aead_key_free(p.ipsec);
        aead_key_free(p.openssl);
    }
}

/* ---- what must be refused -------------------------------------------------------------------- */

struct sealed {
    uint8_t key[AEAD_KEY_BYTES], nonce[AEAD_NONCE_BYTES], aad[20], text[77], tag[AEAD_TAG_BYTES];
};

static lethe_result open_sealed(const struct sealed *s, enum aead_backend backend, uint8_t *out)
{
    CLEANUP(aead_key_free) struct aead_key *key = key_of(s->key, sizeof s->key, backend);
    return aead_open(key,
                     &(struct aead_message){.nonce = s->nonce,
                                            .aad = s->aad,
                                            .aad_bytes = sizeof s->aad,
                                            .in = s->text,
                                            .out = out,
                                            .size_bytes = sizeof s->text},
                     s->tag);
}

static void any_changed_bit_is_refused_and_nothing_is_given_out(void **state)
{
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        if (!aead_backend_available(backends[b]))
            continue;
        struct sealed good;
        fill_random(&good, sizeof good);
        CLEANUP(aead_key_free)
        struct aead_key *key = key_of(good.key, sizeof good.key, backends[b]);
        assert_result(LETHE_OK, aead_seal(key,
                                          &(struct aead_message){.nonce = good.nonce,
                                                                 .aad = good.aad,
                                                                 .aad_bytes = sizeof good.aad,
                                                                 .in = good.text,
                                                                 .out = good.text,
                                                                 .size_bytes = sizeof good.text},
                                          good.tag));
        uint8_t out[sizeof good.text];
        assert_result(LETHE_OK, open_sealed(&good, backends[b], out));

        /* Every bit of key, nonce, associated data, text and tag. */
        for (size_t bit = 0; bit < 8 * sizeof good; bit++) {
            struct sealed bad = good;
            ((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
            memset(out, 0xee, sizeof out);
            assert_result(LETHE_INTEGRITY, open_sealed(&bad, backends[b], out));
            assert_true(lethe_is_zero(out, sizeof out));
        }
    }
}

static void a_shortened_text_is_refused(void **state)
{
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        if (!aead_backend_available(backends[b]))
            continue;
        uint8_t key[AEAD_KEY_BYTES] = {1}, nonce[AEAD_NONCE_BYTES] = {2}, text[100] = {3}, tag[16];
        CLEANUP(aead_key_free) struct aead_key *k = key_of(key, sizeof key, backends[b]);
        struct aead_message m = {
            .nonce = nonce, .in = text, .out = text, .size_bytes = sizeof text};
        assert_result(LETHE_OK, aead_seal(k, &m, tag));
        for (size_t size = 0; size < sizeof text; size++) {
            uint8_t out[sizeof text];
            m.out = out;
            m.size_bytes = size;
            assert_result(LETHE_INTEGRITY, aead_open(k, &m, tag));
        }
    }
}

static void wrong_key_sizes_and_impossible_lengths_are_refused(void **state)
{
    uint8_t key[64] = {0}, nonce[AEAD_NONCE_BYTES] = {0}, tag[AEAD_TAG_BYTES];
    for (size_t size = 0; size <= sizeof key; size++) {
        struct lethe_error err = {0};
        struct aead_key *k = NULL;
        bool right = size == AEAD_KEY_BYTES || size == AEAD_KEY_128_BYTES;
        assert_result(right ? LETHE_OK : LETHE_INVALID,
                      aead_key_create(key, size, AEAD_BACKEND_BEST, &k, &err));
        assert_true((k != NULL) == right);
        aead_key_free(k);
    }
    CLEANUP(aead_key_free) struct aead_key *k = key_of(key, AEAD_KEY_BYTES, AEAD_BACKEND_BEST);
    struct aead_message m = {
        .nonce = nonce, .in = key, .out = key, .size_bytes = (size_t)AEAD_TEXT_MAX + 1};
    assert_result(LETHE_LIMIT, aead_seal(k, &m, tag)); /* refused before a byte is touched */
}

/* ---- threads, keys, choice ------------------------------------------------------------------- */

struct shared {
    const struct aead_key *key;
    const uint8_t *text;
    uint8_t tag[AEAD_TAG_BYTES];
};

static void *seal_and_open_often(void *context)
{
    const struct shared *shared = context;
    static _Thread_local uint8_t out[5000];
    uint8_t nonce[AEAD_NONCE_BYTES] = {9}, tag[AEAD_TAG_BYTES];
    for (int i = 0; i < 300; i++) {
        struct aead_message m = {
            .nonce = nonce, .in = shared->text, .out = out, .size_bytes = sizeof out};
        if (aead_seal(shared->key, &m, tag) != LETHE_OK || memcmp(tag, shared->tag, 16) != 0)
            return context;
        m.in = out;
        if (aead_open(shared->key, &m, tag) != LETHE_OK ||
            memcmp(out, shared->text, sizeof out) != 0)
            return context;
    }
    return NULL;
}

static void one_key_serves_many_threads(void **state)
{
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        if (!aead_backend_available(backends[b]))
            continue;
        uint8_t key[AEAD_KEY_BYTES], text[5000], out[5000], nonce[AEAD_NONCE_BYTES] = {9};
        fill_random(key, sizeof key);
        fill_random(text, sizeof text);
        CLEANUP(aead_key_free) struct aead_key *k = key_of(key, sizeof key, backends[b]);
        struct shared shared = {.key = k, .text = text};
        struct aead_message m = {.nonce = nonce, .in = text, .out = out, .size_bytes = sizeof out};
        assert_result(LETHE_OK, aead_seal(k, &m, shared.tag));
        pthread_t threads[4];
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open_often, &shared), 0);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
            void *failed;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
    }
}

/* Z-6: nothing of a key outlives it. What is searched for is the key itself, which is also the
 * first part of AES-256's schedule; while the key lives, the search must find it. */
static void a_freed_key_leaves_no_trace(void **state)
{
    for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
        if (!aead_backend_available(backends[b]))
            continue;
        uint8_t bytes[AEAD_KEY_BYTES], text[4096] = {0}, tag[AEAD_TAG_BYTES];
        fill_random(bytes, sizeof bytes);
        struct needle needle = needle_of(bytes, sizeof bytes);
        struct aead_key *key = key_of(bytes, sizeof bytes, backends[b]);
        lethe_wipe(bytes, sizeof bytes);

        struct aead_message m = {.nonce = tag, .in = text, .out = text, .size_bytes = sizeof text};
        memset(tag, 0, sizeof tag);
        uint8_t nonce[AEAD_NONCE_BYTES] = {0};
        m.nonce = nonce;
        assert_result(LETHE_OK, aead_seal(key, &m, tag));
        assert_int_equal(count_in_own_memory(&needle), 1); /* the slab's, and no other */
        aead_key_free(key);
        assert_int_equal(count_in_own_memory(&needle), 0);
    }
}

#define PRINT_BEST "--print-best"

static void check_choice(const char *wish, const char *expected)
{
    char command[512], self[256], output[128];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    snprintf(command, sizeof command, "LETHE_AEAD=%s '%s' " PRINT_BEST, wish, self);
    assert_int_equal(run_tool(command, output, sizeof output), 0);
    assert_string_equal(output, expected);
}

static void the_environment_can_force_a_back_end(void **state)
{
    char expected[128];
    bool has_ipsec = aead_backend_available(AEAD_BACKEND_IPSEC);
    check_choice("openssl", aead_backend_name(AEAD_BACKEND_OPENSSL));
    snprintf(expected, sizeof expected, "%s%s", aead_backend_name(AEAD_BACKEND_IPSEC),
             has_ipsec ? "" : ": UNAVAILABLE");
    check_choice("ipsec", expected);
    check_choice("magic", "none: INVALID");
}

static int print_best(void)
{
    struct lethe_error err = {0};
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct aead_key *k = NULL;
    lethe_result result = aead_key_create(key, sizeof key, AEAD_BACKEND_BEST, &k, &err);
    printf("%s%s%s", aead_backend_name(AEAD_BACKEND_BEST), result == LETHE_OK ? "" : ": ",
           result == LETHE_OK ? "" : lethe_result_name(result));
    aead_key_free(k);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], PRINT_BEST) == 0)
        return print_best();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_back_ends_give_the_known_answers),
        cmocka_unit_test(chacha20_gives_the_known_answer),
        cmocka_unit_test(the_back_ends_agree_on_every_size),
        cmocka_unit_test(any_changed_bit_is_refused_and_nothing_is_given_out),
        cmocka_unit_test(a_shortened_text_is_refused),
        cmocka_unit_test(wrong_key_sizes_and_impossible_lengths_are_refused),
        cmocka_unit_test(one_key_serves_many_threads),
        cmocka_unit_test(a_freed_key_leaves_no_trace),
        cmocka_unit_test(the_environment_can_force_a_back_end),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
