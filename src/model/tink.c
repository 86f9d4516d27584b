#include "model/tink.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define NONCE_PREFIX_BYTES 7u

const struct tink_parameters tink_shard_parameters = {
    .segment_bytes = 1u << 20, .derived_key_bytes = AEAD_KEY_BYTES, .hash = HKDF_SHA256};

struct tink_stream {
    struct tink_parameters parameters;
    uint8_t nonce_prefix[NONCE_PREFIX_BYTES];
    struct aead_key *key;
};

static void require_valid(const struct tink_parameters *parameters)
{
    REQUIRE(parameters->derived_key_bytes == AEAD_KEY_BYTES ||
            parameters->derived_key_bytes == AEAD_KEY_128_BYTES);
    REQUIRE(parameters->segment_bytes > tink_header_bytes(parameters) + TINK_TAG_BYTES);
    REQUIRE(parameters->segment_bytes <= INT32_MAX);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Header and plaintext, laid out behind one another, fill segments of this many bytes each. */
static uint64_t segment_room(const struct tink_parameters *parameters)
{
    return parameters->segment_bytes - TINK_TAG_BYTES;
}

uint64_t tink_segment_count(const struct tink_parameters *parameters, uint64_t plain_bytes)
{
    uint64_t room = segment_room(parameters);
    return (plain_bytes + tink_header_bytes(parameters) + room - 1) / room;
}

lethe_result tink_cipher_size(const struct tink_parameters *parameters, uint64_t plain_bytes,
                              uint64_t *cipher_bytes)
{
    require_valid(parameters);
    uint64_t header = tink_header_bytes(parameters);
    if (plain_bytes > TINK_SEGMENTS_MAX * segment_room(parameters) - header)
        return LETHE_LIMIT;
    *cipher_bytes =
        header + plain_bytes + TINK_TAG_BYTES * tink_segment_count(parameters, plain_bytes);
    return LETHE_OK;
}

lethe_result tink_plain_size(const struct tink_parameters *parameters, uint64_t cipher_bytes,
                             uint64_t *plain_bytes)
{
    require_valid(parameters);
    uint64_t segment = parameters->segment_bytes;
    uint64_t header = tink_header_bytes(parameters);
    uint64_t count = cipher_bytes / segment + (cipher_bytes % segment != 0);
    if (cipher_bytes < header + TINK_TAG_BYTES || count > TINK_SEGMENTS_MAX)
        return LETHE_INTEGRITY;
    uint64_t last_bytes = cipher_bytes - (count - 1) * segment;
    if (count > 1 && last_bytes <= TINK_TAG_BYTES)
        return LETHE_INTEGRITY;
    *plain_bytes = cipher_bytes - header - count * TINK_TAG_BYTES;
    return LETHE_OK;
}

struct tink_segment tink_segment_at(const struct tink_parameters *parameters, uint64_t plain_bytes,
                                    uint64_t index)
{
    uint64_t count = tink_segment_count(parameters, plain_bytes);
    REQUIRE(index < count);
    uint64_t header = tink_header_bytes(parameters);
    uint64_t room = segment_room(parameters);
    uint64_t begin = index == 0 ? 0 : index * room - header;
    uint64_t end = MIN(plain_bytes, (index + 1) * room - header);
    return (struct tink_segment){
        .index = index,
        .plain_offset = begin,
        .plain_bytes = (uint32_t)(end - begin),
        .cipher_offset = index == 0 ? header : index * parameters->segment_bytes,
        .cipher_bytes = (uint32_t)(end - begin) + TINK_TAG_BYTES,
        .last = index + 1 == count,
    };
}

/* ---- streams --------------------------------------------------------------------------------- */

static lethe_result derive_key(const struct tink_parameters *parameters,
                               const struct tink_binding *binding, const uint8_t *header,
                               struct lethe_secret **out, struct lethe_error *err)
{
    size_t key_bytes = lethe_secret_size(binding->key);
    size_t least = MAX(16u, parameters->derived_key_bytes);
    if (key_bytes < least)
        return error_set(err, LETHE_INVALID, "a stream key of %zu bytes: at least %zu are needed",
                         key_bytes, least);
    size_t derived_bytes = parameters->derived_key_bytes;
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    TRY(lethe_secret_create(derived_bytes, &derived, err));
    const struct hkdf_input input = {
        .hash = parameters->hash,
        .key = lethe_secret_bytes_const(binding->key),
        .key_bytes = key_bytes,
        .salt = header + 1,
        .salt_bytes = derived_bytes,
        .info = binding->aad,
        .info_bytes = binding->aad_bytes,
    };
    TRY(hkdf(&input, lethe_secret_bytes(derived), derived_bytes, err));
    *out = MOVE(derived);
    return LETHE_OK;
}

/* header: byte(8 + dk) || salt[dk] || nonce_prefix[7] */
static lethe_result stream_create(const struct tink_parameters *parameters,
                                  const struct tink_binding *binding, const uint8_t *header,
                                  struct tink_stream **out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    TRY(derive_key(parameters, binding, header, &derived, err));
    CLEANUP(tink_stream_free) struct tink_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a stream");
    stream->parameters = *parameters;
    memcpy(stream->nonce_prefix, header + 1 + parameters->derived_key_bytes, NONCE_PREFIX_BYTES);
    TRY(aead_key_create(lethe_secret_bytes(derived), parameters->derived_key_bytes,
                        binding->backend, &stream->key, err));
    *out = MOVE(stream);
    return LETHE_OK;
}

lethe_result tink_seal_begin(const struct tink_parameters *parameters,
                             const struct tink_binding *binding, const struct random_source *random,
                             uint8_t header[TINK_HEADER_MAX], struct tink_stream **out,
                             struct lethe_error *err)
{
    require_valid(parameters);
    *out = NULL;
    header[0] = (uint8_t)tink_header_bytes(parameters);
    if (random_fill(random, header + 1, parameters->derived_key_bytes + NONCE_PREFIX_BYTES) !=
        LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    return stream_create(parameters, binding, header, out, err);
}

static lethe_result check_header(const struct tink_parameters *parameters, const uint8_t *header,
                                 struct lethe_error *err)
{
    require_valid(parameters);
    if (header[0] == tink_header_bytes(parameters))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "the stream's header has length %u instead of %u",
                     header[0], tink_header_bytes(parameters));
}

lethe_result tink_open_begin(const struct tink_parameters *parameters,
                             const struct tink_binding *binding, const uint8_t *header,
                             struct tink_stream **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_header(parameters, header, err));
    return stream_create(parameters, binding, header, out, err);
}

