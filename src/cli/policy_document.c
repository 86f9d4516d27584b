#include "cli/policy_document.h"

#include <string.h>

#include "base/error.h"
#include "policy/yaml_value.h"

bool path_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

lethe_result policy_document_parse(struct arena *arena, const char *path, const struct buffer *text,
                                   const struct value **out, struct lethe_error *err)
{
    const struct yaml_source yaml = {.text = text->bytes, .size_bytes = text->size_bytes};
    lethe_result result = path_ends_with(path, ".yaml") || path_ends_with(path, ".yml")
                              ? value_parse_yaml(arena, &yaml, out, err)
                              : value_parse_json(arena, text->bytes, text->size_bytes, out, err);
    return error_context(err, result, "%s", path);
}

void document_member(struct arena *arena, struct value_pairs *pairs, const char *key,
                     const struct value *value)
{
    value_pairs_append(arena, pairs, value_text(arena, key), value);
}
