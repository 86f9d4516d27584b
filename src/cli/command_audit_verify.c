#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/proof.h"
#include "audit/verify.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/log_source.h"

/* ---- the report ------------------------------------------------------------------------------ */

/* What witnesses say; count is 0 when nobody asked. */
struct witnessed {
    size_t count;
    uint64_t records; /* that the checkpoint covers which they signed */
    struct cosignature_report signatures;
};

struct findings {
    const struct log_source *source;
    struct audit_verify_report report;
    struct witnessed witnessed;
};

static void print_json(const struct findings *found, const char *anchor, const char *root)
{
    const struct audit_verify_report *report = &found->report;
    printf("{\"anchor\":\"%s\",\"checkpoints\":%llu,\"first_record\":%llu,"
           "\"format\":\"lethe-audit-verify/1\",\"records\":%llu,\"root\":\"%s\"",
           anchor, (unsigned long long)report->checkpoints,
           (unsigned long long)report->first_record, (unsigned long long)report->records, root);
    if (found->witnessed.count > 0)
        printf(",\"witnessed_records\":%llu,\"witnesses\":%zu",
               (unsigned long long)found->witnessed.records, found->witnessed.signatures.good);
    printf("}\n");
}

static void print_witnessed(const struct witnessed *witnessed)
{
    uint64_t newest_s = 0;
    char time[TIME_TEXT_SIZE];
    for (size_t i = 0; i < witnessed->count; i++)
        newest_s = MAX(newest_s, witnessed->signatures.times_s[i]);
    time_text_s(MIN(newest_s, UINT64_MAX / 1000000000u) * 1000000000u, time);
    printf("witnessed: the first %llu records, by %zu of %zu witnesses, last at %s\n",
           (unsigned long long)witnessed->records, witnessed->signatures.good, witnessed->count,
           time);
}

static void print_text(const struct findings *found, const char *root)
{
    const struct log_source *source = found->source;
    const struct audit_verify_report *report = &found->report;
    printf("%s: good: %llu records in one chain, under %llu signed checkpoints\nroot %s\n",
           source->directory, (unsigned long long)report->records,
           (unsigned long long)report->checkpoints, root);
    if (report->first_record > 0)
        printf("Those before number %llu were trimmed, on record, and could not be read.\n",
               (unsigned long long)report->first_record);
    if (found->witnessed.count > 0)
        print_witnessed(&found->witnessed);
    else if (!report->anchored && source->home != NULL)
        printf(
            "Compared with what the store remembers. Store and log put back together would not be\n"
            "seen: keep a copy of %s/checkpoint elsewhere and give it with --since.\n",
            source->directory);
    else if (!report->anchored)
        printf(
            "Not compared with any anchor: a log cut back to an earlier checkpoint would not be\n"
            "seen. Give a checkpoint that someone kept with --since.\n");
}

static void print_findings(const struct findings *found, bool as_json)
{
    char root[2 * MERKLE_HASH_BYTES + 1];
    hex_encode(found->report.root, sizeof found->report.root, root);
    bool at_home = found->source->home != NULL;
    const char *anchor = found->report.anchored ? "checkpoint" : at_home ? "store" : "none";
    if (as_json)
        print_json(found, anchor, root);
    else
        print_text(found, root);
}

/* ---- the whole log --------------------------------------------------------------------------- */

static lethe_result verify_since(const struct log_source *source, const struct buffer *since,
                                 struct audit_verify_report *out, struct lethe_error *err)
{
    const struct audit_verify_options options = {.directory = source->directory,
                                                 .key = source->key,
                                                 .since = since->bytes,
                                                 .since_bytes = since->size_bytes};
    return audit_verify(&options, out, err);
}

