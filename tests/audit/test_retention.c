#include "many_files.h"

#include <sched.h>
#include <sys/mount.h>

#include "audit/follower.h"
#include "audit/prover.h"
#include "check_child.h"

/* ---- what is on record ----------------------------------------------------------------------- */

struct seen {
    unsigned by_size, by_day, trimmed;
    uint64_t first, next; /* records that were visited */
    uint64_t gaps;
};

static lethe_result see(void *context, const struct audit_record *record, struct lethe_error *err)
{
    struct seen *seen = context;
    struct buffer line = {0};
    buffer_append(&line, record->line, record->length);
    bool rotated = strstr(line.bytes, "\"event\":\"log_rotated\"") != NULL;
    seen->by_size += rotated && strstr(line.bytes, "\"cause\":\"size\"") != NULL;
    seen->by_day += rotated && strstr(line.bytes, "\"cause\":\"day\"") != NULL;
    seen->trimmed += strstr(line.bytes, "\"event\":\"log_trimmed\"") != NULL;
    if (seen->next == 0)
        seen->first = record->seq;
    else
        seen->gaps += record->seq != seen->next;
    seen->next = record->seq + 1;
    buffer_clear(&line);
    return LETHE_OK;
}

static struct seen look(const struct node *node, struct audit_verify_report *report)
{
    struct seen seen = {0};
    struct lethe_error err = {0};
    const struct audit_verify_options options = {.directory = DIRECTORY(node),
                                                 .key = node->options.signer.key,
                                                 .visit = see,
                                                 .context = &seen};
    assert_ok(audit_verify(&options, report, &err), &err);
    return seen;
}

/* ---- a new day ------------------------------------------------------------------------------- */

/* One commit at a time of its own, as days and hours from the start (noon). */
static void commit_at(struct audit_log *log, struct node *node, double days)
{
    static const double noon = 1795176000e9;
    node->now_ns = (uint64_t)(noon + days * (double)DAY_NS);
    must_commit(log, 1);
}

/* the first record of a day begins a file, and only that one; reopening changes nothing. */
static void a_new_day_begins_a_file(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_verify_report report;
    struct audit_log *log = must_open(node);
    static const double days[] = {0, 0.1, 0.49, 0.51, 0.6, 1.49, 1.51, 4, 4.4};
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        commit_at(log, node, days[i]);
        if (i % 2 == 0) {
            must_close(log);
            log = must_open(node);
        }
    }
    must_close(log);
    struct seen seen = look(node, &report);
    assert_int_equal(seen.by_day, 3);
    assert_int_equal(seen.by_size, 0);
    assert_true(has_file(node, "000004.jsonl") && !has_file(node, "000005.jsonl"));
    node_free(node);
}

/* Clocks step: backwards nothing happens, and one that swings between two times costs one file. */
static void clock_steps_do_not_rotate_in_a_storm(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_verify_report report;
    node->options.limits.identity_bytes = AUDIT_NO_LIMIT; /* the monotonic clock here steps too */
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 20; i++) {
        commit_at(log, node, 0);
        commit_at(log, node, i % 2 == 0 ? 20000 : -1000); /* 2081, and 2024 */
    }
    commit_at(log, node, -20000); /* 1972 */
    must_close(log);
    assert_int_equal(look(node, &report).by_day, 1);
    assert_true(has_file(node, "000002.jsonl") && !has_file(node, "000003.jsonl"));

    node->options.limits.rotate_bytes = 1; /* with the next file the day counts again */
    log = must_open(node);
    commit_at(log, node, 1);
    node->options.limits.rotate_bytes = 0;
    must_close(log);
    log = must_open(node);
    commit_at(log, node, 1.2);
    commit_at(log, node, 2);
    must_close(log);
    struct seen seen = look(node, &report);
    assert_int_equal(seen.by_size, 1);
    assert_int_equal(seen.by_day, 2);
    node_free(node);
}

/* ---- trimming -------------------------------------------------------------------------------- */

/* Files of 20 records each, all but the newest few trimmed. */
static struct node *trimmed_log(unsigned files, uint64_t keep_bytes)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.rotate_bytes = 1;
    node->options.limits.keep_bytes = keep_bytes;
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < files; i++)
        must_commit_group(log, 20);
    must_close(log);
    return node;
}

#define KEEP 14000u /* two such files */

