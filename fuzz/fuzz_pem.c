/* PEM from outside: blocks of every kind. What is read can be written again, and is then read as
 * the same. */
#include <string.h>

#include "base/cursor.h"
#include "crypto/crypto.h"
#include "crypto/x509.h"

#include "fuzz.h"

static void try_kind(enum x509_pem kind, const char *text, size_t length)
{
    CLEANUP(buffer_clear) struct buffer list = {0}, again = {0}, pem = {0};
    const uint8_t *der;
    uint32_t size_bytes;
    unsigned count = 0;
    if (x509_pem_read(kind, text, length, &list, NULL) != LETHE_OK)
        return;
    struct cursor cursor = cursor_over(list.bytes, list.size_bytes);
    for (; cursor_left(&cursor) > 0; count++) {
        FUZZ_PROPERTY(cursor_le32(&cursor, &size_bytes) == LETHE_OK && size_bytes > 0);
        FUZZ_PROPERTY(cursor_bytes(&cursor, size_bytes, &der) == LETHE_OK);
        x509_pem_append(kind, der, size_bytes, &pem);
    }
    FUZZ_PROPERTY(count > 0 && count <= X509_CHAIN_MAX);
    FUZZ_PROPERTY(x509_pem_read(kind, pem.bytes, pem.size_bytes, &again, NULL) == LETHE_OK);
    FUZZ_PROPERTY(again.size_bytes == list.size_bytes &&
                  memcmp(again.bytes, list.bytes, list.size_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    for (int kind = X509_PEM_CERTIFICATE; kind <= X509_PEM_CRL; kind++)
        try_kind((enum x509_pem)kind, (const char *)data, size);
    return 0;
}
