/* policy/glob.h -- patterns of gobwas/glob: what they are read as, and whether a text matches one.
 *
 * * and ? (no delimiter), ** (anything), [abc], [a-z], [!abc] (also delimiters), {a,b} (patterns in
 * each other), and \ before what is meant as it is. Matching takes at most the product of the two
 * lengths, whatever the pattern. Thread rule: pure functions. */
#ifndef POLICY_GLOB_H
#define POLICY_GLOB_H

#include "policy/builtin.h"

#define GLOB_SIZE_MAX 16384 /* bytes of a pattern */

struct glob_step;
struct glob {
    struct glob_step *steps;
    uint32_t count;
    uint32_t *characters; /* of lists */
    uint32_t character_count;
};
/* Of at most GLOB_SIZE_MAX bytes. What it is read as lives in the arena. false: *wrong_because says
 * what is wrong with it, or the arena has failed. */
bool glob_parse(struct arena *arena, const struct value *pattern, struct glob *out,
                const char **wrong_because);

struct glob_delimiters {
    const uint32_t *characters;
    uint32_t count;
};
LETHE_MUST_CHECK lethe_result glob_matches(struct builtin_call *call, const struct glob *glob,
                                           const struct glob_delimiters *delimiters,
                                           const struct value *text, bool *out);

#endif
