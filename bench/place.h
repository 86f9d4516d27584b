/* bench/place.h -- a temporary directory with a source and the model made of it. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include "bench.h"
#include "model/opened.h"

#define MIB ((uint64_t)1 << 20)

/* A key source that wraps nothing. */
struct place_keys {
    struct key_source source;
    struct sign_pair *pair;
};

struct place {
    char directory[128];
    char source[160];
    char model[160];
    struct place_keys keys;
    uint64_t size_bytes; /* of the source */
    struct lethe_error err;
};

/* Where files lie in memory, and where they lie on a disk, behind the page cache; one stands in for
 * the other where a host has only one of them. */
const char *place_in_memory(void);
const char *place_on_disk(void);
/* The size of a large model: LETHE_BENCH_MIB or 4 GiB, less where memory has no room for three. */
uint64_t place_large_bytes(void);

void place_open(struct place *place, const char *parent, uint64_t size_bytes);
void place_close(struct place *place);

/* Ends the program unless it went well. */
void place_must(lethe_result result, const struct place *place);

/* Noise, as weights are; or a file of zeros, which takes no room, where content does not matter. */
void place_write_source(struct place *place);
void place_write_zeros(struct place *place);
/* Makes the model, or makes it anew. */
void place_encrypt(struct place *place);
struct model *place_open_model(struct place *place);

double gbytes_per_s(uint64_t size_bytes, double seconds);

#endif
