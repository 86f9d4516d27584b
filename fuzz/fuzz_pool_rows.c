/* Rows of the memory pool: what is taken says the same when it is written again. The first byte
 * chooses which. */
#include <string.h>

#include "pool/pool_rows.h"

#include "fuzz.h"

#define TRY_ROW(kind, data, size)                                                                  \
    do {                                                                                           \
        CLEANUP(buffer_clear) struct buffer again = {0};                                           \
        struct kind##_row row;                                                                     \
        if (kind##_row_parse(cursor_over(data, size), &row) != LETHE_OK)                           \
            return 0;                                                                              \
        kind##_row_format(&row, &again);                                                           \
        FUZZ_PROPERTY(again.size_bytes == (size) && memcmp(again.bytes, data, size) == 0);         \
    } while (0)

static int try_lease(const uint8_t *data, size_t size)
{
    char path[POOL_PATH_SIZE];
    TRY_ROW(lease, data, size);
    struct lease_row row;
    FUZZ_PROPERTY(lease_row_parse(cursor_over(data, size), &row) == LETHE_OK);
    FUZZ_PROPERTY(row.bytes % row.block_bytes == 0);
    quota_row_path(row.tenant, path);
    return 0;
}

static int try_provider(const uint8_t *data, size_t size)
{
    TRY_ROW(provider, data, size);
    return 0;
}

static int try_revoked(const uint8_t *data, size_t size)
{
    TRY_ROW(revoked, data, size);
    return 0;
}

static int try_quota(const uint8_t *data, size_t size)
{
    TRY_ROW(quota, data, size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const tries[])(const uint8_t *data, size_t size) = {try_lease, try_provider,
                                                                     try_revoked, try_quota};
    return size == 0 ? 0 : tries[data[0] % ARRAY_LEN(tries)](data + 1, size - 1);
}
