/* The text of a statement of residency. What is read can be written, and is then the same; and its
 * rows are seals whose fields say no more than they should. */
#include <string.h>

#include "residency/seal_text.h"
#include "residency/statement_text.h"

#include "fuzz.h"

struct rows {
    struct buffer text;
    size_t count;
};

static void add_row(void *context, const struct statement_row *row)
{
    struct rows *rows = context;
    FUZZ_PROPERTY(seal_validate(&row->seal, NULL) == LETHE_OK);
    statement_append_row(&rows->text, row);
    rows->count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    struct statement_head head;
    struct rows rows = {0};
    CLEANUP(buffer_clear) struct buffer written = {0};
    lethe_result result = statement_parse((const char *)data, size, &head, add_row, &rows, &err);
    if (result == LETHE_OK) {
        FUZZ_PROPERTY(rows.count == head.says.shards);
        statement_append_head(&written, &head);
        buffer_append(&written, rows.text.bytes, rows.text.size_bytes);
        FUZZ_PROPERTY(written.size_bytes == size && memcmp(written.bytes, data, size) == 0);
    } else {
        FUZZ_PROPERTY(result == LETHE_MALFORMED && err.text[0] != '\0');
    }
    buffer_clear(&rows.text);
    return 0;
}
