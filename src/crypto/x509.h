/* crypto/x509.h -- certificates (RFC 5280): making, reading, checking; requests (PKCS#10) and CRLs.
 *
 * Keys are sign_pair (Ed25519, ECDSA P-256 and P-384): the private part never leaves crypto/sign.h,
 * but for x509_private_pem. Certificates are handled as DER; PEM at the edges only. What is read
 * comes from outside: one certificate is at most X509_DER_MAX bytes, a chain X509_CHAIN_MAX of
 * them. Thread rule: pure functions. */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H

#include "crypto/sign.h"

#define X509_DER_MAX 16384u
#define X509_CRL_DER_MAX 1000000u
#define X509_CHAIN_MAX 8u
#define X509_ROOTS_MAX 64u
#define X509_NAMES_MAX 64u /* alternative names of one certificate */
#define X509_TEXT_MAX 255u
#define X509_SERIAL_BYTES 20u /* as we draw them: 159 random bits, positive */

struct x509_list { /* texts, borrowed */
    const char *at[X509_NAMES_MAX];
    size_t count;
};

/* Bits, as RFC 5280, 4.2.1.3 names them. */
enum x509_key_usage {
    X509_DIGITAL_SIGNATURE = 1u << 0,
    X509_CONTENT_COMMITMENT = 1u << 1,
    X509_KEY_ENCIPHERMENT = 1u << 2,
    X509_DATA_ENCIPHERMENT = 1u << 3,
    X509_KEY_AGREEMENT = 1u << 4,
    X509_CERT_SIGN = 1u << 5,
    X509_CRL_SIGN = 1u << 6,
};
enum x509_extended_usage {
    X509_SERVER_AUTH = 1u << 0,
    X509_CLIENT_AUTH = 1u << 1,
    X509_CODE_SIGNING = 1u << 2,
    X509_EMAIL_PROTECTION = 1u << 3,
    X509_TIME_STAMPING = 1u << 4,
    X509_OCSP_SIGNING = 1u << 5,
};

struct x509_subject {
    const char *common_name; /* NULL or "": none */
    struct x509_list organizations, units, countries, provinces, localities;
    struct x509_list dns_names, ip_addresses /* as text */, uris, emails;
};

struct x509_template {
    struct x509_subject subject;
    uint8_t serial[X509_SERIAL_BYTES];
    uint64_t not_before_s; /* Unix time */
    uint64_t not_after_s;
    bool is_ca;
    int max_path_length;            /* -1: no limit; of a CA */
    struct x509_list permitted_dns; /* name constraints of a CA */
    unsigned key_usage;             /* 0: what fits the kind of certificate */
    unsigned extended_usage;
    const char *crl_url; /* NULL: none */
};
/* Signs with `issuer`, whose certificate is `issuer_der`; NULL: self-signed, and `key` is the
 * public half of `issuer`. Appends DER. LETHE_INVALID names what does not fit. */
LETHE_MUST_CHECK lethe_result x509_issue(const struct x509_template *template_,
                                         const struct sign_public *key,
                                         const struct sign_pair *issuer, const void *issuer_der,
                                         size_t issuer_bytes, struct buffer *der,
                                         struct lethe_error *err);

/* ---- reading --------------------------------------------------------------------------------- */

struct x509_summary {      /* what a certificate or a request says; owned */
    struct buffer storage; /* what `subject` borrows from */
    struct x509_subject subject;
    uint8_t serial[X509_SERIAL_BYTES];
    size_t serial_bytes;
    uint64_t not_before_s;
    uint64_t not_after_s;
    bool is_ca;
    uint8_t fingerprint[32]; /* SHA-256 of the DER */
    uint8_t subject_key_id[32], authority_key_id[32];
    size_t subject_key_id_bytes, authority_key_id_bytes;
    struct sign_public *key; /* NULL: of a kind that we do not sign with (RSA) */
};
void x509_summary_clear(struct x509_summary *summary);
static inline void x509_summary_clear_at_scope_end(struct x509_summary *summary)
{
    x509_summary_clear(summary);
}
/* LETHE_MALFORMED: also anything but the one encoding that DER allows, a control character (NUL) in
 * a text, a text over X509_TEXT_MAX, more than X509_NAMES_MAX names of a kind, two common names. */
