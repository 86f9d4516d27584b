#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "store/inside.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define OFFSETS "/proc/self/timens_offsets" /* time_namespaces(7) */
#define PROC_MAX_BYTES 4096

/* `context` is what the time namespace adds to the clock, in milliseconds, and not a pointer. */
static uint64_t system_now_ms(void *context)
{
    struct timespec now;
    REQUIRE(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (intptr_t)context;
    return (uint64_t)MAX(ms, 0);
}

/* A container may have a time namespace, but shares the store, and so the count, with who is
 * outside. A kernel without them has no such file. */
static lethe_result read_offset(int64_t *offset_ms, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    *offset_ms = 0;
    lethe_result result = file_read_all(AT_FDCWD, OFFSETS, PROC_MAX_BYTES, &text, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;
    TRY(result);
    const char *line = text.bytes == NULL ? NULL : strstr(text.bytes, "boottime");
    int64_t s;
    int64_t ns;
    if (line == NULL || sscanf(line, "boottime %" SCNd64 " %" SCNd64, &s, &ns) != 2)
        return error_set(err, LETHE_IO, "%s is not as expected", OFFSETS);
    *offset_ms = s * 1000 + ns / 1000000;
    return LETHE_OK;
}

/* Thirty-two hexadecimal digits, with dashes between them. */
static bool read_uuid(const char *text, uint8_t out[STORE_BOOT_BYTES])
{
    unsigned byte;
    for (size_t i = 0; i < STORE_BOOT_BYTES; i++, text += 2) {
        text += *text == '-';
        if (strspn(text, "0123456789abcdef") < 2 || sscanf(text, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return *text == '\n' || *text == '\0';
}

lethe_result store_clock_system(struct store_clock *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer id = {0};
    int64_t offset_ms;
    TRY(read_offset(&offset_ms, err));
    TRY(file_read_all(AT_FDCWD, BOOT_ID, PROC_MAX_BYTES, &id, err));
    *out = (struct store_clock){.now_ms = system_now_ms, .context = (void *)(intptr_t)offset_ms};
    if (id.bytes == NULL || !read_uuid(id.bytes, out->boot))
        return error_set(err, LETHE_IO, "%s is not as expected", BOOT_ID);
    return LETHE_OK;
}

void store_set_clock(struct store *store, const struct store_clock *clock)
{
    store->clock = *clock;
    store->leases.known = false;
}