lethe_result tink_open_key(const struct tink_parameters *parameters,
                           const struct tink_binding *binding, const uint8_t *header,
                           struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_header(parameters, header, err));
    return derive_key(parameters, binding, header, out, err);
}

void tink_stream_free(struct tink_stream *stream)
{
    if (stream == NULL)
        return;
    aead_key_free(stream->key);
    free(stream);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* nonce: nonce_prefix[7] || be32(index) || last ? 1 : 0 */
static void make_nonce(const uint8_t *prefix, const struct tink_segment *segment,
                       uint8_t nonce[AEAD_NONCE_BYTES])
{
    memcpy(nonce, prefix, NONCE_PREFIX_BYTES);
    uint32_t index_be = htobe32((uint32_t)segment->index);
    memcpy(nonce + NONCE_PREFIX_BYTES, &index_be, sizeof index_be);
    nonce[AEAD_NONCE_BYTES - 1] = segment->last;
}

void tink_segment_nonce(const struct tink_parameters *parameters, const uint8_t *header,
                        const struct tink_segment *segment, uint8_t nonce[AEAD_NONCE_BYTES])
{
    make_nonce(header + 1 + parameters->derived_key_bytes, segment, nonce);
}

lethe_result tink_seal_segment(const struct tink_stream *stream, const struct tink_segment *segment,
                               const void *plain, void *cipher)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    make_nonce(stream->nonce_prefix, segment, nonce);
    const struct aead_message message = {
        .nonce = nonce, .in = plain, .out = cipher, .size_bytes = segment->plain_bytes};
    return aead_seal(stream->key, &message, (uint8_t *)cipher + segment->plain_bytes);
}

lethe_result tink_open_segment(const struct tink_stream *stream, const struct tink_segment *segment,
                               const void *cipher, void *plain)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    make_nonce(stream->nonce_prefix, segment, nonce);
    const struct aead_message message = {
        .nonce = nonce, .in = cipher, .out = plain, .size_bytes = segment->plain_bytes};
    return aead_open(stream->key, &message, (const uint8_t *)cipher + segment->plain_bytes);
}
