#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/log.h"
#include "base/error.h"
#include "base/text.h"
#include "service/tokens_core.h"

void token_path(const uint8_t hash[TOKEN_HASH_BYTES], char out[TOKEN_PATH_SIZE])
{
    memcpy(out, TOKEN_ROW, strlen(TOKEN_ROW));
    hex_encode(hash, TOKEN_HASH_BYTES, out + strlen(TOKEN_ROW));
}

lethe_result token_put_generation(struct store *store, uint64_t epoch, struct lethe_error *err)
{
    const uint64_t generation = htole64(epoch);
    return store_put(store, TOKEN_GENERATION_ROW, &generation, sizeof generation, STORE_ANY, err);
}

static lethe_result put_row(struct store *store, const struct token *token, struct lethe_error *err)
{
    char path[TOKEN_PATH_SIZE];
    token_path(token->hash, path);
    return store_put(store, path, token->row, token->row_bytes, STORE_ANY, err);
}

/* Another process may have been faster. */
static lethe_result delete_row(struct store *store, const char *path, struct lethe_error *err)
{
    lethe_result result = store_delete(store, path, STORE_ANY, err);
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

static lethe_result delete_rows(struct store *store, const struct token *token,
                                struct lethe_error *err)
{
    char path[TOKEN_PATH_SIZE], accessor[sizeof ACCESSOR_ROW + sizeof token->accessor];
    token_path(token->hash, path);
    snprintf(accessor, sizeof accessor, ACCESSOR_ROW "%s", token->accessor);
    TRY(delete_row(store, path, err));
    return delete_row(store, accessor, err);
}

/* Another process may have used, renewed or revoked it since its row was read. */
static lethe_result check_unchanged(struct store *store, const struct token *token,
                                    struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    char path[TOKEN_PATH_SIZE];
    token_path(token->hash, path);
    lethe_result result = store_get(store, path, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_DENIED, "permission denied");
    TRY(result);
    if (lethe_secret_size(row) != token->row_bytes ||
        memcmp(lethe_secret_bytes_const(row), token->row, token->row_bytes) != 0)
        return error_set(err, LETHE_BUSY, "the token is in use elsewhere; try again");
    return LETHE_OK;
}

/* ---- one token, changed ---------------------------------------------------------------------- */

struct update {
    const struct token *before;
    struct token *token; /* as it will be */
    struct audit_event event;
    uint64_t epoch;
};

static void update_clear_at_scope_end(struct update *update)
{
    free(update->token);
}

static lethe_result write_update(struct store *store, void *context, uint64_t epoch,
                                 struct audit_event *event, struct lethe_error *err)
{
    struct update *update = context;
    TRY(check_unchanged(store, update->before, err));
    TRY(put_row(store, update->token, err));
    TRY(token_put_generation(store, epoch, err));
    update->epoch = epoch;
    *event = update->event;
    return LETHE_OK;
}

static lethe_result make_update(struct tokens *tokens, const struct token_entry *entry,
                                const struct audit_event *event, struct lethe_error *err)
{
    CLEANUP(update_clear)
    struct update update = {.before = tokens_at(tokens, entry->hash), .event = *event};
    update.token = token_make(entry, err);
    if (update.token == NULL)
        return LETHE_NO_MEMORY;
    TRY(keeper_change(tokens->service->keeper, entry->tenant, write_update, &update, err));
    tokens->generation = update.epoch;
    tokens_insert(tokens, MOVE(update.token));
    tokens_forget_decoded(tokens);
    return LETHE_OK;
}

static const char *name_for_record(const struct token_entry *entry)
{
    return entry->identity[0] != '\0' ? entry->identity : entry->display_name;
}

lethe_result tokens_renew(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES],
                          uint64_t wish_s, uint64_t now_s, struct lethe_error *err)
{
    const struct token *token = tokens_at(tokens, hash);
    now_s = tokens_now_s(tokens, now_s);
    if (!tokens_is_valid(tokens, token, now_s))
        return error_set(err, LETHE_DENIED, "permission denied");
    struct token_entry entry = *tokens_entry(tokens, token);
    if (!entry.renewable)
        return error_set(err, LETHE_INVALID, "lease is not renewable");
    const struct audit_event event = audit_auth_success(name_for_record(&entry), "renewal", "");
    entry.expires_s =
        token_expiry(tokens->service, &entry, wish_s != 0 ? wish_s : entry.ttl_s, now_s);
    entry.renewed_s = now_s;
    return make_update(tokens, &entry, &event, err);
}

/* ---- revoking -------------------------------------------------------------------------------- */

struct removal {
    struct tokens *tokens;
    const char *reason;
    bool expiry;
    bool last_use;        /* of the first one: by one process only */
    struct token **going; /* the first ones were named, the others are below them */
    size_t count, capacity;
    struct token **orphans; /* children that stay: as they will be */
    size_t orphan_count;
    char text[64];
    char identity[CALLER_NAME_MAX + 1]; /* of the first one */
    uint64_t epoch;
};

