#include "cli/common.h"
#include "cli/policy_files.h"

COMMAND_FUNCTION(policy_check)
{
    CLEANUP(policy_files_clear) struct policy_files files = {0};
    for (int i = 0; i < invocation->positional_count; i++)
        TRY(policy_files_add(&files, invocation->positional[i], err));
    return policy_files_compile(&files, common_is_v0(invocation), err);
}
