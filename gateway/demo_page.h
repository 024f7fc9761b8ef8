/* The console's page in the browser of whoever looks at the demo. */
#ifndef OG_GATEWAY_DEMO_PAGE_H
#define OG_GATEWAY_DEMO_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "demo_world.h"

#define DEMO_PAGE_MAX 64

/* Where the failures of the demo are seen. */
void demo_page_address(const struct demo_world *world, char address[DEMO_PAGE_MAX]);
/* Whether there is a desktop, and what opens an address there (xdg-open). */
bool demo_page_can_open(void);
/* Has the desktop open it, and does not wait for that. False: it was not even tried. */
bool demo_page_open(struct demo_world *world);

#endif
