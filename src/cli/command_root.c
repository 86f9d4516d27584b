#include <stdio.h>

#include "base/error.h"
#include "cli/common.h"

static lethe_result rotate(struct home *home, struct lethe_error *err)
{
    struct key_outcome outcome;
    TRY(keeper_rotate_root(home->keeper, &outcome, err));
    printf("%s; the old %s: %s\n",
           outcome.new_root_key ? "new root key and store key" : "new store key",
           outcome.new_root_key ? "ones" : "one", outcome.text);
    common_report_new_root(home, &outcome);
    return LETHE_OK;
}

COMMAND_FUNCTION(root_rotate)
{
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    return home_finish(&home, rotate(home, err), err);
}
