#include <stdio.h>

#include "cli/command.h"
#include "crypto/aead.h"

COMMAND_FUNCTION(version)
{
    printf("lethe " LETHE_VERSION "\nAES-256-GCM by %s\n", aead_backend_name(AEAD_BACKEND_BEST));
    return LETHE_OK;
}
