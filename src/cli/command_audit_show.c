#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "audit/follower.h"
#include "audit/prover.h"
#include "base/cursor.h"
#include "base/error.h"
#include "cli/log_print.h"
#include "cli/log_source.h"

#define TAIL_DEFAULT 10
#define POLL_MS 1000 /* where a change is not announced, as on network file systems */

/* ---- audit show ------------------------------------------------------------------------------ */

COMMAND_FUNCTION(audit_show)
{
    struct log_print print = {.as_json = option_given(invocation, "json"),
                              .event = option_text(invocation, "event")};
    if (option_given(invocation, "since"))
        TRY(log_print_since(&print, option_text(invocation, "since"), err));
    CLEANUP(log_source_clear) struct log_source source = {0};
    TRY(log_source_open(invocation, LOG_SOURCE_HOME, &source, err));
    TRY(log_source_record(&source, "audit show", err));
    const struct audit_verify_options options = {.directory = source.directory,
                                                 .key = source.key,
                                                 .visit = log_print_record,
                                                 .context = &print};
    struct audit_verify_report report;
    lethe_result result = audit_verify(&options, &report, err);
    if (report.first_record > print.since_seq)
        log_print_trimmed(print.since_seq, report.first_record);
    return log_source_finish(&source, result, err);
}

/* ---- audit tail ------------------------------------------------------------------------------ */

/* Records are kept until the checkpoint that covers them was compared. */
struct tail {
    struct follower follower;
    struct log_print print;
    struct buffer lines; /* each behind its number, le64 */
};

static void tail_clear_at_scope_end(struct tail *tail)
{
    fd_close(tail->follower.directory);
    buffer_clear(&tail->lines);
}

static lethe_result keep_record(void *context, const struct audit_record *record,
                                struct lethe_error *err)
{
    struct tail *tail = context;
    const uint64_t seq = htole64(record->seq);
    if (record->seq < tail->print.since_seq)
        return LETHE_OK;
    buffer_append(&tail->lines, &seq, sizeof seq);
    buffer_append(&tail->lines, record->line, record->length);
    buffer_byte(&tail->lines, '\n');
    return buffer_result(&tail->lines, err);
}

static lethe_result print_kept(struct tail *tail, struct lethe_error *err)
{
    struct cursor kept = cursor_over(tail->lines.bytes, tail->lines.size_bytes);
    while (cursor_left(&kept) > 0) {
        struct audit_record record = {0};
        TRY(cursor_le64(&kept, &record.seq));
        TRY(cursor_line(&kept, &record.line, &record.length));
        if (record.seq > tail->print.since_seq)
            log_print_trimmed(tail->print.since_seq, record.seq);
        TRY(log_print_record(&tail->print, &record, err));
        tail->print.since_seq = record.seq + 1;
    }
    buffer_truncate(&tail->lines, 0);
    if (fflush(stdout) != 0)
        return error_from_errno(err, "standard output");
    return LETHE_OK;
}

static lethe_result print_new(struct tail *tail, struct lethe_error *err)
{
    buffer_truncate(&tail->lines, 0);
    TRY(follower_next(&tail->follower, keep_record, tail, err));
    return print_kept(tail, err);
}

static lethe_result begin_at(struct tail *tail, const struct log_source *source, uint64_t count,
                             struct lethe_error *err)
{
    CLEANUP(prover_close) struct prover *prover = NULL;
    TRY(prover_open(source->directory, &source->key, &prover, err));
    uint64_t records = prover_checkpoint(prover)->records;
    tail->print.since_seq = records - MIN(records, count);
    return follower_begin(&tail->follower, tail->print.since_seq, err);
}

/* ---- following ------------------------------------------------------------------------------- */

struct watch {
    int signals;
    int changes;
};

static void watch_clear_at_scope_end(struct watch *watch)
{
    fd_close(watch->signals);
    fd_close(watch->changes);
}

static lethe_result watch_open(const char *directory, struct watch *out, struct lethe_error *err)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    out->signals = signalfd(-1, &ending, SFD_CLOEXEC);
    if (out->signals < 0)
        return error_from_errno(err, "waiting for signals");
    out->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (out->changes < 0 ||
        inotify_add_watch(out->changes, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return error_from_errno(err, "watching %s", directory);
    return LETHE_OK;
}

/* *ended is true after SIGINT or SIGTERM. */
static lethe_result watch_wait(const struct watch *watch, bool *ended, struct lethe_error *err)
{
    char events[4096];
    struct pollfd waiting[] = {{.fd = watch->signals, .events = POLLIN},
                               {.fd = watch->changes, .events = POLLIN}};
    if (poll(waiting, ARRAY_LEN(waiting), POLL_MS) < 0 && errno != EINTR)
        return error_from_errno(err, "waiting for records");
    while (read(watch->changes, events, sizeof events) > 0)
        ;
    *ended = (waiting[0].revents & POLLIN) != 0;
    return LETHE_OK;
}

static lethe_result follow(struct tail *tail, const struct watch *watch, struct lethe_error *err)
{
    for (bool ended = false;;) {
        TRY(watch_wait(watch, &ended, err));
        if (ended)
            return LETHE_OK;
        TRY(print_new(tail, err));
    }
}

static lethe_result run_tail(const struct invocation *invocation, const struct log_source *source,
                             struct lethe_error *err)
{
    int64_t count;
    CLEANUP(watch_clear) struct watch watch = {-1, -1};
    CLEANUP(tail_clear)
    struct tail tail = {.follower = {.directory = -1, .key = source->key},
                        .print = {.as_json = option_given(invocation, "json")}};
    TRY(option_number(invocation, "lines", 0, INT64_MAX, TAIL_DEFAULT, &count, err));
    tail.follower.directory = open(source->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tail.follower.directory < 0)
        return error_from_errno(err, "opening %s", source->directory);
    bool following = option_given(invocation, "follow");
    if (following)
        TRY(watch_open(source->directory, &watch, err));
    TRY(begin_at(&tail, source, (uint64_t)count, err));
    TRY(print_new(&tail, err));
    return following ? follow(&tail, &watch, err) : LETHE_OK;
}

/* The home is closed while its log is followed: others may change keys meanwhile. */
COMMAND_FUNCTION(audit_tail)
{
    CLEANUP(log_source_clear) struct log_source source = {0};
    TRY(log_source_open(invocation, LOG_SOURCE_HOME, &source, err));
    TRY(log_source_finish(&source, log_source_record(&source, "audit tail", err), err));
    return error_context(err, run_tail(invocation, &source, err), "log %s", source.directory);
}
