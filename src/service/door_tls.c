/* The door's certificate: of files, or of a key of its own that the keeper's authority signs. */
#include <string.h>

#include "base/error.h"
#include "crypto/x509.h"
#include "service/door_state.h"
#include "service/serve_files.h"
#include "service/serve_log.h"
#include "service/serve_names.h"

/* ---- the request ------------------------------------------------------------------------------
 */

static void describe(const struct serve_names *names, struct x509_subject *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < names->count; i++) {
        struct x509_list *list =
            serve_is_address(names->at[i]) ? &out->ip_addresses : &out->dns_names;
        list->at[list->count++] = names->at[i];
    }
    out->common_name = out->dns_names.count > 0 ? out->dns_names.at[0] : "lethe door";
}

static lethe_result make_key(struct door *door, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    struct serve_names names;
    struct x509_subject subject;
    TRY(sign_generate(SIGNATURE_ECDSA_P256, &private_key, err));
    TRY(sign_pair_create(SIGNATURE_ECDSA_P256, private_key, &door->key, err));
    serve_names_collect(door->options, &names);
    describe(&names, &subject);
    return x509_make_request(&subject, door->key, &door->request, err);
}

/* ---- contexts ---------------------------------------------------------------------------------
 */

/* Whom to believe: what the keeper's authority says, and what the file says. */
static lethe_result collect_roots(const struct door *door, struct buffer *out,
                                  struct lethe_error *err)
{
    buffer_append(out, door->roots_pem.bytes, door->roots_pem.size_bytes);
    if (door->options->client_roots_path != NULL)
        TRY(serve_files_roots(door->options->client_roots_path, out, err));
    return buffer_result(out, err);
}

static const char *text_or_null(const struct buffer *text)
{
    return text->size_bytes == 0 ? NULL : text->bytes;
}

static lethe_result context_of_files(const struct door *door, const struct buffer *roots,
                                     struct tls_context **out, struct lethe_error *err)
{
    bool ask = roots->size_bytes > 0;
    const struct serve_files files = {.certificate_path = door->options->certificate_path,
                                      .key_path = door->options->key_path,
                                      .roots_pem = text_or_null(roots),
                                      .crls_pem = text_or_null(&door->crls_pem),
                                      .client_proof =
                                          ask ? door->options->client_proof : TLS_CLIENT_NOT_ASKED};
    return serve_files_context(&files, out, err);
}

static lethe_result context_of_key(const struct door *door, const struct buffer *roots,
                                   struct tls_context **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(x509_private_pem(door->key, false, &key, err));
    const struct tls_options options = {.certificates_pem = text_or_null(&door->chain_pem),
                                        .key_pem = key,
                                        .roots_pem = text_or_null(roots),
                                        .crls_pem = text_or_null(&door->crls_pem),
                                        .client_proof = door->options->client_proof};
    return tls_server_create(&options, out, err);
}

static lethe_result make_context(const struct door *door, struct tls_context **out,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer roots = {0};
    TRY(collect_roots(door, &roots, err));
    return door->key == NULL ? context_of_files(door, &roots, out, err)
                             : context_of_key(door, &roots, out, err);
}

static lethe_result serve_with_context(struct door *door, struct tls_context *context,
                                       struct lethe_error *err)
{
    struct http_server_events events = door_events_template;
    events.context = door;
    if (door->server != NULL) {
        http_server_set_tls(door->server, context);
        return LETHE_OK;
    }
    return http_server_create(door->loop, context, door->ends->listeners,
                              door->ends->listener_count, &door->options->limits, &events,
                              &door->server, err);
}

/* A service whose clients must show a certificate is not there before it knows whom to believe. */
static bool waits_for_keeper(const struct door *door)
{
    if (door->key != NULL)
        return door->chain_pem.size_bytes == 0;
    return door->options->client_proof == TLS_CLIENT_MUST && door->roots_pem.size_bytes == 0 &&
           door->options->client_roots_path == NULL;
}

lethe_result door_tls_renew(struct door *door, struct lethe_error *err)
{
    CLEANUP(tls_context_free) struct tls_context *context = NULL;
    if (waits_for_keeper(door))
        return LETHE_OK;
    TRY(error_context(err, make_context(door, &context, err),
                      "the door's certificate is not put in force"));
    return serve_with_context(door, context, err);
}

lethe_result door_tls_start(struct door *door, struct lethe_error *err)
{
    if (door->options->certificate_path == NULL)
        return make_key(door, err);
    return door_tls_renew(door, err);
}
