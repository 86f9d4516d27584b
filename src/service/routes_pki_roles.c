/* Roles, as they are written and read. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "service/routes_pki.h"

enum {
    WRITE_TTL,
    WRITE_MAX_TTL,
    WRITE_NOT_BEFORE,
    WRITE_KEY_TYPE,
    WRITE_KEY_BITS,
    WRITE_KEY_USAGE,
    WRITE_EXTENDED_USAGE,
    WRITE_FLAGS,
    WRITE_LISTS = WRITE_FLAGS + ROLE_FLAG_COUNT,
};
const struct field pki_role_fields[] = {
    {"ttl", FIELD_DURATION, false, "of certificates, if nothing is asked for", NULL},
    {"max_ttl", FIELD_DURATION, false, "of certificates, at most", NULL},
    {"not_before_duration", FIELD_DURATION, false, "how far back they begin", NULL},
    {"key_type", FIELD_TEXT, false, "ec (if none is given), ed25519 or any", NULL},
    {"key_bits", FIELD_INTEGER, false, "of ec: 256 or 384", NULL},
    {"key_usage", FIELD_LIST, false, "DigitalSignature, KeyAgreement, ...", NULL},
    {"ext_key_usage", FIELD_LIST, false, "beside what the flags say", NULL},
#define FLAG_FIELD(name, standard) {#name, FIELD_BOOLEAN, false, "", NULL},
    AUTHORITY_ROLE_FLAGS(FLAG_FIELD)
#undef FLAG_FIELD
#define LIST_FIELD(name) {#name, FIELD_LIST, false, "", NULL},
        AUTHORITY_ROLE_LISTS(LIST_FIELD)
#undef LIST_FIELD
            {0}};

/* ---- names of usages ------------------------------------------------------------------------- */

struct usage_name {
    const char *name;
    unsigned bit;
};
static const struct usage_name key_usages[] = {
    {"DigitalSignature", X509_DIGITAL_SIGNATURE}, {"ContentCommitment", X509_CONTENT_COMMITMENT},
    {"KeyEncipherment", X509_KEY_ENCIPHERMENT},   {"DataEncipherment", X509_DATA_ENCIPHERMENT},
    {"KeyAgreement", X509_KEY_AGREEMENT},         {NULL, 0}};
static const struct usage_name extended_usages[] = {{"ServerAuth", X509_SERVER_AUTH},
                                                    {"ClientAuth", X509_CLIENT_AUTH},
                                                    {"CodeSigning", X509_CODE_SIGNING},
                                                    {"EmailProtection", X509_EMAIL_PROTECTION},
                                                    {"TimeStamping", X509_TIME_STAMPING},
                                                    {"OCSPSigning", X509_OCSP_SIGNING},
                                                    {NULL, 0}};

/* "KeyUsageX" and "ExtKeyUsageX" are other names for X. */
static const char *without_prefix(const char *name)
{
    static const char *const prefixes[] = {"KeyUsage", "ExtKeyUsage"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return name + strlen(prefixes[i]);
    return name;
}

static lethe_result read_usages(const struct x509_list *names, const struct usage_name *table,
                                unsigned *out, struct lethe_error *err)
{
    *out = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct usage_name *at = table;
        while (at->name != NULL && strcasecmp(at->name, without_prefix(names->at[i])) != 0)
            at++;
        if (at->name == NULL)
            return error_set(err, LETHE_INVALID, "%s is no usage that a role can give",
                             names->at[i]);
        *out |= at->bit;
    }
    return LETHE_OK;
}

static void put_usages(struct json_writer *writer, const char *name, unsigned usages,
                       const struct usage_name *table)
{
    json_begin_array(writer, name);
    for (; table->name != NULL; table++)
        if ((usages & table->bit) != 0)
            json_put_text(writer, NULL, table->name);
    json_end_array(writer);
}

/* ---- writing --------------------------------------------------------------------------------- */

#define DURATION_MOST_S INT64_C(3153600000) /* a hundred years */

static lethe_result read_duration(struct call *call, size_t field, uint64_t *out,
                                  struct lethe_error *err)
{
    const struct field_value *value = call_field(call, field);
    if (!value->given)
        return LETHE_OK;
    if (value->integer < 0 || value->integer > DURATION_MOST_S)
        return error_set(err, LETHE_INVALID, "%s: 0 to 100 years", pki_role_fields[field].name);
    *out = (uint64_t)value->integer;
    return LETHE_OK;
}