LETHE_MUST_CHECK lethe_result x509_read(const void *der, size_t size_bytes,
                                        struct x509_summary *out, struct lethe_error *err);
/* PKCS#10; its own signature is checked (LETHE_INTEGRITY). Only names and key are read of it. */
LETHE_MUST_CHECK lethe_result x509_read_request(const void *der, size_t size_bytes,
                                                struct x509_summary *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result x509_make_request(const struct x509_subject *subject,
                                                const struct sign_pair *key, struct buffer *der,
                                                struct lethe_error *err);

/* ---- checking -------------------------------------------------------------------------------- */

/* Certificates one after another, each with its length in front (le32): as net/tls.h gives them. */
struct x509_check {
    const void *chain; /* leaf first; what is behind it may help, and is not believed */
    size_t chain_bytes;
    const void *roots; /* in the same form */
    size_t roots_bytes;
    /* DER, in the same form. Whoever is issued by an authority that has one here must not be in it,
     * and it must be in force; authorities without one have revoked nothing. */
    const void *crls;
    size_t crls_bytes;
    uint64_t now_s;
    unsigned extended_usage; /* that the leaf must name; 0: any */
};
/* RFC 5280, 6.1, strictly (as openssl verify -x509_strict, but for what a root leaves
 * unsaid of itself), at 112 bits of security. LETHE_DENIED
 * says why (expired, not yet valid, not issued by a root, wrong usage); LETHE_REVOKED;
 * LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result x509_check_chain(const struct x509_check *check,
                                               struct x509_summary *leaf, struct lethe_error *err);

/* ---- CRLs, PEM, serials -----------------------------------------------------------------------
 */

struct x509_revoked {
    uint8_t serial[X509_SERIAL_BYTES];
    size_t serial_bytes;
    uint64_t revoked_s;
};
struct x509_crl_template {
    const struct x509_revoked *revoked;
    size_t count;
    uint64_t number; /* one more than the last one's */
    uint64_t this_s, next_s;
};
/* Appends DER. LETHE_LIMIT: over X509_CRL_DER_MAX. */
LETHE_MUST_CHECK lethe_result x509_make_crl(const struct x509_crl_template *template_,
                                            const struct sign_pair *issuer, const void *issuer_der,
                                            size_t issuer_bytes, struct buffer *der,
                                            struct lethe_error *err);

enum x509_pem { X509_PEM_CERTIFICATE, X509_PEM_REQUEST, X509_PEM_CRL };
void x509_pem_append(enum x509_pem kind, const void *der, size_t size_bytes, struct buffer *out);
/* Every block of the kind in the text, each appended with its length in front (le32). Text outside
 * of blocks and blocks of other kinds are passed over, as others do. LETHE_MALFORMED: none, a
 * broken one, more than X509_CHAIN_MAX or of more bytes than the kind may have. */
LETHE_MUST_CHECK lethe_result x509_pem_read(enum x509_pem kind, const char *text, size_t length,
                                            struct buffer *out, struct lethe_error *err);
/* The private half in PEM: PKCS#8, or SEC1 for ECDSA when `traditional`. Guarded. */
LETHE_MUST_CHECK lethe_result x509_private_pem(const struct sign_pair *pair, bool traditional,
                                               struct lethe_secret **out, struct lethe_error *err);
/* "0a:1b:...": lower-case hex pairs. Reading takes '-' for ':' as well. */
#define X509_SERIAL_TEXT_SIZE (3 * X509_SERIAL_BYTES)
void x509_serial_text(const uint8_t *serial, size_t size_bytes, char out[X509_SERIAL_TEXT_SIZE]);
LETHE_MUST_CHECK lethe_result x509_serial_parse(const char *text, uint8_t serial[X509_SERIAL_BYTES],
                                                size_t *size_bytes);

#endif
