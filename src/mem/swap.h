/* mem/swap.h -- can the host write our memory to a disk, where it would outlive us? */
#ifndef MEM_SWAP_H
#define MEM_SWAP_H

#include "base/base.h"

/* True unless it is certain that nothing swapped out can be read later: no swap is active, or only
 * swap encrypted with a key that the host draws at every boot and keeps nowhere. */
bool swap_may_keep_pages(void);

#endif
