/* tests/audit/audit_check.h -- logs of which the clock, the node and the key are injected.
 *
 * A node signs with the key whose seed is SHA-256 of its name, and its clock advances by one
 * microsecond at each look, so that the same calls give the same bytes. */
#ifndef TESTS_AUDIT_CHECK_H
#define TESTS_AUDIT_CHECK_H

#include <dirent.h>

#include "check_files.h"
#include "crypto/crypto_check.h"

#include "audit/log.h"
#include "audit/verify.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

/* For cmocka_run_group_tests, in place of start_crypto, where thousands of logs are synced: on a
 * file system in memory, unless $TMPDIR says otherwise. */
__attribute__((unused)) static int start_in_memory(void **state)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return start_crypto(state);
}

struct node {
    char directory[512];
    struct sign_pair *pair;
    uint64_t now_ns;
    uint64_t latest_ns; /* that it has been */
    struct clock_source clock;
    struct audit_options options;
};

static uint64_t node_now_ns(void *context)
{
    struct node *node = context;
    return __atomic_fetch_add(&node->now_ns, 1000, __ATOMIC_RELAXED);
}

/* How often something measures a duration leaves no trace in the log. Never steps back, as the wall
 * clock may. */
static uint64_t node_monotonic_ns(void *context)
{
    struct node *node = context;
    uint64_t now_ns = __atomic_load_n(&node->now_ns, __ATOMIC_RELAXED);
    uint64_t latest_ns = __atomic_load_n(&node->latest_ns, __ATOMIC_RELAXED);
    while (latest_ns < now_ns &&
           !__atomic_compare_exchange_n(&node->latest_ns, &latest_ns, now_ns, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return MAX(latest_ns, now_ns);
}

static lethe_result node_sign(void *context, const void *bytes, size_t size_bytes,
                              uint8_t signature[64], struct lethe_error *err)
{
    const struct node *node = context;
    struct signature made;
    TRY(sign_message(node->pair, bytes, size_bytes, &made, err));
    memcpy(signature, made.bytes, 64);
    return LETHE_OK;
}

static struct sign_pair *pair_of_seed(const uint8_t seed[32])
{
    struct lethe_error err = {0};
    struct sign_pair *pair = NULL;
    struct lethe_secret *secret = secret_of(seed, 32);
    assert_ok(sign_pair_create(SIGNATURE_ED25519, secret, &pair, &err), &err);
    lethe_secret_free(secret);
    return pair;
}

static void key_of_pair(const struct sign_pair *pair, const char *name, struct audit_key *out)
{
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
    assert_int_equal(raw_bytes, 32);
    memcpy(out->public_key, raw, 32);
    snprintf(out->name, sizeof out->name, "%s", name);
}

/* Freed with node_free(). `name` is borrowed. */
__attribute__((unused)) static struct node *node_create(const char *name, const char *directory)
{
    struct node *node = calloc(1, sizeof *node);
    char key_name[AUDIT_KEY_NAME_MAX];
    uint8_t seed[32];
    assert_non_null(node);
    sha256(name, strlen(name), seed);
    snprintf(node->directory, sizeof node->directory, "%s", directory);
    node->pair = pair_of_seed(seed);
    node->now_ns = 1795176000000000000; /* 2026-11-20T12:00:00Z */
    node->clock = (struct clock_source){node_now_ns, node_monotonic_ns, node};
    node->options = (struct audit_options){.directory = node->directory,
                                           .node = name,
                                           .clock = &node->clock,
                                           .signer = {.sign = node_sign, .context = node},
                                           .without_thread = true};
    snprintf(key_name, sizeof key_name, "lethe/%s", name);
    key_of_pair(node->pair, key_name, &node->options.signer.key);
    return node;
}

/* Its log is to be in a new directory, which is not there yet. */
__attribute__((unused)) static struct node *node_fresh(const char *name)
{
    char *directory = temp_path("audit");
    struct node *node = node_create(name, directory);
    free(directory);
    return node;
}

__attribute__((unused)) static void node_free(struct node *node)
{
    sign_pair_free(node->pair);
    free(node);
}

__attribute__((unused)) static struct audit_log *must_open(const struct node *node)
{
    struct lethe_error err = {0};
    struct audit_log *log = NULL;
    assert_ok(audit_open(&node->options, &log, &err), &err);
    return log;
}

__attribute__((unused)) static void must_close(struct audit_log *log)
{
    struct lethe_error err = {0};
    assert_ok(audit_close(log, &err), &err);
}

static const struct audit_who someone = {"uid:1000", "default", ""};

static lethe_result commit_key_used(struct audit_log *log, uint64_t version,
                                    struct lethe_error *err)
{
    const struct audit_event event =
        audit_key_used("default.vad.hot", version, "decrypt", "granted", 1);
    return audit_commit(log, &someone, &event, err);
}

__attribute__((unused)) static void must_commit(struct audit_log *log, uint64_t version)
{
    struct lethe_error err = {0};
    assert_ok(commit_key_used(log, version, &err), &err);
}

/* One group with `count` records: the emitted ones go out with the commit. */
__attribute__((unused)) static void must_commit_group(struct audit_log *log, unsigned count)
{
    const struct audit_event event = audit_session_started("a label");
    for (unsigned i = 1; i < count; i++)
        audit_emit(log, &someone, &event);
    must_commit(log, count);
}

__attribute__((unused)) static lethe_result verify_log(const struct node *node,
                                                       const char *directory,
                                                       struct audit_verify_report *report,
                                                       struct lethe_error *err)
{
    const struct audit_verify_options options = {.directory = directory,
                                                 .key = node->options.signer.key};
    return audit_verify(&options, report, err);
}

/* The log is good, and at rest, and has this many records. */
__attribute__((unused)) static void must_verify(const struct node *node, uint64_t records)
{
    struct lethe_error err = {0};
    struct audit_verify_report report;
    assert_ok(verify_log(node, node->options.directory, &report, &err), &err);
    assert_int_equal(report.records, records);
    assert_int_equal(report.tail_bytes, 0);
}

/* ---- the files of a log, taken out and put back ---------------------------------------------- */

#define LOG_FILES 3
static const char *const log_files[LOG_FILES] = {"000001.jsonl", "checkpoints", "checkpoint"};

struct log_copy {
    struct buffer files[LOG_FILES];
};

static char *log_path(const char *directory, const char *name)
{
    char *path = path_join(directory, name);
    assert_non_null(path);
    return path;
}

__attribute__((unused)) static struct buffer log_file(const char *directory, const char *name)
{
    char *path = log_path(directory, name);
    struct buffer content = get_file(path);
    free(path);
    return content;
}

/* Written in place: a file that was truncated first is flushed when it is closed, which is slow. */
__attribute__((unused)) static void put_log_file(const char *directory, const char *name,
                                                 const void *bytes, size_t size_bytes)
{
    struct lethe_error err = {0};
    char *path = log_path(directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_ok(file_write_at(fd, path, 0, bytes, size_bytes, &err), &err);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    assert_int_equal(close(fd), 0);
    free(path);
}

__attribute__((unused)) static struct log_copy log_take(const char *directory)
{
    struct log_copy copy;
    for (size_t i = 0; i < LOG_FILES; i++)
        copy.files[i] = log_file(directory, log_files[i]);
    return copy;
}

__attribute__((unused)) static void log_put(const struct log_copy *copy, const char *directory)
{
    for (size_t i = 0; i < LOG_FILES; i++)
        put_log_file(directory, log_files[i], copy->files[i].bytes, copy->files[i].size_bytes);
}

__attribute__((unused)) static void log_copy_clear(struct log_copy *copy)
{
    for (size_t i = 0; i < LOG_FILES; i++)
        buffer_clear(&copy->files[i]);
}

/* The nth line (from 0), newline included; its length, 0 when there is none. */
__attribute__((unused)) static size_t nth_line(const struct buffer *file, size_t n,
                                               const char **line)
{
    const char *at = file->bytes;
    const char *end = file->bytes + file->size_bytes;
    *line = at;
    for (; at < end; n--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline == NULL ? (size_t)(end - at) : (size_t)(newline - at) + 1;
        if (n == 0) {
            *line = at;
            return length;
        }
        at += length;
    }
    return 0;
}

#endif
