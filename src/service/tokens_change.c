#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/tokens_core.h"

void token_path(const uint8_t hash[TOKEN_HASH_BYTES], char out[TOKEN_PATH_SIZE])
{
    memcpy(out, TOKEN_ROW, sizeof TOKEN_ROW - 1);
    hex_encode(hash, TOKEN_HASH_BYTES, out + sizeof TOKEN_ROW - 1);
}

lethe_result token_put_generation(struct store *store, uint64_t epoch, struct lethe_error *err)
{
    const uint64_t generation = htole64(epoch);
    return store_put(store, TOKEN_GENERATION_ROW, &generation, sizeof generation, STORE_ANY, err);
}

lethe_result token_put_row(struct store *store, const struct token *token, struct lethe_error *err)
{
    char path[TOKEN_PATH_SIZE];
    token_path(token->hash, path);
    return store_put(store, path, token->row, token->row_bytes, STORE_ANY, err);
}

/* Another process may have used, renewed or revoked it since its row was read. */
lethe_result token_check_unchanged(struct store *store, const struct token *token,
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
    TRY(token_check_unchanged(store, update->before, err));
    TRY(token_put_row(store, update->token, err));
    TRY(token_put_generation(store, epoch, err));
    update->epoch = epoch;
    *event = update->event;
    return LETHE_OK;
}

lethe_result tokens_update(struct tokens *tokens, const struct token_entry *entry,
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

const char *token_name_for_record(const struct token_entry *entry)
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
    const struct audit_event event =
        audit_auth_success(token_name_for_record(&entry), "renewal", "");
    entry.expires_s =
        token_expiry(tokens->service, &entry, wish_s != 0 ? wish_s : entry.ttl_s, now_s);
    entry.renewed_s = now_s;
    return tokens_update(tokens, &entry, &event, err);
}
