/* service/name_match.h -- names against patterns, as roles and certificate logins have them. */
#ifndef SERVICE_NAME_MATCH_H
#define SERVICE_NAME_MATCH_H

#include "base/base.h"

/* '*' stands for anything, a dot too; nothing else is special. */
bool name_matches(const char *pattern, const char *text, bool any_case);

#endif
