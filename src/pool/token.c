#include "pool/token.h"

#include <string.h>

#include "audit/note.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/sign.h"
#include "pool/wire_core.h"

#define TOKEN_VERSION 1u
#define SIGNATURE_BYTES 64u
/* Signed in front of every token, its zero byte included: the key signs other things as well. */
static const char label[] = "lethe-pool-token/1";

/* ---- ids -------------------------------------------------------------------------------------
 */

void lease_id_hex(const struct lease_id *id, char out[LEASE_ID_HEX_SIZE])
{
    hex_encode(id->bytes, sizeof id->bytes, out);
}

lethe_result lease_id_from_hex(const char *text, struct lease_id *out, struct lethe_error *err)
{
    struct lease_id id;
    if (hex_decode(text, strlen(text), id.bytes, sizeof id.bytes) != LETHE_OK ||
        lease_id_is_zero(&id)) {
        error_set(err, LETHE_INVALID, "not the id of a lease");
        error_hint(err, "it has 32 hex digits: `lethe pool status` shows them");
        return LETHE_INVALID;
    }
    *out = id;
    return LETHE_OK;
}

/* ---- terms -----------------------------------------------------------------------------------
 */

void lease_terms_write(const struct lease_terms *terms, struct buffer *out)
{
    buffer_append(out, terms->lease.bytes, sizeof terms->lease.bytes);
    buffer_append(out, terms->boot_id, sizeof terms->boot_id);
    buffer_le64(out, terms->generation);
    buffer_le64(out, terms->bytes);
    buffer_le32(out, terms->block_bytes);
    buffer_le64(out, terms->ttl_ms);
    buffer_le64(out, terms->life_ms);
    buffer_le64(out, terms->issued_ms);
    buffer_append(out, terms->nonce, sizeof terms->nonce);
    put_text(out, terms->consumer);
    put_text(out, terms->tenant);
    put_text(out, terms->provider);
}

static lethe_result number_fields(struct cursor *cursor, struct lease_terms *out)
{
    TRY(get_lease(cursor, &out->lease));
    TRY(get_raw(cursor, out->boot_id, sizeof out->boot_id));
    TRY(cursor_le64(cursor, &out->generation));
    TRY(cursor_le64(cursor, &out->bytes));
    TRY(cursor_le32(cursor, &out->block_bytes));
    TRY(cursor_le64(cursor, &out->ttl_ms));
    TRY(cursor_le64(cursor, &out->life_ms));
    TRY(cursor_le64(cursor, &out->issued_ms));
    return get_raw(cursor, out->nonce, sizeof out->nonce);
}

static lethe_result name_fields(struct cursor *cursor, struct lease_terms *out)
{
    TRY(get_spiffe(cursor, out->consumer));
    TRY(get_text(cursor, out->tenant, sizeof out->tenant));
    return get_spiffe(cursor, out->provider);
}

static bool sizes_fit(const struct lease_terms *terms)
{
    return pool_block_bytes_fit(terms->block_bytes) && terms->bytes > 0 &&
           terms->bytes % terms->block_bytes == 0 &&
           terms->bytes / terms->block_bytes <= POOL_BLOCKS_MAX;
}

static bool times_fit(const struct lease_terms *terms)
{
    return pool_ttl_fits(terms->ttl_ms) && terms->life_ms > 0 && terms->life_ms <= POOL_TTL_MAX_MS;
}

/* A tenant is the one of the consumer's certificate, and no message says otherwise. */
static bool tenant_fits(const struct lease_terms *terms)
{
    struct spiffe_id consumer;
    return spiffe_parse(terms->consumer, strlen(terms->consumer), &consumer, NULL) == LETHE_OK &&
           strcmp(consumer.tenant, terms->tenant) == 0;
}

