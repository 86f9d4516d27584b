/* auth/token: looking tokens up, renewing and revoking them. Making them: routes_token_create.c. */
#include "service/routes_token.h"

#include <string.h>

#include "base/error.h"

static struct tokens *tokens_of(struct call *call)
{
    return call_service(call)->tokens;
}

const struct token_entry *token_of_caller(struct call *call)
{
    const struct caller *caller = call_caller(call);
    if (caller->accessor[0] == '\0')
        return NULL;
    return tokens_find_accessor(tokens_of(call), caller->accessor, call_now_s(call));
}

lethe_result token_seconds(const struct field_value *value, const char *name, uint64_t *out,
                           struct lethe_error *err)
{
    *out = 0;
    if (!value->given)
        return LETHE_OK;
    if (value->integer < 0)
        return error_set(err, LETHE_INVALID, "%s cannot be negative", name);
    *out = (uint64_t)value->integer;
    return LETHE_OK;
}

/* ---- which token ----------------------------------------------------------------------------- */

enum { FIELD_WHICH, FIELD_INCREMENT };
static const struct field token_fields[] = {{"token", FIELD_TEXT, false, "a token", NULL}, {0}};
static const struct field accessor_fields[] = {
    {"accessor", FIELD_TEXT, true, "a token's accessor", NULL}, {0}};
static const struct field renew_token_fields[] = {
    {"token", FIELD_TEXT, false, "a token", NULL},
    {"increment", FIELD_DURATION, false, "for how long from now on", NULL},
    {0}};
static const struct field renew_accessor_fields[] = {
    {"accessor", FIELD_TEXT, true, "a token's accessor", NULL},
    {"increment", FIELD_DURATION, false, "for how long from now on", NULL},
    {0}};

struct target {
    const struct token_entry *entry;
    const void *token; /* the token itself, when the caller has it: guarded */
    size_t token_bytes;
};

static void target_self(struct call *call, struct target *out)
{
    const struct guarded *presented = &tokens_of(call)->presented;
    out->entry = token_of_caller(call);
    out->token = presented->bytes;
    out->token_bytes = presented->size_bytes;
}

static void target_token(struct call *call, struct target *out)
{
    const struct field_value *value = call_field(call, FIELD_WHICH);
    out->token = value->text;
    out->token_bytes = value->length;
    out->entry =
        tokens_find(tokens_of(call), (const uint8_t *)value->text, value->length, call_now_s(call));
}

static void target_accessor(struct call *call, struct target *out)
{
    char accessor[sizeof out->entry->accessor];
    if (field_copy(call_field(call, FIELD_WHICH), "accessor", accessor, sizeof accessor, NULL) ==
        LETHE_OK)
        out->entry = tokens_find_accessor(tokens_of(call), accessor, call_now_s(call));
}

/* Another tenant's token is as unknown as one that there is not. */
static bool may_see(const struct call *call, const struct token_entry *entry)
{
    const char *tenant = call_caller(call)->tenant;
    return entry != NULL && (tenant[0] == '\0' || strcmp(tenant, entry->tenant) == 0);
}

enum which { SELF, TOKEN, ACCESSOR };
static lethe_result find_target(struct call *call, enum which which, struct target *out,
                                struct lethe_error *err)
{
    *out = (struct target){0};
    if (which == SELF)
        target_self(call, out);
    else if (which == TOKEN)
        target_token(call, out);
    else
        target_accessor(call, out);
    if (may_see(call, out->entry))
        return LETHE_OK;
    if (which != SELF) {
        const struct audit_event event = audit_invalid_token_used(
            "", call_source(call),
            which == TOKEN ? "asked about by token" : "asked about by accessor");
        call_record(call, &event);
    }
    return error_set(err, LETHE_DENIED, TOKEN_DENIED);
}

static lethe_result need_token(struct call *call, struct lethe_error *err)
{
    return call_field(call, FIELD_WHICH)->length > 0
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "missing token ID");
}

/* ---- looking up ------------------------------------------------------------------------------ */

static lethe_result lookup(struct call *call, enum which which, struct lethe_error *err)
{
    struct target target;
    TRY(find_target(call, which, &target, err));
    tokens_put_lookup(answer_data(call), target.entry, target.token, target.token_bytes,
                      call_now_s(call));
    return LETHE_OK;
}

static lethe_result lookup_self(struct call *call, struct lethe_error *err)
{
    return lookup(call, SELF, err);
}

static lethe_result lookup_token(struct call *call, struct lethe_error *err)
{
    return lookup(call, call_field(call, FIELD_WHICH)->length > 0 ? TOKEN : SELF, err);
}

static lethe_result lookup_accessor(struct call *call, struct lethe_error *err)
{
    return lookup(call, ACCESSOR, err);
}

static lethe_result list_accessors(struct call *call, struct lethe_error *err)
{
    struct tokens *tokens = tokens_of(call);
    struct json_writer *writer = NULL;
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (const struct token *token = tokens->by_hash[i]; token != NULL; token = token->next) {
            if (!tokens_is_valid(tokens, token, call_now_s(call)) ||
                !may_see(call, tokens_entry(tokens, token)))
                continue;
            if (writer == NULL) {
                writer = answer_data(call);
                json_begin_array(writer, "keys");
            }
            json_put_text(writer, NULL, token->accessor);
        }
    }
    if (writer == NULL)
        return answer_missing(call);
    json_end_array(writer);
    return LETHE_OK;
}

