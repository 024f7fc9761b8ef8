/* The records that a redrive job sent, and what became of each, printed as -o says, of --result
 * where that is given. */
#ifndef OG_GATEWAY_REDRIVE_RECORDS_H
#define OG_GATEWAY_REDRIVE_RECORDS_H

#include <stdbool.h>

#include "base/loop.h"
#include "cli.h"

struct console_client;

/* Read from the dead-letter and state topics of all routes, each time. stopped: nobody wants it any
 * more: false, and no err. */
bool redrive_records_print(struct cli *cli, struct loop *loop, const struct config *config,
                           const char *job, const bool *stopped, struct err *err) MUST_CHECK;
bool redrive_records_of_console(struct cli *cli, struct console_client *console, const char *job,
                                struct err *err) MUST_CHECK;

#endif
