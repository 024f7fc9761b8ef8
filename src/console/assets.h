/* What a browser gets at "/": the page, or, in a program that was built without it, a text that
 * says so. It is the same for everybody and holds nothing of any record. */
#ifndef OG_CONSOLE_ASSETS_H
#define OG_CONSOLE_ASSETS_H

#include "console/router.h"

void assets_serve(void *arg, struct call *call, const struct route_match *match);

#endif
