/* bench/pool_certificates.h -- an authority that lives as long as the run, and who it vouches for.
 */
#ifndef BENCH_POOL_CERTIFICATES_H
#define BENCH_POOL_CERTIFICATES_H

#include "bench.h"
#include "crypto/sign.h"
#include "net/tls.h"

#define POOL_PATH_SIZE 128u

struct pool_authority {
    char directory[64]; /* temporary; holds its certificate and those that it issued */
    char path[POOL_PATH_SIZE];
    struct sign_pair *key;
    struct buffer der, pem;
};
void pool_authority_open(struct pool_authority *authority);
void pool_authority_close(struct pool_authority *authority);

struct pool_identity {
    char path[POOL_PATH_SIZE], key_path[POOL_PATH_SIZE];
    struct buffer pem;
    struct lethe_secret *key_pem;
};
/* ECDSA P-256, for 127.0.0.1 and spiffe://bench/tenant/bench/NAME; either side may use it. */
void pool_identity_open(struct pool_identity *identity, const struct pool_authority *authority,
                        const char *name);
void pool_identity_close(struct pool_identity *identity);

#endif
