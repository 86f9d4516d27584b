#include <stdalign.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/hash.h"
#include "crypto/ipsec.h"
#include "crypto/record_provider.h"
#include "mem/slab.h"

#define NONCE_BYTES 12u
#define TAG_BYTES 16u
#define TEXT_MAX (((uint64_t)1 << 36) - 32) /* SP 800-38D, 5.2.1.1 */

enum phase { WANTS_NONCE, TAKES_AAD, TAKES_TEXT };

/* In guarded memory, and wiped with it: `run` holds GHASH's state and key stream. */
struct cipher {
    alignas(64) struct gcm_key_data schedule;
    struct gcm_context_data run;
    size_t key_bytes;
    aes_gcm_pre_t expand;
    aes_gcm_init_t begin;
    aes_gcm_enc_dec_update_t seal, open;
    aes_gcm_enc_dec_finalize_t seal_end, open_end;
    enum phase phase;
    bool has_key, has_tag, encrypts;
    uint64_t text_bytes;
    size_t aad_bytes;
    uint8_t nonce[NONCE_BYTES];
    uint8_t tag[TAG_BYTES]; /* to be compared with, or computed */
    uint8_t aad[RECORD_AAD_MAX];
};
_Static_assert(sizeof(struct cipher) <= LETHE_SECRET_MAX_BYTES, "fits into a guarded object");

/* ---- life ------------------------------------------------------------------------------------ */

static struct cipher *cipher_create(size_t key_bytes)
{
    void *memory;
    if (slab_alloc(sizeof(struct cipher), &memory, NULL) != LETHE_OK) {
        ERR_raise(ERR_LIB_PROV, ERR_R_MALLOC_FAILURE);
        return NULL;
    }
    struct cipher *cipher = memory;
    cipher->key_bytes = key_bytes;
    return cipher;
}

#define DEFINE_NEW(bits)                                                                           \
    static void *new_##bits(void *provider)                                                        \
    {                                                                                              \
        const struct IMB_MGR *manager = ipsec_direct();                                            \
        struct cipher *cipher = cipher_create((bits) / 8);                                         \
        if (cipher == NULL)                                                                        \
            return NULL;                                                                           \
        cipher->expand = manager->gcm##bits##_pre;                                                 \
        cipher->begin = manager->gcm##bits##_init;                                                 \
        cipher->seal = manager->gcm##bits##_enc_update;                                            \
        cipher->open = manager->gcm##bits##_dec_update;                                            \
        cipher->seal_end = manager->gcm##bits##_enc_finalize;                                      \
        cipher->open_end = manager->gcm##bits##_dec_finalize;                                      \
        return cipher;                                                                             \
    }
DEFINE_NEW(128)
DEFINE_NEW(256)

/* ---- a message ------------------------------------------------------------------------------- */

static int set_parameters(void *context, const OSSL_PARAM parameters[]);

static int start(struct cipher *cipher, const uint8_t *key, const uint8_t *nonce,
                 const OSSL_PARAM parameters[])
{
    if (key != NULL) {
        cipher->expand(key, &cipher->schedule);
        cipher->has_key = true;
        cipher->phase = WANTS_NONCE;
    }
    if (nonce != NULL) {
        memcpy(cipher->nonce, nonce, NONCE_BYTES);
        cipher->aad_bytes = 0;
        cipher->text_bytes = 0;
        cipher->phase = TAKES_AAD;
    }
    return set_parameters(cipher, parameters);
}

static bool fits(const struct cipher *cipher, const void *key, size_t key_bytes, const void *nonce,
                 size_t nonce_bytes)
{
    return (key == NULL || key_bytes == cipher->key_bytes) &&
           (nonce == NULL || nonce_bytes == NONCE_BYTES);
}

static int start_sealing(void *context, const unsigned char *key, size_t key_bytes,
                         const unsigned char *nonce, size_t nonce_bytes,
                         const OSSL_PARAM parameters[])
{
    struct cipher *cipher = context;
    if (!fits(cipher, key, key_bytes, nonce, nonce_bytes))
        return 0;
    cipher->encrypts = true;
    return start(cipher, key, nonce, parameters);
}

