/* tests/crypto/x509_check.h -- a small authority for tests, and openssl's own commands beside it.
 */
#ifndef TESTS_CRYPTO_X509_CHECK_H
#define TESTS_CRYPTO_X509_CHECK_H

#include "check_files.h"
#include "crypto_check.h"

#include "crypto/x509.h"

#define NOW_S UINT64_C(1780000000) /* 2026-05-28 */
#define DAY_S UINT64_C(86400)

__attribute__((unused)) static struct sign_pair *fresh_pair(enum signature_kind kind)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    struct sign_pair *pair = NULL;
    assert_ok(sign_generate(kind, &secret, &err), &err);
    assert_ok(sign_pair_create(kind, secret, &pair, &err), &err);
    return pair;
}

__attribute__((unused)) static struct x509_template template_of(const char *common_name,
                                                                uint8_t serial)
{
    struct x509_template t = {
        .subject = {.common_name = common_name},
        .not_before_s = NOW_S - DAY_S,
        .not_after_s = NOW_S + DAY_S,
        .max_path_length = -1,
    };
    t.serial[0] = 0x11;
    t.serial[X509_SERIAL_BYTES - 1] = serial;
    return t;
}

/* A certificate with its key. */
struct holder {
    struct sign_pair *pair;
    struct buffer der;
};

__attribute__((unused)) static void holder_clear(struct holder *holder)
{
    sign_pair_free(holder->pair);
    buffer_clear(&holder->der);
}
__attribute__((unused)) static void holder_clear_at_scope_end(struct holder *holder)
{
    holder_clear(holder);
}

/* `issuer` NULL: self-signed. */
__attribute__((unused)) static struct holder make_holder(const struct x509_template *t,
                                                         const struct holder *issuer,
                                                         enum signature_kind kind)
{
    struct lethe_error err = {0};
    struct holder made = {.pair = fresh_pair(kind)};
    assert_ok(x509_issue(t, sign_pair_public(made.pair), issuer ? issuer->pair : made.pair,
                         issuer ? issuer->der.bytes : NULL, issuer ? issuer->der.size_bytes : 0,
                         &made.der, &err),
              &err);
    return made;
}

__attribute__((unused)) static struct holder make_root(const char *name, enum signature_kind kind)
{
    struct x509_template t = template_of(name, 1);
    t.is_ca = true;
    return make_holder(&t, NULL, kind);
}

__attribute__((unused)) static void put_pem(const char *path, enum x509_pem kind,
                                            const struct buffer *der)
{
    struct buffer pem = {0};
    x509_pem_append(kind, der->bytes, der->size_bytes, &pem);
    put_file(path, pem.bytes, pem.size_bytes);
    buffer_clear(&pem);
}

/* A command line of openssl; gives its status, and its output for one test to look at. */
static char tool_output[16384];
__attribute__((unused)) static int openssl_tool(const char *format, ...) PRINTF_LIKE(1, 2);
static int openssl_tool(const char *format, ...)
{
    char command[2048];
    int at = snprintf(command, sizeof command, "openssl ");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + at, sizeof command - (size_t)at - 8, format, arguments);
    va_end(arguments);
    strcat(command, " 2>&1");
    return run_tool(command, tool_output, sizeof tool_output);
}

#endif
