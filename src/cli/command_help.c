#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/command.h"

COMMAND_FUNCTION(help)
{
    if (option_given(invocation, "man"))
        help_man();
    else if (option_given(invocation, "completion"))
        help_completion();
    else if (invocation->positional_count == 0)
        help_all();
    if (invocation->positional_count == 0)
        return LETHE_OK;

    char name[64];
    bool two = invocation->positional_count == 2;
    snprintf(name, sizeof name, "%s%s%s", invocation->positional[0], two ? " " : "",
             two ? invocation->positional[1] : "");
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            help_command(c);
            return LETHE_OK;
        }
    }
    if (!two && command_is_group(name)) {
        help_group(name);
        return LETHE_OK;
    }
    error_set(err, LETHE_INVALID, "there is no command '%s'", name);
    error_hint(err, "lethe --help lists them");
    return LETHE_INVALID;
}
