#include <fcntl.h>

#include "base/error.h"
#include "base/file.h"
#include "kms/client_core.h"
#include "kms/secret_file.h"

#define PEM_MAX ((size_t)1 << 20)

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

lethe_result client_tls_open(const struct kms_client_options *options, struct tls_context **out,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer roots = {0};
    CLEANUP(buffer_clear) struct buffer certificates = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    struct tls_options tls = {0};
    if ((options->certificate_path == NULL) != (options->key_path == NULL)) {
        error_set(err, LETHE_INVALID, "a certificate goes with its key");
        error_hint(err, "give both --certificate and --key, or neither");
        return LETHE_INVALID;
    }
    TRY(read_pem(options->ca_path, &roots, &tls.roots_pem, err));
    TRY(read_pem(options->certificate_path, &certificates, &tls.certificates_pem, err));
    if (options->key_path != NULL)
        TRY(secret_file_read(options->key_path, &key, err));
    tls.key_pem = key;
    return tls_client_create(&tls, out, err);
}
