/* auth/cert/certs: entries, as they are written and read. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "service/routes_cert.h"
#include "service/routes_pki.h"

enum {
    WRITE_CERTIFICATE,
    WRITE_DISPLAY_NAME,
    WRITE_TTL,
    WRITE_MAX_TTL,
    WRITE_PERIOD,
    WRITE_USES,
    WRITE_TYPE,
    WRITE_CIDRS,
    WRITE_EXTENSIONS,
    WRITE_LISTS,
};
const struct field cert_auth_fields[] = {
    {"certificate", FIELD_TEXT, true, "of an authority, or the one that must be shown; PEM", NULL},
    {"display_name", FIELD_TEXT, false, "of the tokens", NULL},
    {"token_ttl", FIELD_DURATION, false, "of the tokens", NULL},
    {"token_max_ttl", FIELD_DURATION, false, "of the tokens, with renewals", NULL},
    {"token_period", FIELD_DURATION, false, "of the tokens", NULL},
    {"token_num_uses", FIELD_INTEGER, false, "of the tokens; 0: any number", NULL},
    {"token_type", FIELD_TEXT, false, "service", NULL},
    {"token_bound_cidrs", FIELD_LIST, false, "not offered", NULL},
    {"required_extensions", FIELD_LIST, false, "not offered", NULL},
#define LIST_FIELD(name) {#name, FIELD_LIST, false, "", NULL},
    CERT_AUTH_LISTS(LIST_FIELD)
#undef LIST_FIELD
        {0}};

#define NUMBER_MOST INT64_C(3153600000)

static lethe_result read_number(struct call *call, size_t field, uint64_t *out,
                                struct lethe_error *err)
{
    const struct field_value *value = call_field(call, field);
    if (value->given && (value->integer < 0 || value->integer > NUMBER_MOST))
        return error_set(err, LETHE_INVALID, "%s: 0 to %lld", cert_auth_fields[field].name,
                         (long long)NUMBER_MOST);
    *out = value->given ? (uint64_t)value->integer : 0;
    return LETHE_OK;
}

/* A restriction that is not kept would be worse than none. */
static lethe_result refuse_others(struct call *call, struct pki_words *words,
                                  struct lethe_error *err)
{
    static const size_t refused[] = {WRITE_CIDRS, WRITE_EXTENSIONS};
    char type[32] = "";
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct x509_list list = {0};
        const char *name = cert_auth_fields[refused[i]].name;
        TRY(pki_list(words, call_field(call, refused[i]), name, &list, err));
        if (list.count > 0)
            return error_set(err, LETHE_INVALID, "%s is not offered", name);
    }
    TRY(field_copy(call_field(call, WRITE_TYPE), "token_type", type, sizeof type, err));
    if (type[0] != '\0' && strcmp(type, "service") != 0 && strcmp(type, "default") != 0 &&
        strcmp(type, "default-service") != 0)
        return error_set(err, LETHE_INVALID, "token_type: only service tokens are offered");
    return LETHE_OK;
}

static lethe_result check_policies(const struct x509_list *policies, struct lethe_error *err)
{
    if (policies->count > CALLER_POLICIES_MAX)
        return error_set(err, LETHE_INVALID, "token_policies: more than %u", CALLER_POLICIES_MAX);
    for (size_t i = 0; i < policies->count; i++)
        if (strlen(policies->at[i]) > 64 || strcmp(policies->at[i], "root") == 0)
            return error_set(err, LETHE_INVALID, "token_policies: %.64s is not given to others",
                             policies->at[i]);
    return LETHE_OK;
}

static lethe_result read_entry(struct call *call, struct pki_words *words, struct cert_auth *auth,
                               struct lethe_error *err)
{
    TRY(refuse_others(call, words, err));
    TRY(pki_word(words, call_field(call, WRITE_DISPLAY_NAME), "display_name", &auth->display_name,
                 err));
    TRY(read_number(call, WRITE_TTL, &auth->ttl_s, err));
    TRY(read_number(call, WRITE_MAX_TTL, &auth->max_ttl_s, err));
    TRY(read_number(call, WRITE_PERIOD, &auth->period_s, err));
    TRY(read_number(call, WRITE_USES, &auth->num_uses, err));
    for (size_t i = 0; i < CERT_LIST_COUNT; i++)
        TRY(pki_list(words, call_field(call, WRITE_LISTS + i), cert_auth_list_names[i],
                     &auth->lists[i], err));
    return check_policies(&auth->lists[CERT_token_policies], err);
}

