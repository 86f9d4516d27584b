/* RFC 9180: DHKEM(X25519, HKDF-SHA256) and the key schedule. What is secret on the way lies in one
 * guarded object, or in OpenSSL's secure heap. */
#include "crypto/hpke_core.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "crypto/openssl.h"

#define KDF_HKDF_SHA256 1
#define KEM_X25519 0x20
#define LABELED_MAX 512u /* the longest: "HPKE-v1", a suite, a label, and HPKE_INFO_MAX of info */

static const uint8_t kem_suite[] = {'K', 'E', 'M', 0, KEM_X25519};

struct suite {
    const uint8_t *id;
    size_t id_bytes;
};
static const struct suite kem = {kem_suite, sizeof kem_suite};

/* ---- labeled HKDF (4) ------------------------------------------------------------------------ */

/* What is derived from is secret, so what it is put together in is guarded. */
struct labeled {
    size_t size_bytes;
    uint8_t bytes[LABELED_MAX];
};

static void add(struct labeled *text, const void *bytes, size_t size_bytes)
{
    REQUIRE(size_bytes <= sizeof text->bytes - text->size_bytes);
    if (size_bytes > 0)
        memcpy(text->bytes + text->size_bytes, bytes, size_bytes);
    text->size_bytes += size_bytes;
}

static void begin(struct labeled *text, const struct suite *suite, const char *label)
{
    static const char version[] = "HPKE-v1";
    add(text, version, sizeof version - 1);
    add(text, suite->id, suite->id_bytes);
    add(text, label, strlen(label));
}

static OSSL_PARAM octets(const char *name, const void *bytes, size_t size_bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)(size_bytes > 0 ? bytes : ""),
                                             size_bytes);
}

static lethe_result run_hkdf(int mode, OSSL_PARAM key, OSSL_PARAM beside, uint8_t *out,
                             size_t out_bytes)
{
    static char hash[] = "SHA2-256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0), key, beside,
        OSSL_PARAM_END};
    CLEANUP(EVP_KDF_CTX_free) EVP_KDF_CTX *context = EVP_KDF_CTX_new(openssl()->hkdf);
    return context != NULL && EVP_KDF_derive(context, out, out_bytes, parameters) == 1
               ? LETHE_OK
               : LETHE_FAILED;
}

struct piece {
    const void *bytes;
    size_t size_bytes;
};

static lethe_result labeled_extract(const struct suite *suite, const char *label, struct piece salt,
                                    struct piece secret, uint8_t out[HPKE_SECRET_BYTES])
{
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(slab_alloc(sizeof(struct labeled), &guarded, NULL));
    struct labeled *text = guarded;
    begin(text, suite, label);
    add(text, secret.bytes, secret.size_bytes);
    return run_hkdf(
        EVP_KDF_HKDF_MODE_EXTRACT_ONLY, octets(OSSL_KDF_PARAM_KEY, text->bytes, text->size_bytes),
        octets(OSSL_KDF_PARAM_SALT, salt.bytes, salt.size_bytes), out, HPKE_SECRET_BYTES);
}

struct expansion {
    const struct suite *suite;
    const uint8_t *prk; /* HPKE_SECRET_BYTES */
    struct piece info;
};

static lethe_result labeled_expand(const struct expansion *from, const char *label, uint8_t *out,
                                   size_t out_bytes)
{
    struct labeled text = {0};
    const uint8_t length[] = {(uint8_t)(out_bytes >> 8), (uint8_t)out_bytes};
    add(&text, length, sizeof length);
    begin(&text, from->suite, label);
    add(&text, from->info.bytes, from->info.size_bytes);
    return run_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                    octets(OSSL_KDF_PARAM_KEY, from->prk, HPKE_SECRET_BYTES),
                    octets(OSSL_KDF_PARAM_INFO, text.bytes, text.size_bytes), out, out_bytes);
}

/* ---- the KEM (4.1) --------------------------------------------------------------------------- */

static EVP_PKEY *private_pkey(const struct lethe_secret *key)
{
    return EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, lethe_secret_bytes_const(key),
                                           lethe_secret_size(key));
}

lethe_result hpke_public_of(const struct lethe_secret *private_key,
                            uint8_t public_key[HPKE_PUBLIC_BYTES], struct lethe_error *err)
{
    size_t size_bytes = HPKE_PUBLIC_BYTES;
    if (lethe_secret_size(private_key) != HPKE_SECRET_BYTES)
        return error_set(err, LETHE_INVALID, "an X25519 key of %zu bytes instead of %u",
                         lethe_secret_size(private_key), HPKE_SECRET_BYTES);
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = private_pkey(private_key);
    if (pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, public_key, &size_bytes) == 1)
        return LETHE_OK;
    return openssl_failed(err, LETHE_FAILED, "X25519");
}

/* OpenSSL refuses where the result would be zero: a point of small order (RFC 7748, 6.1). */
static lethe_result diffie_hellman(const struct lethe_secret *private_key,
                                   const uint8_t public_key[HPKE_PUBLIC_BYTES], uint8_t *out,
                                   struct lethe_error *err)
{
    size_t out_bytes = HPKE_SECRET_BYTES;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *own = private_pkey(private_key);
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *other =
        EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, public_key, HPKE_PUBLIC_BYTES);
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = own != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL) : NULL;
    if (context == NULL || other == NULL || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, other) != 1)
        return openssl_failed(err, LETHE_FAILED, "X25519");
    if (EVP_PKEY_derive(context, out, &out_bytes) == 1 && out_bytes == HPKE_SECRET_BYTES)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "X25519");
    ERR_clear_error();
    return error_set(err, LETHE_INVALID, "this public key gives no shared secret");
}

