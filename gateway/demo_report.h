/* What the demo says before and after its story. */
#ifndef OG_GATEWAY_DEMO_REPORT_H
#define OG_GATEWAY_DEMO_REPORT_H

#include <stdbool.h>

#include "demo_book.h"
#include "demo_screen.h"
#include "demo_story.h"
#include "demo_world.h"

/* own: the broker ends with the demo. */
void demo_report_opening(struct demo_screen *screen, const struct demo_world *world, bool own);
/* The table. True: nothing lost, nothing out of order, nothing twice without its reason. */
bool demo_report_table(struct demo_screen *screen, const struct demo_book *book,
                       const struct demo_story *story);
/* The commands to try next, by the program's name as it was typed; kept: everything runs until
 * Ctrl-C. */
void demo_report_next(struct demo_screen *screen, const struct demo_world *world,
                      const char *program, bool own, bool kept);

#endif
