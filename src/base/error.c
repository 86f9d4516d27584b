#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *sentence;
    int exit_code;
    bool retriable;
} results[] = {
#define FATAL false
#define RETRIABLE true
#define RESULT_ROW(name, exit_code, retry, sentence) {#name, sentence, exit_code, retry},
    LETHE_RESULTS(RESULT_ROW)
#undef RESULT_ROW
#undef RETRIABLE
#undef FATAL
};

const char *lethe_result_name(lethe_result result)
{
    return (size_t)result < ARRAY_LEN(results) ? results[result].name : "UNKNOWN";
}

const char *lethe_result_sentence(lethe_result result)
{
    return (size_t)result < ARRAY_LEN(results) ? results[result].sentence : "unknown result";
}

int lethe_result_exit_code(lethe_result result)
{
    return (size_t)result < ARRAY_LEN(results) ? results[result].exit_code : 1;
}

bool lethe_result_is_retriable(lethe_result result)
{
    return (size_t)result < ARRAY_LEN(results) && results[result].retriable;
}

/* A text that is too long is cut: an error says the most important thing first. */
static void PRINTF_LIKE(3, 4) format_cut(char *out, size_t capacity_bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, capacity_bytes, format, arguments);
    va_end(arguments);
}

static lethe_result PRINTF_LIKE(3, 0)
    set(struct lethe_error *err, lethe_result code, const char *format, va_list arguments)
{
    if (err == NULL)
        return code;
    err->code = code;
    err->hint[0] = '\0';
    vsnprintf(err->text, sizeof err->text, format, arguments);
    return code;
}

lethe_result(error_set)(struct lethe_error *err, lethe_result code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(err, code, format, arguments);
    va_end(arguments);
    return code;
}

lethe_result lethe_error_set(struct lethe_error *err, lethe_result code, const char *format, ...)
{
    REQUIRE(code != LETHE_OK);
    va_list arguments;
    va_start(arguments, format);
    set(err, code, format, arguments);
    va_end(arguments);
    return code;
}

static lethe_result result_from_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LETHE_NO_SPACE;
    case ENOMEM:
        return LETHE_NO_MEMORY;
    case ENOENT:
        return LETHE_NOT_FOUND;
    case EEXIST:
        return LETHE_EXISTS;
    default:
        return LETHE_IO;
    }
}

lethe_result(error_from_errno)(struct lethe_error *err, const char *format, ...)
{
    int number = errno;
    char what[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const char *description = strerrordesc_np(number);
    return error_set(err, result_from_errno(number), "%s: %s", what,
                     description != NULL ? description : "unknown error");
}

lethe_result error_forget(struct lethe_error *err)
{
    if (err != NULL) {
        err->code = LETHE_OK;
        err->text[0] = err->hint[0] = '\0';
    }
    return LETHE_OK;
}

void error_hint(struct lethe_error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
}

lethe_result error_context(struct lethe_error *err, lethe_result result, const char *format, ...)
{
    if (err == NULL || result == LETHE_OK)
        return result;
    char context[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    char text[sizeof err->text];
    format_cut(text, sizeof text, "%s: %s", context, err->text);
    memcpy(err->text, text, sizeof text);
    return result;
}

void require_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "lethe: %s:%d: broken precondition: %s\n", file, line, condition);
    abort();
}

void memory_free(void *memory)
{
    free(memory);
}

void fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
