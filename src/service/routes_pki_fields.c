#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/routes_pki.h"

/* ---- words ----------------------------------------------------------------------------------- */

void pki_words_clear(struct pki_words *words)
{
    buffer_clear(&words->storage);
}

static lethe_result make_room(struct pki_words *words, struct lethe_error *err)
{
    if (words->storage.capacity_bytes == 0) {
        (void)buffer_extend(&words->storage, PKI_WORDS_BYTES);
        TRY(buffer_result(&words->storage, err));
        buffer_truncate(&words->storage, 0);
    }
    return LETHE_OK;
}

static lethe_result keep(struct pki_words *words, const char *text, size_t length, const char *name,
                         const char **out, struct lethe_error *err)
{
    TRY(make_room(words, err));
    if (length > X509_TEXT_MAX || memchr(text, '\0', length) != NULL)
        return error_set(err, LETHE_INVALID, "%s: at most %u bytes, without a NUL", name,
                         X509_TEXT_MAX);
    if (words->storage.size_bytes + length + 1 > PKI_WORDS_BYTES)
        return error_set(err, LETHE_INVALID, "%s: too much in all", name);
    *out = words->storage.bytes + words->storage.size_bytes;
    buffer_append(&words->storage, text, length);
    buffer_byte(&words->storage, '\0');
    return buffer_result(&words->storage, err);
}

lethe_result pki_word(struct pki_words *words, const struct field_value *value, const char *name,
                      const char **out, struct lethe_error *err)
{
    *out = "";
    return value->given ? keep(words, value->text, value->length, name, out, err) : LETHE_OK;
}

lethe_result pki_list(struct pki_words *words, const struct field_value *value, const char *name,
                      struct x509_list *out, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    const char *at = NULL;
    struct field_value element;
    lethe_result result;
    if (!value->given)
        return LETHE_OK;
    while ((result = field_list_next(value, &at, &scratch, &element, err)) == LETHE_OK) {
        field_trim(&element);
        if (element.length == 0)
            continue;
        if (out->count == X509_NAMES_MAX)
            return error_set(err, LETHE_INVALID, "%s: more than %u", name, X509_NAMES_MAX);
        TRY(keep(words, element.text, element.length, name, &out->at[out->count], err));
        out->count++;
    }
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

/* ---- what a certificate is to be ------------------------------------------------------------- */

/* As servers are looked for by their other names only (RFC 6125), the common name is one too. */
lethe_result pki_repeat_common_name(struct call *call, struct x509_subject *subject,
                                    struct lethe_error *err)
{
    struct x509_list *names = &subject->dns_names;
    const char *common_name = subject->common_name;
    if (call_field(call, PKI_EXCLUDE_CN)->boolean || common_name[0] == '\0' ||
        strpbrk(common_name, " @:/") != NULL)
        return LETHE_OK;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i], common_name) == 0)
            return LETHE_OK;
    if (names->count == X509_NAMES_MAX)
        return error_set(err, LETHE_INVALID, "alt_names: more than %u", X509_NAMES_MAX);
    names->at[names->count++] = common_name;
    return LETHE_OK;
}

lethe_result pki_read_subject(struct call *call, struct pki_words *words, struct x509_subject *out,
                              struct lethe_error *err)
{
    TRY(pki_word(words, call_field(call, PKI_COMMON_NAME), "common_name", &out->common_name, err));
    TRY(pki_list(words, call_field(call, PKI_ALT_NAMES), "alt_names", &out->dns_names, err));
    TRY(pki_list(words, call_field(call, PKI_IP_SANS), "ip_sans", &out->ip_addresses, err));
    TRY(pki_list(words, call_field(call, PKI_URI_SANS), "uri_sans", &out->uris, err));
    return pki_repeat_common_name(call, out, err);
}

/* "2026-11-20T12:00:00Z" and nothing else. */
static bool parse_time(const char *text, uint64_t *out)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    time_t unix_s = end != NULL && *end == '\0' ? timegm(&parts) : -1;
    *out = unix_s > 0 ? (uint64_t)unix_s : 0;
    return unix_s > 0;
}

