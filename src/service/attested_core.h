/* service/attested_core.h -- what the files of attested release's memory share; for them only. */
#ifndef SERVICE_ATTESTED_CORE_H
#define SERVICE_ATTESTED_CORE_H

#include "crypto/hash.h"
#include "service/attested.h"

#define SERVICE_NAME_SIZE (sizeof "lethe-kms:" + 2 * (size_t)SHA256_BYTES)

struct challenge {
    uint8_t nonce[CHALLENGE_BYTES];
    uint64_t until_s, order; /* until_s 0: the slot is free */
    char identity[255 + 1];
};
struct enrolment {
    char id[ENROLMENT_ID_SIZE];
    uint64_t until_s; /* 0: the slot is free */
    struct machine machine;
    struct lethe_secret *secret;
};

struct attested {
    struct service *service;
    char name[SERVICE_NAME_SIZE];
    struct machine *machines; /* by name */
    size_t machine_count;
    struct attest_reference *references; /* by name, then version */
    size_t reference_count;
    struct challenge challenges[CHALLENGES_MAX];
    uint64_t challenge_order;
    struct enrolment enrolments[ENROLMENTS_MAX];
    struct sevsnp_cache *cache;
    struct guarded keys;
    struct attested_count counts[ATTESTED_CODES_MAX];
};

uint64_t attested_now_s(const struct attested *attested);
lethe_result attested_random(const struct attested *attested, void *out, size_t size_bytes);

/* Reads all rows of a kind, in the order of their names, in place of those before. */
LETHE_MUST_CHECK lethe_result machines_refresh(struct attested *attested, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result references_refresh(struct attested *attested,
                                                 struct lethe_error *err);

/* Rows: parsed as if they came from outside. */
void machine_row_format(const struct machine *machine, struct buffer *out);
LETHE_MUST_CHECK lethe_result machine_row_parse(const uint8_t *bytes, size_t size_bytes,
                                                struct machine *out);
void reference_row_format(const struct attest_reference *reference, struct buffer *out);
LETHE_MUST_CHECK lethe_result reference_row_parse(const uint8_t *bytes, size_t size_bytes,
                                                  struct attest_reference *out);

#endif
