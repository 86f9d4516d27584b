/* attest/tpm2_files.h -- quotes as files of tpm2-tools: tpm2_quote -m, -s and -o -F values, and the
 * key's public part. From outside: checked. Pure functions. */
#ifndef ATTEST_TPM2_FILES_H
#define ATTEST_TPM2_FILES_H

#include "attest/tpm2.h"

/* Values one behind the other, in the order of their indices: of those that the quote covers.
 * LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result tpm2_files_pcrs(const void *quote, size_t quote_bytes,
                                              const void *values, size_t values_bytes,
                                              struct tpm2_pcrs *out, struct lethe_error *err);
/* TPM2B_PUBLIC (tpm2_readpublic -f tss), TPMT_PUBLIC (-f tpmt), or PEM: appends TPMT_PUBLIC. PEM
 * says nothing of what the key may be used for: then *has_attributes is false, and those of an
 * attestation key are put there, with the scheme that the signature names, for nothing but checking
 * it. LETHE_MALFORMED. */
struct tpm2_key_file {
    const void *bytes;
    size_t size_bytes;
    const void *signature; /* TPMT_SIGNATURE */
    size_t signature_bytes;
};
LETHE_MUST_CHECK lethe_result tpm2_files_key(const struct tpm2_key_file *file, struct buffer *ak,
                                             bool *has_attributes, struct lethe_error *err);

#endif
