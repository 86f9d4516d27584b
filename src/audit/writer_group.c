/* What is in a group: records, and the checkpoint over them. */
#include "audit/writer_core.h"

#include <string.h>

#include "base/error.h"

static lethe_result add_record(const struct writer *writer, struct group *group,
                               const struct entry *entry, struct lethe_error *err)
{
    size_t start = group->lines.size_bytes;
    const struct record_place place = {
        .node = writer_node(writer),
        .seq = group->chain.tree.leaves,
        .time_ns = entry->time_ns,
        .prev = group->chain.prev,
    };
    record_append(&group->lines, &place, &entry->who, entry->event);
    TRY(buffer_result(&group->lines, err));
    const char *line = group->lines.bytes + start;
    size_t length = group->lines.size_bytes - start;
    uint8_t leaf[MERKLE_HASH_BYTES];
    chain_append(&group->chain, line, length, audit_event_epoch(entry->event));
    merkle_leaf(line, length, leaf);
    buffer_append(&group->leaves, leaf, sizeof leaf);
    TRY(buffer_result(&group->leaves, err));
    buffer_byte(&group->lines, '\n');
    if (group->count++ == 0)
        group->begun_ns = entry->time_ns;
    group->time_ns = entry->time_ns;
    return buffer_result(&group->lines, err);
}

static lethe_result add_repair(const struct writer *writer, struct group *group,
                               const struct replay_tail *tail, struct lethe_error *err)
{
    uint64_t cut_bytes = tail->record_bytes + tail->note_bytes;
    if (cut_bytes == 0 && !writer->torn)
        return LETHE_OK;
    const struct audit_event event = audit_log_repaired(
        cut_bytes > 0
            ? "no checkpoint covered these bytes: left by a crash, or added without the key"
            : "a group that a crash interrupted was never finished",
        cut_bytes, group->chain.tree.leaves);
    const struct entry entry = {.event = &event, .time_ns = clock_wall_ns(writer->clock)};
    return add_record(writer, group, &entry, err);
}

lethe_result writer_sign_note(const struct writer *writer, const struct audit_key *key,
                              const char *what, struct buffer *note, struct lethe_error *err)
{
    uint8_t signature[64];
    TRY(buffer_result(note, err));
    TRY(error_context(
        err,
        writer->signer.sign(writer->signer.context, note->bytes, note->size_bytes, signature, err),
        "signing a %s", what));
    audit_note_sign_line(key, signature, note);
    return buffer_result(note, err);
}

/* Appends the signed note over the first records of a log, as `chain` knows them. */
lethe_result writer_sign(const struct writer *writer, const struct chain *chain, struct buffer *out,
                         struct lethe_error *err)
{
    const struct audit_key *key = &writer->signer.key;
    struct audit_checkpoint checkpoint = {.records = chain->tree.leaves};
    memcpy(checkpoint.origin, key->name, sizeof checkpoint.origin);
    merkle_root(&chain->tree, checkpoint.root);
    audit_checkpoint_text(&checkpoint, out);
    return writer_sign_note(writer, key, "checkpoint", out, err);
}

static lethe_result add_rotation(const struct writer *writer, struct group *group,
                                 const struct own_records *own, struct lethe_error *err)
{
    if (own->rotated == NULL)
        return LETHE_OK;
    const struct audit_event event =
        audit_log_rotated(writer->replay.number - 1, group->chain.tree.leaves, own->rotated);
    const struct entry entry = {.event = &event, .time_ns = own->time_ns};
    return add_record(writer, group, &entry, err);
}

static lethe_result add_trimming(const struct writer *writer, struct group *group,
                                 const struct own_records *own, struct lethe_error *err)
{
    if (own->trimmed == NULL)
        return LETHE_OK;
    const struct audit_event event =
        audit_log_trimmed(own->trim.file, own->trim.records, own->trimmed);
    const struct entry entry = {.event = &event, .time_ns = own->time_ns};
    return add_record(writer, group, &entry, err);
}

lethe_result group_make(const struct writer *writer, const struct entry *list,
                        const struct own_records *own, struct group *group, struct lethe_error *err)
{
    TRY(add_rotation(writer, group, own, err));
    TRY(add_trimming(writer, group, own, err));
    TRY(add_repair(writer, group, own->tail, err));
    for (; list != NULL; list = list->next)
        TRY(add_record(writer, group, list, err));
    TRY(writer_sign(writer, &group->chain, &group->note, err));
    buffer_byte(&group->note, '\n');
    return buffer_result(&group->note, err);
}
