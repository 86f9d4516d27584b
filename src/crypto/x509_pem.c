/* PEM (RFC 7468): base64 between two lines. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/x509.h"

#define LINE_BYTES 48 /* of content; 64 characters */

struct pem_kind {
    const char *label;
    const char *old_label; /* as some write it; NULL: none */
    size_t max_bytes;
};
static const struct pem_kind kinds[] = {
    [X509_PEM_CERTIFICATE] = {"CERTIFICATE", "X509 CERTIFICATE", X509_DER_MAX},
    [X509_PEM_REQUEST] = {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", X509_DER_MAX},
    [X509_PEM_CRL] = {"X509 CRL", NULL, X509_CRL_DER_MAX},
};

void x509_pem_append(enum x509_pem kind, const void *der, size_t size_bytes, struct buffer *out)
{
    const uint8_t *bytes = der;
    buffer_format(out, "-----BEGIN %s-----\n", kinds[kind].label);
    for (size_t done = 0; done < size_bytes; done += LINE_BYTES) {
        base64_append(out, bytes + done, MIN(size_bytes - done, (size_t)LINE_BYTES));
        buffer_byte(out, '\n');
    }
    buffer_format(out, "-----END %s-----\n", kinds[kind].label);
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char dashes[] = "-----";
#define DASHES (sizeof dashes - 1)
#define LABEL_MAX 64u

struct span {
    const char *at;
    const char *end;
};

static size_t span_length(const struct span *span)
{
    return (size_t)(span->end - span->at);
}

static bool take(struct span *text, const char *word)
{
    size_t length = strlen(word);
    if (span_length(text) < length || memcmp(text->at, word, length) != 0)
        return false;
    text->at += length;
    return true;
}

/* The text up to the word, which is stepped over. */
static bool take_until(struct span *text, const char *word, struct span *before)
{
    const char *found = memmem(text->at, span_length(text), word, strlen(word));
    if (found == NULL)
        return false;
    *before = (struct span){text->at, found};
    text->at = found + strlen(word);
    return true;
}

static bool is_label(const struct span *label, const char *expected)
{
    return expected != NULL && span_length(label) == strlen(expected) &&
           memcmp(label->at, expected, span_length(label)) == 0;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The content without its line ends, decoded; anything else in it makes it no base64. */
static lethe_result decode(const struct span *content, size_t max_bytes, struct buffer *out,
                           struct lethe_error *err)
{
    size_t length = 0;
    size_t capacity = MIN(max_bytes, span_length(content) + 1);
    CLEANUP(memory_free) char *packed = malloc(span_length(content) + 1);
    CLEANUP(memory_free) uint8_t *bytes = malloc(capacity);
    if (packed == NULL || bytes == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to read PEM");
    for (const char *at = content->at; at < content->end; at++)
        if (!is_white(*at))
            packed[length++] = *at;
    size_t size_bytes;
    if (length == 0 || base64_decode(packed, length, bytes, capacity, &size_bytes) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "a block of PEM that is no base64 of 1 to %zu bytes",
                         max_bytes);
    buffer_prefixed(out, bytes, size_bytes);
    return buffer_result(out, err);
}

/* Steps over one block; decodes it if it is of the kind. `text` is behind "-----BEGIN ". */
static lethe_result read_block(const struct pem_kind *kind, struct span *text, struct buffer *out,
                               size_t *count, struct lethe_error *err)
{
    struct span label, content;
    if (!take_until(text, dashes, &label) || span_length(&label) > LABEL_MAX ||
        !take_until(text, "-----END ", &content) || span_length(text) < span_length(&label) ||
        memcmp(text->at, label.at, span_length(&label)) != 0)
        return error_set(err, LETHE_MALFORMED, "a block of PEM that does not end as it began");
    text->at += span_length(&label);
    if (!take(text, dashes))
        return error_set(err, LETHE_MALFORMED, "a block of PEM that does not end as it began");
    if (!is_label(&label, kind->label) && !is_label(&label, kind->old_label))
        return LETHE_OK;
    if (++*count > X509_CHAIN_MAX)
        return error_set(err, LETHE_MALFORMED, "more than %u blocks of PEM", X509_CHAIN_MAX);
    return decode(&content, kind->max_bytes, out, err);
}

lethe_result x509_pem_read(enum x509_pem kind, const char *text, size_t length, struct buffer *out,
                           struct lethe_error *err)
{
    struct span rest = {text, text + length};
    struct span before;
    size_t count = 0;
    while (take_until(&rest, "-----BEGIN ", &before))
        TRY(read_block(&kinds[kind], &rest, out, &count, err));
    if (count == 0)
        return error_set(err, LETHE_MALFORMED, "expected PEM (-----BEGIN %s-----)",
                         kinds[kind].label);
    return LETHE_OK;
}