static int start_opening(void *context, const unsigned char *key, size_t key_bytes,
                         const unsigned char *nonce, size_t nonce_bytes,
                         const OSSL_PARAM parameters[])
{
    struct cipher *cipher = context;
    if (!fits(cipher, key, key_bytes, nonce, nonce_bytes))
        return 0;
    cipher->encrypts = false;
    return start(cipher, key, nonce, parameters);
}

static bool take_aad(struct cipher *cipher, const uint8_t *in, size_t size_bytes)
{
    if (cipher->phase != TAKES_AAD || size_bytes > RECORD_AAD_MAX - cipher->aad_bytes)
        return false;
    memcpy(cipher->aad + cipher->aad_bytes, in, size_bytes);
    cipher->aad_bytes += size_bytes;
    return true;
}

static bool is_ready_for_text(struct cipher *cipher)
{
    if (cipher->phase == TAKES_AAD && cipher->has_key) {
        cipher->begin(&cipher->schedule, &cipher->run, cipher->nonce, cipher->aad,
                      cipher->aad_bytes);
        cipher->phase = TAKES_TEXT;
    }
    return cipher->phase == TAKES_TEXT;
}

static bool take_text(struct cipher *cipher, uint8_t *out, const uint8_t *in, size_t size_bytes)
{
    if (!is_ready_for_text(cipher) || size_bytes > TEXT_MAX - cipher->text_bytes)
        return false;
    cipher->text_bytes += size_bytes;
    (cipher->encrypts ? cipher->seal : cipher->open)(&cipher->schedule, &cipher->run, out, in,
                                                     size_bytes);
    return true;
}

static int update(void *context, unsigned char *out, size_t *written, size_t capacity,
                  const unsigned char *in, size_t size_bytes)
{
    struct cipher *cipher = context;
    *written = 0;
    if (size_bytes == 0)
        return 1;
    bool done = out == NULL ? take_aad(cipher, in, size_bytes)
                            : size_bytes <= capacity && take_text(cipher, out, in, size_bytes);
    *written = done ? size_bytes : 0;
    return done;
}

static bool tag_is_right(struct cipher *cipher)
{
    uint8_t computed[TAG_BYTES];
    cipher->open_end(&cipher->schedule, &cipher->run, computed, sizeof computed);
    bool right = cipher->has_tag && bytes_equal(computed, cipher->tag, sizeof computed);
    lethe_wipe(computed, sizeof computed); /* for a forged text it would be worth something */
    cipher->has_tag = false;
    return right;
}

/* A nonce serves one message: the next one has to bring its own. */
static int finish(void *context, unsigned char *out, size_t *written, size_t capacity)
{
    struct cipher *cipher = context;
    *written = 0;
    if (!is_ready_for_text(cipher))
        return 0;
    cipher->phase = WANTS_NONCE;
    if (!cipher->encrypts)
        return tag_is_right(cipher);
    cipher->seal_end(&cipher->schedule, &cipher->run, cipher->tag, sizeof cipher->tag);
    cipher->has_tag = true;
    return 1;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static bool is_length(const OSSL_PARAM *parameter, size_t expected)
{
    size_t length;
    return OSSL_PARAM_get_size_t(parameter, &length) == 1 && length == expected;
}

static bool take_tag(struct cipher *cipher, const OSSL_PARAM *parameter)
{
    if (cipher->encrypts || parameter->data_type != OSSL_PARAM_OCTET_STRING ||
        parameter->data == NULL || parameter->data_size != TAG_BYTES)
        return false;
    memcpy(cipher->tag, parameter->data, TAG_BYTES);
    cipher->has_tag = true;
    return true;
}

static int set_parameters(void *context, const OSSL_PARAM parameters[])
{
    struct cipher *cipher = context;
    bool good = true;
    for (const OSSL_PARAM *p = parameters; good && p != NULL && p->key != NULL; p++) {
        if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0)
            good = take_tag(cipher, p);
        else if (strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_IVLEN) == 0)
            good = is_length(p, NONCE_BYTES);
        else if (strcmp(p->key, OSSL_CIPHER_PARAM_KEYLEN) == 0)
            good = is_length(p, cipher->key_bytes);
    }
    return good;
}

