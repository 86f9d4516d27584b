/* Whatever token_row_read() takes comes back as the same bytes; texts end where they should. */
#include <string.h>

#include "service/tokens_core.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer row = {0};
    struct token_entry entry;
    struct lethe_error err = {0};
    if (token_row_read(data, size, &entry) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY(entry.policy_count <= CALLER_POLICIES_MAX);
    FUZZ_PROPERTY(memchr(entry.meta, '\0', sizeof entry.meta) != NULL);
    FUZZ_PROPERTY(token_row_write(&entry, &row, &err) == LETHE_OK);
    FUZZ_PROPERTY(row.size_bytes == size && memcmp(row.bytes, data, size) == 0);
    return 0;
}
