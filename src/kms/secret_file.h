/* kms/secret_file.h -- secrets from outside: a file, a systemd credential, a descriptor, a
 * terminal.
 *
 * All are read straight into guarded memory and never further than their cap. */
#ifndef KMS_SECRET_FILE_H
#define KMS_SECRET_FILE_H

#include "mem/slab.h"

#define SECRET_FILE_MAX LETHE_SECRET_MAX_BYTES
#define PASSPHRASE_MAX 1024u

/* The whole file. The mode is checked before a byte is read. LETHE_UNAVAILABLE: it is not there;
 * LETHE_UNPROTECTED: others can read it; LETHE_INTEGRITY: empty, too large, or no regular file. */
LETHE_MUST_CHECK lethe_result secret_file_read(const char *path, struct lethe_secret **out,
                                               struct lethe_error *err);
/* The same without the white space around it, as people leave it behind a token. LETHE_INVALID:
 * there is nothing else. */
LETHE_MUST_CHECK lethe_result secret_token_read(const char *path, struct lethe_secret **out,
                                                struct lethe_error *err);
/* A credential of this service (systemd.exec(5), CREDENTIALS_DIRECTORY), without the white space
 * around it. Results as above. */
LETHE_MUST_CHECK lethe_result secret_credential_read(const char *name, struct lethe_secret **out,
                                                     struct lethe_error *err);
/* Where a credential lies. LETHE_UNAVAILABLE: systemd has passed none. The caller frees *out. */
LETHE_MUST_CHECK lethe_result secret_credential_path(const char *name, char **out,
                                                     struct lethe_error *err);
/* One line, without its end: from `fd`, or for -1 from the terminal, where it is not shown, and
 * with `confirm` asked for twice. LETHE_UNAVAILABLE: there is no terminal; LETHE_INVALID: empty,
 * too long, or not the same twice; LETHE_CANCELLED: by the person. */
LETHE_MUST_CHECK lethe_result secret_passphrase_read(int fd, bool confirm,
                                                     struct lethe_secret **out,
                                                     struct lethe_error *err);

#endif
