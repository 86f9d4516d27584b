/* cli/engine_words.h -- what a request for keys says of the engine that is to be started. */
#ifndef CLI_ENGINE_WORDS_H
#define CLI_ENGINE_WORDS_H

#include "base/buffer.h"

/* Appends {"digest": "sha256:<hex>" of the engine's file, "arguments": [...] as they were given,
 * "sandbox": ...}. It is what this program is about to do, and proven only as far as the evidence
 * proves this program. LETHE_INVALID: an argument is not UTF-8; LETHE_NOT_FOUND: no such file. */
LETHE_MUST_CHECK lethe_result engine_words(char *const *arguments, const char *sandbox,
                                           struct buffer *json, struct lethe_error *err);

#endif
