/* service/attested.h -- machines, reference values and challenges: what attested release remembers.
 *
 * Rows: "attest/machines/<hex SHA-256 of the name>", "attest/references/<name>/<version>". Both
 * change with a record (permission_changed), and a machine's with what it has shown last (its
 * counters, its TCB), whenever that moved. Challenges are in memory only: a restart, and sealing,
 * forgets them all. docs/release-protocol.md says what they are for.
 * Thread rule: the keeper's one thread. */
#ifndef SERVICE_ATTESTED_H
#define SERVICE_ATTESTED_H

#include "attest/evidence.h"
#include "service/service.h"

struct attested;
LETHE_MUST_CHECK lethe_result attested_open(struct service *service, struct attested **out,
                                            struct lethe_error *err);
void attested_free(struct attested *attested);
LETHE_MUST_CHECK lethe_result attested_refresh(struct attested *attested, struct lethe_error *err);

/* What machines and reference values may be called: 1 to 64 of [A-Za-z0-9._-], without a dot in
 * front. `what` is for the error. LETHE_INVALID. */
#define ATTESTED_NAME_MAX 64u
LETHE_MUST_CHECK lethe_result attested_check_name(const char *what, const char *name,
                                                  struct lethe_error *err);

/* ---- machines -------------------------------------------------------------------------------- */

#define MACHINES_MAX 65536u
#define MACHINE_NAME_MAX ATTESTED_NAME_MAX

struct machine {
    char name[MACHINE_NAME_MAX + 1];
    enum attest_kind kind;
    char id[ATTEST_MACHINE_SIZE]; /* as in struct attest_claims */
    char identity[255 + 1];       /* "": any */
    char ek_fingerprint[65];      /* hex SHA-256 of the endorsement key; "" for sev-snp */
    bool ek_certified;
    uint64_t enrolled_s, revoked_s; /* 0: not */
    struct tpm2_counters counters;  /* as last shown */
    struct attest_tcb tcb;
};
/* NULL: there is none. Borrowed until the next change. */
const struct machine *machines_find(const struct attested *attested, const char *name);
const struct machine *machines_by_id(const struct attested *attested, const char *id);
const struct machine *machines_at(const struct attested *attested, size_t index);
/* LETHE_EXISTS: the name, the id under another name, or a TPM that was revoked. */
LETHE_MUST_CHECK lethe_result machines_enrol(struct attested *attested,
                                             const struct machine *machine,
                                             struct lethe_error *err);
/* For good: the id does not come back under another name either. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result machines_revoke(struct attested *attested, const char *name,
                                              const char *reason, struct lethe_error *err);
/* What it has shown now; writes nothing when nothing but the clock went on. */
LETHE_MUST_CHECK lethe_result machines_note(struct attested *attested, const char *name,
                                            const struct attest_claims *claims,
                                            struct lethe_error *err);

/* ---- enrolling: between the secret that is sent out and its coming back ------------------------
 */

#define ENROLMENTS_MAX 64u
#define ENROLMENT_S 300u
#define ENROLMENT_ID_SIZE 33 /* hex of 16 random bytes, and a NUL */
/* Takes over the secret. The oldest gives way when there are too many. */
LETHE_MUST_CHECK lethe_result enrolments_begin(struct attested *attested,
                                               const struct machine *machine,
                                               struct lethe_secret *secret, uint64_t now_s,
                                               char id[ENROLMENT_ID_SIZE], struct lethe_error *err);
/* Used up by this, whatever comes of it. LETHE_NOT_FOUND; LETHE_DENIED: another secret. */
LETHE_MUST_CHECK lethe_result enrolments_finish(struct attested *attested, const char *id,
                                                const void *secret, size_t secret_bytes,
                                                uint64_t now_s, struct machine *out,
                                                struct lethe_error *err);

/* ---- reference values ------------------------------------------------------------------------ */

#define REFERENCES_MAX 4096u
const struct attest_reference *references_at(const struct attested *attested, size_t index);
/* Adds the next version of `reference->name`; *version is its number. */
LETHE_MUST_CHECK lethe_result references_add(struct attested *attested,
                                             const struct attest_reference *reference,
                                             uint64_t *version, struct lethe_error *err);
/* version 0: all of that name. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result references_revoke(struct attested *attested, const char *name,
                                                uint64_t version, const char *reason,
                                                struct lethe_error *err);
/* The newest that fits; NULL, and `why` says how the one that came nearest differs. `reported`:
 * only those count that name the measurement of a guest's report. */
const struct attest_reference *references_match(const struct attested *attested,
                                                const struct attest_claims *claims, bool reported,
                                                char why[ATTEST_WHY_SIZE]);
/* PCRs that any reference names which is in force; 0 to 7 when there is none. */
uint32_t references_pcrs(const struct attested *attested);

/* ---- challenges ------------------------------------------------------------------------------ */

#define CHALLENGES_MAX 1024u
#define CHALLENGES_OF_ONE_MAX 16u
#define CHALLENGE_S 60u
#define CHALLENGE_BYTES 32u
/* For this identity; its own oldest gives way at CHALLENGES_OF_ONE_MAX. LETHE_BUSY: there are
 * CHALLENGES_MAX of others. */
LETHE_MUST_CHECK lethe_result challenges_draw(struct attested *attested, const char *identity,
                                              uint64_t now_s, uint8_t out[CHALLENGE_BYTES],
                                              struct lethe_error *err);
/* Used up by this. LETHE_DENIED; *reason is "nonce_unknown", "nonce_foreign" (that one stays its
 * owner's) or "nonce_expired". */
LETHE_MUST_CHECK lethe_result challenges_use(struct attested *attested, const char *identity,
                                             const uint8_t nonce[CHALLENGE_BYTES], uint64_t now_s,
                                             const char **reason, struct lethe_error *err);

/* How many wait for an answer. */
size_t challenges_pending(const struct attested *attested, uint64_t now_s);

/* ---- counted, since it was opened --------------------------------------------------------------
 */

#define ATTESTED_CODES_MAX 64u /* those of attest/attest.h and service/release.h together */
struct attested_count {
    const char *code; /* why keys were denied; "released" */
    uint64_t count;
};
/* `code` is a constant's text. */
void attested_count(struct attested *attested, const char *code);
const struct attested_count *attested_count_at(const struct attested *attested, size_t index);

/* Where the keys of a release are while they are wrapped: made once, as making guarded memory takes
 * longer than all else; empty before and after each. */
struct guarded *attested_keys(struct attested *attested);

/* "lethe-kms:<hex>": who this service is, for bindings. Lives as long as `attested`. */
const char *attested_service(const struct attested *attested);
/* Remembered chains of reports; CRLs of the configuration. */
struct evidence_trust attested_trust(struct attested *attested, uint64_t now_s);

#endif
