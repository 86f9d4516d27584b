#include "pool/handle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/validate.h"
#include "pool/wire_core.h"

#define FORMAT "lethe-pool-handle/1"

/* ---- bound ----------------------------------------------------------------------------------- */

void pool_handle_aad(const struct pool_handle *handle, struct buffer *out)
{
    buffer_prefixed(out, FORMAT, strlen(FORMAT));
    buffer_prefixed(out, handle->tenant, strlen(handle->tenant));
    buffer_append(out, handle->space, sizeof handle->space);
    buffer_le64(out, handle->size_bytes);
    buffer_le64(out, handle->bytes);
    buffer_le64(out, handle->block_bytes);
    buffer_le64(out, handle->copies);
    for (size_t i = 0; i < handle->copies; i++) {
        buffer_append(out, &handle->at[i].lease, sizeof handle->at[i].lease);
        buffer_prefixed(out, handle->at[i].provider, strlen(handle->at[i].provider));
        buffer_prefixed(out, handle->at[i].address, strlen(handle->at[i].address));
    }
    buffer_le64(out, handle->versions.written);
    buffer_le64(out, handle->versions.count);
    for (size_t i = 0; i < handle->versions.count; i++) {
        buffer_le64(out, handle->versions.entries[i].block);
        buffer_le64(out, handle->versions.entries[i].version);
    }
}

/* ---- written --------------------------------------------------------------------------------- */

static void write_text(struct buffer *out, const char *name, const char *text)
{
    buffer_format(out, "\"%s\":", name);
    json_append_string(out, text, strlen(text));
}

static void write_copies(const struct pool_handle *handle, struct buffer *out)
{
    for (size_t i = 0; i < handle->copies; i++) {
        char id[LEASE_ID_HEX_SIZE];
        lease_id_hex(&handle->at[i].lease, id);
        buffer_text(out, i == 0 ? "\"copies\":[{" : ",{");
        write_text(out, "lease", id);
        buffer_text(out, ",");
        write_text(out, "provider", handle->at[i].provider);
        buffer_text(out, ",");
        write_text(out, "address", handle->at[i].address);
        buffer_text(out, "}");
    }
    buffer_text(out, "],");
}

static void write_versions(const struct pool_handle *handle, struct buffer *out)
{
    buffer_format(out, "\"written_blocks\":%" PRIu64 ",\"versions\":[", handle->versions.written);
    for (size_t i = 0; i < handle->versions.count; i++)
        buffer_format(out, "%s[%" PRIu64 ",%" PRIu64 "]", i == 0 ? "" : ",",
                      handle->versions.entries[i].block, handle->versions.entries[i].version);
    buffer_text(out, "]}\n");
}

lethe_result pool_handle_write(const struct pool_handle *handle, struct buffer *out,
                               struct lethe_error *err)
{
    char space[2 * BLOCK_SPACE_BYTES + 1];
    hex_encode(handle->space, sizeof handle->space, space);
    buffer_text(out, "{");
    write_text(out, "format", FORMAT);
    buffer_format(out, ",\"size_bytes\":%" PRIu64 ",\"lease_bytes\":%" PRIu64, handle->size_bytes,
                  handle->bytes);
    buffer_format(out, ",\"block_bytes\":%" PRIu32 ",", handle->block_bytes);
    write_text(out, "tenant", handle->tenant);
    buffer_text(out, ",");
    write_text(out, "space", space);
    buffer_text(out, ",");
    write_text(out, "key", handle->key);
    buffer_text(out, ",");
    write_copies(handle, out);
    write_versions(handle, out);
    return buffer_result(out, err);
}

/* ---- read ------------------------------------------------------------------------------------ */

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_MALFORMED, "a pool handle: %s", what);
}

static lethe_result copy_text(const char *text, char *out, size_t capacity, const char *what,
                              struct lethe_error *err)
{
    if (text[0] == '\0' || strlen(text) >= capacity)
        return malformed(err, what);
    strcpy(out, text);
    return LETHE_OK;
}

static lethe_result read_copy(const json_t *json, struct pool_handle *out, struct lethe_error *err)
{
    const char *lease, *provider, *address;
    const struct json_field fields[] = {
        {"lease", JSON_FIELD_TEXT, false, &lease},
        {"provider", JSON_FIELD_TEXT, false, &provider},
        {"address", JSON_FIELD_TEXT, false, &address},
    };
    struct spiffe_id id;
    TRY(json_read_fields(json, "a copy", fields, ARRAY_LEN(fields), err));
    if (lease_id_from_hex(lease, &out->at[out->copies].lease, NULL) != LETHE_OK)
        return malformed(err, "a copy's lease is no lease");
    if (spiffe_parse(provider, strlen(provider), &id, NULL) != LETHE_OK)
        return malformed(err, "a copy's provider is no SPIFFE id");
    strcpy(out->at[out->copies].provider, id.text);
    TRY(copy_text(address, out->at[out->copies].address, sizeof out->at[0].address,
                  "a copy's address is none", err));
    out->copies++;
    return LETHE_OK;
}

