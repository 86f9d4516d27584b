/* The keyring's rows: a key, a version of it, a minimum of releases, a report of usage. The first
 * byte says which. What parses in the newest form is written as the same bytes. */
#include <string.h>

#include "fuzz.h"
#include "kms/key_rows.h"
#include "kms/usage.h"

#define NEWEST_FORM 4

static void try_key(const struct lethe_secret *row)
{
    struct key_row key;
    uint8_t same[KEY_ROW_BYTES];
    const uint8_t *bytes = lethe_secret_bytes_const(row);
    size_t size_bytes = lethe_secret_size(row);
    if (key_row_parse(bytes, size_bytes, &key) != LETHE_OK)
        return;
    FUZZ_PROPERTY(key.newest_version > 0 && key.revoked_through <= key.newest_version);
    FUZZ_PROPERTY(key.rotate_every_s <= KEY_ROTATE_EVERY_S_MAX);
    FUZZ_PROPERTY(key.min_decryption > 0 && key.min_available <= key.min_decryption);
    FUZZ_PROPERTY(MAX(key.min_decryption, key.min_encryption) <= key.newest_version);
    key_row_format(&key, same);
    FUZZ_PROPERTY(size_bytes <= sizeof same && memcmp(same + 1, bytes + 1, size_bytes - 1) == 0);
    FUZZ_PROPERTY(bytes[0] != NEWEST_FORM || size_bytes == sizeof same);
}

static void try_version(const struct lethe_secret *row)
{
    struct version_row version;
    uint8_t same[VERSION_ROW_MAX];
    const uint8_t *bytes = lethe_secret_bytes_const(row);
    if (version_row_parse(bytes, lethe_secret_size(row), &version) != LETHE_OK)
        return;
    FUZZ_PROPERTY(version_row_format(&version, same) == lethe_secret_size(row));
    FUZZ_PROPERTY(memcmp(same, bytes, lethe_secret_size(row)) == 0);
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

static void try_usage(const struct lethe_secret *row)
{
    struct usage_row usage;
    const uint8_t *bytes = lethe_secret_bytes_const(row);
    if (usage_row_parse(bytes, lethe_secret_size(row), &usage) != LETHE_OK)
        return;
    CLEANUP(buffer_clear) struct buffer same = {0};
    usage_row_format(&usage, &same);
    FUZZ_PROPERTY(same.size_bytes == lethe_secret_size(row));
    FUZZ_PROPERTY(memcmp(same.bytes, bytes, same.size_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const struct lethe_secret *row) = {try_key, try_version,
                                                                      try_minimum, try_usage};
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    if (size < 2 || size - 1 > LETHE_SECRET_MAX_BYTES)
        return 0;
    REQUIRE(lethe_secret_create(size - 1, &row, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(row), data + 1, size - 1);
    parsers[data[0] % ARRAY_LEN(parsers)](row);
    return 0;
}