/* ---- renewing -------------------------------------------------------------------------------- */

/* Clients take the answer's token for theirs from now on: it is the one that they have. */
static lethe_result renew(struct call *call, enum which which, size_t increment,
                          struct lethe_error *err)
{
    struct target target;
    uint64_t wish_s;
    uint8_t hash[TOKEN_HASH_BYTES];
    struct tokens *tokens = tokens_of(call);
    TRY(token_seconds(call_field(call, increment), "increment", &wish_s, err));
    TRY(find_target(call, which, &target, err));
    memcpy(hash, target.entry->hash, sizeof hash);
    TRY(tokens_renew(tokens, hash, wish_s, call_now_s(call), err));
    const struct token_entry *entry = tokens_entry(tokens, tokens_at(tokens, hash));
    if (wish_s != 0 && entry->expires_s - entry->renewed_s < wish_s)
        answer_warning(call, "the time to live is less than was asked for: a limit was reached");
    tokens_put_auth(answer_auth(call), entry, target.token, target.token_bytes, entry->renewed_s);
    return LETHE_OK;
}

static const struct field increment_fields[] = {
    {"increment", FIELD_DURATION, false, "for how long from now on", NULL}, {0}};

static lethe_result renew_self(struct call *call, struct lethe_error *err)
{
    return renew(call, SELF, 0, err);
}

static lethe_result renew_token(struct call *call, struct lethe_error *err)
{
    TRY(need_token(call, err));
    return renew(call, TOKEN, FIELD_INCREMENT, err);
}

static lethe_result renew_accessor(struct call *call, struct lethe_error *err)
{
    return renew(call, ACCESSOR, FIELD_INCREMENT, err);
}

/* ---- revoking -------------------------------------------------------------------------------- */

static lethe_result revoke(struct call *call, enum which which, bool children,
                           struct lethe_error *err)
{
    struct target target;
    uint8_t hash[TOKEN_HASH_BYTES];
    TRY(find_target(call, which, &target, err));
    memcpy(hash, target.entry->hash, sizeof hash);
    lethe_result result = tokens_revoke(tokens_of(call), hash, children,
                                        which == SELF ? "by its holder" : "by request", err);
    /* It is gone already: its last use is this call. */
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

static lethe_result revoke_self(struct call *call, struct lethe_error *err)
{
    return revoke(call, SELF, true, err);
}

static lethe_result revoke_token(struct call *call, struct lethe_error *err)
{
    TRY(need_token(call, err));
    return revoke(call, TOKEN, true, err);
}

static lethe_result revoke_accessor(struct call *call, struct lethe_error *err)
{
    return revoke(call, ACCESSOR, true, err);
}

static lethe_result revoke_orphan(struct call *call, struct lethe_error *err)
{
    TRY(need_token(call, err));
    return revoke(call, TOKEN, false, err);
}

/* ---- routes ---------------------------------------------------------------------------------- */

const struct route routes_token[] = {
    {CALL_POST, "auth/token/create", 0, "token_create", NULL, token_create_fields, token_create,
     "Makes a token, below the caller's own"},
    {CALL_POST, "auth/token/create-orphan", ROUTE_SUDO, "token_create", NULL, token_create_fields,
     token_create_orphan, "Makes a token that outlives the caller's"},
    {CALL_GET, "auth/token/lookup-self", 0, "token_lookup_self", NULL, NULL, lookup_self,
     "What the caller's token is"},
    {CALL_POST, "auth/token/lookup", 0, "token_lookup", NULL, token_fields, lookup_token,
     "What a token is"},
    {CALL_POST, "auth/token/lookup-accessor", 0, "token_lookup", NULL, accessor_fields,
     lookup_accessor, "What a token is, by its accessor"},
    {CALL_LIST, "auth/token/accessors", ROUTE_SUDO, "token_list", NULL, NULL, list_accessors,
     "Accessors of all tokens"},
    {CALL_POST, "auth/token/renew-self", 0, "token_renew_self", NULL, increment_fields, renew_self,
     "Lets the caller's token live longer"},
    {CALL_POST, "auth/token/renew", 0, "token_renew", NULL, renew_token_fields, renew_token,
     "Lets a token live longer"},
    {CALL_POST, "auth/token/renew-accessor", 0, "token_renew", NULL, renew_accessor_fields,
     renew_accessor, "Lets a token live longer, by its accessor"},
    {CALL_POST, "auth/token/revoke-self", 0, "token_revoke_self", NULL, NULL, revoke_self,
     "Ends the caller's token and all below it"},
    {CALL_POST, "auth/token/revoke", 0, "token_revoke", NULL, token_fields, revoke_token,
     "Ends a token and all below it"},
    {CALL_POST, "auth/token/revoke-accessor", 0, "token_revoke", NULL, accessor_fields,
     revoke_accessor, "Ends a token and all below it, by its accessor"},
    {CALL_POST, "auth/token/revoke-orphan", ROUTE_SUDO, "token_revoke", NULL, token_fields,
     revoke_orphan, "Ends a token; those below it stay"},
    {0}};
