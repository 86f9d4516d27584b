/* bench/kms_load.h -- a client that asks as fast as it is answered: HTTP/1.1 over mutual TLS 1.3.
 *
 * One thread, many connections that stay open, one request in flight on each. The same for every
 * server that is measured. */
#ifndef BENCH_KMS_LOAD_H
#define BENCH_KMS_LOAD_H

#include "base/buffer.h"
#include "bench.h"

#define LOAD_CONNECTIONS_MAX 8192u

struct load_server {
    uint16_t port; /* on 127.0.0.1 */
    const char *ca_path, *certificate_path, *key_path;
};

struct load; /* connections to one server */
struct load *load_open(const struct load_server *server, unsigned connections);
void load_close(struct load *load);

struct load_result {
    double per_s;
    double p50_s, p99_s;
};
/* Asks the same on all connections for so long. Anything but status 200 ends the program. */
void load_run(struct load *load, const struct buffer *request, double seconds,
              struct load_result *out);
/* Asks once, and gives the body; false: the status is none of 200 to 299. */
bool load_ask(struct load *load, const struct buffer *request, struct buffer *body);

/* A request as text. `token` NULL: none. */
void load_request(struct buffer *out, const char *method, const char *path, const char *token,
                  const char *body);

#endif
