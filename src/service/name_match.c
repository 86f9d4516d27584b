#include "service/name_match.h"

#include <string.h>
#include <strings.h>

/* A star that took too little takes one more: the last one is enough to go back to, so that the
 * work is at most the product of the lengths. */
bool name_matches(const char *pattern, const char *text, bool any_case)
{
    const char *star = NULL, *from = NULL;
    while (*text != '\0') {
        bool same = any_case ? strncasecmp(pattern, text, 1) == 0 : *pattern == *text;
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (same) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}