/* only so much is kept; the record that says so is in the log before the files are gone. */
static void the_oldest_files_go_on_record(void **state)
{
    struct node *node = trimmed_log(8, KEEP);
    struct audit_verify_report report;
    struct seen seen = look(node, &report);
    assert_false(has_file(node, "000001.jsonl"));
    assert_false(has_file(node, "000005.jsonl"));
    assert_false(has_file(node, "000005.boundary"));
    assert_true(has_file(node, "000006.jsonl") && has_file(node, "000008.jsonl"));
    assert_true(report.first_record > 90 && report.first_record < report.records);
    assert_int_equal(seen.first, report.first_record);
    assert_int_equal(seen.next, report.records);
    assert_int_equal(seen.gaps, 0);
    assert_true(seen.trimmed >= 2);
    assert_int_equal(report.checkpoints, 9);

    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_close(log);
    must_verify(node, report.records + 4); /* log_trimmed when opened, and log_rotated with it */
    node_free(node);
}

/* by age, counted from the last record before the newest file: a clock that is wrong for less
 * than a file removes nothing. */
static void old_files_go_and_a_wrong_clock_removes_nothing(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_verify_report report;
    node->options.limits.keep_s = 3 * 86400;
    struct audit_log *log = must_open(node);
    for (unsigned day = 0; day < 6; day++)
        commit_at(log, node, day);
    assert_int_equal(look(node, &report).trimmed, 2); /* on days 4 and 5: 0 and 1 */
    assert_int_equal(report.first_record, 3);

    commit_at(log, node, 20000);
    must_close(log);
    log = must_open(node);
    for (unsigned day = 6; day < 9; day++)
        commit_at(log, node, day);
    must_close(log);
    assert_int_equal(look(node, &report).trimmed, 3); /* what was due, and nothing for 2081 */
    assert_int_equal(report.first_record, 5);
    node_free(node);
}

/* Without limits everything stays; with them what is there goes when the log is opened. */
static void limits_act_when_a_log_is_opened(void **state)
{
    struct node *node = trimmed_log(6, 0);
    struct audit_verify_report report;
    assert_int_equal(look(node, &report).trimmed, 0);
    assert_int_equal(report.first_record, 0);
    node->options.limits.rotate_bytes = 0;
    node->options.limits.keep_bytes = KEEP;
    must_close(must_open(node));
    assert_int_equal(look(node, &report).trimmed, 1);
    assert_true(report.first_record > 0);
    must_close(must_open(node)); /* once */
    assert_int_equal(look(node, &report).trimmed, 1);
    node->options.limits.keep_bytes = 1; /* the newest file always stays */
    must_close(must_open(node));
    look(node, &report);
    assert_false(has_file(node, "000005.jsonl"));
    assert_true(has_file(node, "000006.jsonl"));
    node_free(node);
}

/* the same calls, clock, node and key give the same bytes in every file, with files that come
 * and go. */
static void the_same_calls_give_the_same_directory(void **state)
{
    uint8_t digests[3][32];
    for (size_t run = 0; run < ARRAY_LEN(digests); run++) {
        struct node *node = node_fresh("alpha");
        node->options.limits.rotate_bytes = 2000;
        node->options.limits.keep_bytes = 9000;
        struct audit_log *log = must_open(node);
        for (unsigned i = 0; i < 60; i++) {
            if (i % 20 == 19)
                node->now_ns += DAY_NS;
            must_commit_group(log, i % 7 + 1);
        }
        if (run == 2)
            must_commit(log, 1); /* and that it can tell */
        must_close(log);
        directory_digest(DIRECTORY(node), digests[run]);
        node_free(node);
    }
    assert_memory_equal(digests[0], digests[1], 32);
    assert_memory_not_equal(digests[0], digests[2], 32);
}

/* ---- what is left of what was trimmed -------------------------------------------------------- */

static struct buffer kept_checkpoint(const struct node *node)
{
    return log_file(DIRECTORY(node), "checkpoint");
}

static lethe_result verify_since(const struct node *node, const struct buffer *since,
                                 struct lethe_error *err)
{
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = DIRECTORY(node),
                                                 .key = node->options.signer.key,
                                                 .since = since->bytes,
                                                 .since_bytes = since->size_bytes};
    return audit_verify(&options, &report, err);
}

/* hashes stay: trimmed records can be proved by whoever has them, and the log shows that it
 * grew from a checkpoint of before. */
