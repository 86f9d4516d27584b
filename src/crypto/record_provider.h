/* crypto/record_provider.h -- what the files of crypto/record.h share, and their test uses. */
#ifndef CRYPTO_RECORD_PROVIDER_H
#define CRYPTO_RECORD_PROVIDER_H

#include <openssl/core.h>
#include <openssl/types.h>

#include "crypto/record.h"

extern const OSSL_ALGORITHM record_ciphers[];

struct record_library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *ours, *theirs;
};
/* A context with the provider and OpenSSL's default one, whatever the version of OpenSSL; false
 * where intel-ipsec-mb is not used or memory lacks. */
LETHE_MUST_CHECK bool record_library_create(struct record_library *out);
void record_library_free(struct record_library *library); /* an empty one is fine */

#endif