static void removal_clear_at_scope_end(struct removal *removal)
{
    for (size_t i = 0; i < removal->count; i++)
        removal->going[i]->marked = false;
    for (size_t i = 0; i < removal->orphan_count; i++)
        free(removal->orphans[i]);
    free(removal->going);
    free(removal->orphans);
}

static lethe_result add(struct removal *removal, struct token *token, struct lethe_error *err)
{
    if (removal->count == removal->capacity) {
        size_t capacity = 2 * removal->capacity + 16;
        struct token **grown = reallocarray(removal->going, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for the tokens to revoke");
        removal->going = grown;
        removal->capacity = capacity;
    }
    token->marked = true;
    removal->going[removal->count++] = token;
    return LETHE_OK;
}

typedef bool token_choice(const struct removal *removal, const struct token *token);

/* Every token that is chosen and not marked yet; *found: there was one. */
static lethe_result add_all(struct removal *removal, token_choice *choice, size_t most, bool *found,
                            struct lethe_error *err)
{
    struct tokens *tokens = removal->tokens;
    *found = false;
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (struct token *token = tokens->by_hash[i]; token != NULL; token = token->next) {
            if (token->marked || !choice(removal, token))
                continue;
            if (removal->count == most)
                return LETHE_OK;
            TRY(add(removal, token, err));
            *found = true;
        }
    }
    return LETHE_OK;
}

static bool is_below(const struct removal *removal, const struct token *token)
{
    if (token_is_orphan(token->parent))
        return false;
    const struct token *parent = tokens_at(removal->tokens, token->parent);
    return parent == NULL || parent->marked;
}

/* Each pass takes in at least one generation. */
static lethe_result add_children(struct removal *removal, struct lethe_error *err)
{
    bool found = removal->count > 0;
    while (found)
        TRY(add_all(removal, is_below, SIZE_MAX, &found, err));
    return LETHE_OK;
}

static lethe_result add_orphans(struct removal *removal, const struct token *parent,
                                struct lethe_error *err)
{
    struct tokens *tokens = removal->tokens;
    removal->orphans = calloc(tokens->count, sizeof(struct token *));
    if (removal->orphans == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the children of a token");
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (struct token *token = tokens->by_hash[i]; token != NULL; token = token->next) {
            if (memcmp(token->parent, parent->hash, TOKEN_HASH_BYTES) != 0)
                continue;
            struct token_entry entry = *tokens_entry(tokens, token);
            memset(entry.parent, 0, sizeof entry.parent);
            removal->orphans[removal->orphan_count] = token_make(&entry, err);
            if (removal->orphans[removal->orphan_count] == NULL)
                return LETHE_NO_MEMORY;
            removal->orphan_count++;
        }
    }
    return LETHE_OK;
}

static lethe_result write_removal(struct store *store, void *context, uint64_t epoch,
                                  struct audit_event *event, struct lethe_error *err)
{
    struct removal *removal = context;
    if (removal->last_use)
        TRY(check_unchanged(store, removal->going[0], err));
    for (size_t i = 0; i < removal->count; i++)
        TRY(delete_rows(store, removal->going[i], err));
    for (size_t i = 0; i < removal->orphan_count; i++)
        TRY(put_row(store, removal->orphans[i], err));
    TRY(token_put_generation(store, epoch, err));
    removal->epoch = epoch;
    snprintf(removal->text, sizeof removal->text, "%zu removed", removal->count);
    if (removal->expiry)
        *event = audit_data_deleted("tokens", "expired", 0, removal->text);
    else
        *event =
            audit_token_revoked(removal->going[0]->accessor, removal->identity, removal->reason);
    return LETHE_OK;
}

/* The others of a removal, each on record; the change itself is done. */
static lethe_result record_others(const struct removal *removal, struct audit_event *events,
                                  struct lethe_error *err)
{
    struct keeper *keeper = removal->tokens->service->keeper;
    const struct audit_who who = keeper_who(keeper, "");
    if (removal->expiry || removal->count < 2)
        return LETHE_OK;
    for (size_t i = 1; i < removal->count; i++)
        events[i] = audit_token_revoked(removal->going[i]->accessor, removal->identity,
                                        "with the token above");
    return audit_commit_all(keeper_log(keeper), &who, events + 1, removal->count - 1, err);
}

static void cut_off(struct tokens *tokens, const struct token *token)
{
    char name[CALLER_NAME_MAX + 1];
    const struct token_entry *entry = tokens_entry(tokens, token);
    snprintf(name, sizeof name, "token:%s", entry->accessor);
    service_publish_text(tokens->service, "token_revoked", entry->tenant, "accessor",
                         entry->accessor);
    service_cut_off(tokens->service, entry->identity[0] != '\0' ? entry->identity : name);
}

