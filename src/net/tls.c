#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "net/tls_core.h"

/* ---- making ---------------------------------------------------------------------------------- */

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for a TLS connection");
}

static lethe_result connection_create(struct tls_context *context, int fd,
                                      struct tls_connection **out, struct lethe_error *err)
{
    BIO *bio = NULL;
    CLEANUP(tls_free) struct tls_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return no_memory(err);
    connection->fd = -1; /* until all is well, the socket is the caller's */
    connection->native = SSL_new(context->native);
    if (connection->native == NULL)
        return no_memory(err);
    connection->wire = (struct tls_wire){.fd = fd, .bulk = context->bulk};
    connection->records_per_key = TLS_RECORDS_PER_KEY;
    TRY(tls_wire_bio(&connection->wire, &bio, err));
    SSL_set_bio(connection->native, bio, bio);
    *out = MOVE(connection);
    return LETHE_OK;
}

lethe_result tls_accept(struct tls_context *context, int fd, struct tls_connection **out,
                        struct lethe_error *err)
{
    struct tls_connection *connection;
    TRY(connection_create(context, fd, &connection, err));
    SSL_set_accept_state(connection->native);
    connection->fd = fd;
    *out = connection;
    return LETHE_OK;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static lethe_result expect_host(SSL *native, const char *host, struct lethe_error *err)
{
    X509_VERIFY_PARAM *wanted = SSL_get0_param(native);
    openssl_begin();
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    bool done = is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1
                                 : X509_VERIFY_PARAM_set1_host(wanted, host, 0) == 1 &&
                                       SSL_set_tlsext_host_name(native, host) == 1;
    return done && host[0] != '\0' ? LETHE_OK
                                   : openssl_failed(err, LETHE_INVALID, "the server's name");
}

lethe_result tls_connect(struct tls_context *context, int fd, const char *host,
                         struct tls_connection **out, struct lethe_error *err)
{
    CLEANUP(tls_free) struct tls_connection *connection = NULL;
    TRY(connection_create(context, fd, &connection, err));
    if (host != NULL)
        TRY(expect_host(connection->native, host, err));
    SSL_set_connect_state(connection->native);
    connection->fd = fd;
    *out = MOVE(connection);
    return LETHE_OK;
}

static void say_goodbye(struct tls_connection *connection)
{
    if (connection->is_open && !connection->is_broken && !connection->is_cut)
        (void)SSL_shutdown(connection->native);
    ERR_clear_error();
    connection->is_broken = true;
}

void tls_finish(struct tls_connection *connection)
{
    say_goodbye(connection);
    (void)shutdown(connection->fd, SHUT_WR);
}

void tls_free(struct tls_connection *connection)
{
    if (connection == NULL)
        return;
    say_goodbye(connection);
    SSL_free(connection->native);
    tls_bulk_clear(connection);
    fd_close(connection->fd);
    free(connection);
}

int tls_fd(const struct tls_connection *connection)
{
    return connection->fd;
}

/* ---- why something failed -------------------------------------------------------------------- */

/* Alerts by which a peer says that it does not believe us. */
static bool is_disbelief(int reason)
{
    static const int alerts[] = {
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,     SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
        SSL_R_TLSV1_ALERT_ACCESS_DENIED,       SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
    };
    for (size_t i = 0; i < ARRAY_LEN(alerts); i++)
        if (alerts[i] == reason)
            return true;
    return false;
}

static lethe_result explain_verify(const struct tls_connection *connection, struct lethe_error *err)
{
    long verdict = SSL_get_verify_result(connection->native);
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "the peer's certificate");
    ERR_clear_error();
    return error_set(err, LETHE_DENIED, "the peer's certificate is not believed: %s",
                     X509_verify_cert_error_string(verdict));
}

static lethe_result explain_protocol(const struct tls_connection *connection,
                                     struct lethe_error *err)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return explain_verify(connection, err);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return error_set(err, LETHE_IO, "the peer ended the connection");
    }
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return openssl_failed(err, LETHE_DENIED, "the peer shows no certificate");
    if (is_disbelief(reason))
        return openssl_failed(err, LETHE_DENIED, "the peer does not believe our certificate");
    return openssl_failed(err, LETHE_MALFORMED, "TLS 1.3 with the peer");
}

lethe_result tls_explain_cut(struct tls_connection *connection, struct lethe_error *err)
{
    connection->is_cut = connection->wire.must_ask = true;
    if (errno == ENOMEM)
        return no_memory(err);
    return error_set(err, LETHE_IO, "the connection to the peer is gone");
}

lethe_result tls_explain(struct tls_connection *connection, int status, enum tls_want *want,
                         struct lethe_error *err)
{
    int saved = errno;
    switch (SSL_get_error(connection->native, status)) {
    case SSL_ERROR_WANT_READ:
        *want = TLS_WANT_READ;
        return LETHE_OK;
    case SSL_ERROR_WANT_WRITE:
        *want = TLS_WANT_WRITE;
        return LETHE_OK;
    case SSL_ERROR_ZERO_RETURN:
        *want = TLS_CLOSED;
        return LETHE_OK;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = saved;
        return tls_explain_cut(connection, err);
    default:
        connection->is_broken = true;
        return explain_protocol(connection, err);
    }
}

/* ---- using ----------------------------------------------------------------------------------- */

lethe_result tls_is_over(struct lethe_error *err)
{
    return error_set(err, LETHE_IO, "the connection to the peer is over");
}

lethe_result tls_handshake(struct tls_connection *connection, enum tls_want *want,
                           struct lethe_error *err)
{
    if (connection->is_broken)
        return tls_is_over(err);
    openssl_begin();
    int status = SSL_do_handshake(connection->native);
    lethe_result result = status == 1 ? LETHE_OK : tls_explain(connection, status, want, err);
    tls_wire_rest(&connection->wire);
    if (status != 1)
        return result;
    connection->is_open = true;
    connection->wire.may_keep = true;
    connection->wire.drained = false;
    (void)SSL_free_buffers(connection->native); /* the first message may be long in coming */
    *want = TLS_DONE;
    return LETHE_OK;
}

lethe_result tls_read(struct tls_connection *connection, void *bytes, size_t capacity_bytes,
                      size_t *read_bytes, enum tls_want *want, struct lethe_error *err)
{
    *read_bytes = 0;
    if (connection->is_broken)
        return tls_is_over(err);
    tls_forget_reasons();
    if (connection->wire.bulk)
        return tls_read_bulk(connection, bytes, capacity_bytes, read_bytes, want, err);
    int status = SSL_read_ex(connection->native, bytes, capacity_bytes, read_bytes);
    if (status != 1)
        return tls_explain(connection, status, want, err);
    *want = TLS_DONE;
    return LETHE_OK;
}

lethe_result tls_write(struct tls_connection *connection, const void *bytes, size_t size_bytes,
                       size_t *written_bytes, enum tls_want *want, struct lethe_error *err)
{
    *written_bytes = 0;
    if (connection->wire.bulk)
        return tls_write_bulk(connection, bytes, size_bytes, written_bytes, want, err);
    if (connection->is_broken)
        return tls_is_over(err);
    tls_forget_reasons();
    int status = SSL_write_ex(connection->native, bytes, size_bytes, written_bytes);
    if (status != 1)
        return tls_explain(connection, status, want, err);
    *want = TLS_DONE;
    return LETHE_OK;
}

bool tls_pending(const struct tls_connection *connection)
{
    return SSL_has_pending(connection->native) == 1 || !tls_batch_is_empty(&connection->wire.in);
}
