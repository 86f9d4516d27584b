#include "kms/outbox.h"

#include <endian.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"

#define OUTBOX_PATH "outbox"
#define OUTBOX_DOMAIN "lethe-outbox/1"
#define PIN_PATH "pin"
#define PIN_FORMAT 1
#define PIN_ROW_BYTES (1 + sizeof(uint64_t) + 32)

/* ---- writing --------------------------------------------------------------------------------- */

/* With its NUL, so that a reader can borrow it; size 0 stands for an absent one. */
static void append_text(struct buffer *row, const char *text)
{
    buffer_prefixed(row, text, text == NULL ? 0 : strlen(text) + 1);
}

static void append_number(struct buffer *row, uint64_t number)
{
    uint64_t bytes = htole64(number);
    buffer_append(row, &bytes, sizeof bytes);
}

static bool is_text(const struct audit_field *field)
{
    return field->type == AUDIT_FIELD_TEXT || field->type == AUDIT_FIELD_OPTIONAL_TEXT;
}

void owed_append(const struct audit_who *who, const struct audit_event *event, struct buffer *row)
{
    const struct audit_kind_row *kind = audit_kind_row(event->kind);
    append_text(row, OUTBOX_DOMAIN);
    append_text(row, kind->name);
    append_text(row, who->actor);
    append_text(row, who->tenant);
    append_text(row, who->session);
    for (size_t i = 0; i < kind->field_count; i++) {
        if (is_text(&kind->fields[i]))
            append_text(row, event->values[i].text);
        else
            append_number(row, event->values[i].number);
    }
    if (!audit_kind_has_epoch(event->kind))
        append_number(row, event->epoch);
}

lethe_result outbox_put(struct store *store, const struct audit_who *who,
                        const struct audit_event *event, struct lethe_error *err)
{
    REQUIRE(audit_event_epoch(event) == store_epoch(store) + 1);
    CLEANUP(buffer_clear) struct buffer row = {0};
    owed_append(who, event, &row);
    TRY(buffer_result(&row, err));
    return store_put(store, OUTBOX_PATH, row.bytes, row.size_bytes, STORE_ANY, err);
}

lethe_result pin_put(struct store *store, const struct pin *pin, struct lethe_error *err)
{
    uint8_t row[PIN_ROW_BYTES] = {PIN_FORMAT};
    uint64_t records = htole64(pin->records);
    memcpy(row + 1, &records, sizeof records);
    memcpy(row + 1 + sizeof records, pin->root, sizeof pin->root);
    return store_put(store, PIN_PATH, row, sizeof row, STORE_ANY, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result read_text(struct cursor *cursor, const char **out)
{
    uint32_t size_bytes;
    const uint8_t *text;
    TRY(cursor_le32(cursor, &size_bytes));
    TRY(cursor_bytes(cursor, size_bytes, &text));
    *out = size_bytes == 0 ? NULL : (const char *)text;
    return size_bytes == 0 || memchr(text, '\0', size_bytes) == text + size_bytes - 1
               ? LETHE_OK
               : LETHE_MALFORMED;
}

static lethe_result expect_text(struct cursor *cursor, const char **out)
{
    TRY(read_text(cursor, out));
    return *out == NULL ? LETHE_MALFORMED : LETHE_OK;
}

static lethe_result read_kind(struct cursor *cursor, enum audit_kind *out)
{
    const char *name;
    TRY(expect_text(cursor, &name));
    for (size_t i = 0; i < AUDIT_KINDS; i++) {
        *out = (enum audit_kind)i;
        if (strcmp(audit_kind_name(*out), name) == 0)
            return LETHE_OK;
    }
    return LETHE_MALFORMED;
}

static lethe_result read_fields(struct cursor *cursor, struct audit_event *event)
{
    const struct audit_kind_row *kind = audit_kind_row(event->kind);
    for (size_t i = 0; i < kind->field_count; i++) {
        struct audit_value *value = &event->values[i];
        if (!is_text(&kind->fields[i]))
            TRY(cursor_le64(cursor, &value->number));
        else if (kind->fields[i].type == AUDIT_FIELD_TEXT)
            TRY(expect_text(cursor, &value->text));
        else
            TRY(read_text(cursor, &value->text));
    }
    if (!audit_kind_has_epoch(event->kind))
        TRY(cursor_le64(cursor, &event->epoch));
    return cursor_left(cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result owed_parse(struct owed *owed)
{
    struct cursor cursor =
        cursor_over(lethe_secret_bytes_const(owed->row), lethe_secret_size(owed->row));
    const char *domain;
    TRY(expect_text(&cursor, &domain));
    if (strcmp(domain, OUTBOX_DOMAIN) != 0)
        return LETHE_MALFORMED;
    TRY(read_kind(&cursor, &owed->event.kind));
    TRY(expect_text(&cursor, &owed->who.actor));
    TRY(expect_text(&cursor, &owed->who.tenant));
    TRY(expect_text(&cursor, &owed->who.session));
    return read_fields(&cursor, &owed->event);
}

void owed_clear(struct owed *owed)
{
    lethe_secret_free(owed->row);
    *owed = (struct owed){0};
}

/* Both rows are there from a home's first transaction on. */
static lethe_result damaged(const char *path, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "the store's row \"%s\" is missing or malformed", path);
}

lethe_result outbox_get(struct store *store, struct owed *out, struct lethe_error *err)
{
    *out = (struct owed){0};
    lethe_result result = store_get(store, OUTBOX_PATH, &out->row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return damaged(OUTBOX_PATH, err);
    TRY(result);
    if (owed_parse(out) == LETHE_OK)
        return LETHE_OK;
    owed_clear(out);
    return damaged(OUTBOX_PATH, err);
}

lethe_result pin_parse(const struct lethe_secret *row, struct pin *out)
{
    struct cursor cursor = cursor_over(lethe_secret_bytes_const(row), lethe_secret_size(row));
    uint8_t format;
    const uint8_t *root;
    TRY(cursor_u8(&cursor, &format));
    TRY(cursor_le64(&cursor, &out->records));
    TRY(cursor_bytes(&cursor, sizeof out->root, &root));
    memcpy(out->root, root, sizeof out->root);
    return format == PIN_FORMAT && cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result pin_get(struct store *store, struct pin *out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = store_get(store, PIN_PATH, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return damaged(PIN_PATH, err);
    TRY(result);
    return pin_parse(row, out) == LETHE_OK ? LETHE_OK : damaged(PIN_PATH, err);
}
