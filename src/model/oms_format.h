/* model/oms_format.h -- the words of the format, for the files that write and read it. Sources:
 * ossf/model-signing-spec v1.0; sigstore bundle v0.3; in-toto Statement v1; DSSE v1. */
#ifndef MODEL_OMS_FORMAT_H
#define MODEL_OMS_FORMAT_H

#include "model/oms.h"

#define OMS_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define OMS_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define OMS_STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define OMS_PREDICATE_TYPE "https://model_signing/signature/v1.0"
#define OMS_SIGNATURE_FILE "model.sig"

/* SHA-256 over the digests of the resources, in the order of the list. It covers no name: those are
 * covered by the signature alone. */
LETHE_MUST_CHECK lethe_result oms_root(const struct oms_list *list, uint8_t root[SHA256_BYTES],
                                       struct lethe_error *err);

/* The key's name in a bundle: SHA-256 of its PEM text, in hex. */
#define OMS_HINT_SIZE (2 * SHA256_BYTES + 1)
LETHE_MUST_CHECK lethe_result oms_hint(const struct sign_public *signer, char out[OMS_HINT_SIZE],
                                       struct lethe_error *err);

/* Puts the list in order: by path components, then by start. */
void oms_list_sort(struct oms_list *list);
/* That a sorted list covers each of its files once and without a gap, in pieces of shard_bytes. */
LETHE_MUST_CHECK lethe_result oms_list_check(const struct oms_list *list, struct lethe_error *err);

/* Reads a statement whose signature was checked. */
LETHE_MUST_CHECK lethe_result oms_statement_read(const char *json, size_t size_bytes,
                                                 struct oms_list *out, struct lethe_error *err);

#endif
