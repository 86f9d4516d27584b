/* The lines of a root file. Their checksums would keep a fuzzer out: where the first byte asks for
 * it, each place of a line gets the right one. */
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "fuzz.h"
#include "kms/root_file.h"

#define SECOND_AT 112u

/* `line_bytes` with a checksum of 16 digits before the newline. */
static void put_checksum(uint8_t *text, size_t size_bytes, size_t at, size_t line_bytes)
{
    uint8_t digest[SHA256_BYTES];
    char hex[17];
    if (size_bytes < at + line_bytes)
        return;
    size_t covered = line_bytes - 17;
    sha256(text + at, covered, digest);
    hex_encode(digest, 8, hex);
    memcpy(text + at + covered, hex, 16);
}

static void check_line(const uint8_t *text, size_t at, const struct root_line *line)
{
    char hex[2 * ROOT_KEY_BYTES + 1];
    if (line->key == NULL)
        return;
    hex_encode(lethe_secret_bytes_const(line->key), ROOT_KEY_BYTES, hex);
    FUZZ_PROPERTY(memcmp(text + at, "lethe-root/", 11) == 0);
    size_t key_at = line->generation == 0 ? 13 : 30;
    FUZZ_PROPERTY(memcmp(text + at + key_at, hex, sizeof hex - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t text[ROOT_FILE_MAX + 16];
    struct root_lines lines;
    if (size < 1 || size - 1 > sizeof text)
        return 0;
    size_t size_bytes = size - 1;
    memcpy(text, data + 1, size_bytes);
    if (data[0] & 1)
        put_checksum(text, size_bytes, 0, 95);
    if (data[0] & 2)
        put_checksum(text, size_bytes, 0, SECOND_AT);
    if (data[0] & 4)
        put_checksum(text, size_bytes, SECOND_AT, SECOND_AT);
    if (root_lines_parse(text, size_bytes, &lines, NULL) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY(size_bytes <= ROOT_FILE_MAX);
    FUZZ_PROPERTY(lines.at[0].key != NULL || lines.at[1].key != NULL);
    FUZZ_PROPERTY(!lines.tidy || (lines.at[0].key != NULL && lines.at[1].key == NULL));
    check_line(text, 0, &lines.at[0]);
    check_line(text, SECOND_AT, &lines.at[1]);
    root_lines_clear(&lines);
    return 0;
}
