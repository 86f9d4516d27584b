/* lethe/error.h -- how every call in Lethe says what happened.
 *
 * A call returns a lethe_result. Its last parameter is a struct lethe_error *, which may be NULL:
 * the place that detects a failure writes there what was wrong with what, and callers put context
 * in front on the way up. Texts never hold a secret, a pointer, or user content.
 *
 * Thread rule: a struct lethe_error belongs to one thread at a time; the functions are pure. */
#ifndef LETHE_ERROR_H
#define LETHE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* this is what the library shows */

#define LETHE_MUST_CHECK __attribute__((warn_unused_result))

/* Returns from the calling function, which gives a lethe_result, unless `call` gave LETHE_OK. */
#define LETHE_TRY(call)                                                                            \
    do {                                                                                           \
        lethe_result lethe_try_result = (call);                                                    \
        if (lethe_try_result != LETHE_OK)                                                          \
            return lethe_try_result;                                                               \
    } while (0)

/* X(name, process exit code, FATAL or RETRIABLE, sentence). RETRIABLE: the same call may succeed
 * later without anyone changing its arguments. Exit codes: 0 done, 1 failed, 2 usage, 3 integrity
 * violation, 4 denied or revoked, 5 unavailable, 6 protection unavailable. */
#define LETHE_RESULTS(X)                                                                           \
    X(OK, 0, FATAL, "done")                                                                        \
    X(FAILED, 1, FATAL, "the operation failed")                                                    \
    X(INVALID, 2, FATAL, "an argument is not acceptable")                                          \
    X(NOT_FOUND, 1, FATAL, "there is no such thing")                                               \
    X(EXISTS, 1, FATAL, "it exists already")                                                       \
    X(CONFLICT, 1, RETRIABLE, "someone else changed it first")                                     \
    X(LIMIT, 1, FATAL, "a limit was reached")                                                      \
    X(IO, 1, FATAL, "reading or writing failed")                                                   \
    X(NO_SPACE, 1, RETRIABLE, "there is no space left")                                            \
    X(NO_MEMORY, 1, RETRIABLE, "there is not enough memory")                                       \
    X(CANCELLED, 1, RETRIABLE, "the operation was cancelled")                                      \
    X(MALFORMED, 3, FATAL, "the data is malformed")                                                \
    X(INTEGRITY, 3, FATAL, "the data was changed, forged or cut short")                            \
    X(DENIED, 4, FATAL, "the operation is not allowed")                                            \
    X(REVOKED, 4, FATAL, "the key was revoked")                                                    \
    X(UNAVAILABLE, 5, RETRIABLE, "a service or device is not available")                           \
    X(BUSY, 5, RETRIABLE, "someone else is using it")                                              \
    X(LOST, 5, FATAL, "the data is lost")                                                          \
    X(UNPROTECTED, 6, FATAL, "a protection cannot be had")                                         \
    X(UNWIPED, 6, FATAL, "memory could not be shown to be zero")

typedef enum {
#define LETHE_RESULT_ENUM(name, exit_code, retry, sentence) LETHE_##name,
    LETHE_RESULTS(LETHE_RESULT_ENUM)
#undef LETHE_RESULT_ENUM
} lethe_result;

/* Plain storage; `struct lethe_error err = {0};` is ready to use. After a failure `code` is the
 * result that was returned, `text` says what was wrong, and `hint`, unless empty, what to do. */
struct lethe_error {
    lethe_result code;
    char text[512];
    char hint[256];
};

/* Writes an error, for who makes one: a store of the caller's (lethe/kv.h), or a program that uses
 * the library. Sets code and text (cut where it is too long), clears the hint, and gives `code`,
 * which is not LETHE_OK. `err` may be NULL. */
__attribute__((__format__(__printf__, 3, 4))) lethe_result lethe_error_set(struct lethe_error *err,
                                                                           lethe_result code,
                                                                           const char *format, ...);

/* The constant's name without its prefix ("NOT_FOUND"), for logs and JSON. */
const char *lethe_result_name(lethe_result result);
/* One plain sentence, without a full stop. */
const char *lethe_result_sentence(lethe_result result);
/* The process exit code that stands for this result (0 to 6). */
int lethe_result_exit_code(lethe_result result);
/* True when the same call may succeed later. */
bool lethe_result_is_retriable(lethe_result result);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
