/* Records as they are written: any kind of event, with whatever text in its fields. Each is a line
 * that the strict reader takes, in canonical form, with every value as it was sanitised. */
#include <string.h>

#include "audit/record.h"
#include "base/cursor.h"
#include "base/json.h"
#include "base/validate.h"

#include "fuzz.h"

#define TEXT_MAX 600u /* longer than what is kept */

/* The next text: a byte of length, times three, and as many bytes as there are. NULs end it. */
static const char *next_text(struct cursor *input, char out[TEXT_MAX + 256])
{
    uint8_t length = 0;
    const uint8_t *bytes;
    (void)!cursor_u8(input, &length);
    size_t taken = MIN(3u * length, cursor_left(input));
    REQUIRE(cursor_bytes(input, taken, &bytes) == LETHE_OK);
    memcpy(out, bytes, taken);
    out[taken] = '\0';
    return out;
}

static void check_text(const json_t *line, const char *name, const char *given)
{
    char kept[AUDIT_TEXT_MAX + 1];
    size_t length = record_text(given, kept);
    const char *found = json_string_value(json_object_get(line, name));
    FUZZ_PROPERTY(length <= AUDIT_TEXT_MAX && text_is_utf8(kept, length));
    FUZZ_PROPERTY(found != NULL ? strcmp(found, kept) == 0 : length == 0);
    for (const char *at = kept; *at != '\0'; at++)
        FUZZ_PROPERTY((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_line(const struct buffer *line, const struct record_place *place,
                       const struct audit_who *who, const struct audit_event *event)
{
    struct record_line read;
    CLEANUP(json_decref) json_t *tree = NULL;
    CLEANUP(buffer_clear) struct buffer canonical = {0};
    FUZZ_PROPERTY(record_parse(line->bytes, line->size_bytes, &read, NULL) == LETHE_OK);
    FUZZ_PROPERTY(read.seq == place->seq && memcmp(read.prev, place->prev, sizeof read.prev) == 0);
    FUZZ_PROPERTY(json_parse(line->bytes, line->size_bytes, &tree, NULL) == LETHE_OK);
    FUZZ_PROPERTY(json_canonical(tree, &canonical, NULL) == LETHE_OK);
    FUZZ_PROPERTY(canonical.size_bytes == line->size_bytes &&
                  memcmp(canonical.bytes, line->bytes, line->size_bytes) == 0);
    check_text(tree, "actor", who->actor);
    check_text(tree, "tenant", who->tenant);
    const struct audit_kind_row *kind = audit_kind_row(event->kind);
    FUZZ_PROPERTY(strcmp(json_string_value(json_object_get(tree, "event")), kind->name) == 0);
    for (size_t i = 0; i < kind->field_count; i++) {
        if (kind->fields[i].type == AUDIT_FIELD_TEXT)
            check_text(tree, kind->fields[i].name, event->values[i].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static char texts[AUDIT_FIELDS_MAX + 2][TEXT_MAX + 256];
    static const uint8_t prev[MERKLE_HASH_BYTES] = {1, 2, 3};
    struct cursor input = cursor_over(data, size_bytes);
    uint8_t kind = 0;
    uint64_t number = 0;
    (void)!cursor_u8(&input, &kind);
    (void)!cursor_le64(&input, &number);
    const struct record_place place = {"fuzz", number, number, prev};
    const struct audit_who who = {next_text(&input, texts[0]), next_text(&input, texts[1]), ""};
    struct audit_event event = {.kind = (enum audit_kind)(kind % AUDIT_KINDS)};
    const struct audit_kind_row *row = audit_kind_row(event.kind);
    for (size_t i = 0; i < row->field_count; i++) {
        bool text = row->fields[i].type == AUDIT_FIELD_TEXT ||
                    row->fields[i].type == AUDIT_FIELD_OPTIONAL_TEXT;
        if (text)
            event.values[i].text = next_text(&input, texts[2 + i]);
        else
            event.values[i].number = row->fields[i].type == AUDIT_FIELD_FLAG ? number & 1 : number;
    }
    CLEANUP(buffer_clear) struct buffer line = {0};
    record_append(&line, &place, &who, &event);
    FUZZ_PROPERTY(buffer_result(&line, NULL) == LETHE_OK && line.size_bytes <= RECORD_LINE_MAX);
    check_line(&line, &place, &who, &event);
    return 0;
}