/* The note that witnesses signed: what was kept of theirs, or the newest checkpoint itself. */
static lethe_result read_witnessed(const struct log_source *source, struct buffer *out,
                                   struct lethe_error *err)
{
    CLEANUP(fd_close) int directory = open(source->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_from_errno(err, "opening %s", source->directory);
    lethe_result result = file_read_all(directory, LOG_WITNESSED, AUDIT_NOTE_MAX, out, err);
    if (result != LETHE_NOT_FOUND)
        return result;
    return file_read_all(directory, "checkpoint", AUDIT_NOTE_MAX, out, err);
}

static lethe_result check_witnesses(const struct log_witnesses *witnesses, struct findings *found,
                                    struct buffer *note, struct lethe_error *err)
{
    const struct log_source *source = found->source;
    struct audit_checkpoint checkpoint;
    TRY(read_witnessed(source, note, err));
    TRY(error_context(
        err, audit_checkpoint_open(note->bytes, note->size_bytes, &source->key, &checkpoint, err),
        LOG_WITNESSED));
    found->witnessed.count = witnesses->policy.count;
    found->witnessed.records = checkpoint.records;
    return cosignature_check(note->bytes, note->size_bytes, &witnesses->policy,
                             &found->witnessed.signatures, err);
}

static lethe_result verify_log(const struct invocation *invocation, const struct log_source *source,
                               const struct buffer *since, struct lethe_error *err)
{
    struct log_witnesses witnesses;
    struct findings found = {.source = source};
    CLEANUP(buffer_clear) struct buffer witnessed = {0};
    TRY(log_witnesses_read(invocation, &witnesses, err));
    if (witnesses.policy.count > 0) {
        TRY(check_witnesses(&witnesses, &found, &witnessed, err));
        TRY(verify_since(source, &witnessed, &found.report, err));
    }
    if (witnesses.policy.count == 0 || since->bytes != NULL)
        TRY(verify_since(source, since, &found.report, err));
    print_findings(&found, option_given(invocation, "json"));
    return LETHE_OK;
}

/* ---- one proof ------------------------------------------------------------------------------- */

/* The line of a record, from a file or from stdin, with or without its newline. */
static lethe_result read_line(const char *path, struct buffer *out, struct lethe_error *err)
{
    TRY(common_read_text(path != NULL ? path : "-", MERKLE_ENTRY_MAX + 1, out, err));
    if (out->size_bytes > 0 && out->bytes[out->size_bytes - 1] == '\n')
        buffer_truncate(out, out->size_bytes - 1);
    if (out->size_bytes == 0)
        return error_set(err, LETHE_INVALID, "no record: give its line with --record FILE");
    return LETHE_OK;
}

static lethe_result verify_witnessed_note(const struct invocation *invocation, const char *note,
                                          size_t note_bytes, struct lethe_error *err)
{
    struct log_witnesses witnesses;
    struct cosignature_report report;
    TRY(log_witnesses_read(invocation, &witnesses, err));
    if (witnesses.policy.count == 0)
        return LETHE_OK;
    return cosignature_check(note, note_bytes, &witnesses.policy, &report, err);
}

static lethe_result verify_inclusion(const struct invocation *invocation,
                                     const struct audit_key *key, const struct buffer *proof,
                                     struct lethe_error *err)
{
    struct proof_text text;
    struct audit_checkpoint checkpoint;
    CLEANUP(buffer_clear) struct buffer line = {0};
    TRY(proof_text_parse(proof->bytes, proof->size_bytes, &text, err));
    TRY(read_line(option_text(invocation, "record"), &line, err));
    const struct proof_record record = {line.bytes, line.size_bytes};
    TRY(proof_text_check(&text, key, &record, &checkpoint, err));
    TRY(verify_witnessed_note(invocation, text.note, text.note_bytes, err));
    printf("good: record %llu of %llu in the log of %s\n", (unsigned long long)text.index,
           (unsigned long long)checkpoint.records, checkpoint.origin);
    return LETHE_OK;
}

static lethe_result verify_growth(const struct invocation *invocation, const struct audit_key *key,
                                  const struct buffer *proof, const struct buffer *since,
                                  struct lethe_error *err)
{
    struct proof_growth growth;
    struct audit_checkpoint old, newest;
    if (since->bytes == NULL)
        return error_set(err, LETHE_INVALID,
                         "a consistency proof is from an older checkpoint: --since FILE");
    TRY(audit_checkpoint_open(since->bytes, since->size_bytes, key, &old, err));
    TRY(proof_growth_parse(proof->bytes, proof->size_bytes, &growth, err));
    TRY(proof_growth_check(&growth, key, &old, &newest, err));
    TRY(verify_witnessed_note(invocation, growth.note, growth.note_bytes, err));
    printf("good: the log of %s grew from %llu records to %llu\n", newest.origin,
           (unsigned long long)old.records, (unsigned long long)newest.records);
    return LETHE_OK;
}

static lethe_result verify_proof(const struct invocation *invocation, const struct audit_key *key,
                                 const struct buffer *since, struct lethe_error *err)
{
    const char *path = option_text(invocation, "proof");
    CLEANUP(buffer_clear) struct buffer proof = {0};
    TRY(common_read_text(path, PROOF_TEXT_MAX, &proof, err));
    lethe_result result = proof_is_growth(proof.bytes, proof.size_bytes)
                              ? verify_growth(invocation, key, &proof, since, err)
                              : verify_inclusion(invocation, key, &proof, err);
    return error_context(err, result, "%s", path);
}

/* ---- audit verify ---------------------------------------------------------------------------- */

COMMAND_FUNCTION(audit_verify)
{
    bool proof = option_given(invocation, "proof");
    const char *since_path = option_text(invocation, "since");
    CLEANUP(log_source_clear) struct log_source source = {0};
    CLEANUP(buffer_clear) struct buffer since = {0};
    if (!proof && option_given(invocation, "record"))
        return error_set(err, LETHE_INVALID, "--record FILE goes with --proof FILE");
    if (since_path != NULL)
        TRY(common_read_text(since_path, AUDIT_NOTE_MAX, &since, err));
    enum log_source_need need = proof ? LOG_SOURCE_NO_LOG : LOG_SOURCE_HOME;
    TRY(log_source_open(invocation, need, &source, err));
    lethe_result result = proof ? verify_proof(invocation, &source.key, &since, err)
                                : verify_log(invocation, &source, &since, err);
    return log_source_finish(&source, result, err);
}
