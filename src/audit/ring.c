#include "audit/ring.h"

#include <stdlib.h>
#include <string.h>

#include "audit/record.h"
#include "base/error.h"

#define ABSENT UINT16_MAX /* in place of a text's length: NULL */
#define RECORD_ALIGNMENT 8u

/* What a record in the ring begins with. A gap before the end of the ring has no kind. */
struct header {
    uint32_t size_bytes; /* with this header */
    uint32_t kind;       /* AUDIT_KINDS: a gap */
    uint64_t time_ns;
};

_Static_assert(sizeof(struct header) == 16, "PACKED_BYTES_MAX counts on it");
_Static_assert(PACKED_BYTES_MAX >= sizeof(struct header) +
                                       (AUDIT_FIELDS_MAX + 3) * (3 + AUDIT_TEXT_MAX) +
                                       RECORD_ALIGNMENT,
               "a record may not fit");

/* ---- packing --------------------------------------------------------------------------------- */

/* A text that may have to be cut is made what the log will hold right here; a shorter one can only
 * become shorter when it is written. */
static size_t pack_text(char *out, const char *text)
{
    uint16_t length = ABSENT;
    if (text == NULL) {
        memcpy(out, &length, sizeof length);
        return sizeof length;
    }
    size_t found = strnlen(text, AUDIT_TEXT_MAX + 1);
    if (found > AUDIT_TEXT_MAX)
        found = record_text(text, out + sizeof length);
    else
        memcpy(out + sizeof length, text, found + 1);
    length = (uint16_t)found;
    memcpy(out, &length, sizeof length);
    return sizeof length + found + 1;
}

void packed_make(struct packed *out, const struct audit_who *who, const struct audit_event *event,
                 uint64_t time_ns)
{
    const struct audit_kind_row *row = audit_kind_row(event->kind);
    size_t at = sizeof(struct header);
    at += pack_text(out->bytes + at, who->actor);
    at += pack_text(out->bytes + at, who->tenant);
    at += pack_text(out->bytes + at, who->session);
    for (size_t i = 0; i < row->field_count; i++) {
        const struct audit_value *value = &event->values[i];
        if (row->fields[i].type == AUDIT_FIELD_NUMBER || row->fields[i].type == AUDIT_FIELD_FLAG) {
            memcpy(out->bytes + at, &value->number, sizeof value->number);
            at += sizeof value->number;
        } else {
            at += pack_text(out->bytes + at, value->text);
        }
    }
    out->size_bytes = (at + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    memset(out->bytes + at, 0, out->size_bytes - at);
    const struct header header = {(uint32_t)out->size_bytes, event->kind, time_ns};
    memcpy(out->bytes, &header, sizeof header);
}

static const char *unpack_text(const char **at)
{
    uint16_t length;
    memcpy(&length, *at, sizeof length);
    *at += sizeof length;
    if (length == ABSENT)
        return NULL;
    const char *text = *at;
    *at += length + 1;
    return text;
}

void packed_read(const char *bytes, struct emitted *out)
{
    struct header header;
    memcpy(&header, bytes, sizeof header);
    const struct audit_kind_row *row = audit_kind_row((enum audit_kind)header.kind);
    const char *at = bytes + sizeof header;
    *out = (struct emitted){.entry = {.time_ns = header.time_ns},
                            .event = {.kind = (enum audit_kind)header.kind}};
    out->entry.event = &out->event;
    out->entry.who.actor = unpack_text(&at);
    out->entry.who.tenant = unpack_text(&at);
    out->entry.who.session = unpack_text(&at);
    for (size_t i = 0; i < row->field_count; i++) {
        struct audit_value *value = &out->event.values[i];
        if (row->fields[i].type == AUDIT_FIELD_NUMBER || row->fields[i].type == AUDIT_FIELD_FLAG) {
            memcpy(&value->number, at, sizeof value->number);
            at += sizeof value->number;
        } else {
            value->text = unpack_text(&at);
        }
    }
}

/* ---- the ring -------------------------------------------------------------------------------- */

lethe_result ring_create(struct ring *ring, uint64_t capacity_bytes, struct lethe_error *err)
{
    uint64_t least = 2 * (uint64_t)PACKED_BYTES_MAX;
    uint64_t wanted = MIN(MAX(capacity_bytes, least), (uint64_t)BUFFER_LIMIT_BYTES);
    *ring = (struct ring){
        .capacity_bytes = (size_t)((wanted + RECORD_ALIGNMENT - 1) & ~(RECORD_ALIGNMENT - 1ull))};
    ring->bytes = malloc(ring->capacity_bytes);
    return ring->bytes != NULL
               ? LETHE_OK
               : error_set(err, LETHE_NO_MEMORY, "a queue of %zu bytes", ring->capacity_bytes);
}

void ring_clear(struct ring *ring)
{
    free(ring->bytes);
    *ring = (struct ring){0};
}

/* A record lies in one piece: one that does not fit before the end leaves a gap there. */
bool ring_push(struct ring *ring, const struct packed *record)
{
    size_t offset = (size_t)(ring->head % ring->capacity_bytes);
    size_t to_end = ring->capacity_bytes - offset;
    size_t gap = record->size_bytes > to_end ? to_end : 0;
    if (ring->head + gap + record->size_bytes - ring->tail > ring->capacity_bytes)
        return false;
    if (gap > 0) {
        const struct header header = {(uint32_t)gap, AUDIT_KINDS, 0};
        memcpy(ring->bytes + offset, &header, MIN(gap, sizeof header));
        offset = 0;
    }
    memcpy(ring->bytes + offset, record->bytes, record->size_bytes);
    ring->head += gap + record->size_bytes;
    ring->pushed++;
    return true;
}

void ring_read(const struct ring *ring, struct ring_place *place, struct emitted *out)
{
    struct header header = {0};
    size_t offset = (size_t)(place->at % ring->capacity_bytes);
    memcpy(&header, ring->bytes + offset, MIN(sizeof header, ring->capacity_bytes - offset));
    if (header.kind == AUDIT_KINDS) {
        place->at += header.size_bytes;
        offset = 0;
        memcpy(&header, ring->bytes, sizeof header);
    }
    packed_read(ring->bytes + offset, out);
    place->at += header.size_bytes;
}

void ring_release(struct ring *ring, const struct ring_place *place, uint64_t count)
{
    REQUIRE(count <= ring_count(ring) && place->at <= ring->head && place->at >= ring->tail);
    ring->tail = place->at;
    ring->released += count;
}
