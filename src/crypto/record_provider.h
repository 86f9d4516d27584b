/* crypto/record_provider.h -- what the files of crypto/record.h share, and their test uses. */
#ifndef CRYPTO_RECORD_PROVIDER_H
#define CRYPTO_RECORD_PROVIDER_H

#include <openssl/core.h>
#include <openssl/types.h>

#include "crypto/record.h"

extern const OSSL_ALGORITHM record_ciphers[];

/* A fresh context with the provider and OpenSSL's default one, whatever the version of OpenSSL;
 * NULL where intel-ipsec-mb is not used or memory lacks. */
OSSL_LIB_CTX *record_library_create(void);

#endif