static void trimmed_records_can_still_be_proved(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    node->options.limits.rotate_bytes = 1;
    struct audit_log *log = must_open(node);
    must_commit_group(log, 20);
    must_close(log);
    struct buffer old = kept_checkpoint(node);
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    node->options.limits.keep_bytes = KEEP;
    log = must_open(node);
    for (unsigned i = 0; i < 40; i++)
        must_commit_group(log, 20);
    must_close(log);
    assert_false(has_file(node, "000001.jsonl"));

    struct prover *prover = NULL;
    struct proof_text text;
    struct audit_checkpoint checkpoint, since;
    struct proof_growth growth;
    const char *line;
    size_t length = nth_line(&lines, 7, &line) - 1;
    const struct audit_key *key = &node->options.signer.key;
    assert_ok(prover_open(DIRECTORY(node), key, &prover, &err), &err);
    assert_ok(prover_inclusion(prover, 7, &text, &err), &err);
    assert_ok(proof_text_check(&text, key, &(struct proof_record){line, length}, &checkpoint, &err),
              &err);
    assert_ok(audit_checkpoint_open(old.bytes, old.size_bytes, key, &since, &err), &err);
    assert_ok(prover_growth(prover, &since, &growth, &err), &err);
    prover_close(prover);

    assert_ok(verify_since(node, &old, &err), &err);
    char tile[] = "tile/0/000";
    struct buffer content = log_file(DIRECTORY(node), tile);
    content.bytes[5] ^= 1;
    put_log_file(DIRECTORY(node), tile, content.bytes, content.size_bytes);
    assert_result(LETHE_INTEGRITY, verify_since(node, &old, &err));
    remove_file(node, tile);
    assert_result(LETHE_INTEGRITY, verify_since(node, &old, &err));
    assert_non_null(strstr(err.text, "tiles"));
    must_verify(node, checkpoint.records); /* the log itself is good without */
    buffer_clear(&content);
    buffer_clear(&old);
    buffer_clear(&lines);
    node_free(node);
}

/* A checkpoint of another history, as long ago: the tiles show that it is none of this log. */
static void a_fork_before_what_is_kept_is_found(void **state)
{
    struct node *node = trimmed_log(10, KEEP);
    struct node *fork = node_fresh("alpha");
    struct lethe_error err = {0};
    fork->now_ns += 1000000000;
    struct audit_log *log = must_open(fork);
    must_commit_group(log, 20);
    must_close(log);
    struct buffer other = kept_checkpoint(fork);
    assert_result(LETHE_INTEGRITY, verify_since(node, &other, &err));
    buffer_clear(&other);
    node_free(fork);
    node_free(node);
}

/* Tiles that were lost before are made again before their records go. */
static void lost_tiles_are_made_before_records_go(void **state)
{
    struct node *node = trimmed_log(10, 0);
    node->options.limits.rotate_bytes = 0;
    struct lethe_error err = {0};
    struct buffer tile = log_file(DIRECTORY(node), "tile/0/000");
    struct prover *prover = NULL;
    struct proof_text text;
    memset(tile.bytes, 0, 64);
    put_log_file(DIRECTORY(node), "tile/0/000", tile.bytes, tile.size_bytes);
    node->options.limits.keep_bytes = KEEP;
    must_close(must_open(node));
    assert_false(has_file(node, "000001.jsonl"));
    assert_ok(prover_open(DIRECTORY(node), &node->options.signer.key, &prover, &err), &err);
    assert_ok(prover_inclusion(prover, 0, &text, &err), &err);
    prover_close(prover);
    buffer_clear(&tile);
    node_free(node);
}

/* The root of every earlier size: from the tiles, or from the records where these are there. */
static void earlier_roots_come_from_tiles_or_records(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    uint8_t roots[90][32] = {{0}}, root[32];
    struct audit_head head;
    node->options.limits.rotate_bytes = 6000;
    struct audit_log *log = must_open(node);
    for (audit_head(log, &head); head.records < ARRAY_LEN(roots); audit_head(log, &head)) {
        memcpy(roots[head.records], head.root, 32);
        must_commit(log, head.records);
    }
    for (unsigned pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
            static const uint8_t none[32];
            assert_ok(audit_root_at(log, i, root, &err), &err);
            if (memcmp(roots[i], none, 32) != 0) /* rotation adds two at once */
                assert_memory_equal(root, roots[i], 32);
        }
        struct buffer tile = log_file(DIRECTORY(node), "tile/0/000");
        memset(tile.bytes + 64, 0, tile.size_bytes - 64);
        put_log_file(DIRECTORY(node), "tile/0/000", tile.bytes, pass == 0 ? tile.size_bytes : 70);
        buffer_clear(&tile);
    }
    must_close(log);
    node->options.limits.keep_bytes = 12000;
    log = must_open(node);
    struct audit_verify_report report;
    look(node, &report);
    assert_true(report.first_record > 0);
    assert_ok(audit_root_at(log, 50, root, &err), &err); /* made again before they went */
    assert_memory_equal(root, roots[50], 32);
    remove_file(node, "tile/0/000");
    assert_ok(audit_root_at(log, report.records - 1, root, &err), &err);
    assert_result(LETHE_INTEGRITY, audit_root_at(log, 3, root, &err));
    must_close(log);
    node_free(node);
}

