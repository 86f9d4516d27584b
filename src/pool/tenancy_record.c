/* What a provider's log says of leases.
 *
 * What may be lost with the last second is emitted. Ends that somebody ordered are critical: they
 * are committed, by a thread of their own, so that neither a connection nor the wiping waits for
 * the disk. A lease is not forgotten before its end is on record. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/thread.h"
#include "net/identity.h"
#include "pool/tenancy_core.h"

#define RECORDS_AT_ONCE 64u
#define RETRY_S 1

void lease_record_fill(const struct tenant_lease *lease, struct lease_record *out)
{
    out->id = lease->id;
    out->bytes = lease->extents.blocks * lease->extents.block_bytes;
    out->state = lease->state;
    out->cause = lease->cause;
    strcpy(out->consumer, lease->tenant->name);
}

/* ---- as events ------------------------------------------------------------------------------- */

/* The texts that an event borrows. */
struct texts {
    char lease[LEASE_ID_HEX_SIZE];
    struct spiffe_id consumer;
};

static void texts_of(const struct lease_record *record, struct texts *out)
{
    lease_id_hex(&record->id, out->lease);
    if (spiffe_parse(record->consumer, strlen(record->consumer), &out->consumer, NULL) != LETHE_OK)
        out->consumer = (struct spiffe_id){.text = ""};
}

#define EVENT(kind)                                                                                \
    audit_##kind(texts->lease, record->consumer, tenancy->provider, record->bytes,                 \
                 lease_state_word(record->state), lease_cause_word(record->cause))

static struct audit_event event_of(const struct tenancy *tenancy, enum lease_record_kind kind,
                                   const struct lease_record *record, const struct texts *texts)
{
    switch (kind) {
    case RECORD_FROZEN:
        return EVENT(lease_frozen);
    case RECORD_RESUMED:
        return EVENT(lease_resumed);
    case RECORD_ATTACHED:
        break;
    }
    return EVENT(lease_attached);
}

static struct audit_event end_of(const struct tenancy *tenancy, const struct lease_record *record,
                                 const struct texts *texts)
{
    switch (record->cause) {
    case LEASE_CAUSE_RELEASED:
    case LEASE_CAUSE_DRAINED:
        return EVENT(lease_released);
    case LEASE_CAUSE_EXPIRED:
        return EVENT(lease_expired);
    default:
        return EVENT(lease_revoked);
    }
}

static struct audit_who who_of(const struct tenancy *tenancy, const struct texts *texts)
{
    return (struct audit_who){
        .actor = tenancy->options.log->actor, .tenant = texts->consumer.tenant, .session = ""};
}

void tenancy_record(struct tenancy *tenancy, enum lease_record_kind kind,
                    const struct lease_record *record)
{
    struct texts texts;
    if (tenancy->options.log == NULL)
        return;
    texts_of(record, &texts);
    struct audit_event event = event_of(tenancy, kind, record, &texts);
    struct audit_who who = who_of(tenancy, &texts);
    audit_emit(tenancy->options.log->log, &who, &event);
}

void tenancy_record_refused(struct tenancy *tenancy, const char *consumer, const char *why)
{
    struct spiffe_id id = {.text = ""};
    if (tenancy->options.log == NULL)
        return;
    (void)!spiffe_parse(consumer, strlen(consumer), &id, NULL);
    const struct audit_who who = {.actor = consumer, .tenant = id.tenant, .session = ""};
    const struct audit_event event = audit_invalid_token_used("lease", consumer, why);
    audit_emit(tenancy->options.log->log, &who, &event);
}

/* ---- the thread that records ends ------------------------------------------------------------ */

/* Leases of one consumer that ended one after another: a group in the log. */
struct batch {
    struct tenant_lease *leases[RECORDS_AT_ONCE];
    struct lease_record records[RECORDS_AT_ONCE];
    struct texts texts[RECORDS_AT_ONCE];
    struct audit_event events[RECORDS_AT_ONCE];
    size_t count;
    size_t critical; /* events that are to be committed come first */
};

