/* Addresses, percent-encoding and queries. The first byte says what the others are. */
#include <stdlib.h>
#include <string.h>

#include "net/url.h"

#include "fuzz.h"

static char *as_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_PROPERTY(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* What was read can be written, and is read as the same. */
static void check_address(const char *text)
{
    struct url url, again;
    CLEANUP(buffer_clear) struct buffer written = {0};
    if (url_parse(text, &url, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY(url.host[0] != '\0' && url.port != 0);
    FUZZ_PROPERTY(strpbrk(url.host, "/@?# []") == NULL);
    FUZZ_PROPERTY(url.path[0] == '\0' || url.path[0] == '/');
    if (strchr(url.host, ':') != NULL)
        buffer_format(&written, "https://[%s]:%u%s", url.host, url.port, url.path);
    else
        buffer_format(&written, "https://%s:%u%s", url.host, url.port, url.path);
    FUZZ_PROPERTY(url_parse(written.bytes, &again, NULL) == LETHE_OK);
    FUZZ_PROPERTY(strcmp(url.host, again.host) == 0 && url.port == again.port &&
                  strcmp(url.path, again.path) == 0);
}

static void check_listen(const char *text)
{
    struct url url;
    bool is_public;
    if (url_parse_listen(text, &url, &is_public, NULL) != LETHE_OK)
        return;
    FUZZ_PROPERTY((url.host[0] == '\0') == (url.path[0] == '/'));
    FUZZ_PROPERTY(is_public || url.host[0] == '\0' || strncmp(url.host, "127.", 4) == 0 ||
                  strchr(url.host, ':') != NULL);
}

/* Exactly as large as the text, so that a sanitizer sees what is beyond. */
static void check_decoding(const uint8_t *data, size_t size, bool plus)
{
    char *text = malloc(size > 0 ? size : 1);
    char *out = malloc(size + 1);
    size_t length;
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    FUZZ_PROPERTY(text != NULL && out != NULL);
    memcpy(text, data, size);
    if (url_decode(text, size, plus, out, &length) == LETHE_OK) {
        FUZZ_PROPERTY(length <= size && strlen(out) == length);
        char *back = malloc(3 * length + 1);
        size_t back_length;
        url_encode_part(&encoded, out);
        FUZZ_PROPERTY(back != NULL && (length == 0 || encoded.size_bytes <= 3 * length));
        FUZZ_PROPERTY(url_decode(length > 0 ? encoded.bytes : "", encoded.size_bytes, plus, back,
                                 &back_length) == LETHE_OK);
        FUZZ_PROPERTY(back_length == length && memcmp(back, out, length) == 0);
        free(back);
    }
    free(text);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = as_text(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        check_address(text);
        break;
    case 1:
        check_listen(text);
        break;
    default:
        check_decoding(data + 1, size - 1, data[0] % 5 == 3);
        break;
    }
    free(text);
    return 0;
}
