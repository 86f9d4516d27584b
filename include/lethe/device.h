/* lethe/device.h -- the devices of this machine that can hold weights and caches.
 *
 * Thread rule: any thread. */
#ifndef LETHE_DEVICE_H
#define LETHE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

enum lethe_device_kind {
    LETHE_DEVICE_HOST, /* main memory, of which there is one                                  */
    LETHE_DEVICE_CUDA, /* needs libcuda.so.1, which comes with NVIDIA's driver and is opened at
                          run time                                                            */
};

/* How many there are; 0 where there is no driver, and then *why (which may be NULL) says so in
 * static text. */
size_t lethe_device_count(enum lethe_device_kind kind, const char **why);

struct lethe_device_info {
    char name[24];  /* "host:0", "cuda:1": what errors and records call it */
    char model[64]; /* "NVIDIA H100 80GB HBM3"                             */
    uint64_t total_bytes;
    uint64_t free_bytes; /* as the system says, whoever uses the rest */
    bool quarantined;    /* what it held was not what had been sealed  */
};
/* LETHE_INVALID: there is no such device, and how many there are. LETHE_UNAVAILABLE: no driver, or
 * it does not answer. */
LETHE_MUST_CHECK lethe_result lethe_device_info(enum lethe_device_kind kind, size_t index,
                                                struct lethe_device_info *out,
                                                struct lethe_error *err);
/* Ends a device's quarantine in this process: for an operator who has found out what happened.
 * Results as lethe_device_info. */
LETHE_MUST_CHECK lethe_result lethe_device_release(enum lethe_device_kind kind, size_t index,
                                                   struct lethe_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
