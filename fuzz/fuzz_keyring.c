/* The keyring's rows: a key, a version of it, a minimum of releases. The first byte says which.
 * What parses in the newest form is written as the same bytes. */
#include <string.h>

#include "fuzz.h"
#include "kms/key_rows.h"

static void try_key(const struct lethe_secret *row)
{
    struct key_row key;
    uint8_t same[KEY_ROW_BYTES];
    if (key_row_parse(row, &key) != LETHE_OK)
        return;
    FUZZ_PROPERTY(key.newest_version > 0 && key.revoked_through <= key.newest_version);
    FUZZ_PROPERTY(key.rotate_every_s <= KEY_ROTATE_EVERY_S_MAX);
    key_row_format(&key, same);
    size_t size_bytes = lethe_secret_size(row);
    FUZZ_PROPERTY(size_bytes <= sizeof same);
    FUZZ_PROPERTY(memcmp(same + 1, lethe_secret_bytes_const(row) + 1, size_bytes - 1) == 0);
}

static void try_version(const struct lethe_secret *row)
{
    struct version_row version;
    uint8_t same[VERSION_ROW_BYTES];
    if (version_row_parse(row, &version) != LETHE_OK)
        return;
    FUZZ_PROPERTY(lethe_secret_size(row) == sizeof same);
    version_row_format(&version, same);
    FUZZ_PROPERTY(memcmp(same, lethe_secret_bytes_const(row), sizeof same) == 0);
}

static void try_minimum(const struct lethe_secret *row)
{
    uint64_t minimum;
    uint8_t same[MINIMUM_ROW_BYTES];
    if (minimum_row_parse(row, &minimum) != LETHE_OK)
        return;
    FUZZ_PROPERTY(lethe_secret_size(row) == sizeof same);
    minimum_row_format(minimum, same);
    FUZZ_PROPERTY(memcmp(same, lethe_secret_bytes_const(row), sizeof same) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const struct lethe_secret *row) = {try_key, try_version,
                                                                      try_minimum};
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    if (size < 2 || size - 1 > LETHE_SECRET_MAX_BYTES)
        return 0;
    REQUIRE(lethe_secret_create(size - 1, &row, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(row), data + 1, size - 1);
    parsers[data[0] % ARRAY_LEN(parsers)](row);
    return 0;
}
