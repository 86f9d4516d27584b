/* base/error.h -- writing struct lethe_error. Every function accepts err == NULL. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/base.h"

/* Sets code and text, clears the hint, and returns `code`, so that the place that detects a failure
 * reads `return error_set(err, LETHE_INVALID, "a region of %zu bytes", n);`. `code` is not
 * LETHE_OK. */
lethe_result error_set(struct lethe_error *err, lethe_result code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* As error_set, with ": " and the text of errno behind; the code follows from errno (no space, no
 * memory, no such thing, otherwise LETHE_IO). */
lethe_result error_from_errno(struct lethe_error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* That neither gives LETHE_OK is said here, where compilers and analysers see it at every call:
 * they then know that TRY does not go on with what a failed call did not write. */
static inline lethe_result error_not_ok(lethe_result result)
{
    REQUIRE(result != LETHE_OK);
    return result;
}
#define error_set(...) error_not_ok(error_set(__VA_ARGS__))
#define error_from_errno(...) error_not_ok(error_from_errno(__VA_ARGS__))

/* For a caller to whom the failure is none, as when what is optional is not there: takes back what
 * was said, so that a call that succeeds says nothing, and gives LETHE_OK. */
lethe_result error_forget(struct lethe_error *err);

/* Says what to do about it; call it after error_set, before returning. */
void error_hint(struct lethe_error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "<context>: " in front of the text, unless result is LETHE_OK; returns `result`, so that a
 * caller reads `return error_context(err, call(...), "shard %s", id);`. */
lethe_result error_context(struct lethe_error *err, lethe_result result, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
