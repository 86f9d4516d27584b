/* base/validate.h -- the applets that say whether a value from outside is acceptable.
 *
 * Each is linear in its input, stops at the first fault, never aborts, and never repeats the bad
 * value: the error names `what` (the caller's word for the argument, e.g. "tenant"), the rule, and
 * the position. LETHE_INVALID on refusal. */
#ifndef BASE_VALIDATE_H
#define BASE_VALIDATE_H

#include "base/base.h"

#define IDENTIFIER_MAX 256 /* shard ids of the sealed-shard contract (IV-003)  */
#define NAME_PART_MAX 64   /* tenant, model and tier in a key name             */
#define MODEL_REFERENCE_MAX 512
#define PROMPT_MAX 100000

/* 1 to max_length characters of [A-Za-z0-9_-]. */
LETHE_MUST_CHECK lethe_result validate_identifier(const char *what, const char *text,
                                                  size_t max_length, struct lethe_error *err);
/* 1 to 512 printable ASCII characters without space, quotes and backslash, without $ ` ; | & < >,
 * no ".." part between slashes. */
LETHE_MUST_CHECK lethe_result validate_model_reference(const char *what, const char *text,
                                                       struct lethe_error *err);
/* Exactly `digits` lower-case hex digits. */
LETHE_MUST_CHECK lethe_result validate_hex(const char *what, const char *text, size_t digits,
                                           struct lethe_error *err);
/* A relative path of a model's file: UTF-8, '/' between parts, no empty, "." or ".." part, no
 * control character, no backslash, at most 1024 bytes. */
LETHE_MUST_CHECK lethe_result validate_relative_path(const char *what, const char *path,
                                                     struct lethe_error *err);
/* `path` resolved (symlinks followed; from the working directory when it is relative) lies inside
 * `root` resolved, or is it; gives the resolved path, which the caller frees with memory_free().
 * LETHE_NOT_FOUND when there is no such file. */
LETHE_MUST_CHECK lethe_result validate_path_inside(const char *what, const char *root,
                                                   const char *path, char **resolved,
                                                   struct lethe_error *err);
/* Valid UTF-8 without NUL, at most PROMPT_MAX characters. */
LETHE_MUST_CHECK lethe_result validate_prompt(const char *what, const char *text, size_t size_bytes,
                                              struct lethe_error *err);
/* A decimal integer in [min, max), in its one plain spelling: no '+', space or leading zero. */
LETHE_MUST_CHECK lethe_result validate_integer(const char *what, const char *text, int64_t min,
                                               int64_t max, int64_t *out, struct lethe_error *err);
/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool text_is_utf8(const char *text, size_t size_bytes);
/* Copies at most capacity - 1 bytes of `text` to `out` so that it is safe in a log or on a
 * terminal: control characters, escape sequences, bidirectional and zero-width controls and bad
 * UTF-8 each become '?'. A cut ends in "...". Returns the number of bytes written without the NUL.
 */
size_t text_sanitise(const char *text, size_t size_bytes, char *out, size_t capacity_bytes);

#endif
