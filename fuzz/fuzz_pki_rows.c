/* Rows of the PKI, of identities and of certificate logins. The first byte says which. What parses
 * is written as the same bytes. */
#include <string.h>

#include "crypto/crypto.h"
#include "service/authority_roles.h"
#include "service/authority_rows.h"
#include "service/cert_auths.h"
#include "service/identities.h"

#include "fuzz.h"

static void check_same(const uint8_t *data, size_t size, const struct buffer *written)
{
    FUZZ_PROPERTY(written->size_bytes == size && memcmp(written->bytes, data, size) == 0);
}

/* Parses, and writes what it was. */
#define TRY_ROW(name, type, parse, format)                                                         \
    static void try_##name(const uint8_t *data, size_t size)                                       \
    {                                                                                              \
        struct type row;                                                                           \
        CLEANUP(buffer_clear) struct buffer written = {0};                                         \
        if (parse(data, size, &row) != LETHE_OK)                                                   \
            return;                                                                                \
        format(&row, &written);                                                                    \
        check_same(data, size, &written);                                                          \
    }
TRY_ROW(certificate, authority_certificate_row, authority_certificate_parse,
        authority_certificate_format)
TRY_ROW(crl, authority_crl_row, authority_crl_parse, authority_crl_format)
TRY_ROW(settings, authority_settings, authority_settings_parse, authority_settings_format)
TRY_ROW(role, authority_role, authority_role_parse, authority_role_format)
TRY_ROW(identity, identity_entry, identity_row_parse, identity_row_format)
TRY_ROW(cert_auth, cert_auth, cert_auth_parse, cert_auth_format)

static void try_revoked(const uint8_t *data, size_t size)
{
    struct authority_revoked_row row;
    uint8_t written[AUTHORITY_REVOKED_BYTES];
    if (authority_revoked_parse(data, size, &row) != LETHE_OK)
        return;
    authority_revoked_format(&row, written);
    FUZZ_PROPERTY(size == sizeof written && memcmp(written, data, size) == 0);
}

static void try_key(const uint8_t *data, size_t size)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    if (size == 0 || size > LETHE_SECRET_MAX_BYTES)
        return;
    REQUIRE(lethe_secret_create(size, &row, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(row), data, size);
    lethe_result result = authority_key_parse(row, &pair, NULL);
    FUZZ_PROPERTY((result == LETHE_OK) == (pair != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const uint8_t *data, size_t size) = {
        try_certificate, try_crl,       try_settings, try_role,
        try_identity,    try_cert_auth, try_revoked,  try_key};
    FUZZ_PROPERTY(crypto_start(NULL) == LETHE_OK);
    if (size > 0)
        parsers[data[0] % ARRAY_LEN(parsers)](data + 1, size - 1);
    return 0;
}
