/* fuzz/fuzz.h -- what a fuzz target offers (https://llvm.org/docs/LibFuzzer.html), and how it says
 * that a property does not hold. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Always gives 0; must not keep anything from one call to the next. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Properties are preconditions of the target: REQUIRE aborts, and the fuzzer keeps the input. */
#define FUZZ_PROPERTY(condition) REQUIRE(condition)

#endif
