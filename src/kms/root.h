/* kms/root.h -- the root key: where it comes from, and what it protects.
 *
 * A root unwraps the store key and does nothing else. Kinds: a file outside the home (0600, one
 * line with a checksum), a passphrase (scrypt), a systemd credential, a key in a PKCS#11 token that
 * never leaves it, a secret that a TPM 2.0 gives back on this machine only (and, if asked, only in
 * the state that it was in). What the store keeps of it is a root record: kind, place, scrypt's
 * salt and cost, what the TPM sealed, and the store key under the root; it carries its own
 * checksum, so that damage is told from a wrong key. Formats: docs/formats.md, "Root". */
#ifndef KMS_ROOT_H
#define KMS_ROOT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "mem/slab.h"

#define ROOT_HOME_ID_BYTES 8u

enum root_kind { ROOT_FILE, ROOT_PASSPHRASE, ROOT_CREDENTIAL, ROOT_PKCS11, ROOT_TPM2 };

const char *
root_kind_name(enum root_kind kind); /* "file", "passphrase", "credential", "pkcs11", ... */

struct root_spec {
    enum root_kind kind;
    char where[1024];  /* path of the file, name of the credential, URI of the key in a token (RFC
                          7512), "PCRS@TPM" of a TPM (each may be empty); "" for a passphrase */
    int passphrase_fd; /* -1: ask on the terminal */
};

/* "file:PATH", "passphrase", "credential:NAME", "pkcs11:URI", "tpm2[:[PCRS][@TCTI]]".
 * LETHE_INVALID says what is accepted. */
LETHE_MUST_CHECK lethe_result root_parse(const char *text, struct root_spec *out,
                                         struct lethe_error *err);
/* The file that holds it, for whoever must hide it; NULL when there is none, as with a passphrase.
 * The caller frees *out. */
LETHE_MUST_CHECK lethe_result root_locate(const struct root_spec *spec, char **out,
                                          struct lethe_error *err);
/* The files that a root in a token or a TPM names; each text is "" where it names none, as for
 * every other kind. A token's own data is its library's business, and not named here. */
struct root_places {
    char library[1024]; /* of the token */
    char pin[1024];     /* the file with its PIN */
    char device[1024];  /* the TPM, or the socket of one: read and written */
};
LETHE_MUST_CHECK lethe_result root_places(const struct root_spec *spec, struct root_places *out,
                                          struct lethe_error *err);
/* A line for people: where the root lies, and what copying it would mean. */
void root_describe(const struct root_spec *spec, struct buffer *out);

/* Makes a root (for a file: writes it; for a passphrase: asks twice on a terminal; a credential
 * must be there; in a token: makes the key unless it is there), draws a store key, and gives both
 * the record to keep and the store key.
 * LETHE_EXISTS: the file is there already. */
LETHE_MUST_CHECK lethe_result root_create(const struct root_spec *spec,
                                          const struct random_source *random, struct buffer *record,
                                          struct lethe_secret **store_key, struct lethe_error *err);
/* Undoes the making of a root, for a home that is not to be: removes a file, and nothing else. */
void root_remove(const struct root_spec *spec);
/* A root that was read. A passphrase is asked for once, here, and what it was stretched to stays in
 * a closed region until root_free; files and credentials are read when they are needed, and nothing
 * of them stays. LETHE_INTEGRITY: damaged record. */
struct root;
LETHE_MUST_CHECK lethe_result root_read(const struct buffer *record, int passphrase_fd,
                                        struct root **out, struct lethe_error *err);
void root_free(struct root *root);
DEFINE_CLEANUP(root_free, struct root *);
const struct root_spec *root_spec(const struct root *root);

/* Opens a record: the one it was read for, or a later one of the same store. LETHE_INTEGRITY: the
 * record or the root file is damaged, or one of them is older than the other; LETHE_DENIED: wrong
 * passphrase or another root; LETHE_UNPROTECTED: others can read the root; LETHE_UNAVAILABLE: the
 * root is not there. */
LETHE_MUST_CHECK lethe_result root_unwrap(struct root *root, const struct buffer *record,
                                          struct lethe_secret **store_key, struct lethe_error *err);

/* ---- another store key, and for a file another root key ---------------------------------------
 */

/* Order, under the home's lock: root_settle; root_rotate; the record becomes durable in the same
 * transaction that seals the store under the new store key, or does not; root_unwrap of the record
 * that the store has now; root_settle. A process that dies in between leaves a root file that opens
 * whichever record the store has, and whoever opens the home next settles it. */
#define ROOT_KEPT_SIZE 256
struct root_rotation { /* struct root_rotation r = {0}; is empty */
    struct buffer record;
    struct lethe_secret *store_key;
    bool new_root_key; /* only a file that can be written gets one */
    /* Why older copies of store.db may open after all, once it is settled; "": the root key that
     * they need is gone, unless someone has copied the root file. */
    char kept[ROOT_KEPT_SIZE];
};
void root_rotation_clear(struct root_rotation *rotation);
static inline void root_rotation_clear_at_scope_end(struct root_rotation *rotation)
{
    root_rotation_clear(rotation);
}
/* Draws a store key and, for a file, a root key, which is written into the file beside the one of
 * now. LETHE_IO, LETHE_NO_SPACE: that one is still there, and root_settle tidies up. */
LETHE_MUST_CHECK lethe_result root_rotate(struct root *root, const struct random_source *random,
                                          struct root_rotation *out, struct lethe_error *err);
/* Overwrites what the root file holds besides the key that opens the last record. */
LETHE_MUST_CHECK lethe_result root_settle(const struct root *root, struct lethe_error *err);

#endif
