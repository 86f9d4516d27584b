/* cli/pool_rows.h -- the options of the pool's commands, for the table of commands. */
#ifndef CLI_POOL_ROWS_H
#define CLI_POOL_ROWS_H

#include "cli/command.h"

extern const struct option pool_control_options[], pool_provide_options[], pool_status_options[],
    pool_client_options[], pool_reason_options[], pool_drain_options[], pool_put_options[],
    pool_get_options[];

#endif