/* ---- attacks --------------------------------------------------------------------------------- */

/* what is gone without a boundary and a record that say so was taken away. */
static void missing_files_without_a_record_are_refused(void **state)
{
    struct node *node = many_files(4);
    remove_file(node, "000001.jsonl");
    assert_both_refuse(node, "000001.jsonl is missing, and no record says that it was trimmed");
    remove_file(node, "000002.boundary");
    struct lethe_error err = {0};
    struct audit_verify_report report;
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_non_null(strstr(err.text, "no boundary of 000002.jsonl"));
    remove_file(node, "000002.jsonl");
    assert_both_refuse(node, "000002.jsonl is missing");
    node_free(node);

    node = trimmed_log(6, KEEP);
    look(node, &report);
    remove_file(node, "000004.jsonl"); /* one more than was trimmed */
    assert_both_refuse(node, "000004.jsonl is missing");
    node_free(node);
}

static void the_boundary_of_the_first_file_must_be_good(void **state)
{
    struct node *node = trimmed_log(6, KEEP);
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct buffer first = log_file(DIRECTORY(node), "000004.boundary");
    struct buffer next = log_file(DIRECTORY(node), "000005.boundary");
    for (size_t at = 0; at < first.size_bytes; at++) {
        first.bytes[at] ^= 1;
        put_log_file(DIRECTORY(node), "000004.boundary", first.bytes, first.size_bytes);
        assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
        first.bytes[at] ^= 1;
        put_log_file(DIRECTORY(node), "000004.boundary", first.bytes, at);
        assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
    }
    put_log_file(DIRECTORY(node), "000004.boundary", next.bytes, next.size_bytes);
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    remove_file(node, "000004.boundary");
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    put_log_file(DIRECTORY(node), "000004.boundary", first.bytes, first.size_bytes);
    look(node, &report);
    buffer_clear(&first);
    buffer_clear(&next);
    node_free(node);
}

/* A record says which files went, so that a log cannot be joined to the end of another trimming. */
static void trimming_and_boundary_must_agree(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_verify_report report;
    node->options.limits.rotate_bytes = 1;
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit(log, 2);
    const struct audit_event wrong = audit_log_trimmed(2, 7, "size");
    assert_ok(audit_commit(log, &someone, &wrong, &err), &err);
    must_close(log);
    remove_file(node, "000001.jsonl");
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_non_null(strstr(err.text, "begins with record 1, and log_trimmed says 7"));
    node_free(node);
}

/* ---- interrupted ----------------------------------------------------------------------------- */

/* files that were to go and are still there are no harm, and go when the log is next opened.
 */
static void an_interrupted_trimming_is_finished(void **state)
{
    /* In the order in which they go. */
    static const char *const files[] = {"000001.jsonl",   "000002.jsonl",    "000002.boundary",
                                        "000003.jsonl",   "000003.boundary", "000004.jsonl",
                                        "000004.boundary"};
    for (size_t from = 0; from < ARRAY_LEN(files); from++) {
        struct node *node = trimmed_log(6, 0);
        struct audit_verify_report report;
        struct buffer copies[ARRAY_LEN(files)];
        struct buffer notes = log_file(DIRECTORY(node), "checkpoints");
        for (size_t i = 0; i < ARRAY_LEN(files); i++)
            copies[i] = log_file(DIRECTORY(node), files[i]);
        node->options.limits.rotate_bytes = 0;
        node->options.limits.keep_bytes = KEEP;
        must_close(must_open(node));
        look(node, &report);
        assert_false(has_file(node, "000004.jsonl"));
        struct buffer holes = log_file(DIRECTORY(node), "checkpoints");
        memcpy(holes.bytes, notes.bytes, notes.size_bytes); /* nor was this done */
        put_log_file(DIRECTORY(node), "checkpoints", holes.bytes, holes.size_bytes);
        for (size_t i = from; i < ARRAY_LEN(files); i++)
            put_log_file(DIRECTORY(node), files[i], copies[i].bytes, copies[i].size_bytes);
        struct audit_verify_report before;
        look(node, &before);
        assert_true(from == 0 ? before.first_record == 0 : before.first_record > 0);
        assert_int_equal(before.records, report.records);

        node->options.limits.keep_bytes = 0; /* it is on record: limits play no part */
        must_close(must_open(node));
        for (size_t i = 0; i < ARRAY_LEN(files); i++) {
            assert_false(has_file(node, files[i]));
            buffer_clear(&copies[i]);
        }
        look(node, &before);
        assert_int_equal(before.first_record, report.first_record);
        buffer_clear(&notes);
        buffer_clear(&holes);
        node_free(node);
    }
}

