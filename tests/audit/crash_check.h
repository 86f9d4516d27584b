/* tests/audit/crash_check.h -- one fault at each call that changes a log's files, one run for each,
 * and what must hold after any of them. */
#ifndef TESTS_AUDIT_CRASH_CHECK_H
#define TESTS_AUDIT_CRASH_CHECK_H

#include "audit_check.h"

#include <sys/mman.h>

#include "faults/fault.h"

#define DIRECTORY(node) ((node)->options.directory)

/* ---- what must hold after any fault ---------------------------------------------------------- */

#define VERSIONS_MAX 512

/* What a log says: how often each version was committed, and how many repairs are on record. */
struct told {
    unsigned count[VERSIONS_MAX];
    unsigned repairs;
    unsigned out_of_order; /* a version behind a larger one of the same hundred */
    unsigned newest[VERSIONS_MAX / 100 + 1];
    uint64_t trimmed; /* records */
};

__attribute__((unused)) static lethe_result listen(void *context, const struct audit_record *record,
                                                   struct lethe_error *err)
{
    struct told *told = context;
    char line[1024];
    unsigned version = 0;
    snprintf(line, sizeof line, "%.*s", (int)record->length, record->line);
    told->repairs += strstr(line, "log_repaired") != NULL;
    const char *member = strstr(line, "\"version\":");
    if (member == NULL || sscanf(member, "\"version\":%u", &version) != 1)
        return LETHE_OK;
    assert_true(version < VERSIONS_MAX);
    told->count[version]++;
    told->out_of_order += version < told->newest[version / 100];
    told->newest[version / 100] = version;
    return LETHE_OK;
}

__attribute__((unused)) static struct told read_log(const struct node *node, bool allow_tail)
{
    struct told told = {0};
    struct lethe_error err = {0};
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = DIRECTORY(node),
                                                 .key = node->options.signer.key,
                                                 .allow_tail = allow_tail,
                                                 .visit = listen,
                                                 .context = &told};
    assert_ok(audit_verify(&options, &report, &err), &err);
    told.trimmed = report.first_record;
    return told;
}

/* Shared with the child, which says there what it was promised. */
struct promise {
    unsigned committed[VERSIONS_MAX]; /* 1: audit_commit returned LETHE_OK; 2: something else */
    unsigned closed_badly;
};

/* What was acknowledged is there once, in order; what failed is not, unless nobody could say. What
 * was trimmed is all older than what is there, and that is something. */
__attribute__((unused)) static void assert_kept(const struct node *node,
                                                const struct promise *promise)
{
    struct told told = read_log(node, false);
    bool there = told.trimmed == 0;
    bool any = false;
    assert_int_equal(told.out_of_order, 0);
    for (unsigned version = 0; version < VERSIONS_MAX; version++) {
        assert_true(told.count[version] <= 1);
        there = there || told.count[version] == 1;
        any = any || promise->committed[version] == 1;
        if (promise->committed[version] == 1 && there)
            assert_int_equal(told.count[version], 1);
    }
    assert_true(there || !any);
}

__attribute__((unused)) static struct promise *shared_promise(void)
{
    struct promise *promise =
        mmap(NULL, sizeof *promise, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(promise != MAP_FAILED);
    return promise;
}

/* ---- a fault at every call ------------------------------------------------------------------- */

struct scenario {
    const char *directory;
    struct audit_limits limits; /* {0}: neither rotates nor trims so few records */
    unsigned commits;
    struct promise *promise;
};

#define COMMITS 3u
#define COMMITS_TO_TRIM 4u /* of which each begins a file */

/* Runs in a child: keys do not survive a fork, so it makes its own. */
__attribute__((unused)) static void commit_some(void *context)
{
    const struct scenario *scenario = context;
    struct node *node = node_create("alpha", scenario->directory);
    struct audit_log *log;
    node->options.limits = scenario->limits;
    if (audit_open(&node->options, &log, NULL) != LETHE_OK)
        return;
    for (unsigned version = 1; version <= scenario->commits; version++) {
        const struct audit_event event = audit_session_started("emitted");
        audit_emit(log, &someone, &event);
        lethe_result result = commit_key_used(log, version, NULL);
        scenario->promise->committed[version] = result == LETHE_OK ? 1 : 2;
    }
    scenario->promise->closed_badly = audit_close(log, NULL) != LETHE_OK;
}

/* The log opens again, holds what was promised, goes on, and is then at rest. */
__attribute__((unused)) static void assert_recovers(const struct node *node,
                                                    const struct promise *promise)
{
    struct audit_log *log = must_open(node);
    must_close(log);
    assert_kept(node, promise);
    log = must_open(node);
    must_commit(log, 100);
    must_close(log);
    assert_int_equal(read_log(node, false).count[100], 1);
}

struct sweep {
    unsigned stride; /* from one place to the next */
    unsigned points;
    unsigned repairs;
    unsigned refused; /* commits that failed */
    unsigned trimmed; /* logs of which something was trimmed */
};

/* One run for each call that changes a file, from making the directory to closing the log. A sample
 * has every place to be killed at. */
__attribute__((unused)) static struct sweep sweep_with(enum fault_kind fault, int number,
                                                       struct audit_limits limits)
{
    struct sweep sweep = {.stride = fault == FAULT_KILL ? 1 : (unsigned)table_stride(3)};
    for (unsigned nth = 1;; nth += sweep.stride) {
        struct node *node = node_fresh("alpha");
        struct scenario scenario = {DIRECTORY(node), limits,
                                    limits.keep_bytes > 0 ? COMMITS_TO_TRIM : COMMITS,
                                    shared_promise()};
        node->options.limits.rotate_bytes = limits.rotate_bytes; /* what is to go is on record */
        const struct fault_plan plan = {.kind = fault,
                                        .classes = CALLS_CHANGING,
                                        .nth = nth,
                                        .number = number,
                                        .body = commit_some,
                                        .context = &scenario};
        struct fault_report report;
        assert_true(fault_run(&plan, &report));
        if (report.calls < nth) {
            node_free(node);
            munmap(scenario.promise, sizeof *scenario.promise);
            return sweep;
        }
        assert_recovers(node, scenario.promise);
        sweep.points++;
        struct told told = read_log(node, false);
        sweep.repairs += told.repairs;
        sweep.trimmed += told.trimmed > 0;
        for (unsigned version = 1; version <= scenario.commits; version++)
            sweep.refused += scenario.promise->committed[version] == 2;
        node_free(node);
        munmap(scenario.promise, sizeof *scenario.promise);
    }
}

__attribute__((unused)) static struct sweep sweep_faults(enum fault_kind fault, int number)
{
    return sweep_with(fault, number, (struct audit_limits){0});
}

#endif
