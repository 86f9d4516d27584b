/* lethe identity create, list, revoke, issue, renew. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/kms_call.h"
#include "kms/own_key.h"
#include "net/identity.h"

#define IDENTITIES "lethe/identities"
#define PEM_MAX ((size_t)256 << 10)

/* A mistake in an id is named before anything is sent. */
static lethe_result read_id(const struct invocation *invocation, struct spiffe_id *out,
                            struct lethe_error *err)
{
    const char *text = invocation->positional[0];
    return spiffe_read(text, strlen(text), out, err);
}

static lethe_result show(const struct invocation *invocation, const struct kms_call *call,
                         struct lethe_error *err)
{
    return kms_print_answer(&call->answer, option_given(invocation, "json"), err);
}

COMMAND_FUNCTION(identity_create)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct spiffe_id id;
    TRY(read_id(invocation, &id, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "id", id.text);
    kms_put_list(&call.request, "policies", invocation, "policy");
    kms_put_option(&call.request, "certificate_ttl", invocation, "ttl");
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, IDENTITIES, NULL, err));
    return show(invocation, &call, err);
}

COMMAND_FUNCTION(identity_list)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    TRY(kms_call_open(invocation, &call, err));
    TRY(kms_call_do(&call, HTTP_LIST, IDENTITIES, NULL, err));
    return show(invocation, &call, err);
}

COMMAND_FUNCTION(identity_revoke)
{
    CLEANUP(kms_call_close) struct kms_call call = {0};
    struct spiffe_id id;
    TRY(read_id(invocation, &id, err));
    TRY(kms_call_open(invocation, &call, err));
    client_put_open(&call.request, NULL, '{');
    client_put_text(&call.request, "id", id.text);
    const char *reason = option_text(invocation, "reason");
    client_put_text(&call.request, "reason", reason != NULL ? reason : "not given");
    client_put_close(&call.request, '}');
    TRY(kms_call_do(&call, HTTP_POST, IDENTITIES "/revoke", NULL, err));
    fprintf(stderr, "lethe: revoked: its certificates and tokens end now, for ever\n");
    return LETHE_OK;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static lethe_result sign_request(struct kms_call *call, const char *path, const char *id,
                                 const char *ttl, const struct own_key *key, struct buffer *out,
                                 struct lethe_error *err)
{
    struct json_piece answer = {0};
    client_put_open(&call->request, NULL, '{');
    if (id != NULL)
        client_put_text(&call->request, "id", id);
    client_put_text(&call->request, "csr", key->request_pem.bytes);
    if (ttl != NULL)
        client_put_text(&call->request, "ttl", ttl);
    client_put_close(&call->request, '}');
    TRY(kms_call_ask(call, HTTP_POST, path, &answer, err));
    return own_key_certificates(&answer, out, err);
}

COMMAND_FUNCTION(identity_issue)
{
    struct spiffe_id id = {0};
    const char *name = option_text(invocation, "output");
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(own_key_clear) struct own_key key = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    const struct x509_subject subject = {.uris = {.at = {id.text}, .count = 1}};
    TRY(read_id(invocation, &id, err));
    if (name == NULL)
        return error_set(err, LETHE_INVALID, "name the files with -o NAME: NAME.pem and NAME.key");
    TRY(kms_call_open(invocation, &call, err));
    TRY(own_key_make(&subject, &key, err));
    lethe_result result = sign_request(&call, IDENTITIES "/issue", id.text,
                                       option_text(invocation, "ttl"), &key, &certificates, err);
    if (result == LETHE_NOT_FOUND)
        error_hint(err, "an identity is made first: lethe identity create %s", id.text);
    TRY(result);
    TRY(own_key_write(&key, &certificates, name, err));
    printf("%s.pem\n%s.key\n", name, name);
    return LETHE_OK;
}

/* The id of the certificate that there is. */
static lethe_result id_of(const char *path, struct spiffe_id *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    CLEANUP(buffer_clear) struct buffer list = {0};
    CLEANUP(x509_summary_clear) struct x509_summary summary = {0};
    const size_t prefix = sizeof(uint32_t);
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, &pem, err));
    TRY(x509_pem_read(X509_PEM_CERTIFICATE, pem.bytes, pem.size_bytes, &list, err));
    uint32_t size_bytes;
    memcpy(&size_bytes, list.bytes, prefix);
    TRY(x509_read(list.bytes + prefix, size_bytes, &summary, err));
    if (summary.subject.uris.count != 1)
        return error_set(err, LETHE_INVALID, "%s is no identity's: it has no single URI", path);
    return spiffe_parse(summary.subject.uris.at[0], strlen(summary.subject.uris.at[0]), out, err);
}

COMMAND_FUNCTION(identity_renew)
{
    struct spiffe_id id;
    const char *certificate_path = option_text(invocation, "certificate");
    const char *key_path = option_text(invocation, "key");
    CLEANUP(kms_call_close) struct kms_call call = {0};
    CLEANUP(own_key_clear) struct own_key key = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    if (certificate_path == NULL || key_path == NULL)
        return error_set(err, LETHE_INVALID,
                         "give --certificate FILE and --key FILE: both are replaced");
    TRY(id_of(certificate_path, &id, err));
    const struct x509_subject subject = {.uris = {.at = {id.text}, .count = 1}};
    TRY(kms_call_open(invocation, &call, err));
    TRY(own_key_make(&subject, &key, err));
    TRY(sign_request(&call, IDENTITIES "/renew", NULL, NULL, &key, &certificates, err));
    TRY(own_key_replace(&key, key_path, &certificates, certificate_path, err));
    printf("%s\n%s\n", certificate_path, key_path);
    return LETHE_OK;
}