lethe_result pki_read_ttl(struct call *call, uint64_t *out, struct lethe_error *err)
{
    const struct field_value *ttl = call_field(call, PKI_TTL);
    const struct field_value *until = call_field(call, PKI_NOT_AFTER);
    char text[32] = "";
    uint64_t until_s;
    *out = 0;
    TRY(field_copy(until, "not_after", text, sizeof text, err));
    if (ttl->given && text[0] != '\0')
        return error_set(err, LETHE_INVALID, "ttl or not_after, not both");
    if (ttl->given && ttl->integer < 0)
        return error_set(err, LETHE_INVALID, "ttl: a time that has passed");
    if (text[0] == '\0') {
        *out = ttl->given ? (uint64_t)ttl->integer : 0;
        return LETHE_OK;
    }
    if (!parse_time(text, &until_s) || until_s <= call_now_s(call))
        return error_set(err, LETHE_INVALID,
                         "not_after: expected a time to come, as 2026-11-20T12:00:00Z");
    *out = until_s - call_now_s(call);
    return LETHE_OK;
}

lethe_result pki_read_kind(const struct field_value *type, const struct field_value *bits,
                           enum signature_kind *out, bool *any, struct lethe_error *err)
{
    static const struct {
        const char *type;
        int64_t bits;
        enum signature_kind kind;
    } kinds[] = {
        {"ec", 0, SIGNATURE_ECDSA_P256},   {"ec", 256, SIGNATURE_ECDSA_P256},
        {"ec", 384, SIGNATURE_ECDSA_P384}, {"ed25519", 0, SIGNATURE_ED25519},
        {"any", 0, SIGNATURE_ECDSA_P256},
    };
    char name[16] = "";
    TRY(field_copy(type, "key_type", name, sizeof name, err));
    const char *asked = name[0] != '\0' ? name : "ec";
    *any = strcmp(asked, "any") == 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(asked, kinds[i].type) == 0 && (!bits->given || bits->integer == kinds[i].bits)) {
            *out = kinds[i].kind;
            return LETHE_OK;
        }
    return error_set(err, LETHE_INVALID,
                     "key_type %s with these key_bits is not offered: use ec (256 or 384 bits) or "
                     "ed25519",
                     asked);
}

lethe_result pki_read_pem(enum x509_pem kind, const struct field_value *value, const char *name,
                          struct buffer *der, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer list = {0};
    const uint8_t *first;
    uint32_t length;
    TRY(error_context(err, x509_pem_read(kind, value->text, value->length, &list, err), "%s",
                      name));
    struct cursor cursor = cursor_over(list.bytes, list.size_bytes);
    TRY(cursor_le32(&cursor, &length));
    TRY(cursor_bytes(&cursor, length, &first));
    buffer_append(der, first, length);
    return buffer_result(der, err);
}

/* ---- answers --------------------------------------------------------------------------------- */

lethe_result pki_read_form(struct call *call, struct pki_form_asked *out, struct lethe_error *err)
{
    static const char *const forms[] = {
        [PKI_PEM] = "pem", [PKI_BUNDLE] = "pem_bundle", [PKI_DER] = "der"};
    char form[16] = "", private_form[16] = "";
    *out = (struct pki_form_asked){0};
    TRY(field_copy(call_field(call, PKI_FORMAT), "format", form, sizeof form, err));
    TRY(field_copy(call_field(call, PKI_PRIVATE_FORMAT), "private_key_format", private_form,
                   sizeof private_form, err));
    out->pkcs8 = strcmp(private_form, "pkcs8") == 0;
    if (!out->pkcs8 && private_form[0] != '\0' && strcmp(private_form, "der") != 0)
        return error_set(err, LETHE_INVALID, "private_key_format: der or pkcs8");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (form[0] == '\0' || strcmp(form, forms[i]) == 0) {
            out->form = (enum pki_form)i;
            return LETHE_OK;
        }
    return error_set(err, LETHE_INVALID, "format: pem, pem_bundle or der");
}

static void append_pem(struct guarded *out, enum x509_pem kind, const void *der, size_t size_bytes)
{
    struct buffer pem = {0};
    x509_pem_append(kind, der, size_bytes, &pem);
    guarded_append(out, pem.bytes, pem.size_bytes);
    buffer_clear(&pem);
}

void pki_put_pem(struct json_writer *writer, const char *name, enum x509_pem kind, const void *der,
                 size_t size_bytes)
{
    struct buffer pem = {0};
    x509_pem_append(kind, der, size_bytes, &pem);
    if (pem.size_bytes > 0)
        json_put_bytes(writer, name, pem.bytes, pem.size_bytes - 1);
    buffer_clear(&pem);
}

static void put_certificate(struct json_writer *writer, const char *name, enum pki_form form,
                            const void *der, size_t size_bytes)
{
    if (form == PKI_DER)
        json_put_base64(writer, name, der, size_bytes);
    else
        pki_put_pem(writer, name, X509_PEM_CERTIFICATE, der, size_bytes);
}

