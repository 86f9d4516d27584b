#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "service/tokens_core.h"

#define BUCKETS_FIRST 1024u
#define NS_PER_S UINT64_C(1000000000)

DEFINE_CLEANUP(tokens_free, struct tokens *);

/* ---- the table ------------------------------------------------------------------------------- */

/* Hashes and accessors are random, or nearly: their first bytes say where they are. */
static size_t place_of_hash(const struct tokens *tokens, const uint8_t *hash)
{
    uint64_t first;
    memcpy(&first, hash, sizeof first);
    return (size_t)first & (tokens->bucket_count - 1);
}

static size_t place_of_accessor(const struct tokens *tokens, const char *accessor)
{
    uint64_t mixed = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *accessor != '\0'; accessor++)
        mixed = (mixed ^ (uint8_t)*accessor) * 0x100000001b3u;
    return (size_t)mixed & (tokens->bucket_count - 1);
}

static void link_token(struct tokens *tokens, struct token *token)
{
    struct token **by_hash = &tokens->by_hash[place_of_hash(tokens, token->hash)];
    struct token **by_accessor = &tokens->by_accessor[place_of_accessor(tokens, token->accessor)];
    token->next = *by_hash;
    token->next_by_accessor = *by_accessor;
    *by_hash = token;
    *by_accessor = token;
}

static void unlink_token(struct tokens *tokens, const struct token *token)
{
    struct token **at = &tokens->by_hash[place_of_hash(tokens, token->hash)];
    while (*at != token)
        at = &(*at)->next;
    *at = token->next;
    at = &tokens->by_accessor[place_of_accessor(tokens, token->accessor)];
    while (*at != token)
        at = &(*at)->next_by_accessor;
    *at = token->next_by_accessor;
}

/* Without memory for more buckets, the old ones hold longer lists. */
static void grow(struct tokens *tokens)
{
    size_t count = 2 * tokens->bucket_count;
    struct token **old = tokens->by_hash;
    size_t old_count = tokens->bucket_count;
    struct token **by_hash = calloc(count, sizeof(struct token *));
    struct token **by_accessor = calloc(count, sizeof(struct token *));
    if (by_hash == NULL || by_accessor == NULL) {
        free(by_hash);
        free(by_accessor);
        return;
    }
    free(tokens->by_accessor);
    tokens->by_hash = by_hash;
    tokens->by_accessor = by_accessor;
    tokens->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct token *token = old[i], *next; token != NULL; token = next) {
            next = token->next;
            link_token(tokens, token);
        }
    }
    free(old);
}

struct token *tokens_at(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES])
{
    struct token *token = tokens->by_hash[place_of_hash(tokens, hash)];
    while (token != NULL && memcmp(token->hash, hash, TOKEN_HASH_BYTES) != 0)
        token = token->next;
    return token;
}

struct token *tokens_take(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES])
{
    struct token *token = tokens_at(tokens, hash);
    if (token == NULL)
        return NULL;
    unlink_token(tokens, token);
    tokens->count--;
    return token;
}

void tokens_remove(struct tokens *tokens, struct token *token)
{
    free(tokens_take(tokens, token->hash));
}

void tokens_insert(struct tokens *tokens, struct token *token)
{
    free(tokens_take(tokens, token->hash));
    if (tokens->count >= tokens->bucket_count)
        grow(tokens);
    link_token(tokens, token);
    tokens->count++;
    if (token->expires_s != 0)
        tokens->earliest_s = MIN(tokens->earliest_s, token->expires_s);
}

struct token *token_make(const struct token_entry *entry, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer row = {0};
    if (token_row_write(entry, &row, err) != LETHE_OK)
        return NULL;
    struct token *token = calloc(1, sizeof *token + row.size_bytes);
    if (token == NULL) {
        (void)error_set(err, LETHE_NO_MEMORY, "no memory for a token");
        return NULL;
    }
    token->expires_s = entry->expires_s;
    memcpy(token->hash, entry->hash, sizeof token->hash);
    memcpy(token->parent, entry->parent, sizeof token->parent);
    memcpy(token->accessor, entry->accessor, sizeof token->accessor);
    token->row_bytes = row.size_bytes;
    memcpy(token->row, row.bytes, row.size_bytes);
    return token;
}

/* ---- what is valid --------------------------------------------------------------------------- */

bool token_is_orphan(const uint8_t parent[TOKEN_HASH_BYTES])
{
    static const uint8_t none[TOKEN_HASH_BYTES];
    return memcmp(parent, none, sizeof none) == 0;
}

uint64_t tokens_now_s(struct tokens *tokens, uint64_t now_s)
{
    const struct clock_source *clock = tokens->service->options.keeper.clock;
    uint64_t now_ns = clock_monotonic_ns(clock == NULL ? &clock_system : clock);
    uint64_t passed_s = (now_ns - tokens->highest_ns) / NS_PER_S;
    if (now_s >= tokens->highest_s) {
        tokens->highest_s = now_s;
        tokens->highest_ns = now_ns;
    } else if (passed_s > 0) {
        tokens->highest_s += passed_s;
        tokens->highest_ns += passed_s * NS_PER_S;
    }
    return tokens->highest_s;
}

static bool has_expired(const struct token *token, uint64_t now_s)
{
    return token->expires_s != 0 && now_s >= token->expires_s;
}

bool tokens_is_valid(struct tokens *tokens, const struct token *token, uint64_t now_s)
{
    now_s = tokens_now_s(tokens, now_s);
    while (token != NULL && !has_expired(token, now_s)) {
        if (token_is_orphan(token->parent))
            return true;
        token = tokens_at(tokens, token->parent);
    }
    return false;
}

