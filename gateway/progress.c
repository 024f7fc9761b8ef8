/* A progress bar; see progress.h. It must leave nothing behind, and never write to what is no
 * terminal. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR       30
#define EVERY_NS  (150 * NS_PER_MS)
#define LATELY_NS (500 * NS_PER_MS) /* what is done by then needs no bar */

void progress_begin(struct progress *progress, const char *what)
{
    *progress = (struct progress){what, isatty(STDERR_FILENO), 0};
    if (progress->live)
        progress->drawn_ns = clock_mono_ns() + LATELY_NS - EVERY_NS;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
    uint64_t now;
    int full = total > 0 ? (int)(done >= total ? BAR : done * BAR / total) : 0;
    if (!progress->live)
        return;
    now = clock_mono_ns();
    if (now < progress->drawn_ns + EVERY_NS)
        return;
    progress->drawn_ns = now;
    if (total > 0)
        fprintf(stderr, "\r%s [%.*s%*s] %" PRIu64 " of %" PRIu64 "\x1b[K", progress->what, full,
                "##############################", BAR - full, "", done, total);
    else
        fprintf(stderr, "\r%s: %" PRIu64 "\x1b[K", progress->what, done);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->live)
        fputs("\r\x1b[K", stderr);
    progress->live = false;
}
