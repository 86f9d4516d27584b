/* A Tink stream under a known key. Whatever opens is what sealing the plaintext again gives: there
 * is one stream for a plaintext, header and key, whoever made it. */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "model/tink.h"

#include "fuzz.h"

static const struct tink_parameters parameters = {
    .segment_bytes = 64, .derived_key_bytes = AEAD_KEY_BYTES, .hash = HKDF_SHA256};

static struct lethe_secret *known_key(void)
{
    static struct lethe_secret *key; /* the same for every input */
    if (key == NULL) {
        REQUIRE(crypto_start(NULL) == LETHE_OK);
        REQUIRE(lethe_secret_create(AEAD_KEY_BYTES, &key, NULL) == LETHE_OK);
        memset(lethe_secret_bytes(key), 7, AEAD_KEY_BYTES);
    }
    return key;
}

static lethe_result open_all(const struct tink_stream *stream, const uint8_t *cipher,
                             uint64_t plain_bytes, uint8_t *plain)
{
    uint64_t count = tink_segment_count(&parameters, plain_bytes);
    for (uint64_t i = 0; i < count; i++) {
        struct tink_segment segment = tink_segment_at(&parameters, plain_bytes, i);
        TRY(tink_open_segment(stream, &segment, cipher + segment.cipher_offset,
                              plain + segment.plain_offset));
    }
    return LETHE_OK;
}

static void seals_to_the_same(const struct tink_stream *stream, const uint8_t *cipher,
                              uint64_t plain_bytes, const uint8_t *plain)
{
    uint64_t count = tink_segment_count(&parameters, plain_bytes);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t sealed[64];
        struct tink_segment segment = tink_segment_at(&parameters, plain_bytes, i);
        FUZZ_PROPERTY(tink_seal_segment(stream, &segment, plain + segment.plain_offset, sealed) ==
                      LETHE_OK);
        FUZZ_PROPERTY(memcmp(sealed, cipher + segment.cipher_offset, segment.cipher_bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t plain_bytes;
    uint64_t cipher_bytes;
    if (tink_plain_size(&parameters, size, &plain_bytes) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY(tink_cipher_size(&parameters, plain_bytes, &cipher_bytes) == LETHE_OK);
    FUZZ_PROPERTY(cipher_bytes == size);

    CLEANUP(tink_stream_free) struct tink_stream *stream = NULL;
    const struct tink_binding binding = {.key = known_key(), .aad = "aad", .aad_bytes = 3};
    if (tink_open_begin(&parameters, &binding, data, &stream, NULL) != LETHE_OK)
        return 0;
    CLEANUP(memory_free) uint8_t *plain = malloc(plain_bytes + 1);
    REQUIRE(plain != NULL);
    if (open_all(stream, data, plain_bytes, plain) == LETHE_OK)
        seals_to_the_same(stream, data, plain_bytes, plain);
    return 0;
}
