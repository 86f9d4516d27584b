#include "mem/observer.h"

static struct lethe_mem_observer observer;

void lethe_mem_observe(const struct lethe_mem_observer *table)
{
    observer = table != NULL ? *table : (struct lethe_mem_observer){0};
}

bool observer_is_set(void)
{
    return observer.region_wiped != NULL;
}

void observer_region_wiped(const struct lethe_wipe_report *report)
{
    if (observer.region_wiped != NULL)
        observer.region_wiped(observer.context, report);
}

void observer_session_ended(const struct lethe_session_report *report)
{
    if (observer.session_ended != NULL)
        observer.session_ended(observer.context, report);
}
