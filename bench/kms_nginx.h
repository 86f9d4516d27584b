/* bench/kms_nginx.h -- nginx beside the key service: one worker, mutual TLS 1.3, a constant answer.
 */
#ifndef BENCH_KMS_NGINX_H
#define BENCH_KMS_NGINX_H

#include "kms_load.h"
#include "program.h"

struct nginx {
    char directory[64]; /* temporary */
    char ca[96], certificate[96], key[96];
    struct program program;
    struct load_server server;
};
/* False: it, or the openssl program, is not there. */
bool nginx_open(struct nginx *nginx);
void nginx_close(struct nginx *nginx);

#endif
