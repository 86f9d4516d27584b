/* The log's journal: groups one behind the other, in a file that anybody may have written. */
#include <sys/mman.h>
#include <unistd.h>

#include "audit/journal.h"
#include "fuzz.h"

/* What is given out lies within the bytes that were read, and the place moves on. */
static void check_group(const struct buffer *bytes, const struct journal_group *group)
{
    FUZZ_PROPERTY(group->lines == bytes->bytes);
    FUZZ_PROPERTY(group->note == group->lines + group->lines_bytes);
    FUZZ_PROPERTY((uint64_t)group->lines_bytes + group->note_bytes == bytes->size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct journal journal = {.fd = memfd_create("journal", MFD_CLOEXEC), .size = size_bytes};
    struct journal_group group;
    enum journal_found found = JOURNAL_GROUP;
    REQUIRE(journal.fd >= 0 && write(journal.fd, data, size_bytes) == (ssize_t)size_bytes);
    while (found == JOURNAL_GROUP) {
        uint64_t before = journal.offset;
        if (journal_next(&journal, &bytes, &group, &found, NULL) != LETHE_OK)
            break;
        if (found != JOURNAL_GROUP)
            continue;
        check_group(&bytes, &group);
        FUZZ_PROPERTY(journal.offset > before && journal.offset <= size_bytes);
    }
    journal_close(&journal);
    return 0;
}
