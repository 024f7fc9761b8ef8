/* The records that a redrive job sent, and what became of each, printed as -o says, of --result
 * where that is given. */
#ifndef OG_GATEWAY_REDRIVE_RECORDS_H
#define OG_GATEWAY_REDRIVE_RECORDS_H

#include <stdbool.h>

#include "base/loop.h"
#include "cli.h"

struct console_client;

struct redrive_records {
    const char *job, *group;
    const char *topic;  /* of the jobs */
    int64_t skipped_at; /* jobs_skipped_at */
};

/* Read from the dead-letter and state topics of all routes, each time. stopped: nobody wants it any
 * more: false, and no err. */
bool redrive_records_print(struct cli *cli, struct loop *loop, const struct config *config,
                           const struct redrive_records *of, const bool *stopped,
                           struct err *err) MUST_CHECK;
bool redrive_records_of_console(struct cli *cli, struct console_client *console, const char *job,
                                struct err *err) MUST_CHECK;

#endif
