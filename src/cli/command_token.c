/* lethe token create, lookup, renew, revoke. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/kms_call.h"

static lethe_result check_output(const struct invocation *invocation, struct lethe_error *err)
{
    const char *path = option_text(invocation, "output");
    if (path != NULL)
        return kms_check_output(path, err);
    if (isatty(STDOUT_FILENO))
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "a token is a secret: it is written to a file, or a terminal");
    error_hint(err, "name a file for it with -o FILE");
    return LETHE_INVALID;
}

/* What is no secret about the token, on stdout. */
static lethe_result print_token(const struct json_piece *answer, struct lethe_error *err)
{
    static const char *const names[] = {"accessor", "policies", "lease_duration", "renewable"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64];
        struct json_piece piece = {0};
        snprintf(path, sizeof path, "auth/%s", names[i]);
        if (json_piece_find(answer, path, &piece) == LETHE_OK && piece.length < 4096)
            printf("%-25s %.*s\n", names[i], (int)piece.length, piece.at);
    }
    return fflush(stdout) == 0 ? LETHE_OK : error_from_errno(err, "writing to standard output");
}

static lethe_result deliver(const struct invocation *invocation, const struct kms_call *call,
                            const struct json_piece *answer, struct lethe_error *err)
{
    const char *output = option_text(invocation, "output");
    if (output == NULL)
        return kms_print_field(&call->answer, "auth/client_token", err);
    TRY(kms_write_secret(answer, "auth/client_token", output, err));
    return print_token(answer, err);
}

COMMAND_FUNCTION(token_create)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct json_piece answer = {0};
    static const char *const options[][2] = {
        {"ttl", "ttl"},       {"explicit_max_ttl", "max-ttl"}, {"period", "period"},
        {"num_uses", "uses"}, {"display_name", "name"},        {"identity", "identity"},
        {"tenant", "tenant"}};
    TRY(check_output(invocation, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    kms_put_list(&call.request, "policies", invocation, "policy");
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        kms_put_option(&call.request, options[i][0], invocation, options[i][1]);
    if (option_given(invocation, "orphan"))
        client_put_text(&call.request, "no_parent", "true");
    client_put_close(&call.request, '}');
    TRY(kms_call_ask(&call, HTTP_POST, "auth/token/create", &answer, err));
    return deliver(invocation, &call, &answer, err);
}

/* Of the own token, or of one by its accessor: "lookup-self" or "lookup-accessor". */
static lethe_result call_about(const struct invocation *invocation, struct kms_call *call,
                               const char *what, struct lethe_error *err)
{
    char path[64];
    const char *accessor = option_text(invocation, "accessor");
    snprintf(path, sizeof path, "auth/token/%s-%s", what, accessor != NULL ? "accessor" : "self");
    bool is_get = strcmp(path, "auth/token/lookup-self") == 0;
    if (accessor == NULL && call->client == NULL) {
        error_set(err, LETHE_INVALID, "on the admin socket nobody has a token of their own");
        error_hint(err, "say which one: --accessor A");
        return LETHE_INVALID;
    }
    if (is_get)
        return kms_call_do(call, HTTP_GET, path, NULL, err);
    client_put_open(&call->request, NULL, '{');
    kms_put_option(&call->request, "accessor", invocation, "accessor");
    if (strcmp(what, "renew") == 0)
        kms_put_option(&call->request, "increment", invocation, "increment");
    client_put_close(&call->request, '}');
    return kms_call_do(call, HTTP_POST, path, NULL, err);
}

/* The token itself is not shown again. */
static lethe_result print_about(const struct invocation *invocation, const struct kms_call *call,
                                const char *part, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded text = {0};
    struct json_piece answer = {0};
    struct json_piece about = {0};
    struct json_piece name;
    struct json_piece value;
    TRY(client_answer(&call->answer, &answer, err));
    if (json_piece_find(&answer, part, &about) != LETHE_OK || about.kind != JSON_PIECE_OBJECT)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no %s", part);
    struct json_walk walk = json_walk_over(&about);
    client_put_open(&text, NULL, '{');
    while (json_walk_next(&walk, &name, &value) == LETHE_OK) {
        bool is_text = value.kind == JSON_PIECE_TEXT;
        if (json_piece_is(&name, "id") || json_piece_is(&name, "client_token"))
            continue;
        guarded_text(&text, text.size_bytes > 1 ? ",\"" : "\"");
        guarded_append(&text, name.at, name.length);
        guarded_text(&text, is_text ? "\":\"" : "\":");
        guarded_append(&text, value.at, value.length);
        guarded_text(&text, is_text ? "\"" : "");
    }
    client_put_close(&text, '}');
    TRY(guarded_result(&text, err));
    return kms_print_answer(&text, option_given(invocation, "json"), err);
}

static lethe_result ask_about(const struct invocation *invocation, const char *what,
                              const char *part, struct lethe_error *err)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(call_about(invocation, &call, what, err));
    return print_about(invocation, &call, part, err);
}

COMMAND_FUNCTION(token_lookup)
{
    return ask_about(invocation, "lookup", "data", err);
}

COMMAND_FUNCTION(token_renew)
{
    return ask_about(invocation, "renew", "auth", err);
}

COMMAND_FUNCTION(token_revoke)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    if (option_given(invocation, "self") == option_given(invocation, "accessor"))
        return error_set(err, LETHE_INVALID, "give either --accessor A or --self");
    TRY(kms_call_open(invocation, &call, err));
    TRY(call_about(invocation, &call, "revoke", err));
    fprintf(stderr, "lethe: revoked, with every token that was made with it\n");
    return LETHE_OK;
}