static lethe_result read_numbers(struct call *call, struct authority_role *role,
                                 struct lethe_error *err)
{
    TRY(read_duration(call, WRITE_TTL, &role->ttl_s, err));
    TRY(read_duration(call, WRITE_MAX_TTL, &role->max_ttl_s, err));
    TRY(read_duration(call, WRITE_NOT_BEFORE, &role->not_before_s, err));
    if (role->max_ttl_s != 0 && role->ttl_s > role->max_ttl_s)
        return error_set(err, LETHE_INVALID, "ttl is more than max_ttl");
    return pki_read_kind(call_field(call, WRITE_KEY_TYPE), call_field(call, WRITE_KEY_BITS),
                         &role->kind, &role->any_key, err);
}

static lethe_result read_role_usages(struct call *call, struct pki_words *words,
                                     struct authority_role *role, struct lethe_error *err)
{
    struct x509_list names = {0}, extended = {0};
    const struct field_value *usage = call_field(call, WRITE_KEY_USAGE);
    TRY(pki_list(words, usage, "key_usage", &names, err));
    TRY(pki_list(words, call_field(call, WRITE_EXTENDED_USAGE), "ext_key_usage", &extended, err));
    if (usage->given)
        TRY(read_usages(&names, key_usages, &role->key_usage, err));
    return read_usages(&extended, extended_usages, &role->extended_usage, err);
}

lethe_result pki_role_write(struct call *call, struct lethe_error *err)
{
    struct authority_role role = authority_role_standard();
    CLEANUP(pki_words_clear) struct pki_words words = {0};
    TRY(read_numbers(call, &role, err));
    TRY(read_role_usages(call, &words, &role, err));
    for (size_t i = 0; i < ROLE_FLAG_COUNT; i++) {
        const struct field_value *flag = call_field(call, WRITE_FLAGS + i);
        role.flags[i] = flag->given ? flag->boolean : role.flags[i];
    }
    for (size_t i = 0; i < ROLE_LIST_COUNT; i++)
        TRY(pki_list(&words, call_field(call, WRITE_LISTS + i), authority_role_list_names[i],
                     &role.lists[i], err));
    TRY(authority_role_put(call_service(call)->authority, call_capture(call, "name"), &role, err));
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void put_kind(struct json_writer *writer, const struct authority_role *role)
{
    static const struct {
        const char *type;
        int bits;
    } kinds[] = {[SIGNATURE_ED25519] = {"ed25519", 0},
                 [SIGNATURE_ECDSA_P256] = {"ec", 256},
                 [SIGNATURE_ECDSA_P384] = {"ec", 384}};
    json_put_text(writer, "key_type", role->any_key ? "any" : kinds[role->kind].type);
    json_put_integer(writer, "key_bits", role->any_key ? 0 : kinds[role->kind].bits);
}

static void put_list(struct json_writer *writer, const char *name, const struct x509_list *list)
{
    json_begin_array(writer, name);
    for (size_t i = 0; i < list->count; i++)
        json_put_text(writer, NULL, list->at[i]);
    json_end_array(writer);
}

bool pki_role_exists(struct call *call)
{
    struct authority_role role;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    return authority_role_get(call_service(call)->authority, call_capture(call, "name"), &row,
                              &role, NULL) == LETHE_OK;
}

lethe_result pki_role_read(struct call *call, struct lethe_error *err)
{
    struct authority_role role;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = authority_role_get(call_service(call)->authority,
                                             call_capture(call, "name"), &row, &role, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    struct json_writer *writer = answer_data(call);
    json_put_integer(writer, "ttl", (int64_t)role.ttl_s);
    json_put_integer(writer, "max_ttl", (int64_t)role.max_ttl_s);
    json_put_integer(writer, "not_before_duration", (int64_t)role.not_before_s);
    put_kind(writer, &role);
    put_usages(writer, "key_usage", role.key_usage, key_usages);
    put_usages(writer, "ext_key_usage", role.extended_usage, extended_usages);
    for (size_t i = 0; i < ROLE_FLAG_COUNT; i++)
        json_put_boolean(writer, authority_role_flag_names[i], role.flags[i]);
    for (size_t i = 0; i < ROLE_LIST_COUNT; i++)
        put_list(writer, authority_role_list_names[i], &role.lists[i]);
    return LETHE_OK;
}

lethe_result pki_role_delete(struct call *call, struct lethe_error *err)
{
    lethe_result result =
        authority_role_delete(call_service(call)->authority, call_capture(call, "name"), err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

struct listing {
    struct call *call;
    struct json_writer *writer;
};

static void list_role(void *context, const char *name)
{
    struct listing *l = context;
    if (l->writer == NULL) {
        l->writer = answer_data(l->call);
        json_begin_array(l->writer, "keys");
    }
    json_put_text(l->writer, NULL, name);
}

lethe_result pki_role_list(struct call *call, struct lethe_error *err)
{
    struct listing l = {.call = call};
    TRY(authority_list(call_service(call)->authority, AUTHORITY_PKI, "roles/", list_role, &l, err));
    if (l.writer == NULL)
        return answer_missing(call);
    json_end_array(l.writer);
    return LETHE_OK;
}