void tenancy_record_end(struct tenancy *tenancy, struct tenant_lease *lease)
{
    if (tenancy->options.log == NULL)
        return;
    lease->is_recording = true;
    STAILQ_INSERT_TAIL(&tenancy->unrecorded, lease, record_link);
    pthread_cond_signal(&tenancy->to_record);
}

static void take_batch(struct tenancy *tenancy, struct batch *batch)
{
    struct tenant_lease *lease;
    batch->count = 0;
    while (batch->count < RECORDS_AT_ONCE && (lease = STAILQ_FIRST(&tenancy->unrecorded)) != NULL) {
        if (batch->count > 0 && lease->tenant != batch->leases[0]->tenant)
            break;
        STAILQ_REMOVE_HEAD(&tenancy->unrecorded, record_link);
        lease_record_fill(lease, &batch->records[batch->count]);
        batch->leases[batch->count++] = lease;
    }
}

/* What need not be committed is emitted at once. */
static void prepare(struct tenancy *tenancy, struct batch *batch)
{
    batch->critical = 0;
    for (size_t i = 0; i < batch->count; i++) {
        texts_of(&batch->records[i], &batch->texts[i]);
        struct audit_event event = end_of(tenancy, &batch->records[i], &batch->texts[i]);
        struct audit_who who = who_of(tenancy, &batch->texts[i]);
        if (audit_kind_severity(event.kind) == AUDIT_CRITICAL)
            batch->events[batch->critical++] = event;
        else
            audit_emit(tenancy->options.log->log, &who, &event);
    }
}

/* Within the lock, which is given back meanwhile. */
static void wait_a_moment(struct tenancy *tenancy)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RETRY_S;
    if (!tenancy->is_ending)
        pthread_cond_timedwait(&tenancy->to_record, &tenancy->lock, &until);
}

/* Tries until the log takes them: what could not be recorded is not forgotten, and when that is too
 * much, nothing more is granted. At the end of all, once. */
static void commit(struct tenancy *tenancy, const struct batch *batch)
{
    bool is_last = false;
    while (batch->critical > 0 && !is_last) {
        struct audit_who who = who_of(tenancy, &batch->texts[0]);
        pthread_mutex_lock(&tenancy->lock);
        is_last = tenancy->is_ending;
        pthread_mutex_unlock(&tenancy->lock);
        if (audit_commit_all(tenancy->options.log->log, &who, batch->events, batch->critical,
                             NULL) == LETHE_OK)
            return;
        pthread_mutex_lock(&tenancy->lock);
        wait_a_moment(tenancy);
        pthread_mutex_unlock(&tenancy->lock);
    }
}

static void finish_batch(struct tenancy *tenancy, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        batch->leases[i]->is_recording = false;
        tenancy_forget_if_done(tenancy, batch->leases[i]);
    }
}

static void *record_on(void *context)
{
    struct tenancy *tenancy = context;
    struct batch batch;
    pthread_mutex_lock(&tenancy->lock);
    while (!tenancy->is_ending || !STAILQ_EMPTY(&tenancy->unrecorded)) {
        take_batch(tenancy, &batch);
        if (batch.count == 0) {
            pthread_cond_wait(&tenancy->to_record, &tenancy->lock);
            continue;
        }
        pthread_mutex_unlock(&tenancy->lock);
        prepare(tenancy, &batch);
        commit(tenancy, &batch);
        pthread_mutex_lock(&tenancy->lock);
        finish_batch(tenancy, &batch);
    }
    pthread_mutex_unlock(&tenancy->lock);
    return NULL;
}

lethe_result tenancy_recorder_start(struct tenancy *tenancy, struct lethe_error *err)
{
    if (tenancy->options.log == NULL)
        return LETHE_OK;
    TRY(thread_start(&tenancy->recorder, record_on, tenancy, err));
    tenancy->has_recorder = true;
    return LETHE_OK;
}

void tenancy_recorder_stop(struct tenancy *tenancy)
{
    pthread_mutex_lock(&tenancy->lock);
    tenancy->is_ending = true;
    pthread_cond_signal(&tenancy->to_record);
    pthread_mutex_unlock(&tenancy->lock);
    if (tenancy->has_recorder)
        pthread_join(tenancy->recorder, NULL);
    tenancy->has_recorder = false;
}
