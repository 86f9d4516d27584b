/* Certificates, requests and chains from outside. The first byte says which. A chain is checked
 * against one root, whose key nobody has any more: nothing is believed but the one certificate that
 * it led to when it had. */
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/x509.h"

#include "fuzz.h"
#include "x509_root.h"

static void check_text(const char *text)
{
    FUZZ_PROPERTY(strlen(text) <= X509_TEXT_MAX);
    for (; *text != '\0'; text++)
        FUZZ_PROPERTY((unsigned char)*text >= ' ' && *text != '\x7f');
}

static void check_list(const struct x509_list *list)
{
    FUZZ_PROPERTY(list->count <= X509_NAMES_MAX);
    for (size_t i = 0; i < list->count; i++)
        check_text(list->at[i]);
}

static void check_subject(const struct x509_subject *s)
{
    const struct x509_list *const lists[] = {&s->organizations, &s->units,      &s->countries,
                                             &s->provinces,     &s->localities, &s->dns_names,
                                             &s->ip_addresses,  &s->uris,       &s->emails};
    if (s->common_name != NULL)
        check_text(s->common_name);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        check_list(lists[i]);
}

static void try_certificate(const uint8_t *data, size_t size)
{
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    uint8_t serial[X509_SERIAL_BYTES];
    char text[X509_SERIAL_TEXT_SIZE];
    size_t serial_bytes;
    if (x509_read(data, size, &s, NULL) != LETHE_OK) {
        FUZZ_PROPERTY(s.storage.bytes == NULL && s.key == NULL);
        return;
    }
    check_subject(&s.subject);
    FUZZ_PROPERTY(s.serial_bytes > 0 && s.serial_bytes <= sizeof serial);
    x509_serial_text(s.serial, s.serial_bytes, text);
    FUZZ_PROPERTY(x509_serial_parse(text, serial, &serial_bytes) == LETHE_OK);
    FUZZ_PROPERTY(serial_bytes == s.serial_bytes && memcmp(serial, s.serial, serial_bytes) == 0);
}

static void try_request(const uint8_t *data, size_t size)
{
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    if (x509_read_request(data, size, &s, NULL) == LETHE_OK)
        check_subject(&s.subject);
    else
        FUZZ_PROPERTY(s.storage.bytes == NULL && s.key == NULL);
}

static void try_chain(const uint8_t *data, size_t size)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    const struct x509_check check = {
        .chain = data,
        .chain_bytes = size,
        .roots = x509_root,
        .roots_bytes = sizeof x509_root,
        .now_s = X509_ROOT_NOW_S,
        .extended_usage = X509_CLIENT_AUTH,
    };
    if (x509_check_chain(&check, &leaf, NULL) == LETHE_OK)
        FUZZ_PROPERTY(memcmp(leaf.fingerprint, x509_leaf, sizeof x509_leaf) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const uint8_t *data, size_t size) = {try_certificate,
                                                                        try_request, try_chain};
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    if (size > 0)
        parsers[data[0] % ARRAY_LEN(parsers)](data + 1, size - 1);
    return 0;
}
