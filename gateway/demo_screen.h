/* What the demo shows: lines of its story, and below them, on a terminal, figures that change in
 * place. Elsewhere the figures are a plain line now and then. 80 columns. */
#ifndef OG_GATEWAY_DEMO_SCREEN_H
#define OG_GATEWAY_DEMO_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "demo_book.h"

enum demo_tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_LOUD, TONE_DIM };

struct demo_screen;

/* color: colours may be used. live: stdout is a terminal that can move its cursor. */
struct demo_screen *demo_screen_new(bool color, bool live);
void demo_screen_free(struct demo_screen **screen);

/* Time in the story counts from here. */
void demo_screen_begin(struct demo_screen *screen);
/* A line without a time. */
void demo_screen_print(struct demo_screen *screen, enum demo_tone tone, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* An empty line. */
void demo_screen_gap(struct demo_screen *screen);
/* A line of the story; what is longer than the line goes on below it. */
void demo_screen_tell(struct demo_screen *screen, enum demo_tone tone, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* The figures, and the state of the gateway in a word or two. */
void demo_screen_figures(struct demo_screen *screen, const struct demo_figures *figures,
                         const char *state, enum demo_tone tone);
/* No figures from here on; leaves the last ones where they stand. */
void demo_screen_settle(struct demo_screen *screen);
/* Thousands in groups: 12,345. */
#define DEMO_NUMBER_MAX 32
const char *demo_number(uint64_t n, char out[DEMO_NUMBER_MAX]);

#endif
