#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "service/tokens_core.h"

#define TOKEN_PREFIX "lethe."
#define RANDOM_BYTES 32u
#define ACCESSOR_BYTES 20u

/* ---- how long -------------------------------------------------------------------------------- */

bool token_is_root(const struct token_entry *entry)
{
    for (size_t i = 0; i < entry->policy_count; i++) {
        if (strcmp(entry->policies[i], "root") == 0)
            return true;
    }
    return false;
}

static uint64_t later(uint64_t time_s, uint64_t seconds)
{
    uint64_t sum;
    return __builtin_add_overflow(time_s, seconds, &sum) ? UINT64_MAX : sum;
}

uint64_t token_expiry(const struct service *service, const struct token_entry *entry,
                      uint64_t wish_s, uint64_t now_s)
{
    uint64_t usual_s = service->options.default_ttl_s, most_s = service->options.max_ttl_s;
    uint64_t end_s;
    usual_s = usual_s != 0 ? usual_s : TOKEN_TTL_DEFAULT_S;
    most_s = most_s != 0 ? most_s : TOKEN_TTL_DEFAULT_S;
    if (entry->period_s != 0)
        end_s = later(now_s, MIN(entry->period_s, most_s));
    else if (wish_s == 0 && token_is_root(entry) && entry->explicit_max_ttl_s == 0)
        return 0;
    else
        end_s = MIN(later(now_s, wish_s != 0 ? wish_s : MIN(usual_s, most_s)),
                    later(entry->created_s, most_s));
    if (entry->explicit_max_ttl_s != 0)
        end_s = MIN(end_s, later(entry->created_s, entry->explicit_max_ttl_s));
    return end_s;
}

/* ---- the token ------------------------------------------------------------------------------- */

static const struct random_source *random_of(const struct service *service)
{
    const struct random_source *random = service->options.keeper.random;
    return random != NULL ? random : &random_system;
}