void tokens_forget_decoded(struct tokens *tokens)
{
    for (size_t i = 0; i < TOKENS_DECODED; i++)
        tokens->decoded[i].valid = false;
}

const struct token_entry *tokens_entry(struct tokens *tokens, const struct token *token)
{
    struct token_slot *slot = &tokens->decoded[token->hash[0] % TOKENS_DECODED];
    if (slot->valid && memcmp(slot->entry.hash, token->hash, TOKEN_HASH_BYTES) == 0)
        return &slot->entry;
    REQUIRE(token_row_read(token->row, token->row_bytes, &slot->entry) == LETHE_OK);
    memcpy(slot->entry.hash, token->hash, TOKEN_HASH_BYTES);
    slot->valid = true;
    return &slot->entry;
}

static const struct token_entry *entry_while_valid(struct tokens *tokens, const struct token *token,
                                                   uint64_t now_s)
{
    if (token == NULL || !tokens_is_valid(tokens, token, now_s))
        return NULL;
    return tokens_entry(tokens, token);
}

/* What is compared and looked up is a hash: how long that takes says nothing about a token. */
const struct token_entry *tokens_find(struct tokens *tokens, const uint8_t *token,
                                      size_t token_bytes, uint64_t now_s)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    sha256(token, token_bytes, hash);
    const struct token *found = token_bytes > 0 ? tokens_at(tokens, hash) : NULL;
    return entry_while_valid(tokens, found, now_s);
}

const struct token_entry *tokens_find_accessor(struct tokens *tokens, const char *accessor,
                                               uint64_t now_s)
{
    if (tokens->spent != NULL && strcmp(tokens->spent->accessor, accessor) == 0)
        return tokens_entry(tokens, tokens->spent);
    const struct token *token = tokens->by_accessor[place_of_accessor(tokens, accessor)];
    while (token != NULL && strcmp(token->accessor, accessor) != 0)
        token = token->next_by_accessor;
    return entry_while_valid(tokens, token, now_s);
}

void tokens_present(struct tokens *tokens, const uint8_t *token, size_t token_bytes)
{
    free(tokens->spent);
    tokens->spent = NULL;
    guarded_wipe(&tokens->presented);
    guarded_append(&tokens->presented, token, token_bytes);
}

/* ---- reading rows ---------------------------------------------------------------------------- */

static void forget_all(struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->bucket_count; i++) {
        for (struct token *token = tokens->by_hash[i], *next; token != NULL; token = next) {
            next = token->next;
            free(token);
        }
        tokens->by_hash[i] = tokens->by_accessor[i] = NULL;
    }
    tokens->count = 0;
    tokens->earliest_s = UINT64_MAX;
    tokens_forget_decoded(tokens);
}

static lethe_result read_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    struct tokens *tokens = context;
    const char *hex = path + strlen(TOKEN_ROW);
    struct token_entry entry;
    uint8_t hash[TOKEN_HASH_BYTES];
    TRY(store_get(keeper_store(tokens->service->keeper), path, &row, NULL, err));
    if (hex_decode(hex, strlen(hex), hash, sizeof hash) != LETHE_OK ||
        token_row_read(lethe_secret_bytes_const(row), lethe_secret_size(row), &entry) != LETHE_OK)
        return error_set(err, LETHE_INTEGRITY, "the row %s is not a token that we know", path);
    memcpy(entry.hash, hash, sizeof hash);
    struct token *token = token_make(&entry, err);
    if (token == NULL)
        return LETHE_NO_MEMORY;
    tokens_insert(tokens, token);
    tokens_now_s(tokens, MAX(entry.created_s, entry.renewed_s));
    return LETHE_OK;
}

lethe_result tokens_refresh(struct tokens *tokens, struct lethe_error *err)
{
    struct store *store = keeper_store(tokens->service->keeper);
    uint64_t generation;
    TRY(row_number_get(store, TOKEN_GENERATION_ROW, &generation, err));
    if (generation == tokens->generation)
        return LETHE_OK;
    forget_all(tokens);
    tokens->generation = 0; /* until all of it was read */
    TRY(store_list(store, TOKEN_ROW, read_row, tokens, err));
    tokens->generation = generation;
    tokens->has_void = tokens_any_void(tokens);
    return LETHE_OK;
}

lethe_result tokens_open(struct service *service, struct tokens **out, struct lethe_error *err)
{
    CLEANUP(tokens_free) struct tokens *tokens = calloc(1, sizeof *tokens);
    *out = NULL;
    if (tokens == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for tokens");
    tokens->service = service;
    tokens->earliest_s = UINT64_MAX;
    tokens->bucket_count = BUCKETS_FIRST;
    tokens->by_hash = calloc(BUCKETS_FIRST, sizeof(struct token *));
    tokens->by_accessor = calloc(BUCKETS_FIRST, sizeof(struct token *));
    if (tokens->by_hash == NULL || tokens->by_accessor == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for tokens");
    TRY(error_context(err, tokens_refresh(tokens, err), "reading the tokens"));
    *out = MOVE(tokens);
    return LETHE_OK;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens == NULL)
        return;
    if (tokens->by_hash != NULL && tokens->by_accessor != NULL)
        forget_all(tokens);
    free(tokens->by_hash);
    free(tokens->by_accessor);
    free(tokens->spent);
    guarded_clear(&tokens->presented);
    free(tokens);
}
