/* policy/re2_regex.h -- regular expressions that are found in time linear in the text: RE2.
 *
 * Syntax and meaning are those of Go's regexp, which is of one descent with RE2, and errors are
 * worded as there; regex.h reads what only Go has. Nothing of C++ is seen through this header:
 * RE2 allocates with `new`, outside of any arena and up to RE2_REGEX_MEMORY_MAX an expression, and
 * what it throws when there is no memory ends here, as LETHE_NO_MEMORY. RE2 was not written with
 * that in mind: it then loses blocks (the parts of the expression that it was compiling) and may
 * say so on stderr, but an expression that was compiled can still be used and freed.
 *
 * Thread rule: an expression may be used by any number of threads at once; while its tables grow,
 * RE2 takes locks of its own. */
#ifndef POLICY_RE2_REGEX_H
#define POLICY_RE2_REGEX_H

#include <stddef.h>
#include <stdint.h>

#include <lethe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RE2_REGEX_MEMORY_MAX ((size_t)2 << 20) /* program and tables */

struct re2_regex;

/* `memory_bytes`: what program and tables may take, which grow while texts are searched.
 * LETHE_MALFORMED with Go's text: "error parsing regexp: missing closing ]: `[`". */
LETHE_MUST_CHECK lethe_result re2_regex_create(const char *pattern, size_t size_bytes,
                                               size_t memory_bytes, struct re2_regex **out,
                                               struct lethe_error *err);
void re2_regex_free(struct re2_regex *regex); /* NULL is fine */

/* Groups in parentheses, without the whole match. */
unsigned re2_regex_group_count(const struct re2_regex *regex);
/* The first group of that name; 0: there is none. */
LETHE_MUST_CHECK lethe_result re2_regex_group_named(const struct re2_regex *regex, const char *name,
                                                    size_t length, unsigned *out);
/* How many instructions the expression became. Finding takes at most about that many operations
 * for each byte of the text; mostly it takes one. */
unsigned re2_regex_size(const struct re2_regex *regex);

struct re2_search {
    const char *text; /* UTF-8, not NULL */
    size_t size_bytes;
    size_t from; /* what is before is looked at by ^ and \b only */
};
#define RE2_NO_SPAN SIZE_MAX
struct re2_span {
    size_t start, end; /* bytes from the text's beginning; RE2_NO_SPAN: the group took no part */
};

/* The leftmost match, and of those at one place the first as Perl would find it. spans[0] is the
 * whole match, spans[i] group i; span_count 0 only asks whether there is one, which is faster. */
LETHE_MUST_CHECK lethe_result re2_regex_find(const struct re2_regex *regex,
                                             const struct re2_search *search,
                                             struct re2_span *spans, unsigned span_count,
                                             bool *found);

#ifdef __cplusplus
}
#endif
#endif
