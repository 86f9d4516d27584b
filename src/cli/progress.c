#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define REDRAW_NS ((uint64_t)100 * 1000 * 1000)
#define BAR_CELLS 24

static void draw(struct progress *progress, uint64_t done, uint64_t total, uint64_t now_ns)
{
    char bar[BAR_CELLS + 1];
    size_t filled = total > 0 ? (size_t)((double)done / (double)total * BAR_CELLS) : BAR_CELLS;
    memset(bar, ' ', BAR_CELLS);
    memset(bar, '=', MIN(filled, (size_t)BAR_CELLS));
    bar[BAR_CELLS] = '\0';

    double seconds = (double)(now_ns - progress->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char done_text[BYTES_TEXT_SIZE];
    char total_text[BYTES_TEXT_SIZE];
    char rate_text[BYTES_TEXT_SIZE];
    bytes_text(done, done_text);
    bytes_text(total, total_text);
    bytes_text((uint64_t)rate, rate_text);
    fprintf(stderr, "\r%s [%s] %s of %s, %s/s, %.0f s left \033[K", progress->what, bar, done_text,
            total_text, rate_text, rate > 0 ? (double)(total - MIN(done, total)) / rate : 0.0);
}

static void progress_report(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *progress = context;
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    if (!progress->shown)
        return;
    if (done_bytes >= total_bytes) {
        progress_end(progress); /* what comes next may write to the terminal, an engine for one */
    } else if (now_ns - progress->drawn_ns >= REDRAW_NS) {
        progress->drawn_ns = now_ns;
        draw(progress, done_bytes, total_bytes, now_ns);
    }
}

void progress_begin(struct progress *progress, const char *what)
{
    *progress = (struct progress){.table = {.report = progress_report, .context = progress},
                                  .what = what,
                                  .started_ns = clock_monotonic_ns(&clock_system),
                                  .shown = isatty(STDERR_FILENO) == 1};
}

void progress_end(struct progress *progress)
{
    if (progress->shown && progress->drawn_ns != 0)
        fprintf(stderr, "\r\033[K");
    progress->drawn_ns = 0;
}
