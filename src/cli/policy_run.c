#include "cli/policy_run.h"

#include <stdio.h>

#include "base/error.h"
#include "base/validate.h"

static void print_to_stderr(void *context, const char *text, size_t size_bytes)
{
    char line[4096];
    text_sanitise(text, size_bytes, line, sizeof line);
    fprintf(stderr, "%s\n", line);
}

void policy_run_options(struct evaluation_options *out)
{
    *out = (struct evaluation_options){
        .world.now_ns = clock_wall_ns(&clock_system),
        .world.print = print_to_stderr,
    };
}

static void where(struct place place, char *out, size_t size)
{
    unsigned row, column;
    out[0] = '\0';
    if (place.source == NULL)
        return;
    place_row_column(place, &row, &column);
    snprintf(out, size, "%s:%u:%u: ", place.source->name, row, column);
}

lethe_result policy_run_failed(lethe_result result, const struct evaluation_failure *failure,
                               struct lethe_error *err)
{
    char at[256];
    where(failure->place, at, sizeof at);
    if (result == LETHE_NO_MEMORY)
        return error_set(err, LETHE_NO_MEMORY, "no memory to evaluate with");
    return error_set(err, result == LETHE_LIMIT ? LETHE_LIMIT : LETHE_FAILED, "%s%s: %s", at,
                     failure->code, failure->text);
}
