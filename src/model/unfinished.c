#include "model/unfinished.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"

#define MAGIC_BYTES (sizeof KEPT_MAGIC - 1)
#define RECORD_BYTES_MAX                                                                           \
    (1 + 2 * sizeof(uint32_t) + UNFINISHED_ID_MAX + UNFINISHED_WRAPPED_MAX +                       \
     UNFINISHED_DIGESTS_MAX * SHA256_BYTES)

static lethe_result changed(struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "its file " KEPT_STATE " was changed");
}

/* A le32-prefixed text of 1 to max_bytes bytes without NUL; `out` has room for one more. */
static bool read_text(struct cursor *cursor, size_t max_bytes, char *out)
{
    uint32_t size_bytes;
    const uint8_t *bytes;
    if (cursor_le32(cursor, &size_bytes) != LETHE_OK || size_bytes == 0 || size_bytes > max_bytes ||
        cursor_bytes(cursor, size_bytes, &bytes) != LETHE_OK ||
        memchr(bytes, '\0', size_bytes) != NULL)
        return false;
    memcpy(out, bytes, size_bytes);
    out[size_bytes] = '\0';
    return true;
}

static bool read_digest(struct cursor *cursor, uint8_t out[SHA256_BYTES])
{
    const uint8_t *bytes;
    if (cursor_bytes(cursor, SHA256_BYTES, &bytes) != LETHE_OK)
        return false;
    memcpy(out, bytes, SHA256_BYTES);
    return true;
}

static void append_text(struct buffer *out, const char *text)
{
    buffer_prefixed(out, text, strlen(text));
}

/* ---- header ---------------------------------------------------------------------------------- */

void unfinished_header_write(const struct unfinished_header *header, struct buffer *out)
{
    buffer_append(out, KEPT_MAGIC, MAGIC_BYTES);
    buffer_append(out, header->manifest_digest, SHA256_BYTES);
    append_text(out, header->wrapped);
}

lethe_result unfinished_header_read(struct cursor *cursor, struct unfinished_header *out,
                                    struct lethe_error *err)
{
    const uint8_t *magic;
    if (cursor_bytes(cursor, MAGIC_BYTES, &magic) != LETHE_OK ||
        memcmp(magic, KEPT_MAGIC, MAGIC_BYTES) != 0 || !read_digest(cursor, out->manifest_digest) ||
        !read_text(cursor, UNFINISHED_WRAPPED_MAX, out->wrapped))
        return changed(err);
    return LETHE_OK;
}

/* What is in the header is bound to the key by the key service. */
void unfinished_chain_begin(const struct unfinished_header *header, const struct lethe_secret *key,
                            struct unfinished_chain *out)
{
    out->key = key;
    memcpy(out->last, header->manifest_digest, SHA256_BYTES);
}

/* ---- records: le32 size, body, MAC ----------------------------------------------------------- */

static lethe_result mac(const struct unfinished_chain *chain, const void *body, size_t size_bytes,
                        uint8_t out[SHA256_BYTES], struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_append(&text, chain->last, SHA256_BYTES);
    buffer_prefixed(&text, body, size_bytes);
    TRY(buffer_result(&text, err));
    if (hmac_sha256(lethe_secret_bytes_const(chain->key), lethe_secret_size(chain->key), text.bytes,
                    text.size_bytes, out) != LETHE_OK)
        return error_set(err, LETHE_NO_MEMORY, "no memory to hash with");
    return LETHE_OK;
}

static void write_body(const struct unfinished_record *record, struct buffer *out)
{
    buffer_byte(out, (uint8_t)record->kind);
    if (record->kind == UNFINISHED_MANIFEST) {
        buffer_append(out, record->manifest_digest, SHA256_BYTES);
        return;
    }
    append_text(out, record->id);
    append_text(out, record->wrapped);
    buffer_append(out, record->digests, record->digest_count * SHA256_BYTES);
}

lethe_result unfinished_record_write(const struct unfinished_record *record,
                                     struct unfinished_chain *chain, struct buffer *out,
                                     struct lethe_error *err)
{
    uint8_t tag[SHA256_BYTES];
    CLEANUP(buffer_clear) struct buffer body = {0};
    write_body(record, &body);
    TRY(buffer_result(&body, err));
    TRY(mac(chain, body.bytes, body.size_bytes, tag, err));
    buffer_prefixed(out, body.bytes, body.size_bytes);
    buffer_append(out, tag, sizeof tag);
    TRY(buffer_result(out, err));
    memcpy(chain->last, tag, sizeof tag);
    return LETHE_OK;
}

static bool read_shard(struct cursor *body, struct unfinished_record *out)
{
    if (!read_text(body, UNFINISHED_ID_MAX, out->id) ||
        !read_text(body, UNFINISHED_WRAPPED_MAX, out->wrapped))
        return false;
    out->digest_count = cursor_left(body) / SHA256_BYTES;
    return cursor_bytes(body, out->digest_count * SHA256_BYTES, &out->digests) == LETHE_OK;
}

/* The MAC fits, so these are our own bytes; that they have our form is checked all the same. */
static lethe_result read_body(struct cursor body, struct unfinished_record *out,
                              struct lethe_error *err)
{
    uint8_t kind = 0;
    *out = (struct unfinished_record){0};
    bool good = cursor_u8(&body, &kind) == LETHE_OK;
    out->kind = kind;
    if (kind == UNFINISHED_SHARD)
        good = good && read_shard(&body, out);
    else
        good = good && kind == UNFINISHED_MANIFEST && read_digest(&body, out->manifest_digest);
    return good && cursor_left(&body) == 0 ? LETHE_OK : changed(err);
}

static bool all_zero(struct cursor cursor)
{
    return lethe_is_zero(cursor.at, cursor_left(&cursor));
}

lethe_result unfinished_record_read(struct cursor *cursor, struct unfinished_chain *chain,
                                    struct unfinished_record *out, bool *found,
                                    struct lethe_error *err)
{
    struct cursor at = *cursor;
    const uint8_t *body;
    const uint8_t *tag;
    uint32_t size_bytes;
    uint8_t expected[SHA256_BYTES];
    *found = false;
    if (all_zero(at) || cursor_le32(&at, &size_bytes) != LETHE_OK)
        return LETHE_OK;
    if (size_bytes == 0 || size_bytes > RECORD_BYTES_MAX)
        return changed(err);
    if (cursor_bytes(&at, size_bytes, &body) != LETHE_OK ||
        cursor_bytes(&at, SHA256_BYTES, &tag) != LETHE_OK)
        return LETHE_OK;
    TRY(mac(chain, body, size_bytes, expected, err));
    if (!bytes_equal(expected, tag, SHA256_BYTES))
        return changed(err);
    TRY(read_body(cursor_over(body, size_bytes), out, err));
    memcpy(chain->last, expected, SHA256_BYTES);
    *cursor = at;
    *found = true;
    return LETHE_OK;
}
