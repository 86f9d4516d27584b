#include "audit/event.h"

#include <string.h>

#define TEXT_ROW(name) {#name, AUDIT_FIELD_TEXT},
#define OPTIONAL_ROW(name) {#name, AUDIT_FIELD_OPTIONAL_TEXT},
#define NUMBER_ROW(name) {#name, AUDIT_FIELD_NUMBER},
#define FLAG_ROW(name) {#name, AUDIT_FIELD_FLAG},

#define FIELD_TABLE(event, severity)                                                               \
    static const struct audit_field fields_##event[] = {                                           \
        FIELDS_##event(TEXT_ROW, NUMBER_ROW, FLAG_ROW, OPTIONAL_ROW)};                             \
    _Static_assert(ARRAY_LEN(fields_##event) <= AUDIT_FIELDS_MAX, "too many fields: " #event);
AUDIT_EVENTS(FIELD_TABLE)

static const struct audit_kind_row kinds[] = {
#define KIND_ROW(event, severity)                                                                  \
    {#event, AUDIT_##severity, ARRAY_LEN(fields_##event), fields_##event},
    AUDIT_EVENTS(KIND_ROW)};

const struct audit_kind_row *audit_kind_row(enum audit_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    return &kinds[kind];
}

/* The number of fields when there is none. */
static size_t epoch_field(const struct audit_kind_row *row)
{
    size_t i = 0;
    while (i < row->field_count &&
           (row->fields[i].type != AUDIT_FIELD_NUMBER || strcmp(row->fields[i].name, "epoch") != 0))
        i++;
    return i;
}

bool audit_kind_has_epoch(enum audit_kind kind)
{
    const struct audit_kind_row *row = audit_kind_row(kind);
    return epoch_field(row) < row->field_count;
}

uint64_t audit_event_epoch(const struct audit_event *event)
{
    const struct audit_kind_row *row = audit_kind_row(event->kind);
    size_t at = epoch_field(row);
    return at < row->field_count ? event->values[at].number : event->epoch;
}

const char *audit_kind_name(enum audit_kind kind)
{
    return audit_kind_row(kind)->name;
}

enum audit_severity audit_kind_severity(enum audit_kind kind)
{
    return audit_kind_row(kind)->severity;
}

const char *audit_severity_name(enum audit_severity severity)
{
    static const char *const names[] = {
        [AUDIT_INFO] = "info",
        [AUDIT_NOTICE] = "notice",
        [AUDIT_WARNING] = "warning",
        [AUDIT_CRITICAL] = "critical",
    };
    REQUIRE((size_t)severity < ARRAY_LEN(names));
    return names[severity];
}
