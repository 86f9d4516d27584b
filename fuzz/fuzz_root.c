/* The store's record of its root. The checksum in front of the parser would keep a fuzzer out, so
 * the target puts a right one behind its input: what parses is then written as the same bytes. */
#include <string.h>

#include "crypto/hash.h"
#include "kms/root_record.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    struct root_record record;
    uint8_t checksum[SHA256_BYTES];
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    CLEANUP(buffer_clear) struct buffer same = {0};
    sha256(data, size, checksum);
    buffer_append(&bytes, data, size);
    buffer_append(&bytes, checksum, sizeof checksum);

    FUZZ_PROPERTY(root_record_parse(data, size, &record, &err) != LETHE_OK);
    if (root_record_parse(bytes.bytes, bytes.size_bytes, &record, &err) != LETHE_OK)
        return 0;
    root_record_append(&record, &same);
    FUZZ_PROPERTY(same.size_bytes == bytes.size_bytes);
    FUZZ_PROPERTY(memcmp(same.bytes, bytes.bytes, bytes.size_bytes) == 0);
    return 0;
}