/* URL-safe and without padding: 32 bytes are 43 characters and one that is cut off. */
static lethe_result draw(const struct service *service, struct lethe_secret **out,
                         struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *random = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *encoded = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    TRY(lethe_secret_create(RANDOM_BYTES, &random, err));
    TRY(lethe_secret_create(BASE64_LENGTH(RANDOM_BYTES), &encoded, err));
    TRY(lethe_secret_create(TOKEN_BYTES, &token, err));
    if (random_fill(random_of(service), lethe_secret_bytes(random), RANDOM_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness for a token");
    char *text = (char *)lethe_secret_bytes(encoded);
    uint8_t *bytes = lethe_secret_bytes(token);
    size_t prefix = sizeof TOKEN_PREFIX - 1;
    base64_write(lethe_secret_bytes(random), RANDOM_BYTES, text);
    memcpy(bytes, TOKEN_PREFIX, prefix);
    for (size_t i = prefix; i < TOKEN_BYTES; i++) {
        char byte = text[i - prefix];
        bytes[i] = (uint8_t)(byte == '+' ? '-' : byte == '/' ? '_' : byte);
    }
    *out = MOVE(token);
    return LETHE_OK;
}

static lethe_result take_given(const char *id, size_t id_bytes, struct lethe_secret **out,
                               struct lethe_error *err)
{
    bool fits = id_bytes >= 1 && id_bytes <= TOKEN_GIVEN_MAX;
    for (size_t i = 0; fits && i < id_bytes; i++)
        fits = id[i] > ' ' && id[i] < 0x7f;
    if (!fits)
        return error_set(err, LETHE_INVALID, "an id is 1 to %u printable characters",
                         TOKEN_GIVEN_MAX);
    TRY(lethe_secret_create(id_bytes, out, err));
    memcpy(lethe_secret_bytes(*out), id, id_bytes);
    return LETHE_OK;
}

/* ---- making it durable ----------------------------------------------------------------------- */

struct creation {
    const struct token_entry *entry;
    struct token *token;
    uint64_t epoch;
    struct buffer policies; /* for the record */
};

static void creation_clear_at_scope_end(struct creation *creation)
{
    free(creation->token);
    buffer_clear(&creation->policies);
}

static lethe_result write_rows(struct store *store, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    struct creation *creation = context;
    const struct token_entry *entry = creation->entry;
    const struct token *token = creation->token;
    char path[TOKEN_PATH_SIZE], accessor[sizeof ACCESSOR_ROW + sizeof entry->accessor];
    token_path(entry->hash, path);
    snprintf(accessor, sizeof accessor, ACCESSOR_ROW "%s", entry->accessor);
    TRY(store_put(store, path, token->row, token->row_bytes, STORE_ABSENT, err));
    TRY(store_put(store, accessor, entry->hash, sizeof entry->hash, STORE_ABSENT, err));
    TRY(token_put_generation(store, epoch, err));
    creation->epoch = epoch;
    *event = audit_token_created(
        entry->accessor, entry->identity[0] != '\0' ? entry->identity : entry->display_name,
        creation->policies.bytes, entry->expires_s == 0 ? 0 : entry->expires_s - entry->created_s);
    return LETHE_OK;
}

static lethe_result fill_in(struct tokens *tokens, struct token_entry *entry,
                            const struct lethe_secret *token, struct lethe_error *err)
{
    const struct service *service = tokens->service;
    const struct clock_source *clock = service->options.keeper.clock;
    uint8_t accessor[ACCESSOR_BYTES];
    if (random_fill(random_of(service), accessor, sizeof accessor) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system has no randomness for an accessor");
    hex_encode(accessor, sizeof accessor, entry->accessor);
    sha256(lethe_secret_bytes_const(token), lethe_secret_size(token), entry->hash);
    entry->created_s =
        tokens_now_s(tokens, clock_wall_ns(clock != NULL ? clock : &clock_system) / 1000000000u);
    entry->expires_s = token_expiry(service, entry, entry->ttl_s, entry->created_s);
    entry->ttl_s = entry->expires_s == 0 ? 0 : entry->expires_s - entry->created_s;
    entry->renewable = entry->renewable && entry->expires_s != 0;
    return LETHE_OK;
}

static lethe_result list_policies(const struct token_entry *entry, struct buffer *out,
                                  struct lethe_error *err)
{
    buffer_text(out, "");
    for (size_t i = 0; i < entry->policy_count; i++)
        buffer_format(out, "%s%s", i > 0 ? "," : "", entry->policies[i]);
    return buffer_result(out, err);
}

static lethe_result create(struct tokens *tokens, struct token_entry *entry,
                           const struct lethe_secret *token, struct lethe_error *err)
{
    CLEANUP(creation_clear) struct creation creation = {.entry = entry};
    TRY(fill_in(tokens, entry, token, err));
    if (tokens_at(tokens, entry->hash) != NULL)
        return error_set(err, LETHE_EXISTS, "cannot create a token with a duplicate ID");
    TRY(list_policies(entry, &creation.policies, err));
    creation.token = token_make(entry, err);
    if (creation.token == NULL)
        return LETHE_NO_MEMORY;
    TRY(keeper_change(tokens->service->keeper, entry->tenant, write_rows, &creation, err));
    tokens->generation = creation.epoch;
    tokens_insert(tokens, MOVE(creation.token));
    return LETHE_OK;
}

lethe_result tokens_create(struct tokens *tokens, struct token_entry *entry,
                           struct lethe_secret **token, struct lethe_error *err)
{
    return tokens_create_as(tokens, entry, NULL, 0, token, err);
}

lethe_result tokens_create_as(struct tokens *tokens, struct token_entry *entry, const char *id,
                              size_t id_bytes, struct lethe_secret **token, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *made = NULL;
    *token = NULL;
    if (id != NULL)
        TRY(take_given(id, id_bytes, &made, err));
    else
        TRY(draw(tokens->service, &made, err));
    TRY(create(tokens, entry, made, err));
    *token = MOVE(made);
    return LETHE_OK;
}
