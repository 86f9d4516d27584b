/* fuzz/rego_grammar.h -- policies that look like policies, made from a fuzzer's bytes.
 *
 * Each byte chooses a production; when there are none left every choice is the first, which ends
 * soon. Rule n refers to rules below n only, so that most of what is made compiles: what does not
 * is of no interest here, the compiler has a target of its own. */
#ifndef FUZZ_REGO_GRAMMAR_H
#define FUZZ_REGO_GRAMMAR_H

#include "base/buffer.h"
#include "base/cursor.h"

/* A module of package `t`. Texts that begin with "package" are taken as they are. */
void rego_grammar(struct cursor *bytes, struct buffer *out);

#endif
