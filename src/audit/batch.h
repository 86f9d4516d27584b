/* audit/batch.h -- commits in two steps: records are given to the log one by one, and become
 * durable while their caller does something else.
 *
 * audit_push() fixes a record's place: what anybody emits, pushes or commits later comes behind it,
 * in the same group or in a later one. audit_batch_start() says that there is no more for now: the
 * log's thread writes what waits, as soon as no other group is being written. A record may become
 * durable before, with others'. Each record has a result of its own, as audit_commit() would give
 * it; a record that failed is not tried again.
 *
 * Thread rule: a batch is used by one thread at a time; different ones by different threads. A log
 * that has no thread (audit_options.without_thread) writes a batch when it is waited for. Batches
 * are freed before their log is closed. */
#ifndef AUDIT_BATCH_H
#define AUDIT_BATCH_H

#include "audit/log.h"

struct audit_batch;

/* Called once for each batch that was started, when all its records have their results, on any
 * thread: it must neither block nor use the log. Behind it the batch may be gone. */
typedef void audit_batch_done(void *context);

/* Empty. `done` may be NULL. */
LETHE_MUST_CHECK lethe_result audit_batch_create(struct audit_log *log, audit_batch_done *done,
                                                 void *context, struct audit_batch **out,
                                                 struct lethe_error *err);
/* Waits, if need be. NULL is fine. */
void audit_batch_free(struct audit_batch *batch);
DEFINE_CLEANUP(audit_batch_free, struct audit_batch *);

/* Texts are copied. `tag` is the caller's: audit_batch_failed() says it. What the log refuses at
 * once (LETHE_UNAVAILABLE: the actor is over its budget) has that as its result. LETHE_NO_MEMORY:
 * the record is not in the batch. */
LETHE_MUST_CHECK lethe_result audit_push(struct audit_batch *batch, const struct audit_who *who,
                                         const struct audit_event *event, size_t tag);
/* Nothing is pushed any more until it is done, and cleared. */
void audit_batch_start(struct audit_batch *batch);
bool audit_batch_is_done(const struct audit_batch *batch);
/* Until it is done, started or not. */
void audit_batch_wait(struct audit_batch *batch);

/* Of one that is done: how many records it has, and the tags of those that are not in the log, in
 * the order in which they were pushed. */
size_t audit_batch_count(const struct audit_batch *batch);
typedef void audit_batch_visit(void *context, size_t tag, lethe_result result);
void audit_batch_failed(const struct audit_batch *batch, audit_batch_visit *visit, void *context);
/* Of one that is done: empties it, to be used again. */
void audit_batch_clear(struct audit_batch *batch);

#endif
