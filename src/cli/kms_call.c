#include "cli/kms_call.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/kms_options.h"
#include "home/home.h"
#include "net/url.h"
#include "service/call.h"

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

void kms_call_client_options(const struct kms_settings *kms, struct kms_client_options *out)
{
    *out = (struct kms_client_options){.address = kms->address,
                                       .ca_path = or_null(kms->ca),
                                       .certificate_path = or_null(kms->certificate),
                                       .key_path = or_null(kms->key),
                                       .token_path = or_null(kms->token_file),
                                       .service = or_null(kms->service),
                                       .service_reference_path = or_null(kms->service_reference),
                                       .service_machine = or_null(kms->service_machine)};
}

static lethe_result open_client(const struct kms_settings *kms, struct kms_call *out,
                                struct lethe_error *err)
{
    struct kms_client_options options;
    kms_call_client_options(kms, &options);
    out->is_proven = options.token_path != NULL || options.certificate_path != NULL;
    return kms_client_open(&options, &out->client, err);
}

/* No home is needed, but if there is one, its lethe.conf counts. */
lethe_result kms_call_open(const struct invocation *invocation, struct kms_call *out,
                           struct lethe_error *err)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    struct configuration configuration;
    *out = (struct kms_call){0};
    TRY(home_locate(NULL, &paths, err));
    TRY(configuration_read(paths.configuration, &configuration, err));
    TRY(kms_options_read(invocation, &configuration.kms, err));
    if (configuration.kms.address[0] != '\0')
        return open_client(&configuration.kms, out, err);
    CLEANUP(memory_free) char *socket = path_join(paths.run, KMS_ADMIN_SOCKET);
    if (socket == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    out->is_proven = true;
    return admin_client_open(socket, &out->admin, err);
}

void kms_call_close(struct kms_call *call)
{
    kms_client_close(call->client);
    admin_client_close(call->admin);
    guarded_clear(&call->request);
    guarded_clear(&call->answer);
    *call = (struct kms_call){0};
}

/* ---- calls ----------------------------------------------------------------------------------- */

static unsigned method_of(enum http_method method)
{
    switch (method) {
    case HTTP_LIST:
        return CALL_LIST;
    case HTTP_DELETE:
        return CALL_DELETE;
    case HTTP_POST:
        return CALL_POST;
    default:
        return CALL_GET;
    }
}

/* Slashes stay what they are. */
static void encode_path(const char *path, const char *query, struct buffer *out)
{
    while (*path != '\0') {
        char part[1024];
        size_t length = MIN(strcspn(path, "/"), sizeof part - 1);
        memcpy(part, path, length);
        part[length] = '\0';
        url_encode_part(out, part);
        path += length;
        if (*path == '/')
            buffer_byte(out, (uint8_t)*path++);
    }
    if (query != NULL)
        buffer_format(out, "?%s", query);
    buffer_byte(out, '\0');
}

static lethe_result call_admin(struct kms_call *call, enum http_method method, const char *path,
                               const char *query, struct lethe_error *err)
{
    const struct admin_request request = {.method = method_of(method),
                                          .path = path,
                                          .query = query != NULL ? query : "",
                                          .body = call->request.bytes,
                                          .body_bytes = call->request.size_bytes};
    unsigned status = 0;
    TRY(admin_client_call(call->admin, &request, NULL, NULL, &status, &call->answer, err));
    return kms_client_result(status, path, call->answer.bytes, call->answer.size_bytes, err);
}

static lethe_result call_client(struct kms_call *call, enum http_method method, const char *path,
                                const char *query, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    encode_path(path, query, &encoded);
    TRY(buffer_result(&encoded, err));
    return kms_client_call(call->client, method, encoded.bytes, call->request.bytes,
                           call->request.size_bytes, &call->answer, err);
}

lethe_result kms_call_do(struct kms_call *call, enum http_method method, const char *path,
                         const char *query, struct lethe_error *err)
{
    while (*path == '/')
        path++;
    lethe_result result = guarded_result(&call->request, err);
    if (result == LETHE_OK)
        result = call->client != NULL ? call_client(call, method, path, query, err)
                                      : call_admin(call, method, path, query, err);
    guarded_wipe(&call->request);
    return result;
}

lethe_result kms_call_ask(struct kms_call *call, enum http_method method, const char *path,
                          struct json_piece *answer, struct lethe_error *err)
{
    TRY(kms_call_do(call, method, path, NULL, err));
    return client_answer(&call->answer, answer, err);
}

lethe_result kms_call_follow(struct kms_call *call, const char *path, uint64_t idle_ms,
                             http_piece *piece, void *context, struct lethe_error *err)
{
    const struct admin_request request = {
        .method = CALL_GET, .path = path, .query = "", .timeout_ms = idle_ms};
    unsigned status = 0;
    if (call->client != NULL)
        return kms_client_follow(call->client, path, idle_ms, piece, context, err);
    TRY(admin_client_call(call->admin, &request, piece, context, &status, &call->answer, err));
    return kms_client_result(status, path, call->answer.bytes, call->answer.size_bytes, err);
}
