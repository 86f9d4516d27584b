/* auth/token/create. A token never may more than who made it: its policies are some of the
 * maker's, unless a root token or a policy with `sudo` makes it; its tenant is the maker's, unless
 * root says otherwise; and it is bound to the certificate that the maker's is bound to. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/validate.h"
#include "service/authorise.h"
#include "service/identities.h"
#include "service/policies.h"
#include "service/routes_token.h"

enum {
    CREATE_POLICIES,
    CREATE_TTL,
    CREATE_EXPLICIT_MAX_TTL,
    CREATE_PERIOD,
    CREATE_RENEWABLE,
    CREATE_NUM_USES,
    CREATE_DISPLAY_NAME,
    CREATE_META,
    CREATE_NO_PARENT,
    CREATE_NO_DEFAULT_POLICY,
    CREATE_TYPE,
    CREATE_ID,
    CREATE_TENANT,
    CREATE_ALIAS,
    CREATE_IDENTITY,
};
const struct field token_create_fields[] = {
    [CREATE_POLICIES] = {"policies", FIELD_LIST, false, "some of the caller's; none: all", NULL},
    [CREATE_TTL] = {"ttl", FIELD_DURATION, false, "how long it lives unless renewed", NULL},
    [CREATE_EXPLICIT_MAX_TTL] = {"explicit_max_ttl", FIELD_DURATION, false,
                                 "how long it lives at most", NULL},
    [CREATE_PERIOD] = {"period", FIELD_DURATION, false,
                       "it lives for as long after each renewal (root or sudo)", NULL},
    [CREATE_RENEWABLE] = {"renewable", FIELD_BOOLEAN, false, "true unless said otherwise", NULL},
    [CREATE_NUM_USES] = {"num_uses", FIELD_INTEGER, false, "0: any number", NULL},
    [CREATE_DISPLAY_NAME] = {"display_name", FIELD_TEXT, false, "for people", NULL},
    [CREATE_META] = {"meta", FIELD_MAP, false, "texts by name, for people", NULL},
    [CREATE_NO_PARENT] = {"no_parent", FIELD_BOOLEAN, false,
                          "it outlives the caller's (root or sudo)", NULL},
    [CREATE_NO_DEFAULT_POLICY] = {"no_default_policy", FIELD_BOOLEAN, false,
                                  "without the policy \"default\"", NULL},
    [CREATE_TYPE] = {"type", FIELD_TEXT, false, "\"service\"", NULL},
    [CREATE_ID] = {"id", FIELD_TEXT, false, "the token itself (root or sudo)", NULL},
    [CREATE_TENANT] = {"tenant", FIELD_TEXT, false, "whose it is (root)", NULL},
    [CREATE_ALIAS] = {"entity_alias", FIELD_TEXT, false, "not offered", NULL},
    [CREATE_IDENTITY] = {"identity", FIELD_TEXT, false,
                         "it is void without a certificate of this identity (root)", NULL},
    {0}};

struct creation {
    struct call *call;
    const struct caller *caller;
    const struct token_entry *parent; /* NULL: the caller has no token */
    bool is_super;                    /* root, or the policy says sudo */
    bool orphan;
    struct token_entry entry;
};

static const struct field_value *field(const struct creation *creation, size_t index)
{
    return call_field(creation->call, index);
}

/* ---- what only some may ---------------------------------------------------------------------- */

static bool has_sudo(struct call *call)
{
    struct lethe_decision decision;
    const struct authorise_question question = {
        .caller = call_caller(call),
        .action = "token_create",
        .path = call_path(call),
        .capability = CAN_UPDATE,
        .sudo = true,
        .admin = call_caller(call)->kind == CALLER_ADMIN,
        .source = call_source(call),
    };
    return authorise(call_service(call)->policies, &question, &decision, NULL) == LETHE_OK;
}

