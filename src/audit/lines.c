#include "audit/lines.h"

#include <string.h>

#include "base/error.h"

void lines_open(struct lines *lines, int directory, const struct files_view *view)
{
    *lines = (struct lines){
        .directory = directory, .last_number = view->last_number, .last_bytes = view->last_bytes};
}

lethe_result lines_seek(struct lines *lines, unsigned number, uint64_t offset, uint64_t line,
                        struct lethe_error *err)
{
    uint64_t end = lines->last_bytes;
    files_name(number, lines->name);
    if (number < lines->last_number)
        TRY(files_size(lines->directory, lines->name, &end, err));
    if (offset > end)
        return error_set(err, LETHE_INTEGRITY, "%s became shorter", lines->name);
    stream_close(&lines->stream);
    lines->number = number;
    lines->line = line;
    return stream_open(&lines->stream, lines->directory, lines->name,
                       (struct stream_range){offset, end}, err);
}

void lines_close(struct lines *lines)
{
    stream_close(&lines->stream);
}

static lethe_result check_ended(const struct lines *lines, struct lethe_error *err)
{
    if (lines->number > 0 && lines->stream.offset != lines->stream.end)
        return error_set(err, LETHE_INTEGRITY, "%s:%llu: not a whole line", lines->name,
                         (unsigned long long)lines->line + 1);
    return LETHE_OK;
}

lethe_result lines_next(struct lines *lines, const char **line, size_t *length,
                        struct lethe_error *err)
{
    *line = NULL;
    for (;;) {
        if (lines->number > 0)
            TRY(stream_next(&lines->stream, stream_line, line, length, err));
        if (*line != NULL)
            break;
        if (lines->number == lines->last_number)
            return LETHE_OK;
        TRY(check_ended(lines, err));
        TRY(lines_seek(lines, lines->number + 1, 0, 0, err));
    }
    --*length; /* the newline */
    lines->line++;
    return LETHE_OK;
}