/* ---- several at once ------------------------------------------------------------------------- */

/* A process that slept while its file was trimmed goes on at the end; it is not held for a theft.
 */
static void an_idle_writer_goes_on_behind_a_trimming(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_head head;
    node->options.limits.rotate_bytes = 1;
    node->options.limits.keep_bytes = 1;
    struct audit_log *idle = must_open(node);
    must_commit(idle, 1);
    struct audit_log *busy = must_open(node);
    for (unsigned i = 2; i < 8; i++)
        must_commit(busy, i);
    assert_false(has_file(node, "000001.jsonl"));
    must_commit(idle, 8);
    audit_head(idle, &head);
    must_commit(busy, 9);
    must_close(busy);
    assert_ok(audit_sync(idle, &err), &err);
    must_close(idle);
    struct audit_verify_report report;
    look(node, &report);
    assert_int_equal(report.records, head.records + 3);
    node_free(node);
}

/* But one whose file was taken away says so. */
static void an_idle_writer_sees_a_theft(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    node->options.limits.rotate_bytes = 1;
    struct audit_log *idle = must_open(node);
    must_commit(idle, 1);
    struct audit_log *busy = must_open(node);
    must_commit(busy, 2);
    must_commit(busy, 3);
    must_close(busy);
    remove_file(node, "000001.jsonl");
    assert_result(LETHE_INTEGRITY, commit_key_used(idle, 4, &err));
    (void)!audit_close(idle, NULL);
    node_free(node);
}

/* A follower that was left behind goes on at what is kept, and the numbers show what it missed. */
static void a_follower_goes_on_behind_a_trimming(void **state)
{
    struct node *node = trimmed_log(1, KEEP);
    struct lethe_error err = {0};
    struct seen seen = {0};
    struct follower follower = {.directory = open(DIRECTORY(node), O_RDONLY | O_DIRECTORY),
                                .key = node->options.signer.key};
    assert_ok(follower_next(&follower, see, &seen, &err), &err);
    assert_int_equal(seen.next, 20);
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 6; i++)
        must_commit_group(log, 20);
    assert_ok(follower_next(&follower, see, &seen, &err), &err);
    assert_int_equal(seen.gaps, 1);
    must_commit(log, 1);
    assert_ok(follower_next(&follower, see, &seen, &err), &err);
    assert_int_equal(seen.gaps, 1);
    must_close(log);
    struct audit_verify_report report;
    look(node, &report);
    assert_int_equal(seen.next, report.records);

    struct seen last = {0};
    struct follower late = {.directory = follower.directory, .key = follower.key};
    assert_ok(follower_begin(&late, report.records - 1, &err), &err);
    assert_ok(follower_next(&late, see, &last, &err), &err);
    assert_true(last.first > report.first_record && last.next == report.records);
    close(follower.directory);
    node_free(node);
}

#define WRITERS 2u
#define ROUNDS 60u

static void write_and_trim(void *context)
{
    struct lethe_error err = {0};
    struct node *node = node_create("alpha", context);
    struct audit_log *log = NULL;
    node->options.limits.rotate_bytes = 2000;
    node->options.limits.keep_bytes = 8000;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (commit_key_used(log, i, &err) != LETHE_OK) {
            fprintf(stderr, "%s\n", err.text);
            _exit(1);
        }
    }
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
}

/* two processes write, rotate and trim; whoever reads meanwhile always sees a good log.
 */
