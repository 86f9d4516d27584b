/* service/tokens.h -- tokens: random, stored by their hash, with a time to live and a parent.
 *
 * A token is "lethe." and 43 characters of URL-safe base64 of 32 random bytes. Rows: "tokens/<hex
 * SHA-256 of it>"; "accessors/<accessor>" leads there. All are remembered in memory, by hash. */
#ifndef SERVICE_TOKENS_H
#define SERVICE_TOKENS_H

#include "service/call.h"
#include "service/service.h"

#define TOKEN_BYTES 49u
#define TOKEN_HASH_BYTES 32u

struct token_entry {
    uint8_t hash[TOKEN_HASH_BYTES];
    char accessor[40 + 1];
    uint8_t parent[TOKEN_HASH_BYTES];   /* zeros: an orphan */
    char identity[CALLER_NAME_MAX + 1]; /* SPIFFE id that it is bound to; "": none */
    char tenant[64 + 1];
    char display_name[128 + 1];
    char path[64 + 1]; /* where it was made: "auth/token/create" */
    char policies[CALLER_POLICIES_MAX][64 + 1];
    size_t policy_count;
    char meta[1024]; /* JSON object of texts; "": none */
    uint64_t created_s, expires_s /* 0: never */, renewed_s, period_s, explicit_max_ttl_s, ttl_s;
    uint64_t uses_left; /* 0: any number */
    bool renewable;
};

LETHE_MUST_CHECK lethe_result tokens_open(struct service *service, struct tokens **out,
                                          struct lethe_error *err);
void tokens_free(struct tokens *tokens);
LETHE_MUST_CHECK lethe_result tokens_refresh(struct tokens *tokens, struct lethe_error *err);
/* NULL: there is none that is valid now: no time before one that was seen counts, and a token is
 * not valid whose parent is not. Borrowed until the next change, and until others are found. */
const struct token_entry *tokens_find(struct tokens *tokens, const uint8_t *token,
                                      size_t token_bytes, uint64_t now_s);
/* Fills in hash, accessor, created_s and expires_s of `entry` (and what it is granted of ttl_s: 0
 * is the service's usual time, for the policy root none), makes it durable, and gives the token. */
LETHE_MUST_CHECK lethe_result tokens_create(struct tokens *tokens, struct token_entry *entry,
                                            struct lethe_secret **token, struct lethe_error *err);
/* The token and what it is the parent of (or not, then they become orphans). On record. */
LETHE_MUST_CHECK lethe_result tokens_revoke(struct tokens *tokens,
                                            const uint8_t hash[TOKEN_HASH_BYTES], bool children,
                                            const char *reason, struct lethe_error *err);
/* Every token that is bound to an identity. */
LETHE_MUST_CHECK lethe_result tokens_revoke_identity(struct tokens *tokens, const char *identity,
                                                     const char *reason, struct lethe_error *err);
/* Removes what has expired, some at a time. */
void tokens_expire(struct tokens *tokens, uint64_t now_s);

/* `auth` of an answer, for the token just made or renewed. */
void tokens_write_auth(struct json_writer *writer, const struct token_entry *entry,
                       const struct lethe_secret *token, uint64_t now_s);

#endif
