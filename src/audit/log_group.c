/* Who writes a group, and what is in it. */
#include <sched.h>

#include "audit/log_core.h"
#include "audit/space.h"
#include "base/thread.h"

#define GATHER_NS 100000

void log_publish_head(struct audit_log *log)
{
    const struct chain *chain = &log->writer.replay.chain;
    log->head.records = chain->tree.leaves;
    log->head.epoch = chain->epoch;
    merkle_root(&chain->tree, log->head.root);
}

/* ---- what is in it --------------------------------------------------------------------------- */

/* Called with the mutex held. Emitted records go before the commits that came after them; at most
 * WRITER_GROUP_MAX in all. */
static void gather(struct audit_log *log)
{
    struct gathering *group = &log->gathering;
    uint64_t room = WRITER_GROUP_MAX;
    uint64_t upto = log->ring.released;
    group->commits = (struct queue){0};
    for (struct entry *first; room > 0 && (first = log->queue.first) != NULL;) {
        uint64_t before = first->behind > upto ? first->behind - upto : 0;
        if (before >= room)
            break;
        upto += before;
        room -= before + 1;
        queue_push(&group->commits, queue_pop(&log->queue));
    }
    uint64_t bound = log->queue.first != NULL ? log->queue.first->behind : log->ring.pushed;
    if (bound > upto)
        upto += MIN(bound - upto, room);
    group->began_ns = clock_monotonic_ns(log->clock);
    group->is_all = upto == log->ring.pushed;
    group->emitted_count = upto - log->ring.released;
    group->emitted_end.at = log->ring.tail;
    losses_report(&log->losses, &log->budget, clock_wall_ns(log->clock), &group->losses);
}

static void read_emitted(struct audit_log *log)
{
    struct gathering *group = &log->gathering;
    for (uint64_t i = 0; i < group->emitted_count; i++)
        ring_read(&log->ring, &group->emitted_end, &group->emitted[i]);
}

bool log_is_essential(const struct audit_event *event)
{
    return audit_kind_severity(event->kind) == AUDIT_CRITICAL || audit_event_epoch(event) > 0;
}

/* What the writer is given: links the entries in their order, and leaves out those that may not be
 * written. */
struct list {
    struct entry *first;
    struct entry **end;
    struct entry *waiting; /* the commits among them; the others are the gathering's */
};

static void link_entry(struct list *list, struct entry *entry)
{
    entry->next = NULL;
    *list->end = entry;
    list->end = &entry->next;
}

static void link_emitted(struct gathering *group, uint64_t *next, uint64_t end, struct list *list)
{
    for (; *next < end; (*next)++)
        link_entry(list, &group->emitted[*next].entry);
}

/* The commits leave their queue here: each is in the list, or refused. */
static void make_list(struct audit_log *log, lethe_result space, struct list *list,
                      struct entry **refused)
{
    struct gathering *group = &log->gathering;
    uint64_t next = 0;
    uint64_t usable = space == LETHE_OK ? group->emitted_count : 0;
    struct queue commits = group->commits;
    group->commits = (struct queue){0};
    for (struct entry *entry; (entry = queue_pop(&commits)) != NULL;) {
        if (entry->behind > log->ring.released)
            link_emitted(group, &next, MIN(entry->behind - log->ring.released, usable), list);
        if (space != LETHE_OK && !log_is_essential(entry->event)) {
            entry->next_told = *refused;
            *refused = entry;
            continue;
        }
        link_entry(list, entry);
        entry->next_told = list->waiting;
        list->waiting = entry;
    }
    link_emitted(group, &next, usable, list);
}

/* Losses are said first. With a disk that is nearly full, they do not make a group of their own,
 * unless all is to be flushed. */
static struct entry *put_losses_in_front(struct audit_log *log, lethe_result space, bool flushing,
                                         struct list *list)
{
    struct loss_report *losses = &log->gathering.losses;
    if (space != LETHE_OK && list->first == NULL && !flushing)
        losses->count = 0;
    struct entry *first = list->first;
    for (size_t i = losses->count; i > 0; i--) {
        losses->rows[i - 1].entry.next = first;
        first = &losses->rows[i - 1].entry;
    }
    return first;
}

/* ---- who writes ------------------------------------------------------------------------------ */

/* Called with the mutex held. Those whom the last group has just released are about to come with
 * their next record: without a moment's patience half of them would always miss the group. */
static void wait_for_more(struct audit_log *log)
{
    if (log->queue.count == 0 || log->queue.count >= log->expected)
        return;
    uint64_t deadline_ns = clock_monotonic_ns(&clock_system) + GATHER_NS;
    while (log->queue.count < log->expected && clock_monotonic_ns(&clock_system) < deadline_ns) {
        pthread_mutex_unlock(&log->mutex);
        sched_yield();
        pthread_mutex_lock(&log->mutex);
    }
}

static void give_turn(struct entry *entry, enum entry_turn turn)
{
    if (atomic_exchange(&entry->turn, turn) == ENTRY_SLEEPS)
        word_wake(&entry->turn); /* when it is done, the entry may be gone by now */
}

static void tell(struct entry *entry, lethe_result result, const struct lethe_error *err)
{
    entry->result = result;
    if (entry->err != NULL && result != LETHE_OK)
        *entry->err = *err;
    if (entry->batch != NULL)
        batch_told(entry->batch);
    else
        give_turn(entry, ENTRY_DONE);
}

/* Without the mutex, which those who are woken may want next, and while others may lead already. */
static void tell_all(struct entry *waiting, lethe_result result, const struct lethe_error *err)
{
    for (struct entry *next; waiting != NULL; waiting = next) {
        next = waiting->next_told;
        tell(waiting, result, err);
    }
}

