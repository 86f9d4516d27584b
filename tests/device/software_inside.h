/* tests/device/software_inside.h -- what the files of the software driver share. */
#ifndef TESTS_SOFTWARE_INSIDE_H
#define TESTS_SOFTWARE_INSIDE_H

#include "software_cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/arithmetic/kernels.h"
#include "device/cuda_driver.h"

#define SHOWN __attribute__((visibility("default")))

#define DEVICES_MAX 8
#define CONTEXT_DEPTH 8

enum {
    OK = 0,
    INVALID_VALUE = 1,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500
};

struct CUctx_st {
    int device;
};

/* Under its lock, all of it. */
struct software {
    pthread_mutex_t lock;
    unsigned devices;
    uint64_t device_bytes;
    struct software_cuda_state state;
    bool lose_wipes;
    bool wiping; /* the kernel that runs is the one that wipes */
};
extern struct software software;

extern __thread struct CUctx_st *software_current[CONTEXT_DEPTH];
extern __thread unsigned software_depth;

/* Ends the process. */
_Noreturn void software_undefined(const char *what);
/* The code that this call is planned to fail with, or OK. */
int software_enter(const char *entry_point);
void software_unlock(pthread_mutex_t **held);
/* Frees all of a device's memory, as the end of its context does. */
void software_memory_end(int device);

/* In every entry point: takes the lock for its length, and fails if that is the plan. */
#define ENTER(entry_point)                                                                         \
    pthread_mutex_lock(&software.lock);                                                            \
    __attribute__((cleanup(software_unlock), unused)) pthread_mutex_t *held = &software.lock;      \
    int planned = software_enter(entry_point);                                                     \
    if (planned != OK)                                                                             \
    return planned
#define ENTER_CONTEXT(entry_point)                                                                 \
    ENTER(entry_point);                                                                            \
    if (software_depth == 0)                                                                       \
    return INVALID_CONTEXT

#endif
