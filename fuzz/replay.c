/* fuzz/replay.c -- runs a fuzz target without libFuzzer: over every seed, every short prefix of it,
 * and a fixed sequence of damaged copies, so that the same run happens everywhere. It fails by
 * crashing, as a sanitizer, a canary or a broken precondition makes it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_MAX_BYTES (1u << 20)
#define PREFIXES_MAX 512u /* per seed; longer seeds are cut at even steps */
#define DAMAGED_COPIES 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static unsigned inputs;

/* An exact allocation, so that a sanitizer sees the first byte read past the end. */
static void run_input(const uint8_t *data, size_t size_bytes)
{
    uint8_t *copy = malloc(size_bytes);
    if (size_bytes > 0 && copy == NULL)
        abort();
    if (size_bytes > 0)
        memcpy(copy, data, size_bytes);
    LLVMFuzzerTestOneInput(copy, size_bytes);
    free(copy);
    inputs++;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes' generator: any would do */
    return *state >> 8;
}

static void run_prefixes(const uint8_t *seed, size_t size_bytes)
{
    size_t step = size_bytes / PREFIXES_MAX + 1;
    for (size_t length = 0; length < size_bytes; length += step)
        run_input(seed, length);
}

/* Up to four bytes of each copy become extremes or noise. */
static void run_damaged(uint8_t *seed, size_t size_bytes)
{
    static const uint8_t extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '['};
    uint32_t random = 1;
    for (unsigned copy = 0; copy < DAMAGED_COPIES && size_bytes > 0; copy++) {
        uint8_t before[4];
        size_t at[4];
        unsigned count = 1 + next_random(&random) % 4;
        for (unsigned i = 0; i < count; i++) {
            at[i] = next_random(&random) % size_bytes;
            before[i] = seed[at[i]];
            uint32_t noise = next_random(&random);
            seed[at[i]] = noise & 256 ? (uint8_t)noise : extremes[noise % sizeof extremes];
        }
        run_input(seed, size_bytes);
        while (count-- > 0)
            seed[at[count]] = before[count];
    }
}

static void run_seed(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *seed = malloc(SEED_MAX_BYTES);
    if (file == NULL || seed == NULL) {
        perror(path);
        exit(1);
    }
    size_t size_bytes = fread(seed, 1, SEED_MAX_BYTES, file);
    fclose(file);
    run_input(seed, size_bytes);
    run_prefixes(seed, size_bytes);
    run_damaged(seed, size_bytes);
    free(seed);
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run_seed(path);
        free(entries[i]);
    }
    free(entries);
    printf("%u inputs\n", inputs);
    return inputs > 0 ? 0 : 1; /* a corpus without a seed tests nothing */
}