struct kem_work {
    uint8_t shared[HPKE_SECRET_BYTES];
    uint8_t prk[HPKE_SECRET_BYTES];
};

/* ExtractAndExpand(); `private_key` is ours, `other` theirs. */
static lethe_result agree(const struct lethe_secret *private_key,
                          const uint8_t other[HPKE_PUBLIC_BYTES],
                          const uint8_t both[HPKE_ENCAPSULATED_BYTES + HPKE_PUBLIC_BYTES],
                          uint8_t *shared, struct lethe_error *err)
{
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(slab_alloc(sizeof(struct kem_work), &guarded, err));
    struct kem_work *work = guarded;
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    TRY(diffie_hellman(private_key, other, work->shared, err));
    const struct piece none = {0}, dh = {work->shared, sizeof work->shared};
    const struct expansion from = {
        &kem, work->prk, {both, HPKE_ENCAPSULATED_BYTES + HPKE_PUBLIC_BYTES}};
    if (labeled_extract(&kem, "eae_prk", none, dh, work->prk) != LETHE_OK ||
        labeled_expand(&from, "shared_secret", shared, HPKE_SECRET_BYTES) != LETHE_OK)
        return openssl_failed(err, LETHE_FAILED, "HPKE's key agreement");
    return LETHE_OK;
}

lethe_result hpke_encapsulate(const struct lethe_secret *ephemeral,
                              const uint8_t public_key[HPKE_PUBLIC_BYTES],
                              uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES], uint8_t *shared,
                              struct lethe_error *err)
{
    uint8_t both[HPKE_ENCAPSULATED_BYTES + HPKE_PUBLIC_BYTES];
    TRY(hpke_public_of(ephemeral, encapsulated, err));
    memcpy(both, encapsulated, HPKE_ENCAPSULATED_BYTES);
    memcpy(both + HPKE_ENCAPSULATED_BYTES, public_key, HPKE_PUBLIC_BYTES);
    return agree(ephemeral, public_key, both, shared, err);
}

lethe_result hpke_decapsulate(const struct lethe_secret *private_key,
                              const uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES], uint8_t *shared,
                              struct lethe_error *err)
{
    uint8_t both[HPKE_ENCAPSULATED_BYTES + HPKE_PUBLIC_BYTES];
    memcpy(both, encapsulated, HPKE_ENCAPSULATED_BYTES);
    TRY(hpke_public_of(private_key, both + HPKE_ENCAPSULATED_BYTES, err));
    return agree(private_key, encapsulated, both, shared, err);
}

/* ---- the key schedule (5.1) ------------------------------------------------------------------ */

static size_t key_bytes(enum hpke_aead aead)
{
    return aead == HPKE_AES_128_GCM ? AEAD_KEY_128_BYTES : AEAD_KEY_BYTES;
}

struct schedule_work {
    uint8_t secret[HPKE_SECRET_BYTES];
    uint8_t context[1 + 2 * HPKE_SECRET_BYTES]; /* mode base, hashes of psk_id (none) and info */
};

static lethe_result derive_schedule(enum hpke_aead aead, const uint8_t *shared,
                                    const struct hpke_context *context, struct schedule_work *work,
                                    struct hpke_schedule *out)
{
    const uint8_t id[] = {'H', 'P', 'K', 'E', 0, KEM_X25519, 0, KDF_HKDF_SHA256, 0, (uint8_t)aead};
    const struct suite suite = {id, sizeof id};
    const struct piece none = {0}, info = {context->info, context->info_bytes};
    TRY(labeled_extract(&suite, "psk_id_hash", none, none, work->context + 1));
    TRY(labeled_extract(&suite, "info_hash", none, info, work->context + 1 + HPKE_SECRET_BYTES));
    TRY(labeled_extract(&suite, "secret", (struct piece){shared, HPKE_SECRET_BYTES}, none,
                        work->secret));
    const struct expansion from = {&suite, work->secret, {work->context, sizeof work->context}};
    TRY(labeled_expand(&from, "key", out->key, key_bytes(aead)));
    return labeled_expand(&from, "base_nonce", out->nonce, sizeof out->nonce);
}

lethe_result hpke_key_schedule(enum hpke_aead aead, const uint8_t *shared,
                               const struct hpke_context *context, struct hpke_schedule *out,
                               struct lethe_error *err)
{
    if (context->info_bytes > HPKE_INFO_MAX)
        return error_set(err, LETHE_INVALID, "HPKE info of %zu bytes; at most %u",
                         context->info_bytes, HPKE_INFO_MAX);
    CLEANUP(slab_free) void *guarded = NULL;
    TRY(slab_alloc(sizeof(struct schedule_work), &guarded, err));
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    if (derive_schedule(aead, shared, context, guarded, out) != LETHE_OK)
        return openssl_failed(err, LETHE_FAILED, "HPKE's key schedule");
    return LETHE_OK;
}

lethe_result hpke_aead_key(enum hpke_aead aead, const struct hpke_schedule *schedule,
                           struct aead_key **out, struct lethe_error *err)
{
    if (aead == HPKE_CHACHA20_POLY1305)
        return aead_chacha20_create(schedule->key, out, err);
    return aead_key_create(schedule->key, key_bytes(aead), AEAD_BACKEND_BEST, out, err);
}
