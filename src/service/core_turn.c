/* What the calls of one turn leave: records, which become durable together, and then answers. While
 * the disk has the records of some turns, the next one is in work. */
#include <string.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/file.h"
#include "service/core_core.h"

/* ---- their life ------------------------------------------------------------------------------ */

/* Where one turn does, its memory is used again. */
static void choose(struct core *core)
{
    if (core->waiting_turns == 0)
        core->first_turn = 0;
    core->turn = &core->turns[(core->first_turn + core->waiting_turns) % TURNS_MAX];
}

lethe_result turns_create(struct core *core, struct lethe_error *err)
{
    choose(core);
    core->durable_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return core->durable_fd >= 0 ? LETHE_OK : error_from_errno(err, "an event descriptor");
}

void turns_free(struct core *core)
{
    for (size_t i = 0; i < TURNS_MAX; i++)
        guarded_clear(&core->turns[i].answers);
    fd_close(core->durable_fd);
}

/* On the log's thread, mostly. The descriptor is open until the log is closed. */
static void note_durable(void *context)
{
    const struct core *core = context;
    (void)eventfd_write(core->durable_fd, 1); /* it is readable then, whatever this says */
}

lethe_result turns_unsealed(struct core *core, struct lethe_error *err)
{
    struct audit_log *log = keeper_log(core->service->keeper);
    for (size_t i = 0; i < TURNS_MAX; i++)
        TRY(audit_batch_create(log, note_durable, core, &core->turns[i].records, err));
    return LETHE_OK;
}

void turns_sealing(struct core *core)
{
    turns_wait(core);
    for (size_t i = 0; i < TURNS_MAX; i++)
        audit_batch_free(MOVE(core->turns[i].records));
}

/* ---- records --------------------------------------------------------------------------------- */

static size_t record_count(const struct turn *turn)
{
    return turn->records == NULL ? 0 : audit_batch_count(turn->records);
}

bool turn_is_full(const struct turn *turn)
{
    return turn->call_count == TURN_CALLS_MAX || turn->answers.size_bytes >= TURN_ANSWERS_BYTES ||
           record_count(turn) >= TURN_RECORDS_MAX;
}

lethe_result turn_record(struct turn *turn, const struct caller *caller,
                         const struct audit_event *event)
{
    const struct audit_who who = {caller->name, caller->tenant, ""};
    return audit_push(turn->records, &who, event, turn->call_count);
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

static void withhold_failed(void *context, size_t call, lethe_result result)
{
    struct core *core = context;
    core->counts.commit_failures++;
    withhold(&core->turns[core->first_turn], call);
}

/* Of the oldest turn. */
static void take_results(struct core *core)
{
    struct turn *turn = &core->turns[core->first_turn];
    struct core_counts *counts = &core->counts;
    if (record_count(turn) == 0)
        return;
    uint64_t failed = counts->commit_failures;
    audit_batch_failed(turn->records, withhold_failed, core);
    counts->committed += record_count(turn) - (counts->commit_failures - failed);
    counts->commit_ns += clock_monotonic_ns(&clock_system) - turn->waits_from_ns;
    audit_batch_clear(turn->records);
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

static void put(struct core *core, const struct turn *turn, const struct turn_answer *answer)
{
    struct core_peer *peer = turn->peer;
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
    turn->call_count = 0;
    turn->peer = NULL;
}

/* ---- one behind the other -------------------------------------------------------------------- */

static void send_oldest(struct core *core)
{
    struct turn *turn = &core->turns[core->first_turn];
    take_results(core);
    for (size_t i = 0; turn->peer != NULL && i < turn->call_count; i++)
        put(core, turn, &turn->calls[i]);
    empty(turn);
    core->first_turn = (core->first_turn + 1) % TURNS_MAX;
    core->waiting_turns--;
}

void turns_send(struct core *core)
{
    while (core->waiting_turns > 0) {
        const struct turn *turn = &core->turns[core->first_turn];
        if (record_count(turn) > 0 && !audit_batch_is_done(turn->records))
            return;
        send_oldest(core);
    }
}

static void wait_for_oldest(struct core *core)
{
    if (record_count(&core->turns[core->first_turn]) > 0)
        audit_batch_wait(core->turns[core->first_turn].records);
    turns_send(core);
}

void turns_wait(struct core *core)
{
    while (core->waiting_turns > 0)
        wait_for_oldest(core);
}

void turn_finish(struct core *core, struct core_peer *peer)
{
    struct turn *turn = core->turn;
    turn->peer = peer;
    core->counts.turns += turn->call_count > 0 ? 1 : 0;
    if (record_count(turn) > 0) {
        turn->waits_from_ns = clock_monotonic_ns(&clock_system);
        if (core->may_wait)
            audit_batch_start(turn->records);
    }
    core->waiting_turns++;
    turns_send(core);
    if (!core->may_wait)
        turns_wait(core);
    else if (core->waiting_turns == TURNS_MAX)
        wait_for_oldest(core);
    choose(core);
}

void turns_forget(struct core *core, const struct core_peer *peer)
{
    for (size_t i = 0; i < TURNS_MAX; i++) {
        if (core->turns[i].peer == peer)
            core->turns[i].peer = NULL;
    }
}
