/* Private keys as PEM. What OpenSSL copies on the way lies in its secure heap. */
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "crypto/x509_openssl.h"

DEFINE_CLEANUP(BIO_free_all, BIO *);

static int write_pem(BIO *bio, const struct sign_pair *pair, bool traditional)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = sign_pair_pkey(pair);
    bool is_ecdsa = sign_kinds[sign_public_kind(sign_pair_public(pair))].group != NULL;
    if (pkey == NULL)
        return 0;
    return traditional && is_ecdsa
               ? PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL)
               : PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
}

lethe_result x509_private_pem(const struct sign_pair *pair, bool traditional,
                              struct lethe_secret **out, struct lethe_error *err)
{
    char *text;
    *out = NULL;
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(BIO_free_all) BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL || write_pem(bio, pair, traditional) != 1)
        return openssl_failed(err, LETHE_FAILED, "writing a private key as PEM");
    long length = BIO_get_mem_data(bio, &text);
    TRY(lethe_secret_create((size_t)length, out, err));
    memcpy(lethe_secret_bytes(*out), text, (size_t)length);
    return LETHE_OK;
}
