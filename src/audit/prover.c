#include "audit/prover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "audit/files.h"
#include "audit/history.h"
#include "audit/verify.h"
#include "base/error.h"
#include "base/file.h"

struct prover {
    char *path;
    int directory;
    struct audit_key key;
    struct tiles *tiles;
    bool rebuilt;
    struct buffer note;
    struct audit_checkpoint newest;
};

/* ---- tiles, made again ----------------------------------------------------------------------- */

struct rebuild {
    struct tiles *tiles;
    uint64_t first;
    size_t count;
    uint8_t leaves[TILES_WIDTH][MERKLE_HASH_BYTES];
};

static lethe_result flush(struct rebuild *rebuild, struct lethe_error *err)
{
    TRY(tiles_append(rebuild->tiles, rebuild->first,
                     (const uint8_t(*)[MERKLE_HASH_BYTES])rebuild->leaves, rebuild->count, err));
    rebuild->count = 0;
    return LETHE_OK;
}

static lethe_result take_record(void *context, const struct audit_record *record,
                                struct lethe_error *err)
{
    struct rebuild *rebuild = context;
    if (rebuild->count == TILES_WIDTH)
        TRY(flush(rebuild, err));
    if (rebuild->count == 0)
        rebuild->first = record->seq;
    merkle_leaf(record->line, record->length, rebuild->leaves[rebuild->count++]);
    return LETHE_OK;
}

static lethe_result rebuild_tiles(struct prover *prover, struct lethe_error *err)
{
    struct rebuild rebuild = {.tiles = prover->tiles};
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = prover->path,
                                                 .key = prover->key,
                                                 .allow_tail = true,
                                                 .visit = take_record,
                                                 .context = &rebuild};
    prover->rebuilt = true;
    TRY(audit_verify(&options, &report, err));
    return error_context(err, flush(&rebuild, err), "making the tiles again");
}

/* A proof that is wanted: makes it and checks it. */
struct wanted {
    lethe_result (*make)(struct prover *prover, const struct wanted *wanted, struct proof *out,
                         struct lethe_error *err);
    uint64_t seq;
    const struct audit_checkpoint *old;
};

static lethe_result make_proof(struct prover *prover, const struct wanted *wanted,
                               struct proof *out, struct lethe_error *err)
{
    lethe_result result = wanted->make(prover, wanted, out, err);
    bool tiles_may_be_wrong = result == LETHE_INTEGRITY || result == LETHE_NOT_FOUND;
    if (!tiles_may_be_wrong || prover->rebuilt)
        return result;
    TRY(rebuild_tiles(prover, err));
    return wanted->make(prover, wanted, out, err);
}

/* ---- proofs ---------------------------------------------------------------------------------- */

static lethe_result make_inclusion(struct prover *prover, const struct wanted *wanted,
                                   struct proof *out, struct lethe_error *err)
{
    uint8_t leaf[MERKLE_HASH_BYTES];
    const struct proof_source source = history_source(prover->tiles);
    const struct proof_tree tree = proof_tree_of(&prover->newest);
    TRY(proof_inclusion(&source, wanted->seq, tree.size, out, err));
    TRY(tiles_hash(prover->tiles, 0, wanted->seq, leaf, err));
    return proof_check_inclusion(out, leaf, wanted->seq, &tree, err);
}

lethe_result prover_inclusion(struct prover *prover, uint64_t seq, struct proof_text *out,
                              struct lethe_error *err)
{
    if (seq >= prover->newest.records)
        return error_set(err, LETHE_NOT_FOUND,
                         "no record %llu: the newest checkpoint covers %llu, from number 0 on",
                         (unsigned long long)seq, (unsigned long long)prover->newest.records);
    const struct wanted wanted = {.make = make_inclusion, .seq = seq};
    *out = (struct proof_text){
        .index = seq, .note = prover->note.bytes, .note_bytes = prover->note.size_bytes};
    return make_proof(prover, &wanted, &out->proof, err);
}

static lethe_result make_growth(struct prover *prover, const struct wanted *wanted,
                                struct proof *out, struct lethe_error *err)
{
    const struct proof_source source = history_source(prover->tiles);
    const struct proof_tree old = proof_tree_of(wanted->old);
    const struct proof_tree tree = proof_tree_of(&prover->newest);
    TRY(proof_consistency(&source, old.size, tree.size, out, err));
    return proof_check_consistency(out, &old, &tree, err);
}

lethe_result prover_growth(struct prover *prover, const struct audit_checkpoint *old,
                           struct proof_growth *out, struct lethe_error *err)
{
    if (old->records > prover->newest.records)
        return error_set(
            err, LETHE_INTEGRITY, "the log has %llu records, the older checkpoint %llu: it was cut",
            (unsigned long long)prover->newest.records, (unsigned long long)old->records);
    const struct wanted wanted = {.make = make_growth, .old = old};
    *out = (struct proof_growth){.old_size = old->records,
                                 .note = prover->note.bytes,
                                 .note_bytes = prover->note.size_bytes};
    return make_proof(prover, &wanted, &out->proof, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

const struct audit_checkpoint *prover_checkpoint(const struct prover *prover)
{
    return &prover->newest;
}

const struct buffer *prover_note(const struct prover *prover)
{
    return &prover->note;
}

/* The lock is of use only while both names of a checkpoint are exchanged. */
static lethe_result read_newest(struct prover *prover, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_shared(prover->directory, &lock, err));
    lethe_result result =
        file_read_all(prover->directory, FILES_CHECKPOINT, AUDIT_NOTE_MAX, &prover->note, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_NOT_FOUND, "there is no log, or it has no record yet");
    TRY(result);
    TRY(audit_checkpoint_open(prover->note.bytes, prover->note.size_bytes, &prover->key,
                              &prover->newest, err));
    if (prover->newest.records > PROOF_SIZE_MAX)
        return error_set(err, LETHE_INTEGRITY, "a checkpoint of more records than any log has");
    return LETHE_OK;
}

static lethe_result open_parts(struct prover *prover, const char *directory,
                               struct lethe_error *err)
{
    prover->path = strdup(directory);
    if (prover->path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "opening the log");
    prover->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (prover->directory < 0)
        return error_from_errno(err, "opening it");
    TRY(read_newest(prover, err));
    return tiles_open(prover->directory, &prover->tiles, err);
}

lethe_result prover_open(const char *directory, const struct audit_key *key, struct prover **out,
                         struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(prover_close) struct prover *prover = calloc(1, sizeof *prover);
    if (prover == NULL)
        return error_set(err, LETHE_NO_MEMORY, "opening the log");
    prover->directory = -1;
    prover->key = *key;
    TRY(error_context(err, open_parts(prover, directory, err), "log %s", directory));
    *out = MOVE(prover);
    return LETHE_OK;
}

void prover_close(struct prover *prover)
{
    if (prover == NULL)
        return;
    tiles_close(prover->tiles);
    buffer_clear(&prover->note);
    fd_close(prover->directory);
    free(prover->path);
    free(prover);
}
