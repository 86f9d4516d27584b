/* home/attesting.h -- evidence of this machine, for a key service that asks for it: settings, and
 * the device that is opened when evidence is first asked for.
 *
 * Thread rule: one thread at a time. */
#ifndef HOME_ATTESTING_H
#define HOME_ATTESTING_H

#include "attest/evidence.h"

/* Borrowed texts; NULL and "" are not set. */
struct attesting_settings {
    const char *kind;     /* "tpm2", "sev-snp" */
    const char *tpm;      /* TCTI; not set: the system's */
    const char *key_path; /* of the attestation key; not set: attest.key in the home */
    const char *ima_log;  /* not set: the kernel's */
    const char *vek_path; /* sev-snp: where the host gives no certificate */
};
struct attesting;
/* `directory` is the home's. Nothing is opened yet. LETHE_INVALID: there is no such kind.
 * *out is NULL when no kind is set. */
LETHE_MUST_CHECK lethe_result attesting_create(const struct attesting_settings *settings,
                                               const char *directory, struct attesting **out,
                                               struct lethe_error *err);
void attesting_free(struct attesting *attesting); /* NULL is fine */
DEFINE_CLEANUP(attesting_free, struct attesting *);
/* NULL for NULL. */
const struct evidence_source *attesting_source(struct attesting *attesting);
/* Lets go of the device, which others may need, until evidence is next asked for. NULL is fine. */
void attesting_rest(struct attesting *attesting);
/* What was made of the settings; borrowed. */
const struct evidence_options *attesting_options(const struct attesting *attesting);

#endif