/* Whoever used them is cut off, but for whom a last use is being answered. */
static void apply(struct removal *removal)
{
    struct tokens *tokens = removal->tokens;
    for (size_t i = 0; i < removal->count; i++) {
        if (!removal->expiry && !(removal->last_use && i == 0))
            cut_off(tokens, removal->going[i]);
        tokens_remove(tokens, removal->going[i]);
    }
    removal->count = 0;
    for (; removal->orphan_count > 0; removal->orphan_count--)
        tokens_insert(tokens, removal->orphans[removal->orphan_count - 1]);
    tokens_forget_decoded(tokens);
    tokens->generation = removal->epoch;
}

static lethe_result make_removal(struct removal *removal, struct lethe_error *err)
{
    struct tokens *tokens = removal->tokens;
    char tenant[sizeof((struct token_entry *)0)->tenant];
    const struct token_entry *first = tokens_entry(tokens, removal->going[0]);
    snprintf(removal->identity, sizeof removal->identity, "%s", name_for_record(first));
    memcpy(tenant, first->tenant, sizeof tenant);
    CLEANUP(memory_free)
    struct audit_event *events = calloc(removal->count, sizeof *events);
    if (events == NULL) /* before anything has changed */
        return error_set(err, LETHE_NO_MEMORY, "no memory for the records of revoked tokens");
    TRY(keeper_change(tokens->service->keeper, tenant, write_removal, removal, err));
    lethe_result recorded = record_others(removal, events, err);
    apply(removal);
    return recorded;
}

lethe_result tokens_revoke(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES],
                           bool children, const char *reason, struct lethe_error *err)
{
    CLEANUP(removal_clear) struct removal removal = {.tokens = tokens, .reason = reason};
    struct token *token = tokens_at(tokens, hash);
    if (token == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such token");
    TRY(add(&removal, token, err));
    if (children)
        TRY(add_children(&removal, err));
    else
        TRY(add_orphans(&removal, token, err));
    return make_removal(&removal, err);
}

static bool is_bound(const struct removal *removal, const struct token *token)
{
    return strcmp(tokens_entry(removal->tokens, token)->identity, removal->identity) == 0;
}

lethe_result tokens_revoke_identity(struct tokens *tokens, const char *identity, const char *reason,
                                    struct lethe_error *err)
{
    CLEANUP(removal_clear) struct removal removal = {.tokens = tokens, .reason = reason};
    bool found;
    snprintf(removal.identity, sizeof removal.identity, "%s", identity);
    TRY(add_all(&removal, is_bound, SIZE_MAX, &found, err));
    TRY(add_children(&removal, err));
    return removal.count > 0 ? make_removal(&removal, err) : LETHE_OK;
}

/* ---- uses ------------------------------------------------------------------------------------ */

/* It is gone for every other call, and still known to the one that used it up. */
static lethe_result use_last(struct tokens *tokens, const struct token_entry *entry,
                             struct lethe_error *err)
{
    CLEANUP(removal_clear)
    struct removal removal = {
        .tokens = tokens, .reason = "used for the last time", .last_use = true};
    CLEANUP(memory_free) struct token *spent = token_make(entry, err);
    if (spent == NULL)
        return LETHE_NO_MEMORY;
    TRY(add(&removal, tokens_at(tokens, entry->hash), err));
    TRY(add_children(&removal, err));
    TRY(make_removal(&removal, err));
    free(tokens->spent);
    tokens->spent = MOVE(spent);
    return LETHE_OK;
}

lethe_result tokens_use(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES],
                        struct lethe_error *err)
{
    const struct token *token = tokens_at(tokens, hash);
    REQUIRE(token != NULL);
    struct token_entry entry = *tokens_entry(tokens, token);
    if (entry.uses_left == 0)
        return LETHE_OK;
    const struct audit_event event = audit_auth_success(name_for_record(&entry), "counted use", "");
    entry.uses_left--;
    if (entry.uses_left == 0)
        return use_last(tokens, &entry, err);
    return make_update(tokens, &entry, &event, err);
}

/* ---- expiring -------------------------------------------------------------------------------- */

static bool is_over(const struct removal *removal, const struct token *token)
{
    return token->expires_s != 0 && removal->tokens->highest_s >= token->expires_s;
}

static uint64_t next_expiry(const struct tokens *tokens)
{
    uint64_t earliest_s = UINT64_MAX;
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (const struct token *token = tokens->by_hash[i]; token != NULL; token = token->next) {
            if (token->expires_s != 0)
                earliest_s = MIN(earliest_s, token->expires_s);
        }
    }
    return earliest_s;
}

/* What cannot be removed now is void all the same, and is removed another time. */
void tokens_expire(struct tokens *tokens, uint64_t now_s)
{
    CLEANUP(removal_clear) struct removal removal = {.tokens = tokens, .expiry = true};
    bool found;
    if (tokens_now_s(tokens, now_s) < tokens->earliest_s)
        return;
    if (add_all(&removal, is_over, TOKENS_EXPIRE_MAX, &found, NULL) == LETHE_OK &&
        add_children(&removal, NULL) == LETHE_OK && removal.count > 0 &&
        make_removal(&removal, NULL) != LETHE_OK)
        return;
    tokens->earliest_s = next_expiry(tokens);
}
