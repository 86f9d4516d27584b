/* crypto/record.h -- AES-GCM of TLS 1.3 records as fast as the CPU can: a provider for OpenSSL.
 *
 * OpenSSL before 3.5 seals records at a third of the speed of intel-ipsec-mb on CPUs with VAES.
 * The provider is for records and for nothing else: nonces of 12 bytes, tags of 16, associated data
 * of at most RECORD_AAD_MAX bytes, and no text before all of the associated data; what is different
 * is refused. It lives in a library context of its own, beside OpenSSL's default provider, so that
 * nobody else's choice of algorithms changes. Key schedules are in guarded memory. Thread rule:
 * as OpenSSL's: a context may be shared, a cipher context is one thread's at a time. */
#ifndef CRYPTO_RECORD_H
#define CRYPTO_RECORD_H

#include <openssl/types.h>

#include "base/base.h"

#define RECORD_AAD_MAX 256u

/* What SSL_CTX_new_ex() takes so that records go through the provider. */
#define RECORD_PROPERTIES "?provider=lethe"
/* The context, made once and kept; NULL, which is OpenSSL's own context, where that is as good or
 * wanted: the CPU or intel-ipsec-mb has not what it takes, OpenSSL is 3.5 or later, it is
 * configured for other providers than its default one (FIPS), or LETHE_AEAD=openssl. */
OSSL_LIB_CTX *record_library(void);

#endif
