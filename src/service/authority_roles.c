#include "service/authority_roles.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "service/authority_core.h"
#include "service/name_match.h"
#include "service/row_texts.h"

#define ROW_FORMAT 1
#define NOT_BEFORE_S 30u
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARACTERS LOWER UPPER "0123456789._-"

const char *const authority_role_flag_names[ROLE_FLAG_COUNT] = {
#define FLAG_NAME(name, standard) #name,
    AUTHORITY_ROLE_FLAGS(FLAG_NAME)
#undef FLAG_NAME
};
const char *const authority_role_list_names[ROLE_LIST_COUNT] = {
#define LIST_NAME(name) #name,
    AUTHORITY_ROLE_LISTS(LIST_NAME)
#undef LIST_NAME
};

struct authority_role authority_role_standard(void)
{
    return (struct authority_role){
        .not_before_s = NOT_BEFORE_S,
        .flags =
            {
#define FLAG_STANDARD(name, standard) [ROLE_##name] = standard,
                AUTHORITY_ROLE_FLAGS(FLAG_STANDARD)
#undef FLAG_STANDARD
            },
        .kind = SIGNATURE_ECDSA_P256,
        .key_usage = X509_DIGITAL_SIGNATURE | X509_KEY_AGREEMENT | X509_KEY_ENCIPHERMENT,
    };
}

/* ---- rows ------------------------------------------------------------------------------------ */

void authority_role_format(const struct authority_role *role, struct buffer *out)
{
    buffer_byte(out, ROW_FORMAT);
    buffer_le64(out, role->ttl_s);
    buffer_le64(out, role->max_ttl_s);
    buffer_le64(out, role->not_before_s);
    for (size_t i = 0; i < ROLE_FLAG_COUNT; i++)
        buffer_byte(out, role->flags[i]);
    buffer_byte(out, role->any_key);
    buffer_byte(out, (uint8_t)role->kind);
    buffer_byte(out, (uint8_t)role->key_usage);
    buffer_byte(out, (uint8_t)role->extended_usage);
    for (size_t i = 0; i < ROLE_LIST_COUNT; i++)
        row_put_texts(out, &role->lists[i]);
}

