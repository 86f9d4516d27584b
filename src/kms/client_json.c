#include "kms/client_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "kms/transit.h"

/* ---- out ------------------------------------------------------------------------------------- */

static void put_name(struct guarded *out, const char *name)
{
    char before = out->size_bytes > 0 ? (char)out->bytes[out->size_bytes - 1] : '{';
    if (before != '{' && before != '[')
        guarded_text(out, ",");
    if (name != NULL)
        guarded_format(out, "\"%s\":", name);
}

void client_put_open(struct guarded *out, const char *name, char bracket)
{
    put_name(out, name);
    guarded_append(out, &bracket, 1);
}

void client_put_close(struct guarded *out, char bracket)
{
    guarded_append(out, &bracket, 1);
}

void client_put_bytes(struct guarded *out, const char *name, const void *text, size_t length)
{
    const char *at = text;
    put_name(out, name);
    guarded_text(out, "\"");
    for (size_t i = 0; i < length; i++) {
        if (at[i] == '"' || at[i] == '\\')
            guarded_format(out, "\\%c", at[i]);
        else if ((unsigned char)at[i] < ' ')
            guarded_format(out, "\\u%04x", (unsigned char)at[i]);
        else
            guarded_append(out, &at[i], 1);
    }
    guarded_text(out, "\"");
}

void client_put_text(struct guarded *out, const char *name, const char *text)
{
    client_put_bytes(out, name, text, strlen(text));
}

void client_put_base64(struct guarded *out, const char *name, const void *bytes, size_t size_bytes)
{
    put_name(out, name);
    guarded_text(out, "\"");
    guarded_base64(out, bytes, size_bytes);
    guarded_text(out, "\"");
}

void client_put_number(struct guarded *out, const char *name, uint64_t number)
{
    put_name(out, name);
    guarded_format(out, "%" PRIu64, number);
}

/* ---- in -------------------------------------------------------------------------------------- */

lethe_result client_answer(const struct guarded *body, struct json_piece *out,
                           struct lethe_error *err)
{
    lethe_result result = json_scan(body->bytes, body->size_bytes, out, err);
    if (result == LETHE_OK && out->kind != JSON_PIECE_OBJECT)
        result = error_set(err, LETHE_MALFORMED, "it is no object");
    return error_context(err, result, "what the key service answered");
}

static lethe_result is_missing(const char *path, struct lethe_error *err)
{
    error_set(err, LETHE_MALFORMED, "the key service's answer has no %s, or not of its kind", path);
    error_hint(err, "is it a key service? it must speak the API of Vault's transit engine");
    return LETHE_MALFORMED;
}

static lethe_result find_text(const struct json_piece *answer, const char *path,
                              struct json_piece *out, struct lethe_error *err)
{
    if (json_piece_find(answer, path, out) != LETHE_OK || out->kind != JSON_PIECE_TEXT)
        return is_missing(path, err);
    return LETHE_OK;
}

lethe_result client_answer_number(const struct json_piece *answer, const char *path, uint64_t *out,
                                  struct lethe_error *err)
{
    struct json_piece piece = {0};
    if (json_piece_find(answer, path, &piece) != LETHE_OK ||
        json_piece_unsigned(&piece, out) != LETHE_OK)
        return is_missing(path, err);
    return LETHE_OK;
}

lethe_result client_answer_text(const struct json_piece *answer, const char *path,
                                struct buffer *out, struct lethe_error *err)
{
    struct json_piece piece = {0};
    size_t before = out->size_bytes;
    size_t length = 0;
    TRY(find_text(answer, path, &piece, err));
    if (piece.length > CLIENT_TEXT_MAX)
        return is_missing(path, err);
    char *at = buffer_extend(out, piece.length);
    TRY(buffer_result(out, err));
    if (json_piece_text(&piece, at, piece.length, &length) != LETHE_OK)
        return is_missing(path, err);
    buffer_truncate(out, before + length);
    return LETHE_OK;
}

lethe_result client_answer_vault(const struct json_piece *answer, const char *path,
                                 struct buffer *text, struct buffer *payload,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer found = {0};
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    uint64_t version;
    size_t size_bytes = 0;
    TRY(client_answer_text(answer, path, &found, err));
    buffer_byte(&found, '\0');
    TRY(buffer_result(&found, err));
    if (strlen(found.bytes) + 1 != found.size_bytes ||
        transit_version(found.bytes, &version, NULL) != LETHE_OK)
        return is_missing(path, err);
    const char *base64 = strrchr(found.bytes, ':') + 1;
    char *at = buffer_extend(&bytes, strlen(base64) + 1);
    TRY(buffer_result(&bytes, err));
    if (base64_decode(base64, strlen(base64), at, strlen(base64), &size_bytes) != LETHE_OK ||
        size_bytes == 0)
        return is_missing(path, err);
    if (payload != NULL)
        buffer_append(payload, at, size_bytes);
    if (text != NULL)
        buffer_text(text, found.bytes);
    TRY(payload != NULL ? buffer_result(payload, err) : LETHE_OK);
    return text != NULL ? buffer_result(text, err) : LETHE_OK;
}

