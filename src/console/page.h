/*
 * The web page: an index, a script, a style and an icon that are part of the program. They are the
 * same for everybody and hold nothing of any record; who may see what is decided where the script
 * asks the API.
 */
#ifndef OG_CONSOLE_PAGE_H
#define OG_CONSOLE_PAGE_H

#include <stdbool.h>

#include "base/slice.h"
#include "console/server.h"

/* Whether the program was built with its page. */
bool page_is_built(void);
/* Whether GET of that path, as sent, is a file of the page, or one of its views, which all are the
 * index: the script reads the address. */
bool page_has(struct slice path);
/* Answers a GET or HEAD of a path that page_has. */
void page_serve(struct call *call);

#endif