static lethe_result take_flag(struct cursor *cursor, bool *out)
{
    uint8_t flag;
    TRY(cursor_u8(cursor, &flag));
    *out = flag == 1;
    return flag <= 1 ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result take_numbers(struct cursor *cursor, struct authority_role *out)
{
    TRY(row_take_format(cursor, ROW_FORMAT));
    TRY(cursor_le64(cursor, &out->ttl_s));
    TRY(cursor_le64(cursor, &out->max_ttl_s));
    return cursor_le64(cursor, &out->not_before_s);
}

static lethe_result take_kinds(struct cursor *cursor, struct authority_role *out)
{
    uint8_t kind, key_usage, extended_usage;
    TRY(take_flag(cursor, &out->any_key));
    TRY(cursor_u8(cursor, &kind));
    TRY(cursor_u8(cursor, &key_usage));
    TRY(cursor_u8(cursor, &extended_usage));
    if (kind > SIGNATURE_ECDSA_P384)
        return LETHE_MALFORMED;
    out->kind = (enum signature_kind)kind;
    out->key_usage = key_usage;
    out->extended_usage = extended_usage;
    return LETHE_OK;
}

lethe_result authority_role_parse(const uint8_t *bytes, size_t size_bytes,
                                  struct authority_role *out)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    *out = (struct authority_role){0};
    TRY(take_numbers(&cursor, out));
    for (size_t i = 0; i < ROLE_FLAG_COUNT; i++)
        TRY(take_flag(&cursor, &out->flags[i]));
    TRY(take_kinds(&cursor, out));
    for (size_t i = 0; i < ROLE_LIST_COUNT; i++)
        TRY(row_take_texts(&cursor, &out->lists[i]));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

/* ---- the store ------------------------------------------------------------------------------- */

static lethe_result role_path(struct authority *authority, const char *name,
                              char out[AUTHORITY_PATH_SIZE], struct lethe_error *err)
{
    char what[AUTHORITY_ROLE_NAME_MAX + sizeof "roles/"];
    size_t length = strlen(name);
    if (length == 0 || length > AUTHORITY_ROLE_NAME_MAX || strspn(name, NAME_CHARACTERS) != length)
        return error_set(err, LETHE_INVALID, "a role's name has 1 to %u of [A-Za-z0-9._-]",
                         AUTHORITY_ROLE_NAME_MAX);
    snprintf(what, sizeof what, "roles/%s", name);
    authority_path(authority_mount(authority, AUTHORITY_PKI), what, out);
    return LETHE_OK;
}

lethe_result authority_role_get(struct authority *authority, const char *name,
                                struct lethe_secret **row, struct authority_role *out,
                                struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    TRY(role_path(authority, name, path, err));
    TRY(store_get(keeper_store(authority->service->keeper), path, row, NULL, err));
    if (authority_role_parse(lethe_secret_bytes_const(*row), lethe_secret_size(*row), out) !=
        LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the role is stored in another form");
    return LETHE_OK;
}

struct role_change {
    const char *path;
    const char *name;
    const struct buffer *row; /* NULL: it goes */
};

static lethe_result change_role(struct store *store, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    const struct role_change *c = context;
    *event = audit_permission_changed(c->name, "pki/role", c->row != NULL ? "written" : "deleted");
    return c->row != NULL
               ? store_put(store, c->path, c->row->bytes, c->row->size_bytes, STORE_ANY, err)
               : store_delete(store, c->path, STORE_ANY, err);
}

lethe_result authority_role_put(struct authority *authority, const char *name,
                                const struct authority_role *role, struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    CLEANUP(buffer_clear) struct buffer row = {0};
    TRY(role_path(authority, name, path, err));
    authority_role_format(role, &row);
    TRY(buffer_result(&row, err));
    if (row.size_bytes > STORE_VALUE_MAX)
        return error_set(err, LETHE_INVALID, "a role of %zu bytes; at most %u", row.size_bytes,
                         (unsigned)STORE_VALUE_MAX);
    struct role_change c = {path, name, &row};
    return keeper_change(authority->service->keeper, "", change_role, &c, err);
}

lethe_result authority_role_delete(struct authority *authority, const char *name,
                                   struct lethe_error *err)
{
    char path[AUTHORITY_PATH_SIZE];
    TRY(role_path(authority, name, path, err));
    struct role_change c = {path, name, NULL};
    return keeper_change(authority->service->keeper, "", change_role, &c, err);
}

/* ---- names ----------------------------------------------------------------------------------- */

#define HOST_MAX 253u
#define LABEL_MAX 63u

/* RFC 1123; `wildcard`: the first label may be "*". */
static bool is_hostname(const char *name, bool wildcard)
{
    if (wildcard && strncmp(name, "*.", 2) == 0)
        name += 2;
    if (name[0] == '\0' || strlen(name) > HOST_MAX)
        return false;
    for (const char *label = name;; label++) {
        size_t length = strcspn(label, ".");
        if (length == 0 || length > LABEL_MAX || label[0] == '-' || label[length - 1] == '-' ||
            strspn(label, LOWER UPPER "0123456789-") < length)
            return false;
        label += length;
        if (*label == '\0')
            return true;
    }
}

static bool is_below(const char *name, const char *domain)
{
    size_t length = strlen(name), domain_length = strlen(domain);
    return length > domain_length + 1 && name[length - domain_length - 1] == '.' &&
           strcasecmp(name + length - domain_length, domain) == 0;
}

static bool domain_allows(const struct authority_role *role, const char *domain, const char *name)
{
    if (role->flags[ROLE_allow_bare_domains] && strcasecmp(domain, name) == 0)
        return true;
    if (role->flags[ROLE_allow_subdomains] && is_below(name, domain))
        return true;
    return role->flags[ROLE_allow_glob_domains] && strchr(domain, '*') != NULL &&
           name_matches(domain, name, true);
}

static bool is_localhost(const char *name)
{
    return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "localdomain") == 0 ||
           is_below(name, "localhost") || is_below(name, "localdomain");
}

static bool allows_host(const struct authority_role *role, const char *name)
{
    bool wildcard = strchr(name, '*') != NULL;
    if (wildcard && !role->flags[ROLE_allow_wildcard_certificates])
        return false;
    if (role->flags[ROLE_enforce_hostnames] && !is_hostname(name, true))
        return false;
    if (role->flags[ROLE_allow_any_name])
        return true;
    if (role->flags[ROLE_allow_localhost] && is_localhost(name))
        return true;
    const struct x509_list *domains = &role->lists[ROLE_allowed_domains];
    for (size_t i = 0; i < domains->count; i++)
        if (domain_allows(role, domains->at[i], name))
            return true;
    return false;
}

static lethe_result not_allowed(const char *kind, const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID, "%s %s is not allowed by this role", kind, name);
}

