/* A TPM, as far as attestation needs one: two P-256 keys, PCRs, counters. */
#include "check.h"

#include "release_check.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/text.h"

static void put(struct buffer *out, uint64_t number, size_t size_bytes)
{
    while (size_bytes-- > 0)
        buffer_byte(out, (uint8_t)(number >> 8 * size_bytes));
}

static void put_sized(struct buffer *out, const void *bytes, size_t size_bytes)
{
    put(out, size_bytes, 2);
    buffer_append(out, bytes, size_bytes);
}

static void point_of(EVP_PKEY *key, uint8_t point[65])
{
    size_t size_bytes = 0;
    assert_int_equal(
        1, EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, 65, &size_bytes));
    assert_int_equal(65, size_bytes);
}

/* TCG, Library part 2, 12.2.4; the endorsement key as the EK Credential Profile's L-2 has it. */
void tpm_public(EVP_PKEY *key, bool is_ek, struct buffer *out)
{
    uint8_t point[65], policy[32] = {0x83, 0x71};
    point_of(key, point);
    put(out, 0x0023, 2);
    put(out, 0x000b, 2);
    put(out, is_ek ? 0x000300b2 : 0x00050072, 4);
    put_sized(out, policy, is_ek ? sizeof policy : 0);
    if (is_ek) {
        put(out, 0x0006008000430010, 8); /* AES, 128, CFB; no scheme */
    } else {
        put(out, 0x00100018, 4); /* no cipher; ECDSA ... */
        put(out, 0x000b, 2);     /* ... with SHA-256 */
    }
    put(out, 0x00030010, 4); /* P-256, no KDF */
    put_sized(out, point + 1, 32);
    put_sized(out, point + 33, 32);
}

void tpm_make(struct tpm *tpm)
{
    *tpm = (struct tpm){.clock_ms = 1000, .reset_count = 5, .restart_count = 2};
    tpm->ak = EVP_EC_gen("P-256");
    tpm->ek = EVP_EC_gen("P-256");
    assert_true(tpm->ak != NULL && tpm->ek != NULL);
    EVP_PKEY_set_utf8_string_param(tpm->ek, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                   "uncompressed");
    tpm_public(tpm->ak, false, &tpm->ak_public);
    tpm_public(tpm->ek, true, &tpm->ek_public);
    for (size_t i = 0; i < 24; i++)
        memset(tpm->pcrs[i], (int)(0x10 + i), 32);
}

void tpm_clear(struct tpm *tpm)
{
    EVP_PKEY_free(tpm->ak);
    EVP_PKEY_free(tpm->ek);
    buffer_clear(&tpm->ak_public);
    buffer_clear(&tpm->ek_public);
}

static void name_of(const struct tpm *tpm, uint8_t name[34])
{
    name[0] = 0;
    name[1] = 0x0b;
    SHA256((const uint8_t *)tpm->ak_public.bytes, tpm->ak_public.size_bytes, name + 2);
}

/* ---- quotes ---------------------------------------------------------------------------------- */

static void digest_pcrs(const struct tpm *tpm, uint32_t mask, uint8_t out[32])
{
    struct buffer values = {0};
    for (unsigned i = 0; i < 24; i++)
        if ((mask & 1u << i) != 0)
            buffer_append(&values, tpm->pcrs[i], 32);
    SHA256((const uint8_t *)values.bytes, values.size_bytes, out);
    buffer_clear(&values);
}

static void sign_quote(EVP_PKEY *key, const struct buffer *quote, struct buffer *out)
{
    uint8_t der[128], number[32];
    size_t der_bytes = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(1, EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key));
    assert_int_equal(1, EVP_DigestSign(context, der, &der_bytes, (const uint8_t *)quote->bytes,
                                       quote->size_bytes));
    EVP_MD_CTX_free(context);
    const uint8_t *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_bytes);
    put(out, 0x0018000b, 4);
    assert_int_equal(32, BN_bn2binpad(ECDSA_SIG_get0_r(signature), number, 32));
    put_sized(out, number, 32);
    assert_int_equal(32, BN_bn2binpad(ECDSA_SIG_get0_s(signature), number, 32));
    put_sized(out, number, 32);
    ECDSA_SIG_free(signature);
}

void tpm_quote(const struct tpm *tpm, const uint8_t binding[32], uint32_t pcr_mask,
               struct buffer *quote, struct buffer *signature)
{
    uint8_t name[34], digest[32];
    name_of(tpm, name);
    put(quote, 0xff544347, 4);
    put(quote, 0x8018, 2);
    put_sized(quote, name, sizeof name);
    put_sized(quote, binding, 32);
    put(quote, tpm->clock_ms, 8);
    put(quote, tpm->reset_count, 4);
    put(quote, tpm->restart_count, 4);
    put(quote, 1, 1);
    put(quote, 0x1234, 8);
    put(quote, 1, 4);
    put(quote, 0x000b03, 3);
    for (unsigned i = 0; i < 3; i++)
        put(quote, pcr_mask >> 8 * i & 0xff, 1);
    digest_pcrs(tpm, pcr_mask, digest);
    put_sized(quote, digest, sizeof digest);
    sign_quote(tpm->ak, quote, signature);
}

