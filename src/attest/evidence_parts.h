/* attest/evidence_parts.h -- the members of evidence, for who reads and who writes it. Not for
 * other rooms. */
#ifndef ATTEST_EVIDENCE_PARTS_H
#define ATTEST_EVIDENCE_PARTS_H

#include "attest/evidence.h"

#define EVIDENCE_VEK_MAX 16384u /* X509_DER_MAX */

void evidence_put_base64(struct buffer *json, const char *name, const void *bytes,
                         size_t size_bytes);

/* Makers: each appends the object of its kind. */
struct evidence_maker {
    struct evidence_options options;
    struct tpm2_device *device; /* tpm2 only */
    struct evidence_source source;
};
lethe_result evidence_produce_tpm2(void *maker, const uint8_t binding[ATTEST_BINDING_BYTES],
                                   uint32_t pcr_mask, struct buffer *json, struct lethe_error *err);
lethe_result evidence_produce_sevsnp(void *maker, const uint8_t binding[ATTEST_BINDING_BYTES],
                                     uint32_t pcr_mask, struct buffer *json,
                                     struct lethe_error *err);

#endif
