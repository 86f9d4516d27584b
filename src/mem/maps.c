#include "mem/maps.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mem/host.h"

static const struct {
    char code[3]; /* proc(5), VmFlags */
    enum map_flag flag;
} codes[] = {
    {"lo", MAP_FLAG_LOCKED},
    {"dd", MAP_FLAG_UNDUMPABLE},
    {"wf", MAP_FLAG_WIPED_ON_FORK},
    {"dc", MAP_FLAG_NOT_FORKED},
};

/* The range that is asked about, and what is known of it so far. */
struct survey {
    uintptr_t from; /* everything in front of this is accounted for */
    uintptr_t end;
    unsigned flags; /* hold for all of it so far                    */
    /* the mapping whose lines are being read */
    uintptr_t map_start;
    uintptr_t map_end;
    bool map_is_secret;
};

static unsigned flags_in_line(const char *line)
{
    unsigned flags = 0;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char spaced[5] = {' ', codes[i].code[0], codes[i].code[1], ' ', '\0'};
        if (strstr(line, spaced) != NULL)
            flags |= codes[i].flag;
    }
    return flags;
}

/* A mapping begins with a line "55d0a000-55d0b000 rw-p ..." and has one line "VmFlags: rd wr ...",
 * its last. */
static void survey_line(struct survey *survey, const char *line)
{
    unsigned long start, end;
    if (isxdigit((unsigned char)line[0]) && sscanf(line, "%lx-%lx ", &start, &end) == 2) {
        survey->map_start = start;
        survey->map_end = end;
        survey->map_is_secret = strstr(line, " /secretmem (deleted)") != NULL;
    } else if (strncmp(line, "VmFlags:", 8) == 0 && survey->map_start <= survey->from &&
               survey->from < survey->map_end) {
        survey->flags &= flags_in_line(line) | (survey->map_is_secret ? MAP_FLAG_SECRET : 0u);
        survey->from = survey->map_end;
    }
}

lethe_result maps_flags(const void *memory, size_t size_bytes, unsigned *out,
                        struct lethe_error *err)
{
    *out = 0;
    FILE *smaps = host.open("/proc/self/smaps");
    if (smaps == NULL)
        return error_from_errno(err, "/proc/self/smaps");
    struct survey survey = {
        .from = (uintptr_t)memory, .end = (uintptr_t)memory + size_bytes, .flags = ~0u};
    char *line = NULL;
    size_t line_bytes = 0;
    while (survey.from < survey.end && getline(&line, &line_bytes, smaps) > 0)
        survey_line(&survey, line);
    free(line);
    fclose(smaps);
    if (survey.from >= survey.end)
        *out = survey.flags;
    return LETHE_OK;
}
