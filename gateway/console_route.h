/* --group, or the group of --route, where a console is asked. */
#ifndef OG_GATEWAY_CONSOLE_ROUTE_H
#define OG_GATEWAY_CONSOLE_ROUTE_H

#include "console_ask.h"

/* group is left empty where neither is given. */
bool console_route_group(struct cli *cli, struct console_client *client, struct buf *group,
                         struct err *err) MUST_CHECK;

#endif
