/* kms/root_record.h -- what a store keeps of its root: the bytes, and their checksum.
 *
 * Formats: docs/formats.md, "Root". Pure functions. */
#ifndef KMS_ROOT_RECORD_H
#define KMS_ROOT_RECORD_H

#include "crypto/aead.h"
#include "kms/root.h"
#include "kms/root_file.h"

#define ROOT_META "root" /* the store's meta record */
#define ROOT_SALT_BYTES 16u
#define ROOT_SEALED_BYTES (AEAD_NONCE_BYTES + ROOT_KEY_BYTES + AEAD_TAG_BYTES)

/* What a TPM made of the secret that it sealed: its private and its public part. */
#define ROOT_BLOB_MAX 1024u

struct root_record {
    struct root_spec spec;
    uint64_t generation; /* how often the store key was wrapped anew; 0 in the first form */
    uint8_t salt[ROOT_SALT_BYTES];
    uint8_t log2_n, r, p;        /* scrypt's cost; 0 for anything but a passphrase */
    uint8_t blob[ROOT_BLOB_MAX]; /* of a TPM */
    size_t blob_bytes;           /* 0: none */
    uint8_t sealed[ROOT_SEALED_BYTES];
};

/* Everything before the sealed store key: its associated data. */
void root_record_binding(const struct root_record *record, struct buffer *out);
void root_record_append(const struct root_record *record, struct buffer *out);
/* LETHE_INTEGRITY when a byte of it was changed. */
LETHE_MUST_CHECK lethe_result root_record_parse(const void *bytes, size_t size_bytes,
                                                struct root_record *out, struct lethe_error *err);

#endif
