#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "audit/files.h"
#include "audit/note.h"
#include "audit/prover.h"
#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"
#include "cli/log_source.h"

/* ---- audit prove ----------------------------------------------------------------------------- */

static lethe_result prove_record(struct prover *prover, const char *seq_text, struct buffer *out,
                                 struct lethe_error *err)
{
    int64_t seq;
    struct proof_text text;
    TRY(validate_integer("SEQ", seq_text, 0, INT64_MAX, &seq, err));
    TRY(prover_inclusion(prover, (uint64_t)seq, &text, err));
    proof_text_append(&text, out);
    return buffer_result(out, err);
}

static lethe_result prove_growth(struct prover *prover, const struct log_source *source,
                                 const char *old_path, struct buffer *out, struct lethe_error *err)
{
    struct proof_growth growth;
    struct audit_checkpoint old;
    CLEANUP(buffer_clear) struct buffer note = {0};
    TRY(common_read_text(old_path, AUDIT_NOTE_MAX, &note, err));
    TRY(error_context(err,
                      audit_checkpoint_open(note.bytes, note.size_bytes, &source->key, &old, err),
                      "%s", old_path));
    TRY(prover_growth(prover, &old, &growth, err));
    proof_growth_append(&growth, out);
    return buffer_result(out, err);
}

static lethe_result prove(const struct invocation *invocation, const struct log_source *source,
                          struct lethe_error *err)
{
    const char *old_path = option_text(invocation, "consistency");
    CLEANUP(prover_close) struct prover *prover = NULL;
    CLEANUP(buffer_clear) struct buffer proof = {0};
    TRY(prover_open(source->directory, &source->key, &prover, err));
    if (old_path != NULL)
        TRY(prove_growth(prover, source, old_path, &proof, err));
    else
        TRY(prove_record(prover, invocation->positional[0], &proof, err));
    return common_write_text(option_text(invocation, "output"), &proof, 0644, err);
}

COMMAND_FUNCTION(audit_prove)
{
    if ((invocation->positional_count == 1) == option_given(invocation, "consistency"))
        return error_set(err, LETHE_INVALID,
                         "give either the number of a record, or --consistency CHECKPOINT");
    CLEANUP(log_source_clear) struct log_source source = {0};
    TRY(log_source_open(invocation, LOG_SOURCE_KEY, &source, err));
    return log_source_finish(&source, prove(invocation, &source, err), err);
}

/* ---- audit checkpoint ------------------------------------------------------------------------ */

static lethe_result read_kept(int directory, const struct audit_key *key, struct buffer *kept,
                              struct audit_checkpoint *checkpoint, struct lethe_error *err)
{
    lethe_result result = file_read_all(directory, LOG_WITNESSED, AUDIT_NOTE_MAX, kept, err);
    if (result != LETHE_OK)
        return result;
    return error_context(err,
                         audit_checkpoint_open(kept->bytes, kept->size_bytes, key, checkpoint, err),
                         LOG_WITNESSED);
}

/* Keeps the newest checkpoint that witnesses signed; signatures on the same one add up. */
static lethe_result keep(const struct log_source *source, const struct buffer *added,
                         const struct audit_checkpoint *checkpoint,
                         const struct cosignature_policy *policy, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    CLEANUP(buffer_clear) struct buffer kept = {0};
    CLEANUP(buffer_clear) struct buffer merged = {0};
    struct audit_checkpoint before = {0};
    CLEANUP(fd_close) int directory = open(source->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_from_errno(err, "opening %s", source->directory);
    TRY(files_lock_exclusive(directory, &lock, err));
    lethe_result result = read_kept(directory, &source->key, &kept, &before, err);
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    if (before.records > checkpoint->records)
        return error_set(err, LETHE_EXISTS,
                         "a witnessed checkpoint of %llu records is kept already",
                         (unsigned long long)before.records);
    bool same = result == LETHE_OK && before.records == checkpoint->records;
    const struct cosignature_notes notes = {
        .kept = same ? &kept : NULL, .added = added, .log_key = &source->key};
    TRY(cosignature_merge(&notes, policy, &merged, err));
    return file_write_atomic(directory, LOG_WITNESSED, merged.bytes, merged.size_bytes, FILES_MODE,
                             true, err);
}

static lethe_result add_witnessed(const struct invocation *invocation,
                                  const struct log_source *source, struct prover *prover,
                                  struct lethe_error *err)
{
    struct log_witnesses witnesses;
    struct cosignature_report report;
    struct audit_checkpoint checkpoint;
    struct proof_growth growth;
    CLEANUP(buffer_clear) struct buffer note = {0};
    const char *path = option_text(invocation, "add");
    TRY(log_witnesses_read(invocation, &witnesses, err));
    TRY(common_read_text(path, AUDIT_NOTE_MAX, &note, err));
    TRY(error_context(
        err, audit_checkpoint_open(note.bytes, note.size_bytes, &source->key, &checkpoint, err),
        "%s", path));
    TRY(error_context(
        err, cosignature_check(note.bytes, note.size_bytes, &witnesses.policy, &report, err), "%s",
        path));
    TRY(prover_growth(prover, &checkpoint, &growth, err));
    TRY(keep(source, &note, &checkpoint, &witnesses.policy, err));
    printf("kept: %llu records, signed by %zu of %zu witnesses\n",
           (unsigned long long)checkpoint.records, report.good, witnesses.policy.count);
    return LETHE_OK;
}

static lethe_result checkpoint(const struct invocation *invocation, const struct log_source *source,
                               struct lethe_error *err)
{
    CLEANUP(prover_close) struct prover *prover = NULL;
    TRY(prover_open(source->directory, &source->key, &prover, err));
    if (option_given(invocation, "add"))
        return add_witnessed(invocation, source, prover, err);
    return common_write_text(option_text(invocation, "output"), prover_note(prover), 0644, err);
}

COMMAND_FUNCTION(audit_checkpoint)
{
    bool adds = option_given(invocation, "add");
    if (adds && option_given(invocation, "output"))
        return error_set(err, LETHE_INVALID, "--add prints no checkpoint: leave out --output");
    if (adds != option_given(invocation, "witness"))
        return error_set(err, LETHE_INVALID,
                         "--add FILE and --witness FILE go together: whose signatures count");
    CLEANUP(log_source_clear) struct log_source source = {0};
    TRY(log_source_open(invocation, LOG_SOURCE_KEY, &source, err));
    return log_source_finish(&source, checkpoint(invocation, &source, err), err);
}
