/* service/tokens_core.h -- the inside of tokens, for its own files and the routes of tokens:
 *   tokens.c         the table in memory, and whether a token is valid
 *   tokens_row.c     a token as a row
 *   tokens_create.c  new ones, and how long they live
 *   tokens_change.c  one token changed: renewed, its uses counted
 *   tokens_revoke.c  tokens that go: revoked, used up, expired
 *   tokens_write.c   what answers say of them
 *
 * A token is valid while it has not expired and its parent is valid. So what was revoked takes its
 * children with it at once, in whatever order rows go. Time never goes back here, and never stands
 * still: the latest that was seen counts, that of the newest row included, and goes on from there.
 */
#ifndef SERVICE_TOKENS_CORE_H
#define SERVICE_TOKENS_CORE_H

#include "service/tokens.h"

#define TOKEN_GIVEN_MAX 128u   /* of an id that root chose */
#define TOKEN_ROW_MAX 4096u    /* a row's value */
#define TOKENS_DECODED 16u     /* entries that are kept as they are read */
#define TOKENS_EXPIRE_MAX 256u /* in one change */
#define TOKEN_TTL_DEFAULT_S ((uint64_t)768 * 3600)
#define TOKEN_ROW "tokens/"
#define ACCESSOR_ROW "accessors/"
/* The epoch of the last change of tokens (le64). */
#define TOKEN_GENERATION_ROW "token_state/generation"

struct token {
    struct token *next;             /* of the same bucket */
    struct token *next_by_accessor; /* likewise */
    uint64_t expires_s;
    uint8_t hash[TOKEN_HASH_BYTES];
    uint8_t parent[TOKEN_HASH_BYTES];
    char accessor[40 + 1];
    bool marked; /* goes with what is revoked */
    size_t row_bytes;
    uint8_t row[]; /* all of it, as stored: most tokens are small */
};

struct token_slot {
    bool valid;
    struct token_entry entry;
};

struct tokens {
    struct service *service;
    struct token **by_hash, **by_accessor;
    size_t bucket_count; /* of each; a power of two */
    size_t count;
    uint64_t highest_s;  /* the latest time that was seen */
    uint64_t highest_ns; /* and when: by the clock that never steps */
    uint64_t earliest_s; /* before it, nothing expires */
    uint64_t generation;
    bool has_void; /* there may be tokens whose parents are gone */
    struct token_slot decoded[TOKENS_DECODED];
    struct token *spent;      /* its last use is the call that is being answered */
    struct guarded presented; /* the token of that call, for renewing and looking it up */
};

/* ---- tokens_row.c ---- */

LETHE_MUST_CHECK lethe_result token_row_write(const struct token_entry *entry, struct buffer *out,
                                              struct lethe_error *err);
/* All but the hash. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result token_row_read(const uint8_t *bytes, size_t size_bytes,
                                             struct token_entry *out);

/* ---- tokens.c ---- */

bool token_is_orphan(const uint8_t parent[TOKEN_HASH_BYTES]);
/* Never before what it gave last. A clock that was set back does not stop it: it goes on from there
 * as time passes, so that nothing lives longer. */
uint64_t tokens_now_s(struct tokens *tokens, uint64_t now_s);
struct token *tokens_at(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES]);
bool tokens_is_valid(struct tokens *tokens, const struct token *token, uint64_t now_s);
const struct token_entry *tokens_entry(struct tokens *tokens, const struct token *token);
/* As tokens_find(), by accessor. The token that was just used for the last time is found, too. */
const struct token_entry *tokens_find_accessor(struct tokens *tokens, const char *accessor,
                                               uint64_t now_s);
/* NULL: no memory. */
struct token *token_make(const struct token_entry *entry, struct lethe_error *err);
/* Takes it over; one with the same hash is replaced. */
void tokens_insert(struct tokens *tokens, struct token *token);
void tokens_remove(struct tokens *tokens, struct token *token);
struct token *tokens_take(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES]);
/* Entries that were read are read again. */
void tokens_forget_decoded(struct tokens *tokens);
/* Keeps what a call presents until the next one does. */
void tokens_present(struct tokens *tokens, const uint8_t *token, size_t token_bytes);

/* ---- tokens_create.c ---- */

/* As tokens_create(), with a token that root chose: 1 to TOKEN_GIVEN_MAX printable characters.
 * LETHE_INVALID; LETHE_EXISTS. */
LETHE_MUST_CHECK lethe_result tokens_create_as(struct tokens *tokens, struct token_entry *entry,
                                               const char *id, size_t id_bytes,
                                               struct lethe_secret **token,
                                               struct lethe_error *err);
/* When a token made or renewed at `now_s` ends, for a wish of so many seconds (0: none). 0: never.
 */
uint64_t token_expiry(const struct service *service, const struct token_entry *entry,
                      uint64_t wish_s, uint64_t now_s);
bool token_is_root(const struct token_entry *entry);

/* ---- tokens_change.c ---- */

/* Path of the row of a hash. */
#define TOKEN_PATH_SIZE (sizeof TOKEN_ROW + 2 * TOKEN_HASH_BYTES)
void token_path(const uint8_t hash[TOKEN_HASH_BYTES], char out[TOKEN_PATH_SIZE]);
LETHE_MUST_CHECK lethe_result token_put_generation(struct store *store, uint64_t epoch,
                                                   struct lethe_error *err);
LETHE_MUST_CHECK lethe_result token_put_row(struct store *store, const struct token *token,
                                            struct lethe_error *err);
/* That the row is as it was read. LETHE_DENIED: there is none; LETHE_BUSY. */
LETHE_MUST_CHECK lethe_result token_check_unchanged(struct store *store, const struct token *token,
                                                    struct lethe_error *err);
/* Replaces a token by the same one as it will be, with its record. */
LETHE_MUST_CHECK lethe_result tokens_update(struct tokens *tokens, const struct token_entry *entry,
                                            const struct audit_event *event,
                                            struct lethe_error *err);
const char *token_name_for_record(const struct token_entry *entry);
/* A later end, on record. LETHE_INVALID: it cannot be renewed. */
LETHE_MUST_CHECK lethe_result tokens_renew(struct tokens *tokens,
                                           const uint8_t hash[TOKEN_HASH_BYTES], uint64_t wish_s,
                                           uint64_t now_s, struct lethe_error *err);

/* ---- tokens_revoke.c ---- */

/* Counts one use, durably; behind the last one the token is gone, and its children are. */
LETHE_MUST_CHECK lethe_result tokens_use(struct tokens *tokens,
                                         const uint8_t hash[TOKEN_HASH_BYTES],
                                         struct lethe_error *err);
/* Whether there are tokens whose parents are gone. */
bool tokens_any_void(struct tokens *tokens);

/* ---- tokens_write.c ---- */

void tokens_put_auth(struct json_writer *writer, const struct token_entry *entry, const void *token,
                     size_t token_bytes, uint64_t now_s);
/* `data` of a lookup; without a token its id is empty. */
void tokens_put_lookup(struct json_writer *writer, const struct token_entry *entry,
                       const void *token, size_t token_bytes, uint64_t now_s);

#endif
