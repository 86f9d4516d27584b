#include "audit/log_core.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "audit/history.h"
#include "audit/space.h"
#include "audit/start.h"
#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"
#include "mem/process.h"

#define FLUSH_RECORDS 1024u
#define FLUSH_MS 1000u
#define FLUSH_MS_MAX (86400u * 1000u)
#define QUEUE_BYTES ((uint64_t)2 << 20)

/* ---- opening --------------------------------------------------------------------------------- */

static lethe_result check_options(const struct audit_options *options, struct lethe_error *err)
{
    const char *name = options->signer.key.name;
    TRY(validate_identifier("node", options->node, RECORD_NODE_MAX, err));
    if (strncmp(name, RECORD_ORIGIN_PREFIX, strlen(RECORD_ORIGIN_PREFIX)) != 0 ||
        strcmp(name + strlen(RECORD_ORIGIN_PREFIX), options->node) != 0)
        return error_set(err, LETHE_INVALID,
                         "the log's key must be called " RECORD_ORIGIN_PREFIX "%s, as its node",
                         options->node);
    return LETHE_OK;
}

static lethe_result open_directory(const char *path, int *out, struct lethe_error *err)
{
    struct stat status;
    TRY(file_make_directories(path, FILES_DIRECTORY_MODE, err));
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", path);
    TRY(file_check_private(path, &status, err));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

static void set_limits(struct audit_log *log, const struct audit_limits *limits)
{
    log->limits = *limits;
    if (limits->flush_records == 0)
        log->limits.flush_records = FLUSH_RECORDS;
    log->limits.flush_ms = limits->flush_ms == 0 ? FLUSH_MS : MIN(limits->flush_ms, FLUSH_MS_MAX);
    if (limits->queue_bytes == 0)
        log->limits.queue_bytes = QUEUE_BYTES;
}

static void log_free(struct audit_log *log)
{
    if (log == NULL)
        return;
    ring_clear(&log->ring);
    budget_clear(&log->budget);
    free(log);
}
DEFINE_CLEANUP(log_free, struct audit_log *);

static lethe_result make(const struct audit_options *options, struct audit_log **out,
                         struct lethe_error *err)
{
    CLEANUP(log_free) struct audit_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return error_set(err, LETHE_NO_MEMORY, "opening the log");
    set_limits(log, &options->limits);
    TRY(ring_create(&log->ring, log->limits.queue_bytes, err));
    TRY(budget_create(&log->budget, &log->limits, err));
    log->clock = options->clock == NULL ? &clock_system : options->clock;
    log->space = options->space.look == NULL ? space_system : options->space;
    *out = MOVE(log);
    return LETHE_OK;
}

static lethe_result start(struct audit_log *log, const struct audit_options *options,
                          struct lethe_error *err)
{
    pthread_mutex_init(&log->mutex, NULL);
    pthread_cond_init(&log->group_done, NULL);
    log_publish_head(log);
    lethe_result result = options->without_thread ? LETHE_OK : log_thread_start(log, err);
    if (result != LETHE_OK)
        (void)!writer_close(&log->writer, NULL);
    return result;
}

lethe_result audit_open(const struct audit_options *options, struct audit_log **out,
                        struct lethe_error *err)
{
    *out = NULL;
    TRY(check_options(options, err));
    TRY(process_start(err));
    CLEANUP(fd_close) int directory = -1;
    TRY(open_directory(options->directory, &directory, err));
    CLEANUP(log_free) struct audit_log *log = NULL;
    TRY(make(options, &log, err));
    log->process = process_epoch();
    TRY(error_context(err, writer_open(&log->writer, directory, options, err), "log %s",
                      options->directory));
    (void)FD_MOVE(directory); /* the writer closes it */
    TRY(start(log, options, err));
    *out = MOVE(log);
    return LETHE_OK;
}

/* A forked child has neither the thread nor the key, and its copy of the mutex may be locked. */
static bool is_ours(const struct audit_log *log)
{
    return log->process == process_epoch();
}

lethe_result log_check_ours(const struct audit_log *log, struct lethe_error *err)
{
    return is_ours(log)
               ? LETHE_OK
               : error_set(err, LETHE_UNAVAILABLE, "the log belongs to the process that opened it");
}

/* ---- recording ------------------------------------------------------------------------------- */

static lethe_result refuse_actor(struct lethe_error *err)
{
    error_set(err, LETHE_UNAVAILABLE, "the actor has used its budget of the log");
    error_hint(err, "try again later, or raise identity_bytes in lethe.conf, section [audit]");
    return LETHE_UNAVAILABLE;
}

lethe_result log_charge(struct audit_log *log, const struct entry *entries, size_t count,
                        struct lethe_error *err)
{
    uint64_t now_ns = clock_monotonic_ns(log->clock);
    uint64_t bytes = 0;
    bool essential = false;
    for (size_t i = 0; i < count; i++) {
        bytes += budget_weight(&entries[i].who, entries[i].event);
        essential = essential || log_is_essential(entries[i].event);
    }
    if (essential)
        budget_charge(&log->budget, entries->who.actor, bytes, now_ns);
    else if (!budget_take(&log->budget, entries->who.actor, bytes, now_ns))
        return refuse_actor(err);
    return LETHE_OK;
}

static void wait_for_all(struct audit_log *log, struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        log_wait_for(log, &entries[i]);
}

void log_push(struct audit_log *log, struct entry *entry)
{
    entry->behind = log->ring.pushed;
    queue_push(&log->queue, entry);
    if (!entry->follows && !log->leading)
        atomic_store(&entry->turn, ENTRY_LEADS);
}

static lethe_result commit_entries(struct audit_log *log, struct entry *entries, size_t count,
                                   struct lethe_error *err)
{
    pthread_mutex_lock(&log->mutex);
    lethe_result result = log_charge(log, entries, count, err);
    for (size_t i = 0; result == LETHE_OK && i < count; i++)
        log_push(log, &entries[i]);
    pthread_mutex_unlock(&log->mutex);
    TRY(result);
    wait_for_all(log, entries, count);
    /* A group that fails may be followed by one that does not. */
    for (size_t i = 0; result == LETHE_OK && i < count; i++)
        result = entries[i].result;
    return result;
}

lethe_result audit_commit_all(struct audit_log *log, const struct audit_who *who,
                              const struct audit_event *events, size_t count,
                              struct lethe_error *err)
{
    struct entry single = {0};
    CLEANUP(memory_free) struct entry *many = count > 1 ? calloc(count, sizeof *many) : NULL;
    struct entry *entries = count > 1 ? many : &single;
    TRY(log_check_ours(log, err));
    if (entries == NULL)
        return error_set(err, LETHE_NO_MEMORY, "%zu records", count);
    uint64_t now_ns = clock_wall_ns(log->clock);
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){
            .who = *who, .event = &events[i], .time_ns = now_ns, .follows = i > 0, .err = err};
    return commit_entries(log, entries, count, err);
}

