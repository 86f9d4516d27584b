/* tests/base/ordinary.h -- what root's rights would hide is tried as an ordinary user. */
#ifndef TESTS_BASE_ORDINARY_H
#define TESTS_BASE_ORDINARY_H

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "check_child.h"

#define NOBODY 65534

/* A root test goes on as an ordinary user, dumpable like any program that a user starts. */
static void become_ordinary(void)
{
    if (geteuid() == 0) {
        CHILD_REQUIRE(setgroups(0, NULL) == 0);
        CHILD_REQUIRE(setresgid(NOBODY, NOBODY, NOBODY) == 0);
        CHILD_REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    }
    CHILD_REQUIRE(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

#endif
