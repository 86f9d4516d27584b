/* Wrapped data keys: whatever opens was wrapped, and nobody here can have wrapped the input. */
#include <stdio.h>
#include <string.h>

#include "kms/transit.h"

#include "fuzz.h"

static void open_text(const struct lethe_secret *key, const char *text)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = NULL;
    struct transit_binding binding = {.key = key, .aad = "fuzz", .aad_bytes = 4};
    if (transit_version(text, &binding.version, &err) == LETHE_OK) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "vault:v%llu:", (unsigned long long)binding.version);
        FUZZ_PROPERTY(binding.version > 0 && strncmp(text, prefix, strlen(prefix)) == 0);
    }
    FUZZ_PROPERTY(transit_unwrap(&binding, text, &plain, &err) != LETHE_OK);
    FUZZ_PROPERTY(plain == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    FUZZ_PROPERTY(lethe_secret_create(AEAD_KEY_BYTES, &key, &err) == LETHE_OK);
    buffer_append(&text, data, size);
    buffer_byte(&text, '\0');
    open_text(key, text.bytes);
    return 0;
}
