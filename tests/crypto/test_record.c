/* The provider against OpenSSL's own AES-GCM: the same bytes, and the same refusals. */
#include "crypto_check.h"
#include "memory_search.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "crypto/ipsec.h"
#include "crypto/record_provider.h"

#define CASES 4000u
#define TEXT_MAX 70000u
#define KEY_MAX 32u
#define NONCE_BYTES 12u
#define TAG_BYTES 16u

static struct record_library library;

static const struct {
    const char *ours, *theirs;
    size_t key_bytes;
} names[] = {
    {"AES-256-GCM", "AES-256-GCM", 32},
    {"id-aes256-GCM", "AES-256-GCM", 32},
    {"2.16.840.1.101.3.4.1.46", "AES-256-GCM", 32},
    {"AES-128-GCM", "AES-128-GCM", 16},
    {"id-aes128-GCM", "AES-128-GCM", 16},
    {"2.16.840.1.101.3.4.1.6", "AES-128-GCM", 16},
};

struct message {
    uint8_t key[KEY_MAX], nonce[NONCE_BYTES], tag[TAG_BYTES];
    uint8_t aad[RECORD_AAD_MAX];
    size_t aad_bytes;
    const uint8_t *in;
    uint8_t *out; /* may be `in` */
    size_t size_bytes;
    bool in_pieces;
};

static EVP_CIPHER *ours(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library.context, name, RECORD_PROPERTIES);
    assert_non_null(cipher);
    return cipher;
}

static EVP_CIPHER *theirs(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, "provider=default");
    assert_non_null(cipher);
    return cipher;
}

static bool feed(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t size_bytes,
                 bool in_pieces)
{
    for (size_t done = 0; done < size_bytes;) {
        int written = 0;
        size_t left = size_bytes - done, drawn = random_up_to(next_random() % 3000);
        size_t piece = in_pieces ? MIN(left, drawn) : left;
        if (EVP_CipherUpdate(context, out != NULL ? out + done : NULL, &written, in + done,
                             (int)piece) != 1)
            return false;
        assert_int_equal(written, piece);
        done += piece;
    }
    return true;
}

/* As OpenSSL's record layer does it. */
static bool process(EVP_CIPHER_CTX *context, struct message *m, int seals)
{
    uint8_t nothing[TAG_BYTES];
    int written;
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, m->nonce, seals) != 1 ||
        (!seals && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, m->tag) != 1) ||
        !feed(context, NULL, m->aad, m->aad_bytes, m->in_pieces) ||
        !feed(context, m->out, m->in, m->size_bytes, m->in_pieces) ||
        EVP_CipherFinal_ex(context, nothing, &written) != 1)
        return false;
    return !seals || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, m->tag) == 1;
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const uint8_t *key, int seals)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex(context, cipher, NULL, NULL, NULL, seals), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, NONCE_BYTES, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex(context, NULL, NULL, key, NULL, -1), 1);
    return context;
}

static bool once(const EVP_CIPHER *cipher, struct message *m, int seals)
{
    EVP_CIPHER_CTX *context = keyed(cipher, m->key, seals);
    bool done = process(context, m, seals);
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    return done;
}

static void draw(struct message *m)
{
    static const size_t edges[] = {0, 1, 15, 16, 17, 255, 256, 4096, 4128, 16384, 16385, 65536};
    fill_random(m->key, sizeof m->key);
    fill_random(m->nonce, sizeof m->nonce);
    m->aad_bytes = random_up_to(RECORD_AAD_MAX);
    fill_random(m->aad, m->aad_bytes);
    bool on_the_edge = next_random() % 4 == 0;
    m->size_bytes = on_the_edge ? edges[random_up_to(ARRAY_LEN(edges) - 1)]
                                : random_up_to(next_random() % 8 == 0 ? TEXT_MAX : 2000);
    m->in_pieces = next_random() % 2 == 0;
}

