/* The log: what reporting costs the caller, durable records against raw batched writes, checking a
 * log, and opening one from its newest boundary against reading it whole. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/verify.h"
#include "base/error.h"
#include "base/file.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "crypto/sign.h"

#define THREADS 8u
#define COMMITS_EACH 250u
#define EMITS 2000u
#define VERIFIED_RECORDS 200000u
#define OPENED_RECORDS 1000000u
#define NODE "bench"

struct log {
    char directory[64];
    struct sign_pair *pair;
    struct audit_options options;
    struct audit_log *log;
};

static const struct audit_who who = {"uid:1000", "default", ""};

static void must(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        bench_fail("the log cannot be worked with", err);
}

static lethe_result sign(void *context, const void *bytes, size_t size_bytes, uint8_t out[64],
                         struct lethe_error *err)
{
    struct signature made;
    TRY(sign_message(((struct log *)context)->pair, bytes, size_bytes, &made, err));
    memcpy(out, made.bytes, 64);
    return LETHE_OK;
}

/* On the disk that the current directory is on. */
static void log_make(struct log *log)
{
    struct lethe_error err = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *private_key = NULL;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    *log = (struct log){.directory = "lethe-bench-log-XXXXXX"};
    if (mkdtemp(log->directory) == NULL)
        bench_fail("no temporary directory", NULL);
    must(crypto_start(&err), &err);
    must(sign_generate(SIGNATURE_ED25519, &private_key, &err), &err);
    must(sign_pair_create(SIGNATURE_ED25519, private_key, &log->pair, &err), &err);
    log->options = (struct audit_options){.directory = log->directory,
                                          .node = NODE,
                                          .signer = {sign, log, {.name = "lethe/" NODE}},
                                          .limits = {.identity_bytes = AUDIT_NO_LIMIT}};
    sign_public_raw(sign_pair_public(log->pair), raw, &raw_bytes);
    memcpy(log->options.signer.key.public_key, raw, raw_bytes);
    must(audit_open(&log->options, &log->log, &err), &err);
}

static void log_remove(struct log *log)
{
    struct lethe_error err = {0};
    if (log->log != NULL)
        must(audit_close(log->log, &err), &err);
    must(file_remove_tree(AT_FDCWD, log->directory, &err), &err);
    sign_pair_free(log->pair);
}

static struct audit_event some_event(uint64_t version)
{
    return audit_key_used("default.llama.hot", version, "decrypt", "allowed", 1);
}

/* ---- emit ------------------------------------------------------------------------------------ */

static void emit_some(void *context)
{
    struct log *log = context;
    for (unsigned i = 0; i < EMITS; i++) {
        const struct audit_event event = some_event(i);
        audit_emit(log->log, &who, &event);
    }
}

/* The time of the calls alone: what they cost later goes on elsewhere. */
static void emit(void)
{
    struct log log;
    double rounds_s[15];
    struct lethe_error err = {0};
    log_make(&log);
    for (size_t i = 0; i < ARRAY_LEN(rounds_s); i++) {
        double start_s = bench_now_s();
        emit_some(&log);
        rounds_s[i] = bench_now_s() - start_s;
        must(audit_sync(log.log, &err), &err);
    }
    double each_s = bench_median(rounds_s, ARRAY_LEN(rounds_s)) / EMITS;
    log_remove(&log);
    bench_report(&(struct bench_result){.name = "audit/emit",
                                        .value = each_s * 1e9,
                                        .unit = "ns",
                                        .against = "1 us for the caller",
                                        .ratio = each_s / 1e-6,
                                        .aim = BENCH_AT_MOST,
                                        .target = 1});
}

/* ---- commit ---------------------------------------------------------------------------------- */

static void *commit_some(void *context)
{
    struct log *log = context;
    struct lethe_error err = {0};
    for (unsigned i = 0; i < COMMITS_EACH; i++) {
        const struct audit_event event = some_event(i);
        must(audit_commit(log->log, &who, &event, &err), &err);
    }
    return NULL;
}

static void commit_from_threads(void *context)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, commit_some, context);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* As many bytes, eight lines and one fdatasync at a time. */
static void write_batches(void *context)
{
    char batch[THREADS * 270];
    memset(batch, 'x', sizeof batch);
    int fd = open(context, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < COMMITS_EACH; i++) {
        if (write(fd, batch, sizeof batch) != sizeof batch || fdatasync(fd) != 0)
            bench_fail("a raw batch cannot be written", NULL);
    }
    close(fd);
}