static lethe_result read_copies(const json_t *json, struct pool_handle *out,
                                struct lethe_error *err)
{
    size_t count = json_array_size(json);
    if (count == 0 || count > WIRE_COPIES_MAX)
        return malformed(err, "so many copies are not allocated");
    for (size_t i = 0; i < count; i++)
        TRY(read_copy(json_array_get(json, i), out, err));
    return LETHE_OK;
}

/* Block and version, both numbers that JSON holds exactly. */
static bool read_version(const json_t *json, struct version_entry *out)
{
    if (json_array_size(json) != 2)
        return false;
    const json_t *block = json_array_get(json, 0), *version = json_array_get(json, 1);
    if (!json_is_integer(block) || !json_is_integer(version) || json_integer_value(block) < 0 ||
        json_integer_value(version) < 0 || (uint64_t)json_integer_value(version) > JSON_INTEGER_MAX)
        return false;
    out->block = (uint64_t)json_integer_value(block);
    out->version = (uint64_t)json_integer_value(version);
    return true;
}

static lethe_result read_versions(const json_t *json, struct pool_handle *out,
                                  struct lethe_error *err)
{
    size_t count = json_array_size(json);
    if (count > POOL_HANDLE_VERSIONS_MAX)
        return malformed(err, "too many versions");
    for (size_t i = 0; i < count; i++) {
        struct version_entry *entry = &out->entries[i];
        if (!read_version(json_array_get(json, i), entry) ||
            entry->block >= out->versions.written ||
            (i > 0 && entry->block <= out->entries[i - 1].block))
            return malformed(err, "a block's version is none");
    }
    out->versions.entries = out->entries;
    out->versions.count = count;
    return LETHE_OK;
}

static lethe_result check_sizes(const struct pool_handle *handle, struct lethe_error *err)
{
    uint32_t block_bytes = handle->block_bytes;
    if (!pool_block_bytes_fit(block_bytes) || handle->bytes == 0 ||
        handle->bytes % block_bytes != 0 || handle->bytes / block_bytes > POOL_BLOCKS_MAX)
        return malformed(err, "no lease has that size");
    if (handle->size_bytes > handle->bytes ||
        handle->versions.written > handle->bytes / block_bytes)
        return malformed(err, "more is stored than the lease holds");
    return LETHE_OK;
}

struct texts {
    const char *format, *tenant, *space, *key;
};

static lethe_result read_texts(const struct texts *texts, struct pool_handle *out,
                               struct lethe_error *err)
{
    if (hex_decode(texts->space, strlen(texts->space), out->space, sizeof out->space) != LETHE_OK)
        return malformed(err, "its space is not 32 hex digits");
    if (validate_identifier("tenant", texts->tenant, sizeof out->tenant - 1, NULL) != LETHE_OK)
        return malformed(err, "its tenant is none");
    strcpy(out->tenant, texts->tenant);
    return copy_text(texts->key, out->key, sizeof out->key, "its key is none", err);
}

static lethe_result read_handle(const json_t *json, struct pool_handle *out,
                                struct lethe_error *err)
{
    struct texts texts;
    const json_t *copies, *versions;
    uint64_t block_bytes;
    const struct json_field fields[] = {
        {"format", JSON_FIELD_TEXT, false, &texts.format},
        {"size_bytes", JSON_FIELD_UINT, false, &out->size_bytes},
        {"lease_bytes", JSON_FIELD_UINT, false, &out->bytes},
        {"block_bytes", JSON_FIELD_UINT, false, &block_bytes},
        {"tenant", JSON_FIELD_TEXT, false, &texts.tenant},
        {"space", JSON_FIELD_TEXT, false, &texts.space},
        {"key", JSON_FIELD_TEXT, false, &texts.key},
        {"copies", JSON_FIELD_ARRAY, false, &copies},
        {"written_blocks", JSON_FIELD_UINT, false, &out->versions.written},
        {"versions", JSON_FIELD_ARRAY, false, &versions},
    };
    TRY(json_read_fields(json, "a pool handle", fields, ARRAY_LEN(fields), err));
    if (strcmp(texts.format, FORMAT) != 0)
        return malformed(err, "its format is not " FORMAT);
    out->block_bytes = block_bytes <= POOL_BLOCK_MAX ? (uint32_t)block_bytes : 0;
    TRY(check_sizes(out, err));
    TRY(read_texts(&texts, out, err));
    TRY(read_copies(copies, out, err));
    return read_versions(versions, out, err);
}

lethe_result pool_handle_read(const char *text, size_t size_bytes, struct pool_handle *out,
                              struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *json = NULL;
    memset(out, 0, sizeof *out);
    if (size_bytes > POOL_HANDLE_MAX)
        return malformed(err, "it is too large");
    TRY(json_parse(text, size_bytes, &json, err));
    return read_handle(json, out, err);
}