/* Flips one bit of what is checked; false when there is no such byte. */
static bool forge(struct message *m, uint8_t *text)
{
    struct {
        uint8_t *bytes;
        size_t count;
    } places[] = {{m->tag, TAG_BYTES}, {m->aad, m->aad_bytes}, {text, m->size_bytes}};
    size_t where = random_up_to(ARRAY_LEN(places) - 1);
    if (places[where].count == 0)
        return false;
    places[where].bytes[random_up_to(places[where].count - 1)] ^= (uint8_t)(1u << random_up_to(7));
    return true;
}

static void it_says_what_openssl_says(void **state)
{
    static uint8_t text[TEXT_MAX], one[TEXT_MAX], other[TEXT_MAX], tag[TAG_BYTES];
    for (size_t i = 0; i < CASES; i++) {
        size_t which = i % ARRAY_LEN(names);
        EVP_CIPHER *our = ours(names[which].ours), *their = theirs(names[which].theirs);
        struct message m = {0};
        draw(&m);
        fill_random(text, m.size_bytes);
        m.in = text;
        m.out = other;
        assert_true(once(their, &m, 1));
        memcpy(tag, m.tag, sizeof tag);

        bool in_place = next_random() % 2 == 0;
        memcpy(one, text, m.size_bytes);
        m.in = in_place ? one : text;
        m.out = one;
        assert_true(once(our, &m, 1));
        if (memcmp(one, other, m.size_bytes) != 0 || memcmp(tag, m.tag, sizeof tag) != 0)
            fail_msg("case %zu: %zu bytes are sealed otherwise", i, m.size_bytes);

        m.in = other;
        m.out = in_place ? other : one;
        assert_true(once(our, &m, 0));
        assert_memory_equal(m.out, text, m.size_bytes);

        m.in = m.out = one; /* sealed anew, and forged */
        memcpy(one, text, m.size_bytes);
        assert_true(once(their, &m, 1));
        if (forge(&m, one) && once(our, &m, 0))
            fail_msg("case %zu: a forged message is believed", i);
        EVP_CIPHER_free(our);
        EVP_CIPHER_free(their);
    }
}

/* One context for many messages, as a connection has. */
static void a_context_serves_many_messages(void **state)
{
    static uint8_t text[16401], one[16401], other[16401];
    uint8_t tag[TAG_BYTES];
    struct message m = {.aad_bytes = 5, .size_bytes = sizeof text};
    EVP_CIPHER *our = ours("id-aes256-GCM"), *their = theirs("AES-256-GCM");
    fill_random(m.key, sizeof m.key);
    EVP_CIPHER_CTX *seal = keyed(our, m.key, 1), *check = keyed(their, m.key, 1),
                   *open = keyed(our, m.key, 0);
    for (size_t i = 0; i < 200; i++) {
        fill_random(m.nonce, sizeof m.nonce);
        fill_random(text, sizeof text);
        m.in = text;
        m.out = other;
        assert_true(process(check, &m, 1));
        memcpy(tag, m.tag, sizeof tag);
        m.out = one;
        assert_true(process(seal, &m, 1));
        assert_memory_equal(one, other, sizeof one);
        assert_memory_equal(tag, m.tag, sizeof tag);
        m.in = m.out = one;
        m.tag[0] ^= i % 3 == 0; /* a forged one does not spoil the next */
        assert_int_equal(process(open, &m, 0), i % 3 != 0);
    }
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(check);
    EVP_CIPHER_CTX_free(open);
    EVP_CIPHER_free(our);
    EVP_CIPHER_free(their);
    ERR_clear_error();
}

