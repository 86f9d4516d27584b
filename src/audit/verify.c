#include "audit/verify.h"

#include <fcntl.h>
#include <string.h>

#include "audit/history.h"
#include "audit/journal.h"
#include "audit/reader.h"
#include "base/error.h"

static lethe_result open_anchor(const struct audit_verify_options *options,
                                struct audit_checkpoint *out, struct lethe_error *err)
{
    if (options->since == NULL)
        return LETHE_OK;
    return error_context(
        err, audit_checkpoint_open(options->since, options->since_bytes, &options->key, out, err),
        "the checkpoint that was kept");
}

/* An anchor whose records were trimmed is compared through the tiles. */
static lethe_result check_trimmed_anchor(int directory, const struct audit_checkpoint *anchor,
                                         const struct replay *end, struct lethe_error *err)
{
    CLEANUP(tiles_close) struct tiles *tiles = NULL;
    const struct proof_tree old = proof_tree_of(anchor);
    struct proof_tree now = {.size = end->chain.tree.leaves};
    merkle_root(&end->chain.tree, now.root);
    TRY(tiles_open(directory, &tiles, err));
    lethe_result result = history_check(tiles, &old, &now, err);
    if (result == LETHE_NOT_FOUND)
        result = error_set(err, LETHE_INTEGRITY,
                           "its records were trimmed, and tiles that would show that the log grew "
                           "from it are missing");
    return error_context(err, result, "the checkpoint that was kept");
}

static lethe_result verify_directory(const struct audit_verify_options *options,
                                     struct replay *replay, struct reader_report *report,
                                     struct lethe_error *err)
{
    struct replay_options replay_options = {
        .key = &options->key,
        .every_signature = true,
        .anchored = options->since != NULL,
        .visit = options->visit,
        .context = options->context,
    };
    TRY(open_anchor(options, &replay_options.since, err));

    CLEANUP(fd_close) int directory = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_from_errno(err, "opening it");
    replay_options.directory = directory;
    TRY(reader_run(replay, &replay_options, report, err));
    if (!replay_options.anchored || replay_options.since.records >= report->first_record)
        return LETHE_OK;
    return check_trimmed_anchor(directory, &replay_options.since, replay, err);
}

/* Whether the file ends before the place. */
static bool ends_before(int directory, const char *name, uint64_t end)
{
    uint64_t size_bytes;
    return files_size(directory, name, &size_bytes, NULL) != LETHE_OK || size_bytes < end;
}

static bool files_lack(int directory, const struct journal_group *group)
{
    char name[FILES_NAME_SIZE];
    if (group->number < 1 || group->number > FILES_NUMBER_MAX)
        return false;
    files_name(group->number, name);
    return ends_before(directory, name, group->lines_at + group->lines_bytes) ||
           ends_before(directory, FILES_CHECKPOINTS, group->note_at + group->note_bytes);
}

/* After a power cut the journal may have groups that the files lack, until somebody opens the log.
 */
static lethe_result hint_at_journal(const struct audit_verify_options *options, lethe_result result,
                                    struct lethe_error *err)
{
    CLEANUP(journal_close) struct journal journal = {.fd = -1};
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct journal_group group;
    enum journal_found found = JOURNAL_GROUP;
    CLEANUP(fd_close) int directory = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (result != LETHE_INTEGRITY || directory < 0 ||
        journal_open_to_read(&journal, directory, NULL) != LETHE_OK)
        return result;
    while (journal_next(&journal, &bytes, &group, &found, NULL) == LETHE_OK &&
           found == JOURNAL_GROUP) {
        if (files_lack(directory, &group))
            error_hint(err, "its journal holds records that its files lack, as after a crash: any "
                            "command that opens the home puts them in place; then verify again");
    }
    return result;
}

lethe_result audit_verify(const struct audit_verify_options *options,
                          struct audit_verify_report *out, struct lethe_error *err)
{
    *out = (struct audit_verify_report){0};
    if (strncmp(options->key.name, RECORD_ORIGIN_PREFIX, strlen(RECORD_ORIGIN_PREFIX)) != 0)
        return error_set(err, LETHE_INVALID,
                         "the key of a log is called " RECORD_ORIGIN_PREFIX
                         "NODE; this one is not");
    struct replay replay = {0};
    struct reader_report report = {0};
    lethe_result result = verify_directory(options, &replay, &report, err);
    TRY(error_context(err, hint_at_journal(options, result, err), "log %s", options->directory));

    out->records = replay.chain.tree.leaves;
    out->first_record = report.first_record;
    out->checkpoints = replay.notes;
    out->tail_bytes = report.tail.record_bytes + report.tail.note_bytes;
    out->epoch = replay.chain.epoch;
    out->anchored = options->since != NULL;
    merkle_root(&replay.chain.tree, out->root);
    if (out->tail_bytes == 0 || options->allow_tail)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY, "log %s: no checkpoint covers its last %llu bytes",
              options->directory, (unsigned long long)out->tail_bytes);
    error_hint(err, "a crash leaves that, and so does someone who adds records without the key; "
                    "the next command that writes to the log cuts it off, on record");
    return LETHE_INTEGRITY;
}