/* The lines between the first and the last, as one: base64 of what the PEM holds. */
static void append_body(struct guarded *out, const char *pem, size_t length)
{
    const char *begin = memchr(pem, '\n', length);
    const char *end = memmem(pem, length, "\n-----END", strlen("\n-----END"));
    REQUIRE(begin != NULL && end != NULL);
    for (const char *at = begin; at < end; at++)
        if (*at != '\n')
            guarded_append(out, at, 1);
}

/* The key goes from guarded memory into the guarded answer. */
static lethe_result put_private(struct json_writer *writer, const struct pki_form_asked *form,
                                struct lethe_error *err)
{
    const struct sign_pair *pair = form->pair;
    CLEANUP(lethe_secret_free) struct lethe_secret *pem = NULL;
    CLEANUP(guarded_clear) struct guarded body = {0};
    TRY(x509_private_pem(pair, !form->pkcs8, &pem, err));
    const char *text = (const char *)lethe_secret_bytes_const(pem);
    if (form->form == PKI_DER)
        append_body(&body, text, lethe_secret_size(pem));
    else
        guarded_append(&body, text, lethe_secret_size(pem) - 1);
    TRY(guarded_result(&body, err));
    json_put_bytes(writer, "private_key", body.bytes, body.size_bytes);
    bool is_ed25519 = sign_public_kind(sign_pair_public(pair)) == SIGNATURE_ED25519;
    json_put_text(writer, "private_key_type", is_ed25519 ? "ed25519" : "ec");
    return LETHE_OK;
}

/* Key, certificate and issuer, one behind the other. */
static lethe_result put_bundle(struct json_writer *writer, const struct buffer *der,
                               const struct authority_view *view, const struct sign_pair *pair,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *pem = NULL;
    CLEANUP(guarded_clear) struct guarded bundle = {0};
    struct cursor chain = cursor_over(view->chain, view->chain_bytes);
    const uint8_t *issuer;
    uint32_t length;
    if (pair != NULL) {
        TRY(x509_private_pem(pair, true, &pem, err));
        guarded_append(&bundle, lethe_secret_bytes(pem), lethe_secret_size(pem));
    }
    append_pem(&bundle, X509_PEM_CERTIFICATE, der->bytes, der->size_bytes);
    TRY(cursor_le32(&chain, &length));
    TRY(cursor_bytes(&chain, length, &issuer));
    if (length != der->size_bytes || memcmp(issuer, der->bytes, length) != 0)
        append_pem(&bundle, X509_PEM_CERTIFICATE, issuer, length);
    TRY(guarded_result(&bundle, err));
    json_put_bytes(writer, "certificate", bundle.bytes, bundle.size_bytes - 1);
    return LETHE_OK;
}

static void put_chain(struct json_writer *writer, enum pki_form form,
                      const struct authority_view *view)
{
    struct cursor chain = cursor_over(view->chain, view->chain_bytes);
    const uint8_t *der;
    uint32_t length;
    for (bool first = true;
         cursor_le32(&chain, &length) == LETHE_OK && cursor_bytes(&chain, length, &der) == LETHE_OK;
         first = false) {
        if (first) {
            put_certificate(writer, "issuing_ca", form, der, length);
            json_begin_array(writer, "ca_chain");
        }
        put_certificate(writer, NULL, form, der, length);
    }
    json_end_array(writer);
}

lethe_result pki_require(struct call *call, struct authority_view *view, struct lethe_error *err)
{
    lethe_result result = authority_view(call_service(call)->authority, AUTHORITY_PKI, view, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INVALID,
                         "no authority yet: lethe pki root, or POST pki/root/generate/internal");
    return result;
}

lethe_result pki_answer(struct call *call, const struct pki_form_asked *form,
                        const struct buffer *der, struct json_writer **writer,
                        struct lethe_error *err)
{
    struct authority_view view;
    char serial[X509_SERIAL_TEXT_SIZE];
    CLEANUP(x509_summary_clear) struct x509_summary s = {0};
    TRY(pki_require(call, &view, err));
    TRY(x509_read(der->bytes, der->size_bytes, &s, err));
    struct json_writer *out = answer_data(call);
    if (form->form == PKI_BUNDLE)
        TRY(put_bundle(out, der, &view, form->pair, err));
    else
        put_certificate(out, "certificate", form->form, der->bytes, der->size_bytes);
    put_chain(out, form->form, &view);
    x509_serial_text(s.serial, s.serial_bytes, serial);
    json_put_text(out, "serial_number", serial);
    json_put_integer(out, "expiration", (int64_t)s.not_after_s);
    if (writer != NULL)
        *writer = out;
    return form->pair != NULL ? put_private(out, form, err) : LETHE_OK;
}
