#include "crypto/dead_stack.h"

#include <lethe/mem.h>

/* How deep the libraries' calls go, with room to spare. */
#define DEAD_STACK_BYTES ((size_t)12 << 10)

__attribute__((noinline, no_sanitize("address"))) void dead_stack_wipe(void)
{
    uint8_t dead[DEAD_STACK_BYTES];
    lethe_wipe(dead, sizeof dead);
}
