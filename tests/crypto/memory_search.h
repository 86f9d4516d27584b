/* tests/crypto/memory_search.h -- does this process still hold these bytes anywhere?
 *
 * Looks at every readable mapping: heap, stacks, OpenSSL's secure heap, guarded memory, secret
 * memory. What is looked for is itself kept masked, or the search would find it. */
#ifndef TESTS_MEMORY_SEARCH_H
#define TESTS_MEMORY_SEARCH_H

#include <fcntl.h>
#include <unistd.h>

#include "check.h"

#define NEEDLE_MAX 64
#define NEEDLE_MASK 0xa5u
#define SEARCH_WINDOW_BYTES ((size_t)1 << 20)
#define SEARCH_MAPPING_MAX ((uint64_t)4 << 30) /* the sanitizers' shadow is larger */

struct needle {
    uint8_t masked[NEEDLE_MAX];
    size_t size_bytes;
};

__attribute__((unused)) static struct needle needle_of(const void *bytes, size_t size_bytes)
{
    struct needle needle = {.size_bytes = size_bytes};
    assert_true(size_bytes <= NEEDLE_MAX);
    for (size_t i = 0; i < size_bytes; i++)
        needle.masked[i] = ((const uint8_t *)bytes)[i] ^ NEEDLE_MASK;
    return needle;
}

static bool is_at(const struct needle *needle, const uint8_t *bytes)
{
    for (size_t i = 0; i < needle->size_bytes; i++)
        if ((bytes[i] ^ NEEDLE_MASK) != needle->masked[i])
            return false;
    return true;
}

static size_t count_in(const struct needle *needle, const uint8_t *bytes, size_t size_bytes)
{
    size_t found = 0;
    const uint8_t *end = bytes + size_bytes;
    while ((size_t)(end - bytes) >= needle->size_bytes) {
        size_t places = (size_t)(end - bytes) - needle->size_bytes + 1;
        bytes = memchr(bytes, needle->masked[0] ^ NEEDLE_MASK, places);
        if (bytes == NULL)
            break;
        found += is_at(needle, bytes);
        bytes++;
    }
    return found;
}

/* Secret memory cannot be read through /proc, only by the process itself. */
__attribute__((no_sanitize("address"))) static void copy_directly(uint8_t *out, uintptr_t from,
                                                                  size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        out[i] = ((const volatile uint8_t *)from)[i];
}

static uint8_t search_window[SEARCH_WINDOW_BYTES + NEEDLE_MAX];

static size_t count_in_mapping(const struct needle *needle, int mem, uintptr_t begin, uintptr_t end,
                               bool is_secret)
{
    size_t found = 0;
    for (uintptr_t at = begin; at < end; at += SEARCH_WINDOW_BYTES) {
        size_t overlap = needle->size_bytes - 1; /* a match may cross the window's end */
        size_t wanted =
            end - at < SEARCH_WINDOW_BYTES + overlap ? end - at : SEARCH_WINDOW_BYTES + overlap;
        ssize_t got = (ssize_t)wanted;
        if (is_secret)
            copy_directly(search_window, at, wanted);
        else
            got = pread(mem, search_window, wanted, (off_t)at);
        if (got > 0)
            found += count_in(needle, search_window, (size_t)got);
    }
    return found;
}

/* Without the mapping that `except` lies in; NULL: everywhere. */
static size_t count_except(const struct needle *needle, const void *except)
{
    size_t found = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;
        char access[5];
        assert_int_equal(sscanf(line, "%lx-%lx %4s", &begin, &end, access), 3);
        uintptr_t window = (uintptr_t)search_window, excepted = (uintptr_t)except;
        if (access[0] != 'r' || (excepted >= begin && excepted < end) ||
            strstr(line, "[v") != NULL || end - begin > SEARCH_MAPPING_MAX)
            continue;
        bool is_secret = strstr(line, "secretmem") != NULL;
        /* Around ourselves; our window may begin in one mapping and end in the next. */
        uintptr_t before = MIN(end, MAX(begin, window));
        uintptr_t behind = MIN(end, MAX(begin, window + sizeof search_window));
        found += count_in_mapping(needle, mem, begin, before, is_secret);
        found += count_in_mapping(needle, mem, behind, end, is_secret);
    }
    memset(search_window, 0, sizeof search_window);
    fclose(maps);
    close(mem);
    return found;
}

__attribute__((unused)) static size_t count_in_own_memory(const struct needle *needle)
{
    return count_except(needle, NULL);
}

#endif
