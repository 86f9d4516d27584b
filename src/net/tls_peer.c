#include <string.h>

#include <openssl/x509.h>

#include "base/error.h"
#include "crypto/x509.h"
#include "net/tls_core.h"

static lethe_result append_certificate(const X509 *certificate, struct buffer *out,
                                       struct lethe_error *err)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);
    if (size < 0)
        return openssl_failed(err, LETHE_NO_MEMORY, "the peer's certificate");
    buffer_prefixed(out, der, (size_t)size);
    OPENSSL_free(der);
    return LETHE_OK;
}

/* OpenSSL's list has the leaf for a client and not for a server. */
lethe_result tls_peer_chain(const struct tls_connection *connection, struct buffer *out,
                            struct lethe_error *err)
{
    X509 *leaf = SSL_get0_peer_certificate(connection->native);
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(connection->native);
    if (leaf == NULL)
        return LETHE_OK;
    openssl_begin();
    TRY(append_certificate(leaf, out, err));
    for (int i = SSL_is_server(connection->native) ? 0 : 1; i < sk_X509_num(chain); i++)
        TRY(append_certificate(sk_X509_value(chain, i), out, err));
    return buffer_result(out, err);
}

/* SPIFFE X.509-SVID, 2 and 5.2: one URI, which is the id; and nobody who signs others. */
static lethe_result identify(const struct x509_summary *leaf, struct spiffe_id *out,
                             struct lethe_error *err)
{
    const struct x509_list *uris = &leaf->subject.uris;
    if (leaf->is_ca)
        return error_set(err, LETHE_DENIED, "the peer's certificate is an authority's");
    if (uris->count != 1)
        return error_set(err, LETHE_DENIED,
                         "the peer's certificate has %zu URIs instead of one SPIFFE id",
                         uris->count);
    lethe_result result = spiffe_parse(uris->at[0], strlen(uris->at[0]), out, err);
    if (result == LETHE_INVALID && err != NULL)
        err->code = LETHE_DENIED;
    return result == LETHE_INVALID ? LETHE_DENIED : result;
}

lethe_result tls_peer_spiffe(const struct tls_connection *connection, struct spiffe_id *out,
                             struct lethe_error *err)
{
    CLEANUP(x509_summary_clear) struct x509_summary leaf = {0};
    CLEANUP(buffer_clear) struct buffer der = {0};
    const X509 *certificate = SSL_get0_peer_certificate(connection->native);
    if (certificate == NULL)
        return error_set(err, LETHE_DENIED, "the peer shows no certificate");
    openssl_begin();
    TRY(append_certificate(certificate, &der, err));
    TRY(buffer_result(&der, err));
    TRY(x509_read(der.bytes + sizeof(uint32_t), der.size_bytes - sizeof(uint32_t), &leaf, err));
    return identify(&leaf, out, err);
}
