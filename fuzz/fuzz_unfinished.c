/* The state of an unfinished re-encryption: a file that anybody may have written. The key is known
 * here, so that records can be made that open. */
#include <string.h>

#include "model/unfinished.h"

#include "fuzz.h"

/* What is read and written again are the same bytes, and leave the chain in the same place. */
static void check_record(const struct unfinished_record *record, struct unfinished_chain before,
                         const struct unfinished_chain *behind, struct cursor read)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error err = {0};
    FUZZ_PROPERTY(unfinished_record_write(record, &before, &text, &err) == LETHE_OK);
    FUZZ_PROPERTY(text.size_bytes == cursor_left(&read));
    FUZZ_PROPERTY(memcmp(text.bytes, read.at, text.size_bytes) == 0);
    FUZZ_PROPERTY(memcmp(before.last, behind->last, SHA256_BYTES) == 0);
}

static void read_records(const struct unfinished_header *header, struct cursor cursor,
                         const struct lethe_secret *key)
{
    struct unfinished_chain chain;
    struct unfinished_record record;
    struct lethe_error err = {0};
    bool found = true;
    unfinished_chain_begin(header, key, &chain);
    for (;;) {
        struct unfinished_chain before = chain;
        struct cursor read = cursor;
        if (unfinished_record_read(&cursor, &chain, &record, &found, &err) != LETHE_OK || !found)
            return;
        FUZZ_PROPERTY(cursor.at > read.at);
        read.end = cursor.at;
        check_record(&record, before, &chain, read);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    struct unfinished_header header;
    struct cursor cursor = cursor_over(data, size);
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    FUZZ_PROPERTY(lethe_secret_create(UNFINISHED_KEY_BYTES, &key, &err) == LETHE_OK); /* zeros */
    if (unfinished_header_read(&cursor, &header, &err) == LETHE_OK) {
        CLEANUP(buffer_clear) struct buffer text = {0};
        unfinished_header_write(&header, &text);
        FUZZ_PROPERTY(text.size_bytes == size - cursor_left(&cursor));
        FUZZ_PROPERTY(memcmp(text.bytes, data, text.size_bytes) == 0);
        read_records(&header, cursor, key);
    }
    return 0;
}
