#include <pthread.h>
#include <string.h>

#include "audit/record.h"
#include "base/json.h"
#include "base/text.h"
#include "base/validate.h"

/* The longest line has every text full of characters that need a backslash. */
#define TEXTS_MAX (AUDIT_FIELDS_MAX + 3)
#define MEMBER_OVERHEAD 64 /* name, quotes, colon, comma */
_Static_assert(TEXTS_MAX *(2 * AUDIT_TEXT_MAX + MEMBER_OVERHEAD) + 1024 <= RECORD_LINE_MAX,
               "a record may not fit on a line");

/* Where a member's value comes from. */
enum source {
    FROM_ACTOR,
    FROM_EVENT,
    FROM_NODE,
    FROM_PREV,
    FROM_SEQ,
    FROM_SESSION,
    FROM_SEVERITY,
    FROM_TENANT,
    FROM_TIME,
    FROM_EPOCH,  /* of a kind without such a field */
    FROM_FIELDS, /* and above: the event's own, in the order of the table */
};

static const char *const common_members[] = {
    [FROM_ACTOR] = "actor",   [FROM_EVENT] = "event",       [FROM_NODE] = "node",
    [FROM_PREV] = "prev",     [FROM_SEQ] = "seq",           [FROM_SESSION] = "session",
    [FROM_TENANT] = "tenant", [FROM_SEVERITY] = "severity", [FROM_TIME] = "time",
    [FROM_EPOCH] = "epoch",
};
_Static_assert(ARRAY_LEN(common_members) == FROM_FIELDS, "every source has a name");

/* The members of each kind in the order of RFC 8785 section 3.2.3, which for names in ASCII is the
 * order of their bytes. Sorted once. */
static struct layout {
    size_t count;
    struct member {
        const char *name;
        unsigned source;
    } members[FROM_FIELDS + AUDIT_FIELDS_MAX];
} layouts[AUDIT_KINDS];
static pthread_once_t layouts_sorted = PTHREAD_ONCE_INIT;

static void layout_insert(struct layout *layout, const char *name, unsigned source)
{
    size_t at = layout->count++;
    for (; at > 0 && strcmp(layout->members[at - 1].name, name) > 0; at--)
        layout->members[at] = layout->members[at - 1];
    layout->members[at] = (struct member){name, source};
}

static void sort_layouts(void)
{
    for (enum audit_kind kind = 0; kind < AUDIT_KINDS; kind++) {
        const struct audit_kind_row *row = audit_kind_row(kind);
        for (unsigned i = 0; i < ARRAY_LEN(common_members); i++) {
            if (i != FROM_EPOCH || !audit_kind_has_epoch(kind))
                layout_insert(&layouts[kind], common_members[i], i);
        }
        for (unsigned i = 0; i < row->field_count; i++)
            layout_insert(&layouts[kind], row->fields[i].name, FROM_FIELDS + i);
    }
}

size_t record_text(const char *text, char out[AUDIT_TEXT_MAX + 1])
{
    /* What lies beyond would be cut anyway, and a hostile text may be very long. */
    size_t length = text == NULL ? 0 : strnlen(text, 8 * AUDIT_TEXT_MAX);
    return text_sanitise(text == NULL ? "" : text, length, out, AUDIT_TEXT_MAX + 1);
}

static void append_text(struct buffer *out, const char *text)
{
    char clean[AUDIT_TEXT_MAX + 1];
    size_t length = record_text(text, clean);
    json_append_string(out, clean, length);
}

/* A JSON number is a double (RFC 8785 section 3.2.2.3): what it cannot hold is written as text. */
static void append_number(struct buffer *out, uint64_t number)
{
    const char *quote = number > JSON_INTEGER_MAX ? "\"" : "";
    buffer_format(out, "%s%llu%s", quote, (unsigned long long)number, quote);
}

static void append_time(struct buffer *out, uint64_t time_ns)
{
    char text[TIME_TEXT_SIZE];
    time_text_ns(time_ns, text);
    buffer_format(out, "\"%s\"", text);
}

static void append_hash(struct buffer *out, const uint8_t *hash)
{
    char text[2 * MERKLE_HASH_BYTES + 1];
    hex_encode(hash, MERKLE_HASH_BYTES, text);
    buffer_format(out, "\"%s\"", text);
}

static void append_field(struct buffer *out, enum audit_field_type type,
                         const struct audit_value *value)
{
    switch (type) {
    case AUDIT_FIELD_TEXT:
    case AUDIT_FIELD_OPTIONAL_TEXT:
        REQUIRE(value->text != NULL);
        append_text(out, value->text);
        break;
    case AUDIT_FIELD_NUMBER:
        append_number(out, value->number);
        break;
    case AUDIT_FIELD_FLAG:
        buffer_text(out, value->number != 0 ? "true" : "false");
        break;
    }
}

struct record {
    const struct record_place *place;
    const struct audit_who *who;
    const struct audit_event *event;
    const struct audit_kind_row *row;
};

static bool is_empty(const char *text)
{
    return text == NULL || *text == '\0';
}

static bool member_is_absent(const struct record *record, unsigned source)
{
    switch (source) {
    case FROM_ACTOR:
        return is_empty(record->who->actor);
    case FROM_SESSION:
        return is_empty(record->who->session);
    case FROM_TENANT:
        return is_empty(record->who->tenant);
    case FROM_EPOCH:
        return record->event->epoch == 0;
    default:
        return source >= FROM_FIELDS &&
               record->row->fields[source - FROM_FIELDS].type == AUDIT_FIELD_OPTIONAL_TEXT &&
               record->event->values[source - FROM_FIELDS].text == NULL;
    }
}

static void append_value(struct buffer *out, const struct record *record, unsigned source)
{
    switch (source) {
    case FROM_ACTOR:
        append_text(out, record->who->actor);
        break;
    case FROM_EVENT:
        append_text(out, record->row->name);
        break;
    case FROM_NODE:
        append_text(out, record->place->node);
        break;
    case FROM_PREV:
        append_hash(out, record->place->prev);
        break;
    case FROM_SEQ:
        append_number(out, record->place->seq);
        break;
    case FROM_SESSION:
        append_text(out, record->who->session);
        break;
    case FROM_SEVERITY:
        append_text(out, audit_severity_name(record->row->severity));
        break;
    case FROM_TENANT:
        append_text(out, record->who->tenant);
        break;
    case FROM_TIME:
        append_time(out, record->place->time_ns);
        break;
    case FROM_EPOCH:
        append_number(out, record->event->epoch);
        break;
    default:
        append_field(out, record->row->fields[source - FROM_FIELDS].type,
                     &record->event->values[source - FROM_FIELDS]);
    }
}

void record_append(struct buffer *out, const struct record_place *place,
                   const struct audit_who *who, const struct audit_event *event)
{
    pthread_once(&layouts_sorted, sort_layouts);
    const struct layout *layout = &layouts[event->kind];
    struct record record = {place, who, event, audit_kind_row(event->kind)};

    char before = '{';
    for (size_t i = 0; i < layout->count; i++) {
        const struct member *member = &layout->members[i];
        if (member_is_absent(&record, member->source))
            continue;
        buffer_byte(out, (uint8_t)before);
        buffer_byte(out, '"');
        buffer_text(out, member->name);
        buffer_text(out, "\":");
        append_value(out, &record, member->source);
        before = ',';
    }
    buffer_byte(out, '}');
}
