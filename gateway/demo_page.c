/*
 * Opening the page; see demo_page.h. A browser that is started for it is the desktop's, not ours:
 * it outlives the demo. What goes wrong stands in the console's log, and the demo goes on.
 */
#include "demo_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define OPENER "xdg-open"

void demo_page_address(const struct demo_world *world, char address[DEMO_PAGE_MAX])
{
    snprintf(address, DEMO_PAGE_MAX, "http://127.0.0.1:%u/groups",
             (unsigned)world->config->console.listen.port);
}

static bool is_on_path(const char *name)
{
    const char *path = getenv("PATH");
    bool found = false;
    while (path && *path && !found) {
        size_t len = strcspn(path, ":");
        char *file = mem_printf("%.*s/%s", (int)len, path, name);
        found = access(file, X_OK) == 0;
        mem_free(file);
        path += len + (path[len] == ':');
    }
    return found;
}

bool demo_page_can_open(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return ((x11 && *x11) || (wayland && *wayland)) && is_on_path(OPENER);
}

bool demo_page_open(struct demo_world *world)
{
    char address[DEMO_PAGE_MAX];
    const char *argv[] = {OPENER, address, NULL};
    struct err err;
    demo_page_address(world, address);
    return child_start(&world->opener, argv, world->console_log, false, &err);
}
