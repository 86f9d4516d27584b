#include "kms/root_record.h"

#include <endian.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "crypto/hash.h"

/* The second form has the generation behind the cost, the third generation and blob. */
static const char first_form[] = "lethe-root-record/1";
static const char second_form[] = "lethe-root-record/2";
static const char third_form[] = "lethe-root-record/3";

static const char *const kind_names[] = {
    [ROOT_FILE] = "file",
    [ROOT_PASSPHRASE] = "passphrase",
    [ROOT_CREDENTIAL] = "credential",
    [ROOT_PKCS11] = "pkcs11",
    [ROOT_TPM2] = "tpm2",
};

const char *root_kind_name(enum root_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kind_names));
    return kind_names[kind];
}

static const char *form_of(const struct root_record *record)
{
    if (record->blob_bytes > 0)
        return third_form;
    return record->generation == 0 ? first_form : second_form;
}

void root_record_binding(const struct root_record *record, struct buffer *out)
{
    const char *kind = root_kind_name(record->spec.kind);
    const uint8_t cost[] = {record->log2_n, record->r, record->p};
    const char *form = form_of(record);
    const uint64_t generation = htole64(record->generation);
    buffer_prefixed(out, form, strlen(form));
    buffer_prefixed(out, kind, strlen(kind));
    buffer_prefixed(out, record->spec.where, strlen(record->spec.where));
    buffer_prefixed(out, record->salt, sizeof record->salt);
    buffer_prefixed(out, cost, sizeof cost);
    if (form != first_form)
        buffer_prefixed(out, &generation, sizeof generation);
    if (form == third_form)
        buffer_prefixed(out, record->blob, record->blob_bytes);
}

void root_record_append(const struct root_record *record, struct buffer *out)
{
    uint8_t checksum[SHA256_BYTES];
    root_record_binding(record, out);
    buffer_prefixed(out, record->sealed, sizeof record->sealed);
    sha256(out->bytes, out->size_bytes, checksum);
    buffer_append(out, checksum, sizeof checksum);
}

/* The next part of the list, of min_bytes to max_bytes; LETHE_MALFORMED. */
static lethe_result next_part(struct cursor *cursor, size_t min_bytes, size_t max_bytes,
                              const uint8_t **bytes, size_t *size_bytes)
{
    uint32_t size;
    TRY(cursor_le32(cursor, &size));
    if (size < min_bytes || size > max_bytes)
        return LETHE_MALFORMED;
    *size_bytes = size;
    return cursor_bytes(cursor, size, bytes);
}

static lethe_result copy_part(struct cursor *cursor, void *out, size_t size_bytes)
{
    const uint8_t *bytes;
    size_t found;
    TRY(next_part(cursor, size_bytes, size_bytes, &bytes, &found));
    memcpy(out, bytes, size_bytes);
    return LETHE_OK;
}

/* A text without NUL, terminated. */
static lethe_result copy_text(struct cursor *cursor, char *out, size_t capacity_bytes)
{
    uint32_t length;
    TRY(cursor_le32(cursor, &length));
    return cursor_text(cursor, length, out, capacity_bytes);
}

static lethe_result read_kind(struct cursor *cursor, enum root_kind *out)
{
    char text[32];
    TRY(copy_text(cursor, text, sizeof text));
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (strcmp(text, kind_names[i]) == 0) {
            *out = (enum root_kind)i;
            return LETHE_OK;
        }
    }
    return LETHE_MALFORMED;
}

/* What a form has behind the cost. */
static lethe_result read_rest(struct cursor *cursor, const char *form, struct root_record *out)
{
    uint64_t generation;
    const uint8_t *blob;
    if (strcmp(form, first_form) == 0)
        return LETHE_OK;
    TRY(copy_part(cursor, &generation, sizeof generation));
    out->generation = le64toh(generation);
    if (strcmp(form, second_form) == 0)
        return out->generation > 0 ? LETHE_OK : LETHE_MALFORMED;
    TRY(next_part(cursor, 1, sizeof out->blob, &blob, &out->blob_bytes));
    memcpy(out->blob, blob, out->blob_bytes);
    return LETHE_OK;
}

static lethe_result read_parts(struct cursor *cursor, struct root_record *out)
{
    char form[sizeof second_form];
    uint8_t cost[3];
    TRY(copy_text(cursor, form, sizeof form));
    if (strcmp(form, first_form) != 0 && strcmp(form, second_form) != 0 &&
        strcmp(form, third_form) != 0)
        return LETHE_MALFORMED;
    TRY(read_kind(cursor, &out->spec.kind));
    TRY(copy_text(cursor, out->spec.where, sizeof out->spec.where));
    TRY(copy_part(cursor, out->salt, sizeof out->salt));
    TRY(copy_part(cursor, cost, sizeof cost));
    TRY(read_rest(cursor, form, out));
    TRY(copy_part(cursor, out->sealed, sizeof out->sealed));
    out->log2_n = cost[0];
    out->r = cost[1];
    out->p = cost[2];
    return cursor_left(cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result root_record_parse(const void *bytes, size_t size_bytes, struct root_record *out,
                               struct lethe_error *err)
{
    *out = (struct root_record){.spec.passphrase_fd = -1};
    uint8_t checksum[SHA256_BYTES];
    if (size_bytes > sizeof checksum) {
        struct cursor cursor = cursor_over(bytes, size_bytes - sizeof checksum);
        sha256(bytes, size_bytes - sizeof checksum, checksum);
        if (memcmp(cursor.end, checksum, sizeof checksum) == 0 &&
            read_parts(&cursor, out) == LETHE_OK)
            return LETHE_OK;
    }
    error_set(err, LETHE_INTEGRITY, "the store's record of its root is damaged");
    error_hint(err, "put back a backup of store.db; the root itself is not to blame");
    return LETHE_INTEGRITY;
}
