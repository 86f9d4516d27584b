/* Both parsers of a model signature: the bundle, which anyone may have written, and the statement,
 * which a fuzzer could not sign. Every input is tried as both. */
#include <string.h>

#include "model/oms_format.h"

#include "fuzz.h"

/* Of the upstream fixtures, so that the seeds verify. */
static const char public_key[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsu6rZGBTjxtvRWPMixT+3HyndV0J0Ybt\n"
    "aHZUcO4DEK+OJHO/4e32bb/fbJKSpRgcBsIpKLcVijUomyFOERbd7u+BTPSUjGZD\n"
    "Qq6J7lTvp/EAXQGOKxW9RP0MGX3qAkvi\n"
    "-----END PUBLIC KEY-----\n";

/* Only what upstream signed can come out of a bundle with upstream's signature. */
static void try_bundle(const uint8_t *data, size_t size)
{
    static struct sign_public *key; /* the same for every input */
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    struct lethe_error err = {0};
    if (key == NULL)
        REQUIRE(sign_public_from_pem(public_key, sizeof public_key - 1, &key, &err) == LETHE_OK);
    if (oms_open(data, size, key, &list, &err) != LETHE_OK) {
        FUZZ_PROPERTY(list.count == 0);
        return;
    }
    FUZZ_PROPERTY(list.count == 2 && strcmp(list.resources[0].path, "signme-1") == 0);
}

/* What was read can be written, and reads back as the same list. */
static void try_statement(const uint8_t *data, size_t size)
{
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    CLEANUP(oms_list_clear) struct oms_list again = {0};
    CLEANUP(buffer_clear) struct buffer payload = {0};
    struct lethe_error err = {0};
    if (oms_statement_read((const char *)data, size, &list, &err) != LETHE_OK)
        return;
    FUZZ_PROPERTY(oms_statement(&list, &payload, &err) == LETHE_OK);
    FUZZ_PROPERTY(oms_statement_read(payload.bytes, payload.size_bytes, &again, &err) == LETHE_OK);
    FUZZ_PROPERTY(list.count == again.count && list.shard_bytes == again.shard_bytes);
    for (size_t i = 0; i < list.count; i++) {
        const struct oms_resource *a = &list.resources[i];
        const struct oms_resource *b = &again.resources[i];
        FUZZ_PROPERTY(strcmp(a->path, b->path) == 0 && a->start == b->start && a->end == b->end);
        FUZZ_PROPERTY(memcmp(a->digest, b->digest, SHA256_BYTES) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_bundle(data, size);
    try_statement(data, size);
    return 0;
}
