/* cli/attest_options.h -- rows for commands.c. */
#ifndef CLI_ATTEST_OPTIONS_H
#define CLI_ATTEST_OPTIONS_H

#include "cli/command.h"

extern const struct option attest_show_options[], attest_evidence_options[],
    attest_service_options[], attest_verify_options[], attest_enroll_options[],
    attest_reference_options[], attest_revoke_options[], release_options[];

#endif