static void what_records_do_not_need_is_refused(void **state)
{
    uint8_t key[KEY_MAX] = {1}, nonce[16] = {2}, bytes[RECORD_AAD_MAX + 1] = {3}, out[16];
    int written;
    EVP_CIPHER *our = ours("AES-256-GCM");
    EVP_CIPHER_CTX *context = keyed(our, key, 1);
    /* no nonce yet */
    assert_int_not_equal(EVP_CipherUpdate(context, out, &written, bytes, 16), 1);
    assert_int_not_equal(EVP_CipherFinal_ex(context, out, &written), 1);
    assert_int_not_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 16, NULL), 1);
    assert_int_not_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 8, NULL), 1);
    assert_int_not_equal(EVP_CIPHER_CTX_set_key_length(context, 16), 1);
    assert_int_equal(EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, 1), 1);
    /* too much associated data, some after the text, a tag before the end or of another length */
    assert_int_not_equal(EVP_CipherUpdate(context, NULL, &written, bytes, sizeof bytes), 1);
    assert_int_equal(EVP_CipherUpdate(context, out, &written, bytes, 16), 1);
    assert_int_not_equal(EVP_CipherUpdate(context, NULL, &written, bytes, 1), 1);
    assert_int_not_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out), 1);
    assert_int_equal(EVP_CipherFinal_ex(context, out, &written), 1);
    assert_int_not_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 12, out), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out), 1);
    /* the nonce is used up */
    assert_int_not_equal(EVP_CipherUpdate(context, out, &written, bytes, 16), 1);
    assert_int_not_equal(EVP_CipherFinal_ex(context, out, &written), 1);
    EVP_CIPHER_CTX_free(context);
    /* opened without a tag */
    context = keyed(our, key, 0);
    assert_int_equal(EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, 0), 1);
    assert_int_equal(EVP_CipherUpdate(context, out, &written, bytes, 16), 1);
    assert_int_not_equal(EVP_CipherFinal_ex(context, out, &written), 1);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(our);
    ERR_clear_error();
}

/* Only who asks for it gets it; with other algorithms nothing changes. */
static void others_keep_their_ciphers(void **state)
{
    EVP_CIPHER *plain = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL), *our = ours("AES-256-GCM"),
               *chacha = EVP_CIPHER_fetch(library.context, "ChaCha20-Poly1305", RECORD_PROPERTIES);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(plain)), "default");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(our)), "lethe");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(chacha)), "default");
    EVP_CIPHER_free(plain);
    EVP_CIPHER_free(our);
    EVP_CIPHER_free(chacha);
}

/* The wish is looked at once in a process: this program asks another one of itself. */
#define PRINT_CHOICE "print-choice"

static void wishes_are_followed(void **state)
{
    bool needed = OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 5;
    const struct {
        const char *wish, *choice;
    } cases[] = {
        {"LETHE_AEAD=openssl", "openssl"},
        {"LETHE_AEAD=ipsec", needed ? "ipsec" : "openssl"},
        {"-u LETHE_AEAD", needed ? "ipsec" : "openssl"},
    };
    char self[512], command[600], output[64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(command, sizeof command, "env %s '%s' " PRINT_CHOICE, cases[i].wish, self);
        assert_int_equal(run_tool(command, output, sizeof output), 0);
        assert_string_equal(output, cases[i].choice);
    }
}

static int print_choice(void)
{
    if (start_crypto(NULL) != 0)
        return 1;
    fputs(record_library() != NULL ? "ipsec" : "openssl", stdout);
    return 0;
}

static void keys_do_not_outlive_their_context(void **state)
{
    uint8_t key[KEY_MAX];
    EVP_CIPHER *our = ours("AES-256-GCM");
    fill_random(key, sizeof key);
    EVP_CIPHER_CTX *context = keyed(our, key, 1);
    struct needle needle = needle_of(key, sizeof key);
    lethe_wipe(key, sizeof key);
    assert_int_equal(count_in_own_memory(&needle), 1); /* the first round keys are the key */
    EVP_CIPHER_CTX_free(context);
    assert_int_equal(count_in_own_memory(&needle), 0);
    EVP_CIPHER_free(our);
}

static int start_library(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    return record_library_create(&library) ? 0 : -1;
}

static int free_library(void **state)
{
    record_library_free(&library);
    return 0;
}

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], PRINT_CHOICE) == 0)
        return print_choice();
    if (ipsec_direct() == NULL) {
        printf("skipped: %s\n", ipsec_name());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_openssl_says),
        cmocka_unit_test(a_context_serves_many_messages),
        cmocka_unit_test(what_records_do_not_need_is_refused),
        cmocka_unit_test(others_keep_their_ciphers),
        cmocka_unit_test(wishes_are_followed),
        cmocka_unit_test(keys_do_not_outlive_their_context),
    };
    return cmocka_run_group_tests(tests, start_library, free_library);
}
