/* model/tink.h -- Tink Streaming AEAD, AES-GCM-HKDF: the container of a shard.
 *
 * Source: Tink's AES-GCM-HKDF Streaming AEAD. The stream is a header and segments; segments are
 * independent once the key is derived, so any thread may seal or open any of them. An empty
 * trailing segment, which key holders could append, is refused by the arithmetic below: sizes
 * decide which segments there are. Thread rule: a stream may be used by many threads, but for
 * create and free. */
#ifndef MODEL_TINK_H
#define MODEL_TINK_H

#include "base/clock.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#define TINK_SHARD_CIPHER "AES256_GCM_HKDF_1MB" /* the parameters' name in a manifest */
#define TINK_HEADER_MAX 40u
#define TINK_TAG_BYTES 16u
#define TINK_SEGMENTS_MAX (((uint64_t)1 << 32) - 2) /* the index is 32 bits in the nonce */

struct tink_parameters {
    uint32_t segment_bytes;     /* ciphertext bytes of a full segment, tag included */
    uint32_t derived_key_bytes; /* 32 here, or 16 (others' streams) */
    enum hkdf_hash hash;
};
extern const struct tink_parameters tink_shard_parameters; /* 1 MiB, 32, SHA-256 */

static inline uint32_t tink_header_bytes(const struct tink_parameters *parameters)
{
    return parameters->derived_key_bytes + 8;
}

/* Sizes; that of a plaintext is asked by who knows nothing but the ciphertext, as others' readers
 * and fuzzing do: a manifest says it otherwise. LETHE_LIMIT: over TINK_SEGMENTS_MAX.
 * LETHE_INTEGRITY: no plaintext has this ciphertext size. */
LETHE_MUST_CHECK lethe_result tink_cipher_size(const struct tink_parameters *parameters,
                                               uint64_t plain_bytes, uint64_t *cipher_bytes);
LETHE_MUST_CHECK lethe_result tink_plain_size(const struct tink_parameters *parameters,
                                              uint64_t cipher_bytes, uint64_t *plain_bytes);

/* Where segment `index` of a plaintext of plain_bytes bytes (which tink_cipher_size took) lies. */
struct tink_segment {
    uint64_t index;
    uint64_t plain_offset;
    uint32_t plain_bytes;
    uint64_t cipher_offset; /* in the file; the first is behind the header */
    uint32_t cipher_bytes;  /* plain_bytes + tag */
    bool last;
};
uint64_t tink_segment_count(const struct tink_parameters *parameters, uint64_t plain_bytes);
struct tink_segment tink_segment_at(const struct tink_parameters *parameters, uint64_t plain_bytes,
                                    uint64_t index);

struct tink_stream;

/* What binds a stream: the input key, and associated data (which enters the derived key). */
struct tink_binding {
    const struct lethe_secret *key; /* at least 16 bytes, and at least derived_key_bytes */
    const void *aad;
    size_t aad_bytes;
    enum aead_backend backend; /* AEAD_BACKEND_BEST, but where back ends are compared */
};

/* Draws salt and nonce prefix, derives the key, writes the header (tink_header_bytes). */
LETHE_MUST_CHECK lethe_result tink_seal_begin(const struct tink_parameters *parameters,
                                              const struct tink_binding *binding,
                                              const struct random_source *random,
                                              uint8_t header[TINK_HEADER_MAX],
                                              struct tink_stream **out, struct lethe_error *err);
/* Reads tink_header_bytes of header. LETHE_INTEGRITY when it is not one of these parameters. */
LETHE_MUST_CHECK lethe_result tink_open_begin(const struct tink_parameters *parameters,
                                              const struct tink_binding *binding,
                                              const uint8_t *header, struct tink_stream **out,
                                              struct lethe_error *err);
void tink_stream_free(struct tink_stream *stream);
DEFINE_CLEANUP(tink_stream_free, struct tink_stream *);

/* For whoever opens segments elsewhere, as on a device: the key of the stream, which the caller
 * frees, and the nonce of a segment. Results as tink_open_begin. */
LETHE_MUST_CHECK lethe_result tink_open_key(const struct tink_parameters *parameters,
                                            const struct tink_binding *binding,
                                            const uint8_t *header, struct lethe_secret **out,
                                            struct lethe_error *err);
void tink_segment_nonce(const struct tink_parameters *parameters, const uint8_t *header,
                        const struct tink_segment *segment, uint8_t nonce[AEAD_NONCE_BYTES]);

/* plain_bytes in, cipher_bytes out; and back; in place, too. LETHE_INTEGRITY: `plain` has then been
 * wiped. */
LETHE_MUST_CHECK lethe_result tink_seal_segment(const struct tink_stream *stream,
                                                const struct tink_segment *segment,
                                                const void *plain, void *cipher);
LETHE_MUST_CHECK lethe_result tink_open_segment(const struct tink_stream *stream,
                                                const struct tink_segment *segment,
                                                const void *cipher, void *plain);

/* A Tink JSON keyset holding the key, for tools that never heard of Lethe: exactly the secret's
 * bytes, without a NUL. The text is a secret and never leaves guarded memory. */
LETHE_MUST_CHECK lethe_result tink_keyset_json(const struct tink_parameters *parameters,
                                               const struct lethe_secret *key,
                                               struct lethe_secret **out, struct lethe_error *err);

#endif
