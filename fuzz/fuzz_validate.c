/* No applet crashes on any text, and what they let through is what they promise. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/validate.h"

#include "fuzz.h"

/* Whether a part between slashes is one of these; NULL ends the list. */
static bool has_part(const char *text, const char *const *parts)
{
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, "/");
        for (size_t i = 0; parts[i] != NULL; i++) {
            if (strlen(parts[i]) == length && strncmp(at, parts[i], length) == 0)
                return true;
        }
        at += length;
        if (*at == '\0')
            return false;
    }
}

static void check_applets(const char *text)
{
    static const char *const up[] = {"..", NULL};
    static const char *const not_plain[] = {"..", ".", "", NULL};
    struct lethe_error err = {0};
    int64_t number;
    if (validate_identifier("x", text, IDENTIFIER_MAX, &err) == LETHE_OK)
        FUZZ_PROPERTY(strlen(text) <= IDENTIFIER_MAX && strchr(text, '/') == NULL);
    if (validate_model_reference("x", text, &err) == LETHE_OK)
        FUZZ_PROPERTY(strpbrk(text, " '\"\\$`;|&<>\n\x1b") == NULL && !has_part(text, up));
    if (validate_hex("x", text, 8, &err) == LETHE_OK)
        FUZZ_PROPERTY(strlen(text) == 8 && strspn(text, "0123456789abcdef") == 8);
    if (validate_relative_path("x", text, &err) == LETHE_OK)
        FUZZ_PROPERTY(!has_part(text, not_plain) && strpbrk(text, "\n\r\x1b\\") == NULL);
    if (validate_integer("x", text, -5, 1000, &number, &err) == LETHE_OK)
        FUZZ_PROPERTY(number >= -5 && number < 1000 && number == atoll(text));
}

/* Clean text stays as it is, and fits. */
static void check_sanitise(const char *text, size_t size, size_t capacity)
{
    char once[256];
    char twice[256];
    size_t length = text_sanitise(text, size, once, MIN(capacity, sizeof once));
    if (capacity == 0)
        return;
    FUZZ_PROPERTY(length < capacity && strlen(once) == length && text_is_utf8(once, length));
    FUZZ_PROPERTY(text_sanitise(once, length, twice, sizeof twice) == length);
    FUZZ_PROPERTY(memcmp(once, twice, length + 1) == 0);
}

static void check_base64(const char *text, size_t size)
{
    char bytes[256];
    size_t decoded;
    if (base64_decode(text, size, bytes, sizeof bytes, &decoded) != LETHE_OK)
        return;
    CLEANUP(buffer_clear) struct buffer again = {0};
    base64_append(&again, bytes, decoded);
    FUZZ_PROPERTY(again.size_bytes == size && (size == 0 || memcmp(again.bytes, text, size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *text = strndup((const char *)data, size);
    FUZZ_PROPERTY(text != NULL);
    check_applets(text);
    check_sanitise((const char *)data, size, size > 0 ? data[0] : 0);
    check_base64((const char *)data, size);
    if (validate_prompt("x", (const char *)data, size, &err) == LETHE_OK)
        FUZZ_PROPERTY(text_is_utf8((const char *)data, size) && strlen(text) == size);
    return 0;
}
