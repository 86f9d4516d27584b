/* bench/pool_check.h -- whether a server demands what the measurement says it does. */
#ifndef BENCH_POOL_CHECK_H
#define BENCH_POOL_CHECK_H

#include "pool_certificates.h"
#include "pool_protocol.h"

/* Ends the program unless the server on 127.0.0.1 answers a request over TLS 1.3 with
 * TLS_AES_256_GCM_SHA384 to the identity, and not a byte to whoever shows no certificate. */
void pool_check_mutual(const char *server, uint16_t port, enum pool_protocol protocol,
                       const struct pool_authority *authority,
                       const struct pool_identity *identity);

#endif