static lethe_result check_uris(const struct authority_role *role, const struct x509_list *uris,
                               struct lethe_error *err)
{
    const struct x509_list *patterns = &role->lists[ROLE_allowed_uri_sans];
    for (size_t i = 0; i < uris->count; i++) {
        size_t j = 0;
        while (j < patterns->count && !name_matches(patterns->at[j], uris->at[i], false))
            j++;
        if (j == patterns->count)
            return not_allowed("URI", uris->at[i], err);
    }
    return LETHE_OK;
}

lethe_result authority_role_allows(const struct authority_role *role,
                                   const struct x509_subject *subject, struct lethe_error *err)
{
    const char *common_name = subject->common_name != NULL ? subject->common_name : "";
    if (role->flags[ROLE_require_cn] && common_name[0] == '\0')
        return error_set(err, LETHE_INVALID, "common_name is missing, and this role requires it");
    if (common_name[0] != '\0' && !allows_host(role, common_name))
        return not_allowed("common name", common_name, err);
    for (size_t i = 0; i < subject->dns_names.count; i++)
        if (!allows_host(role, subject->dns_names.at[i]))
            return not_allowed("name", subject->dns_names.at[i], err);
    if (subject->ip_addresses.count > 0 && !role->flags[ROLE_allow_ip_sans])
        return not_allowed("address", subject->ip_addresses.at[0], err);
    if (subject->emails.count > 0)
        return not_allowed("e-mail address", subject->emails.at[0], err);
    return check_uris(role, &subject->uris, err);
}

/* ---- how long, and what for ------------------------------------------------------------------ */

uint64_t authority_role_ttl(const struct authority_role *role, uint64_t wanted_s, bool *capped)
{
    uint64_t most_s =
        role->max_ttl_s != 0 ? role->max_ttl_s : MAX(AUTHORITY_TTL_MAX_S, role->ttl_s);
    uint64_t usual_s = role->ttl_s != 0 ? role->ttl_s : AUTHORITY_TTL_MAX_S;
    uint64_t ttl_s = wanted_s != 0 ? wanted_s : usual_s;
    *capped = wanted_s > most_s;
    return MIN(ttl_s, most_s);
}

unsigned authority_role_usage(const struct authority_role *role)
{
    static const struct {
        enum authority_role_flag flag;
        unsigned usage;
    } usages[] = {
        {ROLE_server_flag, X509_SERVER_AUTH},
        {ROLE_client_flag, X509_CLIENT_AUTH},
        {ROLE_code_signing_flag, X509_CODE_SIGNING},
        {ROLE_email_protection_flag, X509_EMAIL_PROTECTION},
    };
    unsigned usage = role->extended_usage;
    for (size_t i = 0; i < ARRAY_LEN(usages); i++)
        if (role->flags[usages[i].flag])
            usage |= usages[i].usage;
    return usage;
}
