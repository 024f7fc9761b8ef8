/* oncegate redrive by a console's API: the console does the jobs, the command asks and watches. */
#ifndef OG_GATEWAY_REDRIVE_BY_CONSOLE_H
#define OG_GATEWAY_REDRIVE_BY_CONSOLE_H

#include "cli.h"
#include "console/client.h"

/* start, list, status or cancel; the exit code. */
int redrive_by_console(struct cli *cli, struct console_client *console);

#endif
