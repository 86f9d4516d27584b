#include "service/door_head.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "net/url.h"
#include "service/call.h"
#include "service/wire.h"

/* ---- path ------------------------------------------------------------------------------------ */

static bool has_encoded_slash(const struct http_text *path)
{
    for (size_t i = 0; i + 2 < path->length; i++) {
        if (path->at[i] == '%' && path->at[i + 1] == '2' && (path->at[i + 2] | 0x20) == 'f')
            return true;
    }
    return false;
}

static bool is_step(const char *segment, size_t length)
{
    return (length == 1 && segment[0] == '.') ||
           (length == 2 && segment[0] == '.' && segment[1] == '.');
}

lethe_result door_path_tidy(char *path, size_t *length, struct lethe_error *err)
{
    size_t kept = 0;
    for (size_t at = 0; at < *length;) {
        const char *slash = memchr(path + at, '/', *length - at);
        size_t end = slash == NULL ? *length : (size_t)(slash - path);
        if (is_step(path + at, end - at))
            return error_set(err, LETHE_MALFORMED, "a path has no . or .. in it");
        if (end > at) {
            /* There was a slash in front, so that there is room for one. */
            path[kept++] = '/';
            memmove(path + kept, path + at, end - at);
            kept += end - at;
        }
        at = end + 1;
    }
    *length = kept;
    return LETHE_OK;
}

static bool begins_with(const struct http_text *text, const char *prefix)
{
    return text->length > strlen(prefix) && memcmp(text->at, prefix, strlen(prefix)) == 0;
}

static bool is_served(const struct http_text *path)
{
    return begins_with(path, DOOR_PREFIX) || (path->length == strlen(DOOR_METRICS) &&
                                              memcmp(path->at, DOOR_METRICS, path->length) == 0);
}

static lethe_result read_path(const struct http_text *path, struct guarded *scratch,
                              struct http_text *out, struct lethe_error *err)
{
    guarded_wipe(scratch);
    if (has_encoded_slash(path))
        return error_set(err, LETHE_MALFORMED, "a path has no encoded slash in it");
    char *decoded = (char *)guarded_extend(scratch, path->length + 1);
    TRY(guarded_result(scratch, err));
    size_t length;
    if (url_decode(path->at, path->length, false, decoded, &length) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the path is not well encoded");
    TRY(door_path_tidy(decoded, &length, err));
    *out = (struct http_text){decoded, length};
    if (!is_served(out))
        return error_set(err, LETHE_NOT_FOUND, "there is nothing here");
    return LETHE_OK;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool is_named(const struct http_text *text, const char *name)
{
    return text->length == strlen(name) && strncasecmp(text->at, name, text->length) == 0;
}

static bool is_same(const struct http_text *a, const struct http_text *b)
{
    return a->length == b->length && memcmp(a->at, b->at, a->length) == 0;
}

/* What follows "Bearer "; `at` NULL for another scheme, which is none of ours. */
static struct http_text bearer(const struct http_text *value)
{
    static const char scheme[] = "Bearer ";
    size_t skipped = strlen(scheme);
    if (value->length < skipped || strncasecmp(value->at, scheme, skipped) != 0)
        return (struct http_text){0};
    while (skipped < value->length && value->at[skipped] == ' ')
        skipped++;
    return (struct http_text){value->at + skipped, value->length - skipped};
}

/* One token only, however often and wherever it is said. */
static lethe_result take_token(const struct http_text *token, struct door_head *out,
                               struct lethe_error *err)
{
    if (token->at == NULL)
        return LETHE_OK;
    if (out->token.at != NULL && !is_same(token, &out->token))
        return error_set(err, LETHE_INVALID, "the request has two different tokens");
    out->token = *token;
    out->flags |= WIRE_HAS_TOKEN;
    return LETHE_OK;
}

static lethe_result take_header(const struct http_text *name, const struct http_text *value,
                                struct door_head *out, struct lethe_error *err)
{
    if (is_named(name, "X-Vault-Token"))
        return take_token(value, out, err);
    if (is_named(name, "Authorization")) {
        const struct http_text token = bearer(value);
        return take_token(&token, out, err);
    }
    if (is_named(name, "X-Vault-Wrap-TTL"))
        out->flags |= WIRE_WRAP_TTL;
    else if (is_named(name, "X-Vault-Namespace") && value->length > 0)
        out->flags |= WIRE_NAMESPACE;
    return LETHE_OK;
}

lethe_result door_head_read(const struct http_request *request, struct guarded *scratch,
                            struct door_head *out, struct lethe_error *err)
{
    static const uint16_t methods[HTTP_METHOD_COUNT] = {
        [HTTP_GET] = CALL_GET,  [HTTP_HEAD] = CALL_GET,      [HTTP_POST] = CALL_POST,
        [HTTP_PUT] = CALL_POST, [HTTP_DELETE] = CALL_DELETE, [HTTP_LIST] = CALL_LIST,
    };
    *out = (struct door_head){.is_head = request->method == HTTP_HEAD,
                              .method = methods[request->method]};
    TRY(read_path(&request->path, scratch, &out->path, err));
    if (out->method == 0)
        return error_set(err, LETHE_CONFLICT, "the method is not known here");
    for (size_t i = 0; i < request->header_count; i++)
        TRY(take_header(&request->headers[i].name, &request->headers[i].value, out, err));
    return LETHE_OK;
}