lethe_result lease_terms_read(struct cursor *cursor, struct lease_terms *out,
                              struct lethe_error *err)
{
    if (number_fields(cursor, out) != LETHE_OK || name_fields(cursor, out) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the terms of a lease are not in their form");
    if (!sizes_fit(out) || !times_fit(out) || out->generation == 0)
        return error_set(err, LETHE_MALFORMED, "terms of a lease that no grant has");
    if (!tenant_fits(out))
        return error_set(err, LETHE_MALFORMED, "terms of a lease with another's tenant");
    return LETHE_OK;
}

/* ---- tokens ----------------------------------------------------------------------------------
 */

static void message_write(const void *signed_bytes, size_t size_bytes, struct buffer *out)
{
    buffer_append(out, label, sizeof label);
    buffer_append(out, signed_bytes, size_bytes);
}

lethe_result token_sign(const struct lease_terms *terms, const struct audit_signer *signer,
                        struct buffer *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer body = {0};
    CLEANUP(buffer_clear) struct buffer message = {0};
    uint8_t key_id[NOTE_KEY_ID_BYTES], signature[SIGNATURE_BYTES];
    note_key_id(&signer->key, NOTE_TYPE_ED25519, key_id);
    buffer_le16(&body, TOKEN_VERSION);
    buffer_append(&body, key_id, sizeof key_id);
    lease_terms_write(terms, &body);
    TRY(buffer_result(&body, err));
    message_write(body.bytes, body.size_bytes, &message);
    TRY(buffer_result(&message, err));
    TRY(signer->sign(signer->context, message.bytes, message.size_bytes, signature, err));
    buffer_append(out, body.bytes, body.size_bytes);
    buffer_append(out, signature, sizeof signature);
    return buffer_result(out, err);
}

static lethe_result check_signature(struct cursor body, const uint8_t *signature_bytes,
                                    const struct audit_key *key, struct lethe_error *err)
{
    CLEANUP(sign_public_free) struct sign_public *public = NULL;
    CLEANUP(buffer_clear) struct buffer message = {0};
    struct signature signature;
    TRY(signature_from_bytes(signature_bytes, SIGNATURE_BYTES, &signature, err));
    TRY(sign_public_from_raw(SIGNATURE_ED25519, key->public_key, sizeof key->public_key, &public,
                             err));
    message_write(body.at, cursor_left(&body), &message);
    TRY(buffer_result(&message, err));
    if (sign_verify(public, message.bytes, message.size_bytes, &signature, err) != LETHE_OK)
        return error_set(err, LETHE_DENIED, "a token that was changed or forged");
    return LETHE_OK;
}

static lethe_result check_prefix(struct cursor *body, const struct audit_key *key,
                                 struct lethe_error *err)
{
    uint16_t version;
    uint8_t key_id[NOTE_KEY_ID_BYTES];
    const uint8_t *shown;
    TRY(cursor_le16(body, &version));
    TRY(cursor_bytes(body, sizeof key_id, &shown));
    if (version != TOKEN_VERSION)
        return error_set(err, LETHE_MALFORMED, "a token of version %u", version);
    note_key_id(key, NOTE_TYPE_ED25519, key_id);
    if (memcmp(key_id, shown, sizeof key_id) != 0)
        return error_set(err, LETHE_DENIED, "a token of another control plane");
    return LETHE_OK;
}

/* The signature comes before the terms: of what nobody signed, nothing is taken apart. */
lethe_result token_open(const void *bytes, size_t size_bytes, const struct audit_key *key,
                        struct lease_terms *out, struct lethe_error *err)
{
    if (size_bytes > POOL_TOKEN_MAX || size_bytes <= 2 + NOTE_KEY_ID_BYTES + SIGNATURE_BYTES)
        return error_set(err, LETHE_MALFORMED, "a token of %zu bytes", size_bytes);
    struct cursor body = cursor_over(bytes, size_bytes - SIGNATURE_BYTES);
    const uint8_t *signature = body.end;
    struct cursor terms = body;
    TRY(check_prefix(&terms, key, err));
    TRY(check_signature(body, signature, key, err));
    TRY(lease_terms_read(&terms, out, err));
    return cursor_left(&terms) == 0
               ? LETHE_OK
               : error_set(err, LETHE_MALFORMED, "something stands behind a token's terms");
}

lethe_result token_peek(const void *bytes, size_t size_bytes, struct lease_terms *out,
                        struct lethe_error *err)
{
    const size_t prefix_bytes = 2 + NOTE_KEY_ID_BYTES;
    if (size_bytes > POOL_TOKEN_MAX || size_bytes <= prefix_bytes + SIGNATURE_BYTES)
        return error_set(err, LETHE_MALFORMED, "a token of %zu bytes", size_bytes);
    struct cursor terms = cursor_over((const uint8_t *)bytes + prefix_bytes,
                                      size_bytes - prefix_bytes - SIGNATURE_BYTES);
    TRY(lease_terms_read(&terms, out, err));
    return cursor_left(&terms) == 0
               ? LETHE_OK
               : error_set(err, LETHE_MALFORMED, "something stands behind a token's terms");
}