static lethe_result check_super(const struct creation *creation, struct lethe_error *err)
{
    static const struct {
        size_t field;
        const char *what;
    } rows[] = {
        {CREATE_ID, "specify a token id"},
        {CREATE_PERIOD, "create a periodic token"},
        {CREATE_NO_PARENT, "create an orphan token"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct field_value *value = field(creation, rows[i].field);
        bool wanted = value->boolean || value->integer != 0 || value->length > 0;
        if (value->given && wanted && !creation->is_super)
            return error_set(err, LETHE_INVALID, "root or sudo privileges required to %s",
                             rows[i].what);
    }
    return LETHE_OK;
}

static lethe_result check_offered(const struct creation *creation, struct lethe_error *err)
{
    char type[32];
    TRY(field_copy(field(creation, CREATE_TYPE), "type", type, sizeof type, err));
    if (type[0] != '\0' && strcmp(type, "service") != 0 && strcmp(type, "default") != 0 &&
        strcmp(type, "default-service") != 0)
        return error_set(err, LETHE_INVALID, "tokens are of the type \"service\" only");
    if (field(creation, CREATE_ALIAS)->length > 0)
        return error_set(err, LETHE_INVALID, "there are no entities: leave out entity_alias");
    if (creation->parent != NULL &&
        (creation->parent->uses_left > 0 || call_service(creation->call)->tokens->spent != NULL))
        return error_set(err, LETHE_INVALID, "restricted use token cannot generate child tokens");
    return LETHE_OK;
}

/* ---- policies -------------------------------------------------------------------------------- */

static bool holds(const char (*policies)[64 + 1], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(policies[i], name) == 0)
            return true;
    }
    return false;
}

static lethe_result add_policy(struct token_entry *entry, const char *name, struct lethe_error *err)
{
    if (holds(entry->policies, entry->policy_count, name))
        return LETHE_OK;
    if (entry->policy_count == CALLER_POLICIES_MAX)
        return error_set(err, LETHE_INVALID, "a token has at most %u policies",
                         CALLER_POLICIES_MAX);
    strcpy(entry->policies[entry->policy_count++], name);
    return LETHE_OK;
}

/* Names of policies have no capitals: whoever writes some means the same. */
static lethe_result read_policy_name(const struct field_value *value, char out[64 + 1],
                                     struct lethe_error *err)
{
    TRY(field_copy(value, "policies", out, 64 + 1, err));
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", *at) == NULL)
            return error_set(err, LETHE_INVALID, "names of policies are of [a-z0-9._-]");
    }
    return LETHE_OK;
}

static lethe_result take_policy(struct creation *creation, const char *name,
                                struct lethe_error *err)
{
    const struct caller *caller = creation->caller;
    bool has = holds(caller->policies, caller->policy_count, name);
    if (strcmp(name, "root") == 0 && !caller->is_root)
        return error_set(err, LETHE_INVALID,
                         "root tokens may not be created without parent token being root");
    if (!has && !creation->is_super && strcmp(name, "default") != 0)
        return error_set(err, LETHE_INVALID, "child policies must be subset of parent");
    if (!policies_has(call_service(creation->call)->policies, name)) {
        char warning[128];
        snprintf(warning, sizeof warning, "policy \"%s\" does not exist", name);
        answer_warning(creation->call, warning);
    }
    return add_policy(&creation->entry, name, err);
}

static lethe_result read_policies(struct creation *creation, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    const struct field_value *list = field(creation, CREATE_POLICIES);
    const char *at = NULL;
    for (;;) {
        struct field_value value;
        char name[64 + 1];
        lethe_result result =
            list->given ? field_list_next(list, &at, &scratch, &value, err) : LETHE_NOT_FOUND;
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        TRY(result);
        TRY(read_policy_name(&value, name, err));
        if (name[0] != '\0')
            TRY(take_policy(creation, name, err));
    }
}

static int compare_policies(const void *a, const void *b)
{
    return strcmp(a, b);
}

