/* The next file of records. */
#include "audit/writer_core.h"

#include "audit/boundary.h"
#include "base/error.h"
#include "base/file.h"

#define SECOND_NS 1000000000u
#define DAY_S 86400u

/* The day only counts forwards, and from the file's first record: a clock that was wrong for a
 * while costs a file or two, however often it steps. */
static bool is_of_a_later_day(const struct writer *writer, uint64_t time_ns)
{
    uint64_t period_s = writer->limits.rotate_s;
    return writer->replay.line > 0 &&
           time_ns / SECOND_NS / period_s > writer->replay.begun_ns / SECOND_NS / period_s;
}

const char *writer_rotation_due(const struct writer *writer, const struct replay_tail *tail,
                                uint64_t time_ns)
{
    if (writer->replay.number >= FILES_NUMBER_MAX || tail->record_bytes > 0)
        return NULL;
    if (writer->replay.offset > writer->limits.rotate_bytes)
        return "size";
    if (!is_of_a_later_day(writer, time_ns))
        return NULL;
    return writer->limits.rotate_s == DAY_S ? "day" : "time";
}

lethe_result writer_write_boundary(const struct writer *writer, const struct replay *begun,
                                   struct lethe_error *err)
{
    struct audit_key key;
    CLEANUP(buffer_clear) struct buffer note = {0};
    boundary_key(&writer->signer.key, &key);
    boundary_text(begun, &writer->signer.key, &note);
    TRY(writer_sign_note(writer, &key, "boundary", &note, err));
    return boundary_write(writer->directory, begun->number, &note, err);
}

/* The boundary is on disk before its file has a record: so one of a file that has records is final,
 * and one of an empty file may be replaced. */
lethe_result writer_rotate(struct writer *writer, struct lethe_error *err)
{
    struct replay next = writer->replay;
    TRY(writer_sync_files(writer, err));
    journal_begin_anew(&writer->journal);
    if (writer_give_back(writer->records) != LETHE_OK)
        return error_from_errno(err, "giving back room");
    next.number = MAX(next.number, 1) + 1;
    next.offset = next.line = next.begun_ns = 0;
    TRY(writer_write_boundary(writer, &next, err));
    TRY(writer_move_to(writer, &next, err));
    writer->begun = next;
    return file_sync_directory(writer->directory, ".", err);
}
