#include "crypto/sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "base/clock.h"
#include "crypto/sign_kind.h"

DEFINE_CLEANUP(BN_clear_free, BIGNUM *);
DEFINE_CLEANUP(EC_POINT_free, EC_POINT *);
DEFINE_CLEANUP(EC_GROUP_free, EC_GROUP *);
DEFINE_CLEANUP(OSSL_PARAM_BLD_free, OSSL_PARAM_BLD *);
DEFINE_CLEANUP(OSSL_PARAM_free, OSSL_PARAM *);

/* FIPS 186-5 A.2.2: in [1, n - 1]. */
static bool is_scalar(const EC_GROUP *group, const BIGNUM *number)
{
    return !BN_is_zero(number) && BN_cmp(number, EC_GROUP_get0_order(group)) < 0;
}

static bool point_of(const EC_GROUP *group, const BIGNUM *scalar, uint8_t *raw, size_t raw_bytes)
{
    CLEANUP(EC_POINT_free) EC_POINT *point = EC_POINT_new(group);
    return point != NULL && EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1 &&
           EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, raw, raw_bytes, NULL) ==
               raw_bytes;
}

static EVP_PKEY *pkey_of_point(const struct sign_kind *kind, const BIGNUM *scalar,
                               const uint8_t *raw)
{
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, kind->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, raw,
                                         kind->public_bytes) != 1 ||
        OSSL_PARAM_BLD_push_BN_pad(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar,
                                   kind->private_bytes) != 1)
        return NULL;
    CLEANUP(OSSL_PARAM_free) OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind->key_type, NULL);
    EVP_PKEY *pkey = NULL;
    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, parameters) != 1)
        return NULL;
    return pkey;
}

static lethe_result ec_pkey_from(const struct sign_kind *kind, const uint8_t *bytes, uint8_t *raw,
                                 EVP_PKEY **out)
{
    CLEANUP(EC_GROUP_free) EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_txt2nid(kind->group));
    CLEANUP(BN_clear_free) BIGNUM *scalar = BN_secure_new();
    if (group == NULL || scalar == NULL ||
        BN_bin2bn(bytes, (int)kind->private_bytes, scalar) == NULL)
        return LETHE_FAILED;
    if (!is_scalar(group, scalar))
        return LETHE_MALFORMED;
    BN_set_flags(scalar, BN_FLG_CONSTTIME);
    if (point_of(group, scalar, raw, kind->public_bytes))
        *out = pkey_of_point(kind, scalar, raw);
    return *out != NULL ? LETHE_OK : LETHE_FAILED;
}

static lethe_result ecdsa_pair(const struct sign_kind *kind, const uint8_t *bytes, uint8_t *raw,
                               EVP_PKEY **out, struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    lethe_result made = ec_pkey_from(kind, bytes, raw, out);
    if (made == LETHE_MALFORMED)
        return error_set(err, made, "these bytes are no %s private key", kind->name);
    return made == LETHE_OK ? LETHE_OK : openssl_failed(err, made, "making a key pair");
}

/* Of private bytes that have their size; the public key is written to `raw`. */
static lethe_result fill_pair(const struct sign_kind *kind, const uint8_t *bytes,
                              struct sign_pair *pair, uint8_t *raw, struct lethe_error *err)
{
    if (kind->group != NULL)
        return ecdsa_pair(kind, bytes, raw, &pair->pkey, err);
    TRY(ed25519_pair(bytes, &pair->ed25519, err));
    memcpy(raw, ed25519_pair_public(pair->ed25519), ED25519_PUBLIC_BYTES);
    return LETHE_OK;
}

EVP_PKEY *sign_pair_pkey(const struct sign_pair *pair)
{
    const struct sign_kind *kind = &sign_kinds[pair->public_key->kind];
    if (pair->ed25519 != NULL)
        return EVP_PKEY_new_raw_private_key_ex(NULL, kind->key_type, NULL,
                                               lethe_secret_bytes_const(pair->ed25519),
                                               ED25519_SEED_BYTES);
    return EVP_PKEY_up_ref(pair->pkey) == 1 ? pair->pkey : NULL;
}

