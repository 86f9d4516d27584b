#include <stdio.h>
#include "bench.h"
#include "kms_nginx.h"
void bench_kms(void)
{
    static const unsigned counts[] = {1, 8, 64};
    struct nginx nginx;
    if (!nginx_open(&nginx)) { bench_skip("kms", "nginx-light or openssl is not here"); return; }
    CLEANUP(buffer_clear) struct buffer request = {0};
    load_request(&request, "GET", "/v1/x", "token", NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct load_result r;
        struct load *load = load_open(&nginx.server, counts[i]);
        load_run(load, &request, 0.3, &r);
        load_run(load, &request, 1, &r);
        printf("%u: %.0f/s p50 %.0f us p99 %.0f us\n", counts[i], r.per_s, r.p50_s*1e6, r.p99_s*1e6);
        load_close(load);
    }
    nginx_close(&nginx);
}