static size_t decoded_bytes(const uint8_t *base64, size_t length)
{
    size_t padding = 0;
    while (padding < 2 && padding < length && base64[length - 1 - padding] == '=')
        padding++;
    return length % 4 != 0 ? 0 : length / 4 * 3 - padding;
}

lethe_result client_answer_secret(const struct json_piece *answer, const char *path,
                                  struct lethe_secret **out, struct lethe_error *err)
{
    struct json_piece piece = {0};
    size_t length = 0;
    size_t size_bytes = 0;
    *out = NULL;
    TRY(find_text(answer, path, &piece, err));
    if (piece.length == 0 || piece.length > LETHE_SECRET_MAX_BYTES)
        return is_missing(path, err);
    CLEANUP(lethe_secret_free) struct lethe_secret *base64 = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(lethe_secret_create(piece.length, &base64, err));
    uint8_t *text = lethe_secret_bytes(base64);
    if (json_piece_text(&piece, (char *)text, piece.length, &length) != LETHE_OK)
        return is_missing(path, err);
    size_t expected_bytes = decoded_bytes(text, length);
    if (expected_bytes == 0)
        return is_missing(path, err);
    TRY(lethe_secret_create(expected_bytes, &secret, err));
    if (base64_decode((char *)text, length, lethe_secret_bytes(secret), expected_bytes,
                      &size_bytes) != LETHE_OK ||
        size_bytes != expected_bytes)
        return is_missing(path, err);
    *out = MOVE(secret);
    return LETHE_OK;
}

/* An error's text is no secret; longer ones are cut. */
static size_t put_error(const struct json_piece *error, char *out, size_t capacity)
{
    char text[384];
    size_t length = 0;
    lethe_result result = json_piece_text(error, text, sizeof text, &length);
    return result == LETHE_OK || result == LETHE_LIMIT ? text_sanitise(text, length, out, capacity)
                                                       : 0;
}

/* Of a batch: why the first item was refused that was. */
static void put_first_refusal(const struct json_piece *answer, char *out, size_t capacity)
{
    struct json_walk walk;
    struct json_piece result;
    struct json_piece error;
    if (client_results(answer, &walk, NULL) != LETHE_OK)
        return;
    while (client_results_next(&walk, &result, NULL) == LETHE_OK) {
        if (json_piece_find(&result, "error", &error) != LETHE_OK || json_piece_is(&error, ""))
            continue;
        put_error(&error, out, capacity);
        return;
    }
}

void client_answer_errors(const void *body, size_t body_bytes, char *out, size_t capacity)
{
    struct json_piece answer = {0};
    struct json_piece errors = {0};
    struct json_piece name;
    struct json_piece error;
    size_t used = 0;
    out[0] = '\0';
    if (body_bytes == 0 || json_scan(body, body_bytes, &answer, NULL) != LETHE_OK)
        return;
    if (json_piece_find(&answer, "errors", &errors) != LETHE_OK ||
        errors.kind != JSON_PIECE_ARRAY) {
        put_first_refusal(&answer, out, capacity);
        return;
    }
    struct json_walk walk = json_walk_over(&errors);
    while (json_walk_next(&walk, &name, &error) == LETHE_OK && used + 8 < capacity) {
        if (used > 0)
            used += (size_t)snprintf(out + used, capacity - used, "; ");
        used += put_error(&error, out + used, capacity - used);
    }
}

lethe_result client_results(const struct json_piece *answer, struct json_walk *out,
                            struct lethe_error *err)
{
    struct json_piece results;
    if (json_piece_find(answer, "data/batch_results", &results) != LETHE_OK ||
        results.kind != JSON_PIECE_ARRAY)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no batch_results");
    *out = json_walk_over(&results);
    return LETHE_OK;
}

lethe_result client_results_next(struct json_walk *results, struct json_piece *out,
                                 struct lethe_error *err)
{
    struct json_piece name;
    return json_walk_next(results, &name, out) == LETHE_OK
               ? LETHE_OK
               : error_set(err, LETHE_MALFORMED, "the key service answered fewer items");
}

lethe_result client_results_end(struct json_walk *results, struct lethe_error *err)
{
    struct json_piece name;
    struct json_piece more;
    return json_walk_next(results, &name, &more) == LETHE_NOT_FOUND
               ? LETHE_OK
               : error_set(err, LETHE_MALFORMED, "the key service answered more items");
}
