/* Records. Every line that is read is canonical JSON, by the judgement of the general reader. */
#include <string.h>

#include "audit/record.h"
#include "base/json.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line = (const char *)data;
    struct lethe_error err = {0};
    struct record_line record;
    if (record_parse(line, size, &record, &err) != LETHE_OK)
        return 0;

    CLEANUP(json_decref) json_t *tree = NULL;
    CLEANUP(buffer_clear) struct buffer canonical = {0};
    FUZZ_PROPERTY(json_parse(line, size, &tree, &err) == LETHE_OK);
    FUZZ_PROPERTY(json_canonical(tree, &canonical, &err) == LETHE_OK);
    FUZZ_PROPERTY(canonical.size_bytes == size && memcmp(canonical.bytes, line, size) == 0);

    const json_t *seq = json_object_get(tree, "seq");
    if (json_is_integer(seq))
        FUZZ_PROPERTY((uint64_t)json_integer_value(seq) == record.seq);
    const char *node = json_string_value(json_object_get(tree, "node"));
    FUZZ_PROPERTY(node != NULL && record.node_length >= strlen(node));
    return 0;
}
