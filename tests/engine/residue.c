/* Weights that can be found again, page by page.
 *
 *     residue make FILE BYTES SEED     writes them
 *     residue load MODULE OPTIONS      loads a kernel module
 *     residue count FILE BYTES SEED    prints how many of their pages stand in FILE (a swap device)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weights.h"

#define PAGE 4096u
#define BUCKETS (1u << 20)

struct page {
    const uint8_t *bytes;
    const struct page *next;
};

static uint64_t key_of(const uint8_t *bytes)
{
    uint64_t key;
    memcpy(&key, bytes, sizeof key);
    return (key * 0x9E3779B97F4A7C15u) >> 44;
}

static int make(const char *path, const uint8_t *weights, size_t size_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (size_t at = 0; at < size_bytes;) {
        ssize_t wrote = write(fd, weights + at, size_bytes - at);
        if (wrote <= 0)
            return 1;
        at += (size_t)wrote;
    }
    return close(fd);
}

static int count(const char *path, const uint8_t *weights, size_t size_bytes)
{
    static const struct page *buckets[BUCKETS];
    size_t pages = size_bytes / PAGE;
    struct page *all = calloc(pages + 1, sizeof *all);
    for (size_t i = 0; i < pages; i++) {
        uint64_t key = key_of(weights + i * PAGE);
        all[i] = (struct page){weights + i * PAGE, buckets[key]};
        buckets[key] = &all[i];
    }
    uint8_t there[PAGE];
    size_t found = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 1;
    while (read(fd, there, PAGE) == PAGE) {
        const struct page *page = buckets[key_of(there)];
        while (page != NULL && memcmp(page->bytes, there, PAGE) != 0)
            page = page->next;
        found += page != NULL;
    }
    printf("%zu\n", found);
    free(all);
    return close(fd);
}

static int load(const char *path, const char *options)
{
    return syscall(SYS_finit_module, open(path, O_RDONLY), options, 0) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "load") == 0)
        return load(argv[2], argv[3]);
    if (argc != 5)
        return 98;
    size_t size_bytes = strtoull(argv[3], NULL, 10);
    uint8_t *weights = malloc(size_bytes + 1);
    if (weights == NULL)
        return 97;
    weights_fill(weights, size_bytes, strtoull(argv[4], NULL, 10));
    return strcmp(argv[1], "make") == 0 ? make(argv[2], weights, size_bytes)
                                        : count(argv[2], weights, size_bytes);
}
