/* The log's journal: groups one behind the other, in a file that anybody may have written. Whatever
 * is read as a group is written as the same bytes. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audit/journal.h"
#include "fuzz.h"

static int file_of(const void *bytes, size_t size_bytes)
{
    int fd = memfd_create("journal", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && write(fd, bytes, size_bytes) == (ssize_t)size_bytes);
    return fd;
}

/* What is given out lies within the bytes that were read, and the place moves on. */
static void check_group(const struct buffer *bytes, const struct journal_group *group)
{
    FUZZ_PROPERTY(group->lines == bytes->bytes);
    FUZZ_PROPERTY(group->note == group->lines + group->lines_bytes);
    FUZZ_PROPERTY((uint64_t)group->lines_bytes + group->note_bytes == bytes->size_bytes);
}

/* Written at its place, `at`, into an empty journal of its generation. */
static void check_written(const struct journal *read, const struct journal_group *group,
                          const uint8_t *input, uint64_t at)
{
    size_t size_bytes = (size_t)(read->offset - at);
    struct journal other = {.fd = file_of("", 0), .generation = read->generation, .offset = at};
    CLEANUP(buffer_clear) struct buffer written = {0};
    char *room = buffer_extend(&written, size_bytes);
    bool undone;
    FUZZ_PROPERTY(journal_append(&other, group, &undone, NULL) == LETHE_OK);
    FUZZ_PROPERTY(other.offset == read->offset);
    REQUIRE(room != NULL && pread(other.fd, room, size_bytes, (off_t)at) == (ssize_t)size_bytes);
    FUZZ_PROPERTY(memcmp(room, input + at, size_bytes) == 0);
    journal_close(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct journal journal = {.fd = file_of(data, size_bytes), .size = size_bytes};
    struct journal_group group;
    enum journal_found found = JOURNAL_GROUP;
    while (found == JOURNAL_GROUP) {
        uint64_t before = journal.offset;
        if (journal_next(&journal, &bytes, &group, &found, NULL) != LETHE_OK)
            break;
        if (found != JOURNAL_GROUP)
            continue;
        check_group(&bytes, &group);
        FUZZ_PROPERTY(journal.offset > before && journal.offset <= size_bytes);
        check_written(&journal, &group, data, before);
    }
    journal_close(&journal);
    return 0;
}
