/* pool/token.h -- what a consumer shows a provider: docs/pool-protocol.md, "Token".
 *
 * Terms are what was agreed; a token is terms and the control plane's signature over them. Pure.
 * Thread rule: none. */
#ifndef POOL_TOKEN_H
#define POOL_TOKEN_H

#include "audit/log.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "net/identity.h"

#define LEASE_ID_BYTES 16u
#define LEASE_ID_HEX_SIZE (2 * LEASE_ID_BYTES + 1)
#define BOOT_ID_BYTES 16u
#define POOL_BLOCK_MIN 4096u
#define POOL_BLOCK_MAX (1u << 20)
#define POOL_BLOCK_DEFAULT (64u << 10)
#define POOL_BLOCKS_MAX UINT32_MAX /* of a lease: the nonce has 32 bits for them */
#define POOL_TTL_MIN_MS 1000u
#define POOL_TTL_MAX_MS (30ull * 24 * 3600 * 1000)
#define POOL_TOKEN_MAX 2048u

struct lease_id {
    uint8_t bytes[LEASE_ID_BYTES];
};
void lease_id_hex(const struct lease_id *id, char out[LEASE_ID_HEX_SIZE]);
LETHE_MUST_CHECK lethe_result lease_id_from_hex(const char *text, struct lease_id *out,
                                                struct lethe_error *err);

struct lease_terms {
    struct lease_id lease;
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t generation; /* of the grant; counts up within a boot of the provider */
    uint64_t bytes;      /* a multiple of block_bytes */
    uint32_t block_bytes;
    uint64_t ttl_ms;
    uint64_t life_ms;
    uint64_t issued_ms;
    uint8_t nonce[16];
    char consumer[SPIFFE_ID_MAX + 1];
    char tenant[65];
    char provider[SPIFFE_ID_MAX + 1];
};

/* Appends the terms as they stand in tokens and in GRANT. */
void lease_terms_write(const struct lease_terms *terms, struct buffer *out);
/* LETHE_MALFORMED: not exactly terms; sizes, times or names that no grant has. */
LETHE_MUST_CHECK lethe_result lease_terms_read(struct cursor *cursor, struct lease_terms *out,
                                               struct lethe_error *err);

/* Appends a token. */
LETHE_MUST_CHECK lethe_result token_sign(const struct lease_terms *terms,
                                         const struct audit_signer *signer, struct buffer *out,
                                         struct lethe_error *err);
/* The terms of a token that the key signed. LETHE_MALFORMED: it is none; LETHE_DENIED: another key,
 * or a signature that does not fit. Who may use it is the caller's to check. */
LETHE_MUST_CHECK lethe_result token_open(const void *bytes, size_t size_bytes,
                                         const struct audit_key *key, struct lease_terms *out,
                                         struct lethe_error *err);

/* What a token says, believed because of who gave it (a control plane, over its link): the
 * signature, whose key consumers do not have, is not looked at. LETHE_MALFORMED: it is none. */
LETHE_MUST_CHECK lethe_result token_peek(const void *bytes, size_t size_bytes,
                                         struct lease_terms *out, struct lethe_error *err);

#endif
