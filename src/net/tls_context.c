#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "crypto/record.h"
#include "net/tls_core.h"

#define CHAIN_MAX 8              /* certificates of one side */
#define CHAIN_BYTES_MAX 65536    /* of the peer's, as sent */
#define ROOTS_MAX 1024           /* certificates or CRLs in one text */
#define PEM_BYTES_MAX (16 << 20) /* of a text of certificates or CRLs */

DEFINE_CLEANUP(X509_free, X509 *);
DEFINE_CLEANUP(X509_CRL_free, X509_CRL *);
DEFINE_CLEANUP(BIO_free_all, BIO *);

/* ---- what every context is --------------------------------------------------------------------
 */

static const char ciphers[] =
    "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";

/* A plain connection reads as much as OpenSSL's buffer takes, so that a record is one system call
 * and not two, and gives its buffers back after every record. One for bulk has batches instead
 * (tls_wire.c), and gives buffers back when it has nothing to do. */
static void configure_buffers(SSL_CTX *native, bool bulk)
{
    SSL_CTX_set_read_ahead(native, !bulk);
    if (!bulk)
        SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
}

static lethe_result configure(SSL_CTX *native, struct lethe_error *err)
{
    SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(native, CHAIN_BYTES_MAX);
    SSL_CTX_set_verify_depth(native, CHAIN_MAX);
    bool done = SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION) == 1 &&
                SSL_CTX_set_max_proto_version(native, TLS1_3_VERSION) == 1 &&
                SSL_CTX_set_num_tickets(native, 0) == 1 &&
                SSL_CTX_set_max_early_data(native, 0) == 1 &&
                SSL_CTX_set_ciphersuites(native, ciphers) == 1 &&
                SSL_CTX_set1_groups_list(native, groups) == 1;
    return done ? LETHE_OK : openssl_failed(err, LETHE_FAILED, "TLS 1.3");
}

static lethe_result context_create(const SSL_METHOD *method, bool bulk, struct tls_context **out,
                                   struct lethe_error *err)
{
    OSSL_LIB_CTX *library = bulk ? record_library() : NULL;
    CLEANUP(tls_context_free) struct tls_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a TLS context");
    atomic_init(&context->owners, 1);
    openssl_begin();
    context->bulk = bulk;
    context->native = SSL_CTX_new_ex(library, library != NULL ? RECORD_PROPERTIES : NULL, method);
    if (context->native == NULL)
        return openssl_failed(err, LETHE_FAILED, "a TLS context");
    SSL_CTX_set_app_data(context->native, library);
    configure_buffers(context->native, bulk);
    TRY(configure(context->native, err));
    *out = MOVE(context);
    return LETHE_OK;
}

struct tls_context *tls_context_share(struct tls_context *context)
{
    atomic_fetch_add(&context->owners, 1);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->owners, 1) > 1)
        return;
    SSL_CTX_free(context->native);
    free(context);
}

/* ---- who this side is ------------------------------------------------------------------------ */

/* Keys and certificates belong to the library that uses them: for another one OpenSSL would copy
 * them. */
static OSSL_LIB_CTX *library_of(SSL_CTX *native)
{
    return SSL_CTX_get_app_data(native);
}

/* One that is encrypted asks for a passphrase, which nobody is there to give. */
static int no_passphrase(char *out, int capacity, int for_writing, void *context)
{
    return -1;
}

