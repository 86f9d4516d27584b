/* The texts of an attested release: the request as it is bound, and the keys that come back. */
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "kms/client_core.h"

#define OPERATION "decrypt_for_vram_load"
#define SHARD_ROOM 64u /* names, quotes and brackets of one */

static const struct key_unwrap *item_at(const struct client_shards *shards, size_t i)
{
    return &shards->items[shards->taken != NULL ? shards->taken[i] : i];
}

static const char *shard_of(const struct key_unwrap *item)
{
    return item->use.shard != NULL ? item->use.shard : "";
}

size_t client_shard_bytes(const struct key_unwrap *item)
{
    return SHARD_ROOM + strlen(shard_of(item)) + strlen(item->wrapped) +
           BASE64_LENGTH(item->use.aad_bytes);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* "TENANT.MODEL.TIER", as the caller has checked. */
static void put_key(struct guarded *out, const char *key)
{
    const char *model = strchr(key, '.') + 1;
    const char *tier = strrchr(key, '.') + 1;
    client_put_bytes(out, "model_id", model, (size_t)(tier - 1 - model));
    client_put_bytes(out, "tenant", key, (size_t)(model - 1 - key));
    client_put_text(out, "tier", tier);
}

static void put_shards(struct guarded *out, const struct client_shards *shards)
{
    client_put_open(out, "shards", '[');
    for (size_t i = 0; i < shards->count; i++) {
        const struct key_unwrap *item = item_at(shards, i);
        client_put_open(out, NULL, '{');
        client_put_text(out, "id", shard_of(item));
        client_put_text(out, "wrapped", item->wrapped);
        client_put_base64(out, "aad", item->use.aad, item->use.aad_bytes);
        client_put_close(out, '}');
    }
    client_put_close(out, ']');
}

void client_put_request(struct kms_client *client, const struct client_shards *shards,
                        struct guarded *out)
{
    const struct key_use *use = &item_at(shards, 0)->use;
    const char *operation = client->operation != NULL ? client->operation : OPERATION;
    client_put_open(out, NULL, '{');
    client_put_text(out, "principal", strrchr(client->proof.identity.text, '/') + 1);
    client_put_text(out, "operation", operation);
    put_key(out, use->key);
    client_put_text(out, "purpose", use->purpose);
    client_put_number(out, "release", use->release);
    if (client->engine != NULL)
        guarded_format(out, ",\"engine\":%s", client->engine);
    put_shards(out, shards);
    client_put_close(out, '}');
}

/* ---- what comes back ------------------------------------------------------------------------- */

static lethe_result is_malformed(const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "the key service's answer: %s", what);
}

lethe_result client_answer_bytes(const struct json_piece *answer, const char *path,
                                 struct buffer *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct json_piece piece = {0};
    size_t length = 0, size_bytes = 0, before = out->size_bytes;
    if (json_piece_find(answer, path, &piece) != LETHE_OK || piece.kind != JSON_PIECE_TEXT)
        return is_malformed("a member is missing", err);
    char *at = buffer_extend(&text, piece.length + 1);
    char *bytes = buffer_extend(out, piece.length + 1);
    TRY(buffer_result(&text, err));
    TRY(buffer_result(out, err));
    if (json_piece_text(&piece, at, piece.length, &length) != LETHE_OK ||
        base64_decode(at, length, bytes, piece.length, &size_bytes) != LETHE_OK) {
        buffer_truncate(out, before);
        return is_malformed("a member is no base64", err);
    }
    buffer_truncate(out, before + size_bytes);
    return LETHE_OK;
}

static lethe_result take_key(struct cursor *cursor, const struct key_unwrap *item,
                             struct lethe_error *err)
{
    const uint8_t *bytes;
    uint32_t size_bytes;
    if (cursor_le32(cursor, &size_bytes) != LETHE_OK || size_bytes == 0 ||
        size_bytes > LETHE_SECRET_MAX_BYTES || cursor_bytes(cursor, size_bytes, &bytes) != LETHE_OK)
        return is_malformed("fewer keys than were asked for, or other ones", err);
    TRY(lethe_secret_create(size_bytes, item->data_key, err));
    memcpy(lethe_secret_bytes(*item->data_key), bytes, size_bytes);
    return LETHE_OK;
}

lethe_result client_open_keys(const struct guarded *plain, const struct client_shards *shards,
                              struct lethe_error *err)
{
    struct cursor cursor = cursor_over(plain->bytes, plain->size_bytes);
    for (size_t i = 0; i < shards->count; i++)
        TRY(take_key(&cursor, item_at(shards, i), err));
    return cursor_left(&cursor) == 0 ? LETHE_OK
                                     : is_malformed("more keys than were asked for", err);
}
