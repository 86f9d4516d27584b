/* Replays inputs through a fuzz target: each argument is a file, taken as it is, or a directory of
 * seeds, taken with prefixes and damaged copies of each, the same ones on every run. Prints how
 * many; an input that fails crashes here as it does under libFuzzer. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#include "fuzz.h"

#define INPUT_BYTES_MAX ((size_t)64 << 20)

#define PREFIXES_MAX ((size_t)256) /* per seed; longer ones are cut at even steps */
#define DAMAGED_COPIES 256u        /* per seed */
#define DAMAGED_BYTES_MAX 4u       /* per copy */

static unsigned replayed;

/* A copy of the exact size: a read past the end is then one past a heap block. */
static void replay(const void *input, size_t size_bytes)
{
    uint8_t *exact = malloc(size_bytes);
    REQUIRE(exact != NULL || size_bytes == 0);
    if (size_bytes > 0)
        memcpy(exact, input, size_bytes);
    LLVMFuzzerTestOneInput(exact, size_bytes);
    free(exact);
    replayed++;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u; /* a linear congruence: any sequence would do */
    return *state >> 8;
}

static void replay_prefixes(const struct buffer *seed)
{
    size_t step_bytes = seed->size_bytes / PREFIXES_MAX + 1;
    for (size_t size_bytes = 0; size_bytes < seed->size_bytes; size_bytes += step_bytes)
        replay(seed->bytes, size_bytes);
}

/* A few bytes of each copy become extremes, syntax or noise. */
static void replay_damaged(struct buffer *seed)
{
    static const unsigned char extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '['};
    uint32_t random = 1;
    for (unsigned copy = 0; copy < DAMAGED_COPIES && seed->size_bytes > 0; copy++) {
        size_t at[DAMAGED_BYTES_MAX];
        char before[DAMAGED_BYTES_MAX];
        unsigned count = 1 + next_random(&random) % DAMAGED_BYTES_MAX;
        for (unsigned i = 0; i < count; i++) {
            at[i] = next_random(&random) % seed->size_bytes;
            before[i] = seed->bytes[at[i]];
            uint32_t noise = next_random(&random);
            seed->bytes[at[i]] =
                (char)(noise & 0x100 ? noise : extremes[noise % ARRAY_LEN(extremes)]);
        }
        replay(seed->bytes, seed->size_bytes);
        while (count-- > 0)
            seed->bytes[at[count]] = before[count];
    }
}

static bool replay_file(const char *path, bool is_seed)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer content = {0};
    if (file_read_all(AT_FDCWD, path, INPUT_BYTES_MAX, &content, &err) != LETHE_OK) {
        fprintf(stderr, "fuzz: %s\n", err.text);
        return false;
    }
    replay(content.bytes, content.size_bytes);
    if (is_seed) {
        replay_prefixes(&content);
        replay_damaged(&content);
    }
    return true;
}

static bool replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        return false;
    }
    bool fine = true;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        CLEANUP(memory_free) char *file = path_join(path, entry->d_name);
        fine = file != NULL && replay_file(file, true) && fine;
    }
    closedir(directory);
    return fine;
}

int main(int argc, char **argv)
{
    bool fine = true;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_directory = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        fine = (is_directory ? replay_directory(argv[i]) : replay_file(argv[i], false)) && fine;
    }
    printf("replayed %u inputs\n", replayed);
    return fine && replayed > 0 ? 0 : 1;
}