static lethe_result choose_policies(struct creation *creation, struct lethe_error *err)
{
    struct token_entry *entry = &creation->entry;
    const struct caller *caller = creation->caller;
    TRY(read_policies(creation, err));
    if (entry->policy_count == 0) {
        for (size_t i = 0; i < caller->policy_count; i++)
            TRY(add_policy(entry, caller->policies[i], err));
    }
    if (entry->policy_count == 0 && caller->kind == CALLER_ADMIN)
        return error_set(err, LETHE_INVALID, "an operator says which policies the token has");
    if (!field(creation, CREATE_NO_DEFAULT_POLICY)->boolean && !token_is_root(entry))
        TRY(add_policy(entry, "default", err));
    if (token_is_root(entry) && entry->ttl_s == 0 && creation->parent != NULL &&
        creation->parent->expires_s != 0)
        return error_set(err, LETHE_INVALID,
                         "expiring root tokens cannot create non-expiring root tokens");
    qsort(entry->policies, entry->policy_count, sizeof entry->policies[0], compare_policies);
    return LETHE_OK;
}

/* ---- the other fields ------------------------------------------------------------------------ */

static lethe_result read_display_name(struct creation *creation, struct lethe_error *err)
{
    struct token_entry *entry = &creation->entry;
    char wish[sizeof entry->display_name - 6];
    TRY(field_copy(field(creation, CREATE_DISPLAY_NAME), "display_name", wish, sizeof wish, err));
    for (char *at = wish; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL)
            *at = '-';
    }
    snprintf(entry->display_name, sizeof entry->display_name, "token%s%s",
             wish[0] != '\0' ? "-" : "", wish);
    return LETHE_OK;
}

static bool has_nul(const struct field_value *text)
{
    return text->length > 0 && memchr(text->text, '\0', text->length) != NULL;
}

static lethe_result append_meta(const struct field_value *map, struct buffer *out,
                                struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    const char *at = NULL;
    for (const char *comma = "";; comma = ",") {
        struct field_value name, value;
        lethe_result result = field_map_next(map, &at, &scratch, &name, &value, err);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        TRY(result);
        if (has_nul(&name) || has_nul(&value))
            return error_set(err, LETHE_INVALID, "meta has a NUL in it");
        buffer_text(out, comma);
        json_append_string(out, name.text, name.length);
        buffer_text(out, ":");
        json_append_string(out, value.text, value.length);
    }
}

/* Kept as JSON: it is only ever given back. */
static lethe_result read_meta(struct creation *creation, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    const struct field_value *map = field(creation, CREATE_META);
    if (!map->given)
        return LETHE_OK;
    buffer_text(&json, "{");
    TRY(append_meta(map, &json, err));
    buffer_text(&json, "}");
    TRY(buffer_result(&json, err));
    if (json.size_bytes >= sizeof creation->entry.meta)
        return error_set(err, LETHE_INVALID, "meta is larger than %zu bytes",
                         sizeof creation->entry.meta - 1);
    if (json.size_bytes > 2)
        memcpy(creation->entry.meta, json.bytes, json.size_bytes + 1);
    return LETHE_OK;
}

static lethe_result read_numbers(struct creation *creation, struct lethe_error *err)
{
    struct token_entry *entry = &creation->entry;
    const struct field_value *renewable = field(creation, CREATE_RENEWABLE);
    TRY(token_seconds(field(creation, CREATE_TTL), "ttl", &entry->ttl_s, err));
    TRY(token_seconds(field(creation, CREATE_EXPLICIT_MAX_TTL), "explicit_max_ttl",
                      &entry->explicit_max_ttl_s, err));
    TRY(token_seconds(field(creation, CREATE_PERIOD), "period", &entry->period_s, err));
    TRY(token_seconds(field(creation, CREATE_NUM_USES), "num_uses", &entry->uses_left, err));
    entry->renewable = !renewable->given || renewable->boolean;
    return LETHE_OK;
}

static lethe_result choose_tenant(struct creation *creation, struct lethe_error *err)
{
    struct token_entry *entry = &creation->entry;
    const char *own = creation->caller->tenant;
    TRY(field_copy(field(creation, CREATE_TENANT), "tenant", entry->tenant, sizeof entry->tenant,
                   err));
    if (entry->tenant[0] == '\0')
        memcpy(entry->tenant, own, sizeof entry->tenant);
    else
        TRY(validate_identifier("tenant", entry->tenant, sizeof entry->tenant - 1, err));
    if (strcmp(entry->tenant, own) == 0 || (creation->caller->is_root && own[0] == '\0'))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "root privileges required to choose another tenant");
}

