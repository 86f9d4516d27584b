/* Writing: the statement, what is signed of it, and the bundle around both. Our JSON is compact and
 * always the same for the same list; nothing in the format asks for that, as bytes are signed. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "model/oms_format.h"

lethe_result oms_root(const struct oms_list *list, uint8_t root[SHA256_BYTES],
                      struct lethe_error *err)
{
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    TRY(sha256_create(&stream, err));
    for (size_t i = 0; i < list->count; i++)
        sha256_update(stream, list->resources[i].digest, SHA256_BYTES);
    sha256_finish(stream, root);
    return LETHE_OK;
}

lethe_result oms_hint(const struct sign_public *signer, char out[OMS_HINT_SIZE],
                      struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    uint8_t digest[SHA256_BYTES];
    TRY(sign_public_pem(signer, &pem, err));
    sha256(pem.bytes, pem.size_bytes, digest);
    hex_encode(digest, sizeof digest, out);
    return LETHE_OK;
}

/* ---- statement ------------------------------------------------------------------------------- */

static void write_digest(struct buffer *out, const uint8_t digest[SHA256_BYTES])
{
    char hex[2 * SHA256_BYTES + 1];
    hex_encode(digest, SHA256_BYTES, hex);
    buffer_format(out, "\"%s\"", hex);
}

static void write_resource(struct buffer *out, const struct oms_list *list, size_t index,
                           struct buffer *name)
{
    const struct oms_resource *resource = &list->resources[index];
    buffer_truncate(name, 0);
    buffer_text(name, resource->path);
    if (!list->whole_files)
        buffer_format(name, ":%" PRIu64 ":%" PRIu64, resource->start, resource->end);
    buffer_text(out, index == 0 ? "{\"name\":" : ",{\"name\":");
    json_append_string(out, name->bytes, name->size_bytes);
    buffer_text(out, ",\"digest\":");
    write_digest(out, resource->digest);
    buffer_text(out, ",\"algorithm\":\"sha256\"}");
}

static void write_serialization(struct buffer *out, const struct oms_list *list)
{
    buffer_format(out, "{\"method\":\"%s\",\"hash_type\":\"sha256\",",
                  list->whole_files ? "files" : "shards");
    if (!list->whole_files)
        buffer_format(out, "\"shard_size\":%" PRIu64 ",", list->shard_bytes);
    buffer_text(out, "\"allow_symlinks\":false,\"ignore_paths\":[\"" OMS_SIGNATURE_FILE "\"]}");
}

lethe_result oms_statement(struct oms_list *list, struct buffer *payload, struct lethe_error *err)
{
    REQUIRE(list->subject != NULL);
    uint8_t root[SHA256_BYTES];
    CLEANUP(buffer_clear) struct buffer name = {0};
    oms_list_sort(list);
    TRY(oms_list_check(list, err));
    TRY(oms_root(list, root, err));
    buffer_text(payload, "{\"_type\":\"" OMS_STATEMENT_TYPE "\",\"subject\":[{\"name\":");
    json_append_string(payload, list->subject, strlen(list->subject));
    buffer_text(payload, ",\"digest\":{\"sha256\":");
    write_digest(payload, root);
    buffer_text(payload,
                "}}],\"predicateType\":\"" OMS_PREDICATE_TYPE "\",\"predicate\":{\"resources\":[");
    for (size_t i = 0; i < list->count; i++)
        write_resource(payload, list, i, &name);
    buffer_text(payload, "],\"serialization\":");
    write_serialization(payload, list);
    buffer_text(payload, "}}");
    TRY(buffer_result(&name, err));
    return buffer_result(payload, err);
}

/* ---- envelope and bundle --------------------------------------------------------------------- */

/* DSSE v1, "PAE": every part behind its length, so that no two inputs give the same bytes. */
void oms_pae(const void *payload, size_t size_bytes, struct buffer *out)
{
    buffer_format(out, "DSSEv1 %zu %s %zu ", strlen(OMS_PAYLOAD_TYPE), OMS_PAYLOAD_TYPE,
                  size_bytes);
    buffer_append(out, payload, size_bytes);
}

lethe_result oms_bundle(const struct buffer *payload, const struct signature *signature,
                        const struct sign_public *signer, struct buffer *out,
                        struct lethe_error *err)
{
    char hint[OMS_HINT_SIZE];
    TRY(oms_hint(signer, hint, err));
    buffer_format(out,
                  "{\"mediaType\":\"" OMS_MEDIA_TYPE "\",\"verificationMaterial\":{\"publicKey\":"
                  "{\"hint\":\"%s\"},\"tlogEntries\":[]},\"dsseEnvelope\":{\"payload\":\"",
                  hint);
    base64_append(out, payload->bytes, payload->size_bytes);
    buffer_text(out, "\",\"payloadType\":\"" OMS_PAYLOAD_TYPE "\",\"signatures\":[{\"sig\":\"");
    base64_append(out, signature->bytes, signature->size_bytes);
    buffer_text(out, "\",\"keyid\":\"\"}]}}");
    return buffer_result(out, err);
}
