/* Two threads count without a lock: shows that a build which looks for data races finds one. It
 * must fail there, and is run nowhere else. */
#include "base/thread.h"

static lethe_result count(void *context, unsigned worker, struct lethe_error *err)
{
    unsigned *counter = context;
    ++*counter;
    return LETHE_OK;
}

int main(void)
{
    unsigned counter = 0;
    return threads_run(2, count, &counter, NULL) == LETHE_OK ? 0 : 1;
}
