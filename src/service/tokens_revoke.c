/* Tokens that go, with all that lives by them: each with its record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/tokens_core.h"

/* ---- rows ------------------------------------------------------------------------------------ */

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

/* ---- which go -------------------------------------------------------------------------------- */

/* What goes is more than one change may owe records for: then it goes in several, those that were
 * named first. What is left behind a crash has no parent: it is void, and goes when it is next
 * looked for. */
struct removal {
    struct tokens *tokens;
    const char *reason;
    bool expiry;
    bool last_use;        /* of the first one: by one process only */
    struct token **going; /* the first `named` ones were named, the others are below them */
    size_t count, named, capacity;
    size_t done, taken;     /* so many are gone; as many go now */
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

/* ---- how they go ----------------------------------------------------------------------------- */

static struct audit_event event_of(const struct removal *removal, size_t which)
{
    bool was_named = which < removal->named;
    return audit_token_revoked(removal->going[which]->accessor, removal->identity,
                               was_named ? removal->reason : "with the token above");
}

static lethe_result write_removal(struct store *store, void *context, uint64_t epoch,
                                  struct audit_event *event, struct lethe_error *err)
{
    struct removal *removal = context;
    if (removal->last_use && removal->done == 0)
        TRY(token_check_unchanged(store, removal->going[0], err));
    for (size_t i = 0; i < removal->taken; i++)
        TRY(delete_rows(store, removal->going[removal->done + i], err));
    for (size_t i = 0; i < removal->orphan_count; i++)
        TRY(token_put_row(store, removal->orphans[i], err));
    TRY(token_put_generation(store, epoch, err));
    removal->epoch = epoch;
    snprintf(removal->text, sizeof removal->text, "%zu removed", removal->taken);
    *event = removal->expiry ? audit_data_deleted("tokens", "expired", 0, removal->text)
                             : event_of(removal, removal->done);
    return LETHE_OK;
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
        removal->going[i]->marked = false;
        if (i < removal->done)
            tokens_remove(tokens, removal->going[i]);
    }
    tokens->has_void |= removal->done < removal->count;
    removal->count = 0;
    for (; removal->orphan_count > 0; removal->orphan_count--)
        tokens_insert(tokens, removal->orphans[removal->orphan_count - 1]);
    tokens_forget_decoded(tokens);
    tokens->generation = removal->epoch;
}

/* As many as one change may. What expired has one record, however many there are. */
static lethe_result remove_some(struct removal *removal, const char *tenant,
                                struct audit_event *events, struct lethe_error *err)
{
    struct keeper *keeper = removal->tokens->service->keeper;
    size_t left = removal->count - removal->done;
    removal->taken = removal->expiry ? left : MIN(left, 1 + (size_t)KEEPER_OTHERS_MAX);
    struct keeper_rows_change rows = {.change = write_removal, .context = removal};
    if (!removal->expiry) {
        for (size_t i = 1; i < removal->taken; i++)
            events[i - 1] = event_of(removal, removal->done + i);
        rows.others = events;
        rows.other_count = removal->taken - 1;
    }
    TRY(keeper_change_many(keeper, tenant, &rows, err));
    removal->done += removal->taken;
    return LETHE_OK;
}

/* Once those are gone that were named, all others are void. */
static lethe_result make_removal(struct removal *removal, struct lethe_error *err)
{
    struct tokens *tokens = removal->tokens;
    char tenant[sizeof((struct token_entry *)0)->tenant];
    const struct token_entry *first = tokens_entry(tokens, removal->going[0]);
    snprintf(removal->identity, sizeof removal->identity, "%s", token_name_for_record(first));
    memcpy(tenant, first->tenant, sizeof tenant);
    CLEANUP(memory_free)
    struct audit_event *events = calloc(KEEPER_OTHERS_MAX, sizeof *events);
    if (events == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the records of revoked tokens");
    lethe_result result = LETHE_OK;
    while (result == LETHE_OK && removal->done < removal->count)
        result = remove_some(removal, tenant, events, err);
    bool all_void = removal->done >= removal->named;
    if (removal->done > 0)
        apply(removal);
    return result != LETHE_OK && all_void ? error_forget(err) : result;
}

/* ---- revoking -------------------------------------------------------------------------------- */

lethe_result tokens_revoke(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES],
                           bool children, const char *reason, struct lethe_error *err)
{
    CLEANUP(removal_clear) struct removal removal = {.tokens = tokens, .reason = reason};
    struct token *token = tokens_at(tokens, hash);
    if (token == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such token");
    TRY(add(&removal, token, err));
    removal.named = 1;
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
    removal.named = removal.count;
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
    removal.named = 1;
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
    const struct audit_event event =
        audit_auth_success(token_name_for_record(&entry), "counted use", "");
    entry.uses_left--;
    if (entry.uses_left == 0)
        return use_last(tokens, &entry, err);
    return tokens_update(tokens, &entry, &event, err);
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

static bool is_without_parent(const struct removal *removal, const struct token *token)
{
    return !token_is_orphan(token->parent) && tokens_at(removal->tokens, token->parent) == NULL;
}

bool tokens_any_void(struct tokens *tokens)
{
    const struct removal none = {.tokens = tokens};
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (const struct token *token = tokens->by_hash[i]; token != NULL; token = token->next) {
            if (is_without_parent(&none, token))
                return true;
        }
    }
    return false;
}

/* What a removal has left that a crash, or a full disk, ended half-way. */
static void remove_void(struct tokens *tokens)
{
    CLEANUP(removal_clear)
    struct removal removal = {.tokens = tokens, .reason = "with the token above"};
    bool found;
    if (add_all(&removal, is_without_parent, SIZE_MAX, &found, NULL) != LETHE_OK ||
        add_children(&removal, NULL) != LETHE_OK)
        return;
    tokens->has_void = false; /* or it is said again */
    if (removal.count > 0 && make_removal(&removal, NULL) != LETHE_OK)
        tokens->has_void = true;
}

/* What cannot be removed now is void all the same, and is removed another time. */
void tokens_expire(struct tokens *tokens, uint64_t now_s)
{
    CLEANUP(removal_clear) struct removal removal = {.tokens = tokens, .expiry = true};
    bool found;
    if (tokens->has_void)
        remove_void(tokens);
    if (tokens_now_s(tokens, now_s) < tokens->earliest_s)
        return;
    if (add_all(&removal, is_over, TOKENS_EXPIRE_MAX, &found, NULL) == LETHE_OK &&
        add_children(&removal, NULL) == LETHE_OK && removal.count > 0 &&
        make_removal(&removal, NULL) != LETHE_OK)
        return;
    tokens->earliest_s = next_expiry(tokens);
}
