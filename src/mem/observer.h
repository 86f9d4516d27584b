/* mem/observer.h -- telling whoever observes (lethe_mem_observe). */
#ifndef MEM_OBSERVER_H
#define MEM_OBSERVER_H

#include <lethe/mem.h>

#include "base/base.h"

/* Whether anybody hears of regions. */
bool observer_is_set(void);
void observer_region_wiped(const struct lethe_wipe_report *report);
void observer_session_ended(const struct lethe_session_report *report);

#endif
