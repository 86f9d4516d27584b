/* The host's table of certificates: what is taken out of it was in it. */
#include <string.h>

#include "attest/sevsnp_tsm.h"
#include "base/base.h"
#include "crypto/x509.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer vek = {0};
    lethe_result result = sevsnp_table_vek(data, size, &vek, NULL);
    FUZZ_PROPERTY(result == LETHE_OK || result == LETHE_MALFORMED);
    FUZZ_PROPERTY(result == LETHE_OK || vek.size_bytes == 0);
    FUZZ_PROPERTY(vek.size_bytes <= X509_DER_MAX && vek.size_bytes <= size);
    if (vek.size_bytes > 0 && memmem(data, size, "-----BEGIN ", 11) == NULL)
        FUZZ_PROPERTY(memmem(data, size, vek.bytes, vek.size_bytes) != NULL);
    return 0;
}
