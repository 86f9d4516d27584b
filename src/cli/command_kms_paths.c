/* lethe kms read, write, list, delete: any path of the service. */
#include <string.h>

#include "base/error.h"
#include "cli/kms_call.h"

static lethe_result print(const struct invocation *invocation, const struct guarded *answer,
                          struct lethe_error *err)
{
    const char *field = option_text(invocation, "field");
    if (field != NULL)
        return kms_print_field(answer, field, err);
    return kms_print_answer(answer, option_given(invocation, "json"), err);
}

static lethe_result do_and_print(const struct invocation *invocation, struct kms_call *call,
                                 enum http_method method, struct lethe_error *err)
{
    TRY(kms_call_do(call, method, invocation->positional[0], NULL, err));
    return print(invocation, &call->answer, err);
}

COMMAND_FUNCTION(kms_read)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    return do_and_print(invocation, &call, HTTP_GET, err);
}

/* The service says 404 of a list without entries, and nothing of why; of a path that is none, it
 * says so. */
static bool is_empty_list(const struct guarded *answer)
{
    struct json_piece body;
    struct json_piece errors = {0};
    struct json_piece none;
    if (client_answer(answer, &body, NULL) != LETHE_OK ||
        json_piece_find(&body, "errors", &errors) != LETHE_OK || errors.kind != JSON_PIECE_ARRAY)
        return false;
    struct json_walk walk = json_walk_over(&errors);
    return json_walk_next(&walk, &none, &none) == LETHE_NOT_FOUND;
}

COMMAND_FUNCTION(kms_list)
{
    static const char nothing[] = "{\"data\":{\"keys\":[]}}";
    struct lethe_error why = {0};
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    lethe_result result = kms_call_do(&call, HTTP_LIST, invocation->positional[0], NULL, &why);
    if (result == LETHE_NOT_FOUND && is_empty_list(&call.answer)) {
        guarded_wipe(&call.answer);
        guarded_append(&call.answer, nothing, sizeof nothing - 1);
        result = guarded_result(&call.answer, &why);
    }
    if (result != LETHE_OK) {
        *err = why;
        return result;
    }
    return print(invocation, &call.answer, err);
}

COMMAND_FUNCTION(kms_delete)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    return do_and_print(invocation, &call, HTTP_DELETE, err);
}

/* ---- write ----------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!good)
            return false;
    }
    return length > 0 && length <= 64;
}

/* What `base64` or an editor puts at the end of a file is no part of a value. */
static size_t without_newline(const struct guarded *text)
{
    bool ends = text->size_bytes > 0 && text->bytes[text->size_bytes - 1] == '\n';
    return text->size_bytes - (ends ? 1 : 0);
}

/* NAME=VALUE, NAME=@FILE, NAME=-. */
static lethe_result put_member(const char *word, struct guarded *request, struct lethe_error *err)
{
    char name[65];
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : 0;
    CLEANUP(guarded_clear) struct guarded text = {0};
    if (equals == NULL || !is_name(word, length)) {
        error_set(err, LETHE_INVALID, "what is written is NAME=VALUE, NAME=@FILE, NAME=- or -");
        error_hint(err, "a secret is no argument: others see it. NAME=@FILE reads it from a file, "
                        "NAME=- from stdin");
        return LETHE_INVALID;
    }
    memcpy(name, word, length);
    name[length] = '\0';
    const char *value = equals + 1;
    if (value[0] != '@' && strcmp(value, "-") != 0) {
        client_put_text(request, name, value);
        return LETHE_OK;
    }
    TRY(kms_read_all(value[0] == '@' ? value + 1 : value, &text, err));
    client_put_bytes(request, name, text.bytes, without_newline(&text));
    return LETHE_OK;
}

static lethe_result put_body(const struct invocation *invocation, struct guarded *request,
                             struct lethe_error *err)
{
    int count = invocation->positional_count;
    if (count == 2 && strcmp(invocation->positional[1], "-") == 0)
        return kms_read_all("-", request, err);
    client_put_open(request, NULL, '{');
    for (int i = 1; i < count; i++)
        TRY(put_member(invocation->positional[i], request, err));
    client_put_close(request, '}');
    return LETHE_OK;
}

COMMAND_FUNCTION(kms_write)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(put_body(invocation, &call.request, err));
    return do_and_print(invocation, &call, HTTP_POST, err);
}
