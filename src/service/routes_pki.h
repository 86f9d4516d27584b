/* service/routes_pki.h -- what the files of pki/ share; for them only.
 *
 * Names and lists of a request are read into `struct pki_words`, which is as large as it will ever
 * be from the start, so that texts stay where they are. */
#ifndef SERVICE_ROUTES_PKI_H
#define SERVICE_ROUTES_PKI_H

#include "service/authority_roles.h"
#include "service/call.h"

/* ---- routes_pki_fields.c --------------------------------------------------------------------- */

#define PKI_WORDS_BYTES ((size_t)64 << 10)
struct pki_words {
    struct buffer storage;
};
void pki_words_clear(struct pki_words *words);
static inline void pki_words_clear_at_scope_end(struct pki_words *words)
{
    pki_words_clear(words);
}
/* A text of at most X509_TEXT_MAX bytes; "" when it was not given. */
LETHE_MUST_CHECK lethe_result pki_word(struct pki_words *words, const struct field_value *value,
                                       const char *name, const char **out, struct lethe_error *err);
/* Spaces around an element are no part of it, and empty ones are none. */
LETHE_MUST_CHECK lethe_result pki_list(struct pki_words *words, const struct field_value *value,
                                       const char *name, struct x509_list *out,
                                       struct lethe_error *err);

/* What all calls that make a certificate have in front of their own fields. */
enum pki_field {
    PKI_COMMON_NAME,
    PKI_ALT_NAMES,
    PKI_IP_SANS,
    PKI_URI_SANS,
    PKI_EXCLUDE_CN,
    PKI_TTL,
    PKI_NOT_AFTER,
    PKI_FORMAT,
    PKI_PRIVATE_FORMAT,
    PKI_COMMON, /* from here on: of some calls only */
};
#define PKI_COMMON_FIELDS                                                                          \
    {"common_name", FIELD_TEXT, false, "the name it is for", NULL},                                \
        {"alt_names", FIELD_LIST, false, "other names", NULL},                                     \
        {"ip_sans", FIELD_LIST, false, "addresses", NULL},                                         \
        {"uri_sans", FIELD_LIST, false, "URIs", NULL},                                             \
        {"exclude_cn_from_sans", FIELD_BOOLEAN, false,                                             \
         "the common name is not repeated among the other names", NULL},                           \
        {"ttl", FIELD_DURATION, false, "how long it is good", NULL},                               \
        {"not_after", FIELD_TEXT, false, "or until when (RFC 3339, UTC)", NULL},                   \
        {"format", FIELD_TEXT, false, "pem, pem_bundle or der", NULL},                             \
    {                                                                                              \
        "private_key_format", FIELD_TEXT, false, "der (the usual form) or pkcs8", NULL             \
    }
/* Names of a request. */
LETHE_MUST_CHECK lethe_result pki_read_subject(struct call *call, struct pki_words *words,
                                               struct x509_subject *out, struct lethe_error *err);
/* Unless the call says otherwise, the common name is among the other names. */
LETHE_MUST_CHECK lethe_result pki_repeat_common_name(struct call *call,
                                                     struct x509_subject *subject,
                                                     struct lethe_error *err);
/* How long is wished for; 0: nothing was said. */
LETHE_MUST_CHECK lethe_result pki_read_ttl(struct call *call, uint64_t *out,
                                           struct lethe_error *err);
/* key_type and key_bits; LETHE_INVALID for rsa, which is not offered. "any" is only a role's. */
LETHE_MUST_CHECK lethe_result pki_read_kind(const struct field_value *type,
                                            const struct field_value *bits,
                                            enum signature_kind *out, bool *any,
                                            struct lethe_error *err);
/* The first block of a PEM field, as DER. */
LETHE_MUST_CHECK lethe_result pki_read_pem(enum x509_pem kind, const struct field_value *value,
                                           const char *name, struct buffer *der,
                                           struct lethe_error *err);

/* ---- answers --------------------------------------------------------------------------------- */

enum pki_form { PKI_PEM, PKI_BUNDLE, PKI_DER };
struct pki_form_asked {
    enum pki_form form;
    bool pkcs8;
    const struct sign_pair *pair; /* whose private half is told too; NULL: none */
};
LETHE_MUST_CHECK lethe_result pki_read_form(struct call *call, struct pki_form_asked *out,
                                            struct lethe_error *err);
/* certificate, issuing_ca, ca_chain, serial_number, expiration, private_key; *writer (which may be
 * NULL) is for what comes behind. */
LETHE_MUST_CHECK lethe_result pki_answer(struct call *call, const struct pki_form_asked *form,
                                         const struct buffer *der, struct json_writer **writer,
                                         struct lethe_error *err);
/* A certificate as PEM, without the last line's end. */
void pki_put_pem(struct json_writer *writer, const char *name, enum x509_pem kind, const void *der,
                 size_t size_bytes);
/* Whoever asks for what needs an authority gets a 400 while there is none. */
LETHE_MUST_CHECK lethe_result pki_require(struct call *call, struct authority_view *view,
                                          struct lethe_error *err);

extern const struct field pki_root_fields[], pki_intermediate_fields[], pki_set_signed_fields[],
    pki_sign_intermediate_fields[], pki_role_fields[], pki_issue_fields[], pki_sign_fields[],
    pki_revoke_fields[], pki_crl_fields[], pki_url_fields[], pki_tidy_fields[];
call_handler pki_generate_internal, pki_generate_exported, pki_delete_root, pki_intermediate,
    pki_set_signed, pki_sign_intermediate, pki_ca, pki_ca_pem, pki_ca_chain, pki_crl, pki_crl_pem,
    pki_certificate, pki_certificates, pki_role_write, pki_role_read, pki_role_delete,
    pki_role_list, pki_issue, pki_sign, pki_revoke, pki_crl_rotate, pki_crl_read, pki_crl_write,
    pki_url_read, pki_url_write, pki_tidy;
bool pki_role_exists(struct call *call);

#endif