static lethe_result require_signs(enum signature_kind kind, struct lethe_error *err)
{
    REQUIRE((size_t)kind < SIGN_KINDS);
    if (!sign_kinds[kind].signs)
        return error_set(err, LETHE_INVALID, "%s signatures can be checked, but not made",
                         sign_kinds[kind].name);
    return LETHE_OK;
}

lethe_result sign_pair_create(enum signature_kind kind, const struct lethe_secret *private_key,
                              struct sign_pair **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(require_signs(kind, err));
    if (lethe_secret_size(private_key) != sign_kinds[kind].private_bytes)
        return error_set(err, LETHE_MALFORMED, "an %s private key of %zu bytes instead of %zu",
                         sign_kinds[kind].name, lethe_secret_size(private_key),
                         sign_kinds[kind].private_bytes);
    CLEANUP(sign_pair_free) struct sign_pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key pair");
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    TRY(fill_pair(&sign_kinds[kind], lethe_secret_bytes_const(private_key), pair, raw, err));
    TRY(sign_public_from_raw(kind, raw, sign_kinds[kind].public_bytes, &pair->public_key, err));
    *out = MOVE(pair);
    return LETHE_OK;
}

void sign_pair_free(struct sign_pair *pair)
{
    if (pair == NULL)
        return;
    EVP_PKEY_free(pair->pkey);
    lethe_secret_free(pair->ed25519);
    sign_public_free(pair->public_key);
    free(pair);
}

const struct sign_public *sign_pair_public(const struct sign_pair *pair)
{
    return pair->public_key;
}

/* A draw that is no scalar of P-256 (one in 2^32) is drawn again. */
lethe_result sign_generate(enum signature_kind kind, struct lethe_secret **out,
                           struct lethe_error *err)
{
    *out = NULL;
    TRY(require_signs(kind, err));
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(lethe_secret_create(sign_kinds[kind].private_bytes, &secret, err));
    const unsigned draws_max = 8; /* more than two in a row means that something is broken */
    lethe_result result = LETHE_MALFORMED;
    for (unsigned draw = 0; draw < draws_max && result == LETHE_MALFORMED; draw++) {
        CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
        if (random_fill(&random_system, lethe_secret_bytes(secret), lethe_secret_size(secret)) !=
            LETHE_OK)
            return error_set(err, LETHE_FAILED, "the system has no randomness to give");
        result = sign_pair_create(kind, secret, &pair, err);
    }
    if (result == LETHE_OK)
        *out = MOVE(secret);
    return result;
}

static lethe_result ecdsa_sign(const struct sign_pair *pair, const void *bytes, size_t size_bytes,
                               struct signature *out, struct lethe_error *err)
{
    const struct sign_kind *kind = &sign_kinds[pair->public_key->kind];
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL ||
        EVP_DigestSignInit_ex(context, NULL, kind->digest, NULL, NULL, pair->pkey, NULL) != 1 ||
        EVP_DigestSign(context, out->bytes, &out->size_bytes, bytes, size_bytes) != 1) {
        *out = (struct signature){0};
        return openssl_failed(err, LETHE_FAILED, "signing");
    }
    return LETHE_OK;
}

lethe_result sign_message(const struct sign_pair *pair, const void *bytes, size_t size_bytes,
                          struct signature *out, struct lethe_error *err)
{
    *out = (struct signature){.size_bytes = sizeof out->bytes};
    if (pair->ed25519 == NULL)
        return ecdsa_sign(pair, bytes, size_bytes, out, err);
    out->size_bytes = ED25519_SIGNATURE_BYTES;
    ed25519_sign(pair->ed25519, bytes, size_bytes, out->bytes);
    return LETHE_OK;
}