static bool give_tag(struct cipher *cipher, OSSL_PARAM *parameter)
{
    return cipher->encrypts && cipher->has_tag && cipher->phase == WANTS_NONCE &&
           parameter->data_size == TAG_BYTES &&
           OSSL_PARAM_set_octet_string(parameter, cipher->tag, TAG_BYTES) == 1;
}

static bool give_length(const struct cipher *cipher, OSSL_PARAM *parameter)
{
    const struct {
        const char *key;
        size_t value;
    } lengths[] = {
        {OSSL_CIPHER_PARAM_IVLEN, NONCE_BYTES},
        {OSSL_CIPHER_PARAM_KEYLEN, cipher->key_bytes},
        {OSSL_CIPHER_PARAM_AEAD_TAGLEN, TAG_BYTES},
    };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        if (strcmp(parameter->key, lengths[i].key) == 0)
            return OSSL_PARAM_set_size_t(parameter, lengths[i].value) == 1;
    return true; /* what it does not know it leaves alone */
}

/* libssl asks for one thing, with every record: so they are gone through once, not each looked for.
 */
static int get_parameters(void *context, OSSL_PARAM parameters[])
{
    struct cipher *cipher = context;
    bool good = true;
    for (OSSL_PARAM *p = parameters; good && p != NULL && p->key != NULL; p++)
        good = strcmp(p->key, OSSL_CIPHER_PARAM_AEAD_TAG) == 0 ? give_tag(cipher, p)
                                                               : give_length(cipher, p);
    return good;
}

static int describe(OSSL_PARAM parameters[], size_t key_bytes)
{
    const struct {
        const char *key;
        size_t value;
    } facts[] = {
        {OSSL_CIPHER_PARAM_MODE, EVP_CIPH_GCM_MODE},
        {OSSL_CIPHER_PARAM_AEAD, 1},
        {OSSL_CIPHER_PARAM_CUSTOM_IV, 1},
        {OSSL_CIPHER_PARAM_KEYLEN, key_bytes},
        {OSSL_CIPHER_PARAM_IVLEN, NONCE_BYTES},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        OSSL_PARAM *p = OSSL_PARAM_locate(parameters, facts[i].key);
        if (p != NULL && OSSL_PARAM_set_size_t(p, facts[i].value) != 1)
            return 0;
    }
    return 1;
}

static int describe_128(OSSL_PARAM parameters[])
{
    return describe(parameters, 16);
}

static int describe_256(OSSL_PARAM parameters[])
{
    return describe(parameters, 32);
}

static const OSSL_PARAM *gettable(void *cipher, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END,
    };
    return known;
}

static const OSSL_PARAM *settable(void *cipher, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END,
    };
    return known;
}

/* ---- what the provider offers ---------------------------------------------------------------- */

#define FUNCTION(number, function)                                                                 \
    {                                                                                              \
        OSSL_FUNC_CIPHER_##number, (void (*)(void))(function)                                      \
    }
#define FUNCTIONS(bits)                                                                            \
    {                                                                                              \
        FUNCTION(NEWCTX, new_##bits), FUNCTION(FREECTX, slab_free),                                \
            FUNCTION(ENCRYPT_INIT, start_sealing), FUNCTION(DECRYPT_INIT, start_opening),          \
            FUNCTION(UPDATE, update), FUNCTION(FINAL, finish),                                     \
            FUNCTION(GET_PARAMS, describe_##bits), FUNCTION(GET_CTX_PARAMS, get_parameters),       \
            FUNCTION(SET_CTX_PARAMS, set_parameters), FUNCTION(GETTABLE_CTX_PARAMS, gettable),     \
            FUNCTION(SETTABLE_CTX_PARAMS, settable),                                               \
        {                                                                                          \
            0, NULL                                                                                \
        }                                                                                          \
    }
static const OSSL_DISPATCH functions_128[] = FUNCTIONS(128);
static const OSSL_DISPATCH functions_256[] = FUNCTIONS(256);

/* TLS asks by the second name. */
const OSSL_ALGORITHM record_ciphers[] = {
    {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=lethe", functions_256, NULL},
    {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=lethe", functions_128, NULL},
    {NULL, NULL, NULL, NULL},
};
