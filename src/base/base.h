/* base/base.h -- the few words of vocabulary that every room uses. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(text, first) __attribute__((__format__(__printf__, text, first)))

/* Aborts with file and line: for a precondition that our own code broke, never for bad input. */
#define REQUIRE(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))
_Noreturn void require_failed(const char *condition, const char *file, int line);

/* Scope-bound clean-up does the rest. */
#define TRY(call) LETHE_TRY(call)

/* Scope-bound clean-up. DEFINE_CLEANUP(region_free, struct region *) lets a variable say
 *     CLEANUP(region_free) struct region *region = NULL;
 * and be freed wherever the scope ends, unless MOVE(region) took it away first. The free function
 * must accept an empty value (NULL). */
#define CLEANUP(free_function) __attribute__((cleanup(free_function##_at_scope_end)))
#define DEFINE_CLEANUP(free_function, type)                                                        \
    static inline void free_function##_at_scope_end(type *variable)                                \
    {                                                                                              \
        free_function(*variable);                                                                  \
    }                                                                                              \
    struct cleanup_needs_semicolon_##free_function
#define MOVE(variable)                                                                             \
    __extension__({                                                                                \
        __typeof__(variable) moved_value = (variable);                                             \
        (variable) = NULL;                                                                         \
        moved_value;                                                                               \
    })

/* For memory that never held a secret: CLEANUP(memory_free) char *text = NULL. */
void memory_free(void *memory);
static inline void memory_free_at_scope_end(void *variable)
{
    memory_free(*(void **)variable);
}

/* Descriptors: CLEANUP(fd_close) int fd = -1. A negative value is "none". */
void fd_close(int fd);
DEFINE_CLEANUP(fd_close, int);
/* As MOVE, for a descriptor. */
#define FD_MOVE(fd)                                                                                \
    __extension__({                                                                                \
        int moved_fd = (fd);                                                                       \
        (fd) = -1;                                                                                 \
        moved_fd;                                                                                  \
    })

#endif
