/* What the calls of one turn leave: records, which become durable together, and then answers. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/core_core.h"

bool turn_is_full(const struct turn *turn)
{
    return turn->call_count == TURN_CALLS_MAX || turn->answers.size_bytes >= TURN_ANSWERS_BYTES ||
           turn->record_count >= TURN_RECORDS_MAX / 2;
}

void turn_free(struct turn *turn)
{
    guarded_clear(&turn->answers);
    buffer_clear(&turn->texts);
    free(turn->records);
    free(turn->entries);
}

/* ---- records --------------------------------------------------------------------------------- */

static size_t keep_text(struct turn *turn, const char *text)
{
    size_t at = turn->texts.size_bytes;
    buffer_append(&turn->texts, text, MIN(strlen(text), (size_t)AUDIT_TEXT_MAX + 1));
    buffer_byte(&turn->texts, '\0');
    return at;
}

static lethe_result make_room(struct turn *turn)
{
    if (turn->record_count < turn->record_capacity)
        return LETHE_OK;
    size_t capacity = MAX(turn->record_capacity * 2, (size_t)64);
    if (turn->record_count == TURN_RECORDS_MAX)
        return LETHE_NO_MEMORY;
    struct turn_record *grown = reallocarray(turn->records, capacity, sizeof *grown);
    if (grown == NULL)
        return LETHE_NO_MEMORY;
    turn->records = grown;
    turn->record_capacity = capacity;
    return LETHE_OK;
}

lethe_result turn_record(struct turn *turn, const struct caller *caller,
                         const struct audit_event *event)
{
    const struct audit_kind_row *kind = audit_kind_row(event->kind);
    TRY(make_room(turn));
    struct turn_record *record = &turn->records[turn->record_count];
    *record = (struct turn_record){.event = *event, .call = turn->call_count};
    record->actor = keep_text(turn, caller->name);
    record->tenant = keep_text(turn, caller->tenant);
    for (size_t i = 0; i < kind->field_count; i++) {
        if (event->values[i].text != NULL)
            record->event.values[i].number = keep_text(turn, event->values[i].text);
    }
    TRY(turn->texts.failure);
    turn->record_count++;
    return LETHE_OK;
}

/* The texts lie still from now on. */
static void point_at_texts(const struct turn *turn, struct turn_record *record)
{
    const struct audit_kind_row *kind = audit_kind_row(record->event.kind);
    for (size_t i = 0; i < kind->field_count; i++) {
        struct audit_value *value = &record->event.values[i];
        if (value->text == NULL)
            continue;
        value->text = turn->texts.bytes + value->number;
        value->number = 0;
    }
}

static lethe_result make_entries(struct turn *turn)
{
    if (turn->entry_capacity < turn->record_count) {
        free(turn->entries);
        turn->entries = calloc(turn->record_capacity, sizeof *turn->entries);
        turn->entry_capacity = turn->entries == NULL ? 0 : turn->record_capacity;
    }
    if (turn->entries == NULL)
        return LETHE_NO_MEMORY;
    for (size_t i = 0; i < turn->record_count; i++) {
        struct turn_record *record = &turn->records[i];
        point_at_texts(turn, record);
        turn->entries[i] = (struct audit_entry){
            .who = {turn->texts.bytes + record->actor, turn->texts.bytes + record->tenant, ""},
            .event = &record->event};
    }
    return LETHE_OK;
}

/* The answer of a call whose record is not durable is not given. */
static void withhold(struct turn *turn, size_t call)
{
    struct turn_answer *answer = &turn->calls[call];
    if (call >= turn->call_count || answer->status == 503)
        return;
    lethe_wipe(turn->answers.bytes + answer->start, answer->size_bytes);
    *answer = (struct turn_answer){.connection = answer->connection,
                                   .number = answer->number,
                                   .status = 503,
                                   .content_type = "application/json",
                                   .start = SIZE_MAX};
}

static void commit(struct core *core)
{
    struct turn *turn = &core->turn;
    struct keeper *keeper = core->service->keeper;
    struct core_counts *counts = &core->counts;
    if (turn->record_count == 0)
        return;
    uint64_t begun_ns = clock_monotonic_ns(&clock_system);
    lethe_result made = keeper == NULL ? LETHE_UNAVAILABLE : make_entries(turn);
    if (made == LETHE_OK)
        (void)!audit_commit_entries(keeper_log(keeper), turn->entries, turn->record_count, NULL);
    counts->commit_ns += clock_monotonic_ns(&clock_system) - begun_ns;
    for (size_t i = 0; i < turn->record_count; i++) {
        bool is_durable = made == LETHE_OK && turn->entries[i].result == LETHE_OK;
        counts->committed += is_durable ? 1 : 0;
        counts->commit_failures += is_durable ? 0 : 1;
        if (!is_durable)
            withhold(turn, turn->records[i].call);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct wire_part body_of(const struct turn *turn, const struct turn_answer *answer)
{
    static const char withheld[] = "{\"errors\":[\"the record could not be made durable\"]}";
    if (answer->start == SIZE_MAX)
        return (struct wire_part){(const uint8_t *)withheld, sizeof withheld - 1};
    if (answer->size_bytes == 0)
        return (struct wire_part){0};
    return (struct wire_part){turn->answers.bytes + answer->start, answer->size_bytes};
}

static void put(struct core *core, const struct turn_answer *answer, struct core_peer *peer)
{
    const struct turn *turn = &core->turn;
    const char *type = answer->content_type == NULL ? "" : answer->content_type;
    struct wire_frame frame = {
        .kind = WIRE_ANSWER,
        .flags = answer->stream ? WIRE_STREAM : 0,
        .code = (uint16_t)answer->status,
        .connection = answer->connection,
        .number = answer->number,
        .parts = {{(const uint8_t *)type, strlen(type)}, body_of(turn, answer)}};
    wire_put(&peer->wire, &frame);
    if (answer->stream)
        events_open(core, peer, &frame);
}

static void empty(struct turn *turn)
{
    bool is_large = turn->answers.capacity_bytes > ((size_t)1 << 20);
    if (is_large)
        guarded_clear(&turn->answers);
    else
        guarded_wipe(&turn->answers);
    buffer_truncate(&turn->texts, 0);
    turn->texts.failure = LETHE_OK;
    turn->call_count = 0;
    turn->record_count = 0;
}

void turn_finish(struct core *core, struct core_peer *peer)
{
    struct turn *turn = &core->turn;
    commit(core);
    for (size_t i = 0; i < turn->call_count; i++)
        put(core, &turn->calls[i], peer);
    core->counts.turns += turn->call_count > 0 ? 1 : 0;
    empty(turn);
}