static void commit(void)
{
    struct log log;
    double medians_s[2];
    char raw[96];
    log_make(&log);
    snprintf(raw, sizeof raw, "%s.raw", log.directory);
    const struct bench_way ways[] = {{commit_from_threads, &log}, {write_batches, raw}};
    bench_medians(ways, ARRAY_LEN(ways), 9, medians_s);
    unlink(raw);
    log_remove(&log);
    bench_report(&(struct bench_result){.name = "audit/commit, 8 threads",
                                        .value = THREADS * COMMITS_EACH / medians_s[0] * 1e-3,
                                        .unit = "k/s",
                                        .against = "speed of raw batches, one fdatasync each",
                                        .ratio = medians_s[1] / medians_s[0],
                                        .aim = BENCH_AT_LEAST,
                                        .target = 0.5});
}

/* ---- verify ---------------------------------------------------------------------------------- */

static void verify_all(void *context)
{
    const struct log *log = context;
    struct lethe_error err = {0};
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = log->directory,
                                                 .key = log->options.signer.key};
    must(audit_verify(&options, &report, &err), &err);
    if (report.records < VERIFIED_RECORDS)
        bench_fail("records are missing", NULL);
}

/* A closed log, in groups of so many records. */
static void log_fill(struct log *log, size_t records, size_t group)
{
    struct lethe_error err = {0};
    struct audit_event events[512];
    if (group > ARRAY_LEN(events))
        bench_fail("a group that large is none", NULL);
    log_make(log);
    for (size_t i = 0; i < group; i++)
        events[i] = some_event(i);
    for (size_t i = 0; i < records; i += group)
        must(audit_commit_all(log->log, &who, events, group, &err), &err);
    must(audit_close(log->log, &err), &err);
    log->log = NULL;
}

static void verify(void)
{
    struct log log;
    double median_s;
    log_fill(&log, VERIFIED_RECORDS, 64);
    bench_medians(&(struct bench_way){verify_all, &log}, 1, 3, &median_s);
    log_remove(&log);
    bench_report(&(struct bench_result){.name = "audit/verify",
                                        .value = VERIFIED_RECORDS / median_s * 1e-3,
                                        .unit = "k/s",
                                        .against = "200,000 records a second",
                                        .ratio = VERIFIED_RECORDS / median_s / 200e3,
                                        .aim = BENCH_AT_LEAST,
                                        .target = 1});
}

/* ---- open ------------------------------------------------------------------------------------ */

static void open_at_boundary(void *context)
{
    struct log *log = context;
    struct lethe_error err = {0};
    struct audit_head head;
    must(audit_open(&log->options, &log->log, &err), &err);
    audit_head(log->log, &head);
    must(audit_close(log->log, &err), &err);
    log->log = NULL;
    if (head.records < OPENED_RECORDS)
        bench_fail("records are missing", NULL);
}

/* Opening makes the newest one again, for the other way. */
static void open_whole(void *context)
{
    const struct log *log = context;
    int removed = 0;
    char path[96];
    for (unsigned number = 2; number < 100; number++) {
        snprintf(path, sizeof path, "%s/%06u.boundary", log->directory, number);
        removed += unlink(path) == 0;
    }
    if (removed == 0)
        bench_fail("no boundary to do without", NULL);
    open_at_boundary(context);
}

static void open_log(void)
{
    struct log log;
    double medians_s[2];
    log_fill(&log, OPENED_RECORDS, 512);
    const struct bench_way ways[] = {{open_at_boundary, &log}, {open_whole, &log}};
    bench_medians(ways, ARRAY_LEN(ways), 3, medians_s);
    log_remove(&log);
    bench_report(&(struct bench_result){.name = "audit/open, 1 million records",
                                        .value = medians_s[0] * 1e3,
                                        .unit = "ms",
                                        .against = "time of reading it whole",
                                        .ratio = medians_s[0] / medians_s[1],
                                        .aim = BENCH_AT_MOST,
                                        .target = 0.2});
}

void bench_audit(void)
{
    emit();
    commit();
    verify();
    open_log();
}
