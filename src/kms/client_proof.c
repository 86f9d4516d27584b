/* What proves this node to a key service: certificate, key and token, out of files that may be
 * renewed while they are in use. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "kms/client_core.h"
#include "kms/secret_file.h"

#define PEM_MAX ((size_t)1 << 20)

static lethe_result copy_path(const char *path, char **out, struct lethe_error *err)
{
    *out = path != NULL ? strdup(path) : NULL;
    return path == NULL || *out != NULL ? LETHE_OK
                                        : error_set(err, LETHE_NO_MEMORY, "no memory for a path");
}

void client_proof_clear(struct client_proof *proof)
{
    free(proof->ca_path);
    free(proof->certificate_path);
    free(proof->key_path);
    free(proof->token_path);
    *proof = (struct client_proof){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

/* PEM as a text with its NUL; a NULL path gives none. */
static lethe_result read_pem(const char *path, struct buffer *out, const char **text,
                             struct lethe_error *err)
{
    *text = NULL;
    if (path == NULL)
        return LETHE_OK;
    TRY(file_read_all(AT_FDCWD, path, PEM_MAX, out, err));
    buffer_byte(out, '\0');
    TRY(buffer_result(out, err));
    *text = out->bytes;
    return LETHE_OK;
}

static lethe_result read_tls(struct client_proof *proof, struct tls_context **out,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer roots = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    struct tls_options tls = {0};
    if ((proof->certificate_path == NULL) != (proof->key_path == NULL)) {
        error_set(err, LETHE_INVALID, "a certificate goes with its key");
        error_hint(err, "give both --certificate and --key, or neither");
        return LETHE_INVALID;
    }
    TRY(read_pem(proof->ca_path, &roots, &tls.roots_pem, err));
    TRY(read_pem(proof->certificate_path, &certificates, &tls.certificates_pem, err));
    struct spiffe_id identity = {0};
    client_read_identity(tls.certificates_pem, certificates.size_bytes, &identity);
    if (proof->key_path != NULL)
        TRY(secret_file_read(proof->key_path, &key, err));
    tls.key_pem = key;
    TRY(tls_client_create(&tls, out, err));
    proof->renew_s = client_renewal_s(tls.certificates_pem, certificates.size_bytes);
    proof->identity = identity;
    return LETHE_OK;
}

/* Both or neither are taken over. */
static lethe_result read_all(struct kms_client *client, struct lethe_error *err)
{
    struct client_proof *proof = &client->proof;
    CLEANUP(lethe_secret_free) struct lethe_secret *token = NULL;
    CLEANUP(tls_context_free) struct tls_context *tls = NULL;
    if (proof->token_path != NULL)
        TRY(secret_token_read(proof->token_path, &token, err));
    TRY(read_tls(proof, &tls, err));
    if (client->http == NULL)
        TRY(http_client_create(&client->url, tls, &client->http, err));
    else
        http_client_set_tls(client->http, tls);
    lethe_secret_free(client->token);
    client->token = MOVE(token);
    return LETHE_OK;
}

/* ---- again ----------------------------------------------------------------------------------- */

/* Whether any of the files is another one than it was; remembers what they are. */
static bool note_changes(struct client_proof *proof)
{
    const char *const paths[] = {proof->certificate_path, proof->key_path, proof->token_path};
    bool changed = false;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct stat status;
        if (paths[i] == NULL || stat(paths[i], &status) != 0)
            continue;
        changed = changed || status.st_mtim.tv_sec != proof->changed[i].tv_sec ||
                  status.st_mtim.tv_nsec != proof->changed[i].tv_nsec ||
                  status.st_size != proof->size_bytes[i];
        proof->changed[i] = status.st_mtim;
        proof->size_bytes[i] = status.st_size;
    }
    return changed;
}

/* A certificate that was replaced before its key does not fit; then that change brings both. */
bool client_proof_look(struct kms_client *client)
{
    return note_changes(&client->proof) && read_all(client, NULL) == LETHE_OK;
}

void client_proof_refresh(struct kms_client *client)
{
    (void)client_proof_look(client);
    client_renew_if_due(client);
}

lethe_result client_proof_open(struct kms_client *client, const struct kms_client_options *options,
                               struct lethe_error *err)
{
    struct client_proof *proof = &client->proof;
    TRY(copy_path(options->ca_path, &proof->ca_path, err));
    TRY(copy_path(options->certificate_path, &proof->certificate_path, err));
    TRY(copy_path(options->key_path, &proof->key_path, err));
    TRY(copy_path(options->token_path, &proof->token_path, err));
    (void)note_changes(proof);
    return read_all(client, err);
}