static X509 *read_certificate(SSL_CTX *native, BIO *text)
{
    X509 *certificate = X509_new_ex(library_of(native), NULL);
    if (certificate == NULL || PEM_read_bio_X509(text, &certificate, no_passphrase, NULL) != NULL)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* A mem BIO that reads where the text is. */
static lethe_result open_text(const char *text, size_t length, BIO **out, struct lethe_error *err)
{
    if (length > PEM_BYTES_MAX)
        return error_set(err, LETHE_LIMIT, "a PEM text of more than %d bytes", PEM_BYTES_MAX);
    *out = BIO_new_mem_buf(text, (int)length);
    return *out != NULL ? LETHE_OK : error_set(err, LETHE_NO_MEMORY, "no memory for a TLS context");
}

/* Whether reading stopped because there is no further block, and not at a broken one. */
static bool at_the_end(void)
{
    unsigned long reason = ERR_peek_last_error();
    bool end = ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

/* Reads each certificate of the text and hands it to `use`, which borrows it. */
static lethe_result each_certificate(const char *what, const char *pem, size_t count_max,
                                     lethe_result (*use)(SSL_CTX *native, X509 *certificate,
                                                         size_t index, struct lethe_error *err),
                                     SSL_CTX *native, struct lethe_error *err)
{
    CLEANUP(BIO_free_all) BIO *text = NULL;
    TRY(open_text(pem, strlen(pem), &text, err));
    openssl_begin();
    for (size_t i = 0;; i++) {
        CLEANUP(X509_free) X509 *certificate = read_certificate(native, text);
        if (certificate == NULL)
            return i > 0 && at_the_end() ? LETHE_OK : openssl_failed(err, LETHE_MALFORMED, what);
        if (i == count_max)
            return error_set(err, LETHE_MALFORMED, "%s: more than %zu certificates", what, i);
        TRY(use(native, certificate, i, err));
    }
}

static lethe_result use_own(SSL_CTX *native, X509 *certificate, size_t index,
                            struct lethe_error *err)
{
    long done = index == 0 ? SSL_CTX_use_certificate(native, certificate)
                           : SSL_CTX_add1_chain_cert(native, certificate);
    return done == 1 ? LETHE_OK : openssl_failed(err, LETHE_MALFORMED, "the certificate");
}

static lethe_result use_key(SSL_CTX *native, const struct lethe_secret *pem,
                            struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(BIO_free_all) BIO *text = NULL;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = NULL;
    TRY(open_text((const char *)lethe_secret_bytes_const(pem), lethe_secret_size(pem), &text, err));
    openssl_begin();
    key = PEM_read_bio_PrivateKey_ex(text, NULL, no_passphrase, NULL, library_of(native), NULL);
    if (key == NULL)
        return openssl_failed(err, LETHE_MALFORMED, "the private key");
    if (SSL_CTX_use_PrivateKey(native, key) != 1 || SSL_CTX_check_private_key(native) != 1)
        return openssl_failed(err, LETHE_INVALID, "the private key does not fit the certificate");
    return LETHE_OK;
}

static lethe_result be_someone(SSL_CTX *native, const struct tls_options *options,
                               struct lethe_error *err)
{
    if (options->key_pem == NULL)
        return error_set(err, LETHE_INVALID, "a certificate without its private key");
    TRY(each_certificate("the certificate", options->certificates_pem, CHAIN_MAX, use_own, native,
                         err));
    return use_key(native, options->key_pem, err);
}

/* ---- whom it believes ------------------------------------------------------------------------ */

/* Clients choose among their certificates by the names that the server asks for. */
static lethe_result use_root(SSL_CTX *native, X509 *root, size_t index, struct lethe_error *err)
{
    bool done = X509_STORE_add_cert(SSL_CTX_get_cert_store(native), root) == 1 &&
                SSL_CTX_add_client_CA(native, root) == 1;
    return done ? LETHE_OK : openssl_failed(err, LETHE_MALFORMED, "the roots");
}

/* The lists say what was revoked; an issuer who publishes none revokes nothing. */
static int check_step(int is_fine, X509_STORE_CTX *check)
{
    if (is_fine == 0 && X509_STORE_CTX_get_error(check) == X509_V_ERR_UNABLE_TO_GET_CRL) {
        X509_STORE_CTX_set_error(check, X509_V_OK);
        return 1;
    }
    return is_fine;
}

static lethe_result use_crls(SSL_CTX *native, const char *pem, struct lethe_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(native);
    CLEANUP(BIO_free_all) BIO *text = NULL;
    TRY(open_text(pem, strlen(pem), &text, err));
    openssl_begin();
    for (size_t i = 0; i < ROOTS_MAX; i++) {
        CLEANUP(X509_CRL_free) X509_CRL *crl = PEM_read_bio_X509_CRL(text, NULL, NULL, NULL);
        if (crl == NULL && i > 0 && at_the_end())
            break;
        if (crl == NULL || X509_STORE_add_crl(store, crl) != 1)
            return openssl_failed(err, LETHE_MALFORMED, "the certificate revocation lists");
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return LETHE_OK;
}

static lethe_result believe(SSL_CTX *native, const struct tls_options *options, int mode,
                            struct lethe_error *err)
{
    /* Who is named is believed, also where somebody else has signed for them. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(native), X509_V_FLAG_PARTIAL_CHAIN);
    if (options->roots_pem != NULL)
        TRY(each_certificate("the roots", options->roots_pem, ROOTS_MAX, use_root, native, err));
    else if (SSL_CTX_set_default_verify_paths(native) != 1)
        return openssl_failed(err, LETHE_FAILED, "the system's roots");
    if (options->crls_pem != NULL)
        TRY(use_crls(native, options->crls_pem, err));
    SSL_CTX_set_verify(native, mode, check_step);
    return LETHE_OK;
}

/* ---- both sides ------------------------------------------------------------------------------ */

lethe_result tls_server_create(const struct tls_options *options, struct tls_context **out,
                               struct lethe_error *err)
{
    static const int modes[] = {
        [TLS_CLIENT_NOT_ASKED] = SSL_VERIFY_NONE,
        [TLS_CLIENT_MAY] = SSL_VERIFY_PEER,
        [TLS_CLIENT_MUST] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    CLEANUP(tls_context_free) struct tls_context *context = NULL;
    bool asks = options->client_proof != TLS_CLIENT_NOT_ASKED;
    if (options->certificates_pem == NULL)
        return error_set(err, LETHE_INVALID, "a TLS server has no certificate");
    if (asks && options->roots_pem == NULL)
        return error_set(err, LETHE_INVALID,
                         "clients are asked for a certificate, and no root is given to check it");
    TRY(context_create(TLS_server_method(), options->bulk, &context, err));
    TRY(be_someone(context->native, options, err));
    if (asks)
        TRY(believe(context->native, options, modes[options->client_proof], err));
    *out = MOVE(context);
    return LETHE_OK;
}

lethe_result tls_client_create(const struct tls_options *options, struct tls_context **out,
                               struct lethe_error *err)
{
    CLEANUP(tls_context_free) struct tls_context *context = NULL;
    TRY(context_create(TLS_client_method(), options->bulk, &context, err));
    if (options->certificates_pem != NULL)
        TRY(be_someone(context->native, options, err));
    TRY(believe(context->native, options, SSL_VERIFY_PEER, err));
    *out = MOVE(context);
    return LETHE_OK;
}
