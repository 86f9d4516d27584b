/* cli/policy_document.h -- data and input, in the format that a file's name says; answers. */
#ifndef CLI_POLICY_DOCUMENT_H
#define CLI_POLICY_DOCUMENT_H

#include "base/buffer.h"
#include "policy/value.h"

#define DOCUMENT_SIZE_MAX ((size_t)256 << 20)

/* YAML where the path ends with .yaml or .yml, JSON otherwise. What is wrong is said with the path.
 */
LETHE_MUST_CHECK lethe_result policy_document_parse(struct arena *arena, const char *path,
                                                    const struct buffer *text,
                                                    const struct value **out,
                                                    struct lethe_error *err);

/* Not of a path that is nothing else. */
bool path_ends_with(const char *path, const char *suffix);

/* A pair more of a document that is being made; what fails is the arena's. */
void document_member(struct arena *arena, struct value_pairs *pairs, const char *key,
                     const struct value *value);

#endif