static void put_pcrs(const struct tpm *tpm, uint32_t mask, struct buffer *json)
{
    char hex[65];
    const char *comma = "";
    buffer_text(json, "\"pcrs\":{");
    for (unsigned i = 0; i < 24; i++) {
        if ((mask & 1u << i) == 0)
            continue;
        hex_encode(tpm->pcrs[i], 32, hex);
        buffer_format(json, "%s\"%u\":\"%s\"", comma, i, hex);
        comma = ",";
    }
    buffer_text(json, "}");
}

static void put_base64(struct buffer *json, const char *name, const struct buffer *bytes)
{
    buffer_format(json, "\"%s\":\"", name);
    base64_append(json, bytes->bytes, bytes->size_bytes);
    buffer_text(json, "\",");
}

void tpm_prove(const struct tpm *tpm, const uint8_t binding[32], uint32_t pcr_mask,
               const char *vouched, struct buffer *json)
{
    struct buffer quote = {0}, signature = {0};
    tpm_quote(tpm, binding, pcr_mask, &quote, &signature);
    buffer_clear(json);
    buffer_text(json, "{\"kind\":\"tpm2\",");
    put_base64(json, "quote", &quote);
    put_base64(json, "signature", &signature);
    put_base64(json, "ak", &tpm->ak_public);
    put_pcrs(tpm, pcr_mask, json);
    if (vouched != NULL)
        buffer_format(json, ",\"vouched\":%s", vouched);
    buffer_text(json, "}");
    buffer_clear(&quote);
    buffer_clear(&signature);
}

/* ---- credentials (TCG, Library part 1, 24 and annex C) -----------------------------------------
 */

/* The encrypted seed is a point; what both sides know is x of the product. */
static void agree(EVP_PKEY *ek, const uint8_t ephemeral[65], uint8_t z[32])
{
    size_t size_bytes = 32;
    EVP_PKEY *peer = EVP_PKEY_new();
    assert_int_equal(1, EVP_PKEY_copy_parameters(peer, ek));
    assert_int_equal(1, EVP_PKEY_set1_encoded_public_key(peer, ephemeral, 65));
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(ek, NULL);
    assert_int_equal(1, EVP_PKEY_derive_init(context));
    assert_int_equal(1, EVP_PKEY_derive_set_peer(context, peer));
    assert_int_equal(1, EVP_PKEY_derive(context, z, &size_bytes));
    assert_int_equal(32, size_bytes);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
}

static void kdfe(const uint8_t z[32], const uint8_t x[32], const uint8_t y[32], uint8_t out[32])
{
    uint8_t text[4 + 32 + 9 + 64] = {0, 0, 0, 1};
    memcpy(text + 4, z, 32);
    memcpy(text + 36, "IDENTITY", 9);
    memcpy(text + 45, x, 32);
    memcpy(text + 77, y, 32);
    SHA256(text, sizeof text, out);
}

static void kdfa(const uint8_t seed[32], const char *label, const uint8_t *context,
                 size_t context_bytes, uint16_t bits, uint8_t out[32])
{
    struct buffer text = {0};
    put(&text, 1, 4);
    buffer_append(&text, label, strlen(label) + 1);
    buffer_append(&text, context, context_bytes);
    put(&text, bits, 4);
    HMAC(EVP_sha256(), seed, 32, (const uint8_t *)text.bytes, text.size_bytes, out, NULL);
    buffer_clear(&text);
}

static void cfb(const uint8_t key[16], const uint8_t *in, size_t size_bytes, uint8_t *out)
{
    static const uint8_t iv[16];
    int written = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(1, EVP_DecryptInit_ex(context, EVP_aes_128_cfb128(), NULL, key, iv));
    assert_int_equal(1, EVP_DecryptUpdate(context, out, &written, in, (int)size_bytes));
    EVP_CIPHER_CTX_free(context);
}

bool tpm_activate(const struct tpm *tpm, const struct buffer *blob, const struct buffer *seed,
                  uint8_t secret[32])
{
    uint8_t point[65], ephemeral[65] = {4}, z[32], key[32], derived[32], mac[32], name[34];
    uint8_t text[128], plain[64];
    const uint8_t *b = (const uint8_t *)blob->bytes, *s = (const uint8_t *)seed->bytes;
    if (blob->size_bytes != 2 + 34 + 34 || seed->size_bytes != 2 + 34 + 34)
        return false;
    memcpy(ephemeral + 1, s + 4, 32);
    memcpy(ephemeral + 33, s + 38, 32);
    point_of(tpm->ek, point);
    agree(tpm->ek, ephemeral, z);
    kdfe(z, ephemeral + 1, point + 1, key);
    name_of(tpm, name);
    kdfa(key, "INTEGRITY", NULL, 0, 256, derived);
    memcpy(text, b + 36, 34);
    memcpy(text + 34, name, 34);
    HMAC(EVP_sha256(), derived, 32, text, 68, mac, NULL);
    if (memcmp(mac, b + 4, 32) != 0)
        return false;
    kdfa(key, "STORAGE", name, sizeof name, 128, derived);
    cfb(derived, b + 36, 34, plain);
    memcpy(secret, plain + 2, 32);
    return plain[0] == 0 && plain[1] == 32;
}