static lethe_result read_roots(struct call *call, struct buffer *roots, struct lethe_error *err)
{
    const struct field_value *pem = call_field(call, WRITE_CERTIFICATE);
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, pem->text, pem->length, roots, err));
    struct cursor cursor = cursor_over(roots->bytes, roots->size_bytes);
    const uint8_t *der;
    uint32_t length;
    while (cursor_le32(&cursor, &length) == LETHE_OK &&
           cursor_bytes(&cursor, length, &der) == LETHE_OK) {
        CLEANUP(x509_summary_clear) struct x509_summary s = {0};
        TRY(x509_read(der, length, &s, err));
    }
    return LETHE_OK;
}

lethe_result cert_auth_write(struct call *call, struct lethe_error *err)
{
    struct cert_auth auth = {0};
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    CLEANUP(buffer_clear) struct buffer roots = {0};
    TRY(read_entry(call, &words, &auth, err));
    TRY(read_roots(call, &roots, err));
    TRY(cert_auth_put(call_service(call), call_capture(call, "name"), &auth, &roots, err));
    answer_nothing(call);
    return LETHE_OK;
}

bool cert_auth_exists(struct call *call)
{
    struct cert_auth auth;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(buffer_clear) struct buffer roots = {0};
    return cert_auth_get(call_service(call), call_capture(call, "name"), &row, &auth, &roots,
                         NULL) == LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void put_roots(struct json_writer *writer, const struct buffer *roots)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    struct cursor cursor = cursor_over(roots->bytes, roots->size_bytes);
    const uint8_t *der;
    uint32_t length;
    while (cursor_le32(&cursor, &length) == LETHE_OK &&
           cursor_bytes(&cursor, length, &der) == LETHE_OK)
        x509_pem_append(X509_PEM_CERTIFICATE, der, length, &pem);
    json_put_bytes(writer, "certificate", pem.bytes, pem.size_bytes);
}

static void put_list(struct json_writer *writer, const char *name, const struct x509_list *list)
{
    json_begin_array(writer, name);
    for (size_t i = 0; i < list->count; i++)
        json_put_text(writer, NULL, list->at[i]);
    json_end_array(writer);
}

lethe_result cert_auth_read(struct call *call, struct lethe_error *err)
{
    struct cert_auth auth;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(buffer_clear) struct buffer roots = {0};
    lethe_result result =
        cert_auth_get(call_service(call), call_capture(call, "name"), &row, &auth, &roots, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    struct json_writer *writer = answer_data(call);
    put_roots(writer, &roots);
    json_put_text(writer, "display_name", auth.display_name);
    json_put_integer(writer, "token_ttl", (int64_t)auth.ttl_s);
    json_put_integer(writer, "token_max_ttl", (int64_t)auth.max_ttl_s);
    json_put_integer(writer, "token_period", (int64_t)auth.period_s);
    json_put_integer(writer, "token_num_uses", (int64_t)auth.num_uses);
    json_put_text(writer, "token_type", "service");
    for (size_t i = 0; i < CERT_LIST_COUNT; i++)
        put_list(writer, cert_auth_list_names[i], &auth.lists[i]);
    return LETHE_OK;
}

lethe_result cert_auth_remove(struct call *call, struct lethe_error *err)
{
    lethe_result result = cert_auth_delete(call_service(call), call_capture(call, "name"), err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

struct listing {
    struct call *call;
    struct json_writer *writer;
};

static lethe_result list_name(void *context, const char *name, struct lethe_error *err)
{
    struct listing *l = context;
    (void)err;
    if (l->writer == NULL) {
        l->writer = answer_data(l->call);
        json_begin_array(l->writer, "keys");
    }
    json_put_text(l->writer, NULL, name);
    return LETHE_OK;
}

lethe_result cert_auth_names(struct call *call, struct lethe_error *err)
{
    struct listing l = {.call = call};
    TRY(cert_auth_list(call_service(call), list_name, &l, err));
    if (l.writer == NULL)
        return answer_missing(call);
    json_end_array(l.writer);
    return LETHE_OK;
}
