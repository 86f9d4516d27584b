/* service/serve_files.h -- certificate, key and roots out of files: for the door, and to check
 * them. */
#ifndef SERVICE_SERVE_FILES_H
#define SERVICE_SERVE_FILES_H

#include "crypto/x509.h"
#include "net/tls.h"

struct serve_files {
    const char *certificate_path;
    const char *key_path;
    const char *roots_pem; /* whom to believe; NULL: nobody is asked */
    const char *crls_pem;
    enum tls_client_proof client_proof;
};
/* LETHE_UNPROTECTED: others may read the key; LETHE_NOT_FOUND, LETHE_MALFORMED, LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result serve_files_context(const struct serve_files *files,
                                                  struct tls_context **out,
                                                  struct lethe_error *err);
/* Appends the file's text, which has at least one certificate in it, all of which can be read. */
LETHE_MUST_CHECK lethe_result serve_files_roots(const char *path, struct buffer *out,
                                                struct lethe_error *err);
/* Appends the file's text, which has at least one of these in it, all of which can be read: more
 * than one chain may have. For the keeper, which gets texts and opens no files. */
LETHE_MUST_CHECK lethe_result serve_files_pem(const char *path, enum x509_pem kind,
                                              struct buffer *out, struct lethe_error *err);

#endif
