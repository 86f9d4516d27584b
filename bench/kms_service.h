/* bench/kms_service.h -- `lethe kms serve` in a home of its own, for as long as it is measured. */
#ifndef BENCH_KMS_SERVICE_H
#define BENCH_KMS_SERVICE_H

#include "kms_nginx.h"

struct kms_service {
    char directory[128]; /* temporary, on a disk */
    struct program program;
    char address[64];
    char ca[192];
    char token[128]; /* of one who may what is measured, by a path policy */
    struct load_server server;
};
/* With the clients of `nginx`. `durable`: uses are on the disk before they are answered. */
void service_open(struct kms_service *service, const struct nginx *nginx, bool durable);
void service_close(struct kms_service *service);

/* A call that must work; a text of its answer, by the name of its member. */
void service_call(struct kms_service *service, const char *method, const char *path,
                  const char *body);
void service_take(struct kms_service *service, const char *path, const char *body,
                  const char *member, struct buffer *out);

/* What all its processes have in memory, shared pages in parts (Pss of proc(5)). */
uint64_t service_memory(const struct kms_service *service);

#endif