/* Whoever is bound to a certificate makes tokens that are; root says whom others are bound to. */
static lethe_result choose_identity(struct creation *creation, struct lethe_error *err)
{
    struct spiffe_id id;
    struct token_entry *entry = &creation->entry;
    const struct field_value *value = field(creation, CREATE_IDENTITY);
    if (value->length == 0)
        return LETHE_OK;
    TRY(spiffe_read(value->text, value->length, &id, err));
    if (strcmp(id.text, entry->identity) == 0)
        return LETHE_OK;
    if (!creation->caller->is_root || entry->identity[0] != '\0')
        return error_set(err, LETHE_INVALID, "root privileges required to choose another identity");
    const struct identity_entry *known =
        identities_find(call_service(creation->call)->identities, id.text);
    if (known == NULL || known->revoked_s != 0)
        return error_set(err, LETHE_INVALID, "there is no such identity");
    if (entry->tenant[0] == '\0')
        memcpy(entry->tenant, id.tenant, sizeof entry->tenant);
    if (strcmp(entry->tenant, id.tenant) != 0)
        return error_set(err, LETHE_INVALID, "the identity is of the tenant %s: so is its token",
                         id.tenant);
    memcpy(entry->identity, id.text, sizeof entry->identity);
    return LETHE_OK;
}

static void choose_parent(struct creation *creation)
{
    struct token_entry *entry = &creation->entry;
    const struct token_entry *parent = creation->parent;
    bool orphan = creation->orphan || field(creation, CREATE_NO_PARENT)->boolean;
    if (parent != NULL && !orphan)
        memcpy(entry->parent, parent->hash, sizeof entry->parent);
    if (creation->caller->kind == CALLER_CERTIFICATE)
        memcpy(entry->identity, creation->caller->name, sizeof entry->identity);
    else if (parent != NULL && !(orphan && creation->is_super))
        memcpy(entry->identity, parent->identity, sizeof entry->identity);
}

/* ---- making it ------------------------------------------------------------------------------- */

static lethe_result read_creation(struct creation *creation, struct lethe_error *err)
{
    TRY(check_super(creation, err));
    TRY(check_offered(creation, err));
    TRY(read_numbers(creation, err));
    TRY(read_display_name(creation, err));
    TRY(read_meta(creation, err));
    TRY(choose_tenant(creation, err));
    TRY(choose_policies(creation, err));
    choose_parent(creation);
    return choose_identity(creation, err);
}

static void warn_if_capped(struct creation *creation, uint64_t wish_s)
{
    if (wish_s != 0 && creation->entry.period_s == 0 && creation->entry.ttl_s < wish_s)
        answer_warning(creation->call,
                       "the time to live is less than was asked for: a limit was reached");
}

static lethe_result create(struct call *call, bool orphan, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    struct creation creation = {.call = call, .caller = call_caller(call), .orphan = orphan};
    struct token_entry *entry = &creation.entry;
    const struct field_value *id = call_field(call, CREATE_ID);
    creation.parent = token_of_caller(call);
    creation.is_super = creation.caller->is_root || has_sudo(call);
    if (creation.caller->kind == CALLER_TOKEN && creation.parent == NULL)
        return error_set(err, LETHE_DENIED, TOKEN_DENIED);
    TRY(read_creation(&creation, err));
    snprintf(entry->path, sizeof entry->path, "%s", call_path(call));
    uint64_t wish_s = entry->ttl_s;
    TRY(tokens_create_as(call_service(call)->tokens, entry, id->length > 0 ? id->text : NULL,
                         id->length, &token, err));
    warn_if_capped(&creation, wish_s);
    tokens_write_auth(answer_auth(call), entry, token, entry->created_s);
    return LETHE_OK;
}

lethe_result token_create(struct call *call, struct lethe_error *err)
{
    return create(call, false, err);
}

lethe_result token_create_orphan(struct call *call, struct lethe_error *err)
{
    return create(call, true, err);
}
