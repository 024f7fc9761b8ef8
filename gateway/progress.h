/* A progress bar on stderr, where that is a terminal; elsewhere nothing. */
#ifndef OG_GATEWAY_PROGRESS_H
#define OG_GATEWAY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "reading dead letters"; borrowed */
    bool live;
    uint64_t drawn_ns; /* when it was drawn last; 0: never */
};

void progress_begin(struct progress *progress, const char *what);
/* Draws a few times a second at most. total 0: not known. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress); /* takes it away */

#endif
