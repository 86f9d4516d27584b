/* kms/root.h -- the root key: where it comes from, and what it protects.
 *
 * A root unwraps the store key and does nothing else. Kinds: a file outside the home (0600, one
 * line with a checksum), a passphrase (scrypt), a systemd credential. What the store keeps of it is
 * a root record: kind, place, scrypt's salt and cost, and the store key under the root; it carries
 * its own checksum, so that damage is told from a wrong key. Formats: docs/formats.md, "Root". */
#ifndef KMS_ROOT_H
#define KMS_ROOT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "mem/slab.h"

#define ROOT_KEY_BYTES 32u
#define ROOT_HOME_ID_BYTES 8u

enum root_kind { ROOT_FILE, ROOT_PASSPHRASE, ROOT_CREDENTIAL };

const char *root_kind_name(enum root_kind kind); /* "file", "passphrase", "credential" */

struct root_spec {
    enum root_kind kind;
    char where[1024];  /* path of the file, name of the credential; "" for a passphrase */
    int passphrase_fd; /* -1: ask on the terminal */
};

/* "file:PATH", "passphrase", "credential:NAME". LETHE_INVALID says what is accepted. */
LETHE_MUST_CHECK lethe_result root_parse(const char *text, struct root_spec *out,
                                         struct lethe_error *err);
/* The file that holds it, for whoever must hide it; NULL when there is none, as with a passphrase.
 * The caller frees *out. */
LETHE_MUST_CHECK lethe_result root_locate(const struct root_spec *spec, char **out,
                                          struct lethe_error *err);
/* A line for people: where the root lies, and what copying it would mean. */
void root_describe(const struct root_spec *spec, struct buffer *out);

/* Makes a root (for a file: writes it; for a passphrase: asks twice on a terminal; a credential
 * must be there), draws a store key, and gives both the record to keep and the store key.
 * LETHE_EXISTS: the file is there already. */
LETHE_MUST_CHECK lethe_result root_create(const struct root_spec *spec,
                                          const struct random_source *random, struct buffer *record,
                                          struct lethe_secret **store_key, struct lethe_error *err);
/* Undoes the making of a root, for a home that is not to be: removes a file, and nothing else. */
void root_remove(const struct root_spec *spec);
/* Opens a record. LETHE_INTEGRITY: record or root file damaged; LETHE_DENIED: wrong passphrase or
 * another root; LETHE_UNPROTECTED: others can read the root; LETHE_UNAVAILABLE: the root is not
 * there. */
LETHE_MUST_CHECK lethe_result root_open(const struct buffer *record, int passphrase_fd,
                                        struct root_spec *spec, struct lethe_secret **store_key,
                                        struct lethe_error *err);

#endif
