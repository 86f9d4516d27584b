/* Traces of engines whose supervisors died: files that anybody of the same user may have written.
 */
#include <string.h>

#include "engine/trace.h"
#include "fuzz.h"

/* Texts end, and come from the file or are what stands for nothing. */
static void check_text(const char *text, const char *otherwise, size_t size_bytes)
{
    FUZZ_PROPERTY(text != NULL);
    FUZZ_PROPERTY(strlen(text) <= size_bytes || strcmp(text, otherwise) == 0);
}

static bool says(const uint8_t *data, size_t size_bytes, const char *word)
{
    return memmem(data, size_bytes, word, strlen(word)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    CLEANUP(trace_content_clear) struct trace_content content;
    trace_read(data, size_bytes, &content);
    check_text(content.engine, "unknown", size_bytes);
    check_text(content.model, "unknown", size_bytes);
    check_text(content.directory, "", size_bytes);
    check_text(content.group, "", size_bytes);
    /* A wipe is only believed that somebody wrote down, in a whole line. */
    if (content.wiped)
        FUZZ_PROPERTY((says(data, size_bytes, "wiped") || says(data, size_bytes, "\\u")) &&
                      says(data, size_bytes, "\n"));
    if (content.lines == NULL)
        FUZZ_PROPERTY(!content.wiped && content.bytes == 0 && content.directory[0] == '\0');
    return 0;
}
