#include "kms/outbox.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"

#define OUTBOX_PATH "outbox"
#define OTHERS_PREFIX "outbox/"
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
            buffer_le64(row, event->values[i].number);
    }
    if (!audit_kind_has_epoch(event->kind))
        buffer_le64(row, event->epoch);
}

static lethe_result put_owed(struct store *store, const char *path, const struct audit_who *who,
                             const struct audit_event *event, struct lethe_error *err)
{
    REQUIRE(audit_event_epoch(event) == store_epoch(store) + 1);
    CLEANUP(buffer_clear) struct buffer row = {0};
    owed_append(who, event, &row);
    TRY(buffer_result(&row, err));
    return store_put(store, path, row.bytes, row.size_bytes, STORE_ANY, err);
}

static void other_path(size_t number, char out[sizeof OTHERS_PREFIX + 3])
{
    snprintf(out, sizeof OTHERS_PREFIX + 3, OTHERS_PREFIX "%03zu", number % 1000);
}

static lethe_result forget_others(struct store *store, struct lethe_error *err)
{
    char path[sizeof OTHERS_PREFIX + 3];
    lethe_result result = LETHE_OK;
    for (size_t i = 0; result == LETHE_OK; i++) {
        other_path(i, path);
        result = store_delete(store, path, STORE_ANY, err);
    }
    return result == LETHE_NOT_FOUND ? error_forget(err) : result;
}

lethe_result outbox_put(struct store *store, const struct audit_who *who,
                        const struct audit_event *event, struct lethe_error *err)
{
    TRY(forget_others(store, err));
    return put_owed(store, OUTBOX_PATH, who, event, err);
}

lethe_result outbox_put_others(struct store *store, const struct audit_who *who,
                               const struct audit_event *events, size_t count,
                               struct lethe_error *err)
{
    char path[sizeof OTHERS_PREFIX + 3];
    REQUIRE(count <= OUTBOX_OTHERS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct audit_event event = events[i];
        REQUIRE(!audit_kind_has_epoch(event.kind));
        event.epoch = store_epoch(store) + 1;
        other_path(i, path);
        TRY(put_owed(store, path, who, &event, err));
    }
    return LETHE_OK;
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

static lethe_result get_owed(struct store *store, const char *path, struct owed *out,
                             struct lethe_error *err)
{
    *out = (struct owed){0};
    TRY(store_get(store, path, &out->row, NULL, err));
    if (owed_parse(out) == LETHE_OK)
        return LETHE_OK;
    owed_clear(out);
    return damaged(path, err);
}

lethe_result outbox_get(struct store *store, struct owed *out, struct lethe_error *err)
{
    lethe_result result = get_owed(store, OUTBOX_PATH, out, err);
    return result == LETHE_NOT_FOUND ? damaged(OUTBOX_PATH, err) : result;
}

void owed_others_clear(struct owed_others *others)
{
    for (size_t i = 0; i < others->count; i++)
        owed_clear(&others->items[i]);
    free(others->items);
    *others = (struct owed_others){0};
}

static lethe_result get_others(struct store *store, uint64_t epoch, struct owed_others *out,
                               struct lethe_error *err)
{
    char path[sizeof OTHERS_PREFIX + 3];
    for (;; out->count++) {
        other_path(out->count, path);
        if (out->count == OUTBOX_OTHERS_MAX)
            return LETHE_OK;
        struct owed *owed = &out->items[out->count];
        TRY(get_owed(store, path, owed, err));
        if (audit_event_epoch(&owed->event) != epoch) {
            owed_clear(owed);
            return damaged(path, err);
        }
    }
}

lethe_result outbox_get_others(struct store *store, uint64_t epoch, struct owed_others *out,
                               struct lethe_error *err)
{
    *out = (struct owed_others){.items = calloc(OUTBOX_OTHERS_MAX, sizeof *out->items)};
    if (out->items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for records that are owed");
    lethe_result result = get_others(store, epoch, out, err);
    if (result == LETHE_NOT_FOUND)
        result = error_forget(err);
    if (result != LETHE_OK)
        owed_others_clear(out);
    return result;
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