/* Emitted records of a group that failed stay where they are, and are tried again later. */
static void settle(struct audit_log *log, lethe_result result, lethe_result space)
{
    struct gathering *group = &log->gathering;
    log->failed = result != LETHE_OK;
    if (log->failed || group->is_all) /* what waits now came after that */
        log->waiting_since_ns = group->began_ns;
    if (log->failed)
        return;
    ring_release(&log->ring, &group->emitted_end, group->emitted_count);
    losses_settle(&log->losses, &log->budget, &group->losses);
    if (space != LETHE_OK)
        log->losses.counts[LOSS_SPACE] += group->emitted_count;
    log_publish_head(log);
}

/* What becomes of the commits of a group. */
struct outcome {
    struct audit_log *log;
    lethe_result result; /* of the group */
    struct lethe_error err;
    lethe_result space;
    struct lethe_error space_err;
    struct list list; /* what was committed and emitted */
    struct entry *refused;
    size_t taken;
    bool told;
};

/* Without the mutex. Who is told goes on while the files are written: how many may come back is
 * known before. */
static void tell_outcome(void *context)
{
    struct outcome *outcome = context;
    struct audit_log *log = outcome->log;
    pthread_mutex_lock(&log->mutex);
    log->expected = outcome->taken + log->queue.count;
    settle(log, outcome->result, outcome->space);
    pthread_mutex_unlock(&log->mutex);
    outcome->told = true;
    tell_all(outcome->list.waiting, outcome->result, &outcome->err);
    tell_all(outcome->refused, outcome->space, &outcome->space_err);
}

/* Without the mutex. */
static void write_gathered(struct audit_log *log, bool flushing, struct outcome *out)
{
    out->list.end = &out->list.first;
    out->space = space_check(&log->space, log->writer.directory, log->limits.free_floor_bytes,
                             &out->space_err);
    read_emitted(log);
    make_list(log, out->space, &out->list, &out->refused);
    const struct entry *first = put_losses_in_front(log, out->space, flushing, &out->list);
    if (first != NULL)
        out->result = writer_group(&log->writer, first, tell_outcome, out, &out->err);
    if (!out->told)
        tell_outcome(out);
}

/* Somebody who waits goes on; where nobody does, what was pushed is the thread's. */
void log_end_leading(struct audit_log *log)
{
    struct entry *entry = log->queue.first;
    log->leading = false;
    pthread_cond_broadcast(&log->group_done);
    while (entry != NULL && entry->batch != NULL)
        entry = entry->next;
    if (entry != NULL)
        give_turn(entry, ENTRY_LEADS);
    else if (log->queue.first != NULL && log->queue.first->batch->is_started)
        log_call_thread(log);
}

/* Where what goes before a commit cannot be written, it cannot either: those who wait are told. */
static void fail_waiting(struct audit_log *log, lethe_result result, const struct lethe_error *err)
{
    struct entry *waiting = NULL, *entry;
    while ((entry = queue_pop(&log->queue)) != NULL) {
        entry->next_told = waiting;
        waiting = entry;
    }
    tell_all(waiting, result, err);
}

lethe_result log_lead(struct audit_log *log, struct lethe_error *err)
{
    struct outcome outcome = {.log = log};
    while (log->leading)
        pthread_cond_wait(&log->group_done, &log->mutex);
    log->leading = true;
    wait_for_more(log);
    gather(log);
    outcome.taken = log->gathering.commits.count;
    bool flushing = log->flushing > 0;
    pthread_mutex_unlock(&log->mutex);

    write_gathered(log, flushing, &outcome);
    if (outcome.result != LETHE_OK && err != NULL)
        *err = outcome.err;

    pthread_mutex_lock(&log->mutex);
    if (outcome.result != LETHE_OK && outcome.list.waiting == NULL)
        fail_waiting(log, outcome.result, &outcome.err);
    log_end_leading(log);
    return outcome.result;
}

/* Somebody else may be leading by now, perhaps with this entry in the group: then there is a turn
 * to come. The entry has the result of its group, whoever led it. */
static void take_lead(struct audit_log *log, struct entry *entry)
{
    unsigned turn = ENTRY_LEADS;
    pthread_mutex_lock(&log->mutex);
    if (atomic_compare_exchange_strong(&entry->turn, &turn, ENTRY_WAITS) && !log->leading &&
        log->queue.first != NULL)
        log_lead(log, NULL);
    pthread_mutex_unlock(&log->mutex);
}

void log_wait_for(struct audit_log *log, struct entry *entry)
{
    for (unsigned turn; (turn = atomic_load(&entry->turn)) != ENTRY_DONE;) {
        if (turn == ENTRY_LEADS)
            take_lead(log, entry);
        else if (turn == ENTRY_SLEEPS ||
                 atomic_compare_exchange_strong(&entry->turn, &turn, ENTRY_SLEEPS))
            word_wait(&entry->turn, ENTRY_SLEEPS);
    }
}

/* Others may go on losing records: those of before have all been said after so many groups. */
#define LOSS_GROUPS_MAX ((BUDGET_IDENTITIES + 1 + LOSSES) / LOSS_REPORT_MAX + 1)

lethe_result log_flush(struct audit_log *log, struct lethe_error *err)
{
    lethe_result result = LETHE_OK;
    uint64_t upto = log->ring.pushed;
    unsigned groups = 0;
    log->flushing++;
    while (result == LETHE_OK &&
           (log->ring.released < upto ||
            (groups < LOSS_GROUPS_MAX && losses_any(&log->losses, &log->budget)))) {
        result = log_lead(log, err);
        groups++;
    }
    log->flushing--;
    return result;
}
