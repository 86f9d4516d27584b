/* lethe pki root, role, issue, sign, revoke, crl. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/common.h"
#include "cli/kms_call.h"

#define PATH_SIZE 256u

static lethe_result make_path(const char *before, const char *name, char path[PATH_SIZE],
                              struct lethe_error *err)
{
    int length = snprintf(path, PATH_SIZE, "%s%s", before, name);
    if (length < 0 || length >= (int)PATH_SIZE || strchr(name, '/') != NULL)
        return error_set(err, LETHE_INVALID,
                         "%s is no name of a role: there is no / in one, and it is short", name);
    return LETHE_OK;
}

static lethe_result show(const struct invocation *invocation, const struct kms_call *call,
                         struct lethe_error *err)
{
    return kms_print_answer(&call->answer, option_given(invocation, "json"), err);
}

COMMAND_FUNCTION(pki_root)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "common_name", invocation->positional[0]);
    client_put_text(&call.request, "key_type", "ec");
    kms_put_option(&call.request, "ttl", invocation, "ttl");
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, "pki/root/generate/internal", NULL, err));
    return show(invocation, &call, err);
}

COMMAND_FUNCTION(pki_role)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    char path[PATH_SIZE];
    static const char *const flags[][2] = {{"allow_subdomains", "allow-subdomains"},
                                           {"allow_bare_domains", "allow-bare-domains"},
                                           {"allow_any_name", "allow-any-name"}};
    TRY(make_path("pki/roles/", invocation->positional[0], path, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "key_type", "ec");
    kms_put_list(&call.request, "allowed_domains", invocation, "domain");
    kms_put_list(&call.request, "allowed_uri_sans", invocation, "uri");
    kms_put_option(&call.request, "ttl", invocation, "ttl");
    kms_put_option(&call.request, "max_ttl", invocation, "max-ttl");
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (option_given(invocation, flags[i][1]))
            client_put_text(&call.request, flags[i][0], "true");
    }
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, path, NULL, err));
    return show(invocation, &call, err);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void put_names(struct guarded *request, const struct invocation *invocation)
{
    static const char *const options[][2] = {
        {"common_name", "common-name"},
        {"alt_names", "alt-names"},
        {"ip_sans", "ip"},
        {"uri_sans", "uri"},
        {"ttl", "ttl"},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        kms_put_option(request, options[i][0], invocation, options[i][1]);
}

/* Whatever is not secret of an answer with a certificate goes to stdout. */
static lethe_result print_issued(const struct json_piece *answer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer serial = {0};
    TRY(client_answer_text(answer, "data/serial_number", &serial, err));
    buffer_byte(&serial, '\0');
    TRY(buffer_result(&serial, err));
    printf("%s\n", serial.bytes);
    return LETHE_OK;
}

static lethe_result write_certificate(const struct json_piece *answer, const char *path,
                                      struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    TRY(client_answer_text(answer, "data/certificate", &pem, err));
    buffer_byte(&pem, '\n');
    TRY(buffer_result(&pem, err));
    return common_write_text(path, &pem, 0644, err);
}

COMMAND_FUNCTION(pki_issue)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct json_piece answer = {0};
    char path[PATH_SIZE];
    char file[4096];
    const char *name = option_text(invocation, "output");
    if (name == NULL || strlen(name) + 8 > sizeof file)
        return error_set(err, LETHE_INVALID, "name the files with -o NAME: NAME.pem and NAME.key");
    TRY(make_path("pki/issue/", invocation->positional[0], path, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    put_names(&call.request, invocation);
    client_put_text(&call.request, "private_key_format", "pkcs8");
    client_put_close(&call.request, '}');
    TRY(kms_call_ask(&call, HTTP_POST, path, &answer, err));
    snprintf(file, sizeof file, "%s.key", name);
    TRY(kms_write_secret(&answer, "data/private_key", file, err));
    snprintf(file, sizeof file, "%s.pem", name);
    TRY(write_certificate(&answer, file, err));
    return print_issued(&answer, err);
}

COMMAND_FUNCTION(pki_sign)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(buffer_clear) struct buffer request = {0};
    struct json_piece answer = {0};
    char path[PATH_SIZE];
    TRY(make_path("pki/sign/", invocation->positional[0], path, err));
    TRY(common_read_text(invocation->positional[1], (size_t)256 << 10, &request, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_bytes(&call.request, "csr", request.bytes, request.size_bytes);
    put_names(&call.request, invocation);
    client_put_close(&call.request, '}');
    TRY(kms_call_ask(&call, HTTP_POST, path, &answer, err));
    return write_certificate(&answer, option_text(invocation, "output"), err);
}

COMMAND_FUNCTION(pki_revoke)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "serial_number", invocation->positional[0]);
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, "pki/revoke", NULL, err));
    return show(invocation, &call, err);
}

COMMAND_FUNCTION(pki_crl)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(kms_call_do(&call, HTTP_GET, "pki/crl/pem", NULL, err));
    buffer_append(&text, call.answer.bytes, call.answer.size_bytes);
    TRY(buffer_result(&text, err));
    return common_write_text(option_text(invocation, "output"), &text, 0644, err);
}