static void readers_and_writers_meet_rotation_and_trimming(void **state)
{
    struct node *node = trimmed_log(2, 0);
    struct lethe_error err = {0};
    pid_t children[WRITERS];
    struct seen followed = {0};
    struct follower follower = {.directory = open(DIRECTORY(node), O_RDONLY | O_DIRECTORY),
                                .key = node->options.signer.key};
    struct audit_verify_report report;
    unsigned running = WRITERS, rounds = 0;
    fflush(NULL);
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            write_and_trim(node->directory);
            _exit(0);
        }
    }
    while (running > 0) {
        int status;
        assert_ok(follower_next(&follower, see, &followed, &err), &err);
        struct seen seen = look(node, &report);
        assert_true(seen.next == report.records);
        rounds++;
        for (pid_t child; running > 0 && (child = waitpid(-1, &status, WNOHANG)) > 0; running--)
            assert_exited(0, status);
    }
    assert_ok(follower_next(&follower, see, &followed, &err), &err);
    look(node, &report);
    assert_int_equal(followed.next, report.records);
    assert_true(report.first_record > 0);
    printf("%u rounds of reading, %llu gaps, %llu records\n", rounds,
           (unsigned long long)followed.gaps, (unsigned long long)report.records);
    close(follower.directory);
    node_free(node);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

struct small_disk {
    const char *mount_point;
    uint64_t keep_bytes;
};

/* Writes more than the disk holds, three times over. */
static void fill_a_small_disk(void *context)
{
    const struct small_disk *disk = context;
    struct lethe_error err = {0};
    struct audit_verify_report report;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk->mount_point, "tmpfs", 0, "size=768k,mode=0700") != 0)
        _exit(77);
    char *path = path_join(disk->mount_point, "audit");
    struct node *node = node_create("alpha", path);
    struct audit_log *log = NULL;
    node->options.limits.rotate_bytes = 16384;
    node->options.limits.keep_bytes = disk->keep_bytes;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    unsigned committed = 0;
    while (committed < 4000 && commit_key_used(log, committed, &err) == LETHE_OK)
        committed++;
    bool full = committed < 4000;
    CHILD_REQUIRE(!full || err.code == LETHE_NO_SPACE);
    lethe_result closed = audit_close(log, &err);
    CHILD_REQUIRE(full || closed == LETHE_OK);
    CHILD_REQUIRE(verify_log(node, path, &report, &err) == LETHE_OK);
    CHILD_REQUIRE(full || report.first_record > 0);
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    (void)!audit_close(log, NULL);
    _exit(full ? 5 : 6);
}

/* with retention a small disk never fills up, neither with records nor with checkpoints; the
 * same disk without it does. */
static void retention_keeps_a_small_disk_from_filling_up(void **state)
{
    static const uint64_t keep_bytes[] = {0, 65536};
    for (size_t i = 0; i < ARRAY_LEN(keep_bytes); i++) {
        char *mount_point = temp_dir();
        struct small_disk disk = {mount_point, keep_bytes[i]};
        int status = child_status(fill_a_small_disk, &disk);
        free(mount_point);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            printf("a small file system cannot be mounted here\n");
            skip();
        }
        assert_exited(keep_bytes[i] == 0 ? 5 : 6, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_day_begins_a_file),
        cmocka_unit_test(clock_steps_do_not_rotate_in_a_storm),
        cmocka_unit_test(the_oldest_files_go_on_record),
        cmocka_unit_test(old_files_go_and_a_wrong_clock_removes_nothing),
        cmocka_unit_test(limits_act_when_a_log_is_opened),
        cmocka_unit_test(the_same_calls_give_the_same_directory),
        cmocka_unit_test(trimmed_records_can_still_be_proved),
        cmocka_unit_test(a_fork_before_what_is_kept_is_found),
        cmocka_unit_test(lost_tiles_are_made_before_records_go),
        cmocka_unit_test(earlier_roots_come_from_tiles_or_records),
        cmocka_unit_test(missing_files_without_a_record_are_refused),
        cmocka_unit_test(the_boundary_of_the_first_file_must_be_good),
        cmocka_unit_test(trimming_and_boundary_must_agree),
        cmocka_unit_test(an_interrupted_trimming_is_finished),
        cmocka_unit_test(an_idle_writer_goes_on_behind_a_trimming),
        cmocka_unit_test(an_idle_writer_sees_a_theft),
        cmocka_unit_test(a_follower_goes_on_behind_a_trimming),
        cmocka_unit_test(readers_and_writers_meet_rotation_and_trimming),
        cmocka_unit_test(retention_keeps_a_small_disk_from_filling_up),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