lethe_result audit_commit(struct audit_log *log, const struct audit_who *who,
                          const struct audit_event *event, struct lethe_error *err)
{
    return audit_commit_all(log, who, event, 1, err);
}

void audit_emit(struct audit_log *log, const struct audit_who *who, const struct audit_event *event)
{
    REQUIRE(audit_kind_severity(event->kind) != AUDIT_CRITICAL);
    if (!is_ours(log))
        return;
    struct packed record;
    packed_make(&record, who, event, clock_wall_ns(log->clock));
    uint64_t weight = budget_weight(who, event);
    uint64_t now_ns = clock_monotonic_ns(log->clock);
    pthread_mutex_lock(&log->mutex);
    bool is_first = !log_has_waiting(log);
    if (!budget_take(&log->budget, who->actor, weight, now_ns))
        budget_note_dropped(&log->budget, who->actor, now_ns);
    else if (!ring_push(&log->ring, &record))
        log->losses.counts[LOSS_QUEUE]++;
    bool wake = log_note_waiting(log, is_first, now_ns);
    pthread_mutex_unlock(&log->mutex);
    if (wake)
        pthread_cond_signal(&log->wake);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Called with the mutex held; gives it up while the files are read. */
static lethe_result catch_up(struct audit_log *log, struct lethe_error *err)
{
    while (log->leading)
        pthread_cond_wait(&log->group_done, &log->mutex);
    log->leading = true;
    pthread_mutex_unlock(&log->mutex);

    lethe_result result = writer_catch_up(&log->writer, err);

    pthread_mutex_lock(&log->mutex);
    if (result == LETHE_OK)
        log_publish_head(log);
    log_end_leading(log);
    return result;
}

lethe_result audit_sync(struct audit_log *log, struct lethe_error *err)
{
    TRY(log_check_ours(log, err));
    pthread_mutex_lock(&log->mutex);
    lethe_result result = log_flush(log, err);
    if (result == LETHE_OK)
        result = catch_up(log, err);
    pthread_mutex_unlock(&log->mutex);
    return result;
}

/* In a forked child: nothing is written, and nothing waited for. */
static lethe_result abandon(struct audit_log *log, struct lethe_error *err)
{
    lethe_result result = log_check_ours(log, err);
    writer_abandon(&log->writer);
    log_free(log);
    return result;
}

lethe_result audit_close(struct audit_log *log, struct lethe_error *err)
{
    if (!is_ours(log))
        return abandon(log, err);
    log_thread_stop(log);
    pthread_mutex_lock(&log->mutex);
    lethe_result result = LETHE_OK;
    while (result == LETHE_OK && log_has_waiting(log))
        result = log_flush(log, err);
    pthread_mutex_unlock(&log->mutex);

    lethe_result closed = writer_close(&log->writer, result == LETHE_OK ? err : NULL);
    pthread_cond_destroy(&log->group_done);
    pthread_mutex_destroy(&log->mutex);
    log_free(log);
    return result == LETHE_OK ? closed : result;
}

/* ---- the head -------------------------------------------------------------------------------- */

void audit_head(struct audit_log *log, struct audit_head *out)
{
    pthread_mutex_lock(&log->mutex);
    *out = log->head;
    pthread_mutex_unlock(&log->mutex);
}

static lethe_result root_from_tiles(int directory, const struct audit_head *head, uint64_t records,
                                    uint8_t root[32], struct lethe_error *err)
{
    CLEANUP(tiles_close) struct tiles *tiles = NULL;
    struct proof_tree now = {.size = head->records};
    memcpy(now.root, head->root, sizeof now.root);
    TRY(tiles_open(directory, &tiles, err));
    return history_root(tiles, records, &now, root, err);
}

static lethe_result root_from_records(const struct writer *writer, uint64_t records,
                                      uint8_t root[32], struct lethe_error *err)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    CLEANUP(files_unlock) int lock = -1; /* nobody trims meanwhile */
    struct replay from;
    TRY(files_lock_shared(writer->directory, &lock, err));
    TRY(files_look(writer->directory, &view, err));
    TRY(start_near(writer->directory, &view, &writer->signer.key, records, &from, err));
    if (from.chain.tree.leaves > records)
        return error_set(err, LETHE_INTEGRITY,
                         "the first %llu records were trimmed, and the tiles do not say what they "
                         "were",
                         (unsigned long long)from.chain.tree.leaves);
    return replay_root_at(&from, writer->directory, &view, records, root, err);
}

lethe_result audit_root_at(struct audit_log *log, uint64_t records, uint8_t root[32],
                           struct lethe_error *err)
{
    struct audit_head head;
    audit_head(log, &head);
    if (records > head.records)
        return error_set(err, LETHE_NOT_FOUND, "the log has %llu records, not %llu",
                         (unsigned long long)head.records, (unsigned long long)records);
    if (records == head.records) {
        memcpy(root, head.root, sizeof head.root);
        return LETHE_OK;
    }
    if (root_from_tiles(log->writer.directory, &head, records, root, NULL) == LETHE_OK)
        return LETHE_OK;
    return root_from_records(&log->writer, records, root, err);
}
