/* What `oncegate redrive` tells of jobs, and what it is told of one that is asked for. */
#ifndef OG_GATEWAY_REDRIVE_TELL_H
#define OG_GATEWAY_REDRIVE_TELL_H

#include "base/buf.h"
#include "cli.h"
#include "dlq/redrive_ahead.h"
#include "record/redrive_job.h"

struct redrive_tell {
    const struct cli *cli;
    struct buf line; /* what was told last */
    bool drawn;      /* a line of a terminal is not ended */
};
void redrive_tell_deinit(struct redrive_tell *tell);

/* The job, to stdout; -o json: as it stands in its topic. */
void redrive_tell_job(struct redrive_tell *tell, const struct redrive_job *job, bool cancel_asked);
/* A line of a list. */
void redrive_tell_line(struct redrive_tell *tell, const struct redrive_job *job, bool cancel_asked);
/* A line to stderr whenever something is new; on a terminal always the same line. */
void redrive_tell_progress(struct redrive_tell *tell, const struct redrive_job *job,
                           bool cancel_asked);
void redrive_tell_end(struct redrive_tell *tell);
/* What would be sent: to stderr before it is done, or, with what the ledger says of it, to stdout.
 */
void redrive_tell_plan(struct redrive_tell *tell, const struct redrive_job *job,
                       const struct redrive_counts *counts, const struct redrive_ahead *ahead);

/* --mode, --rate, --limit and --reason. */
bool redrive_order_read(struct cli *cli, struct redrive_job *job, struct err *err) MUST_CHECK;
/* Whether it is not `force`, or somebody has typed the word. confirm: of the option, or NULL. */
bool redrive_may_force(const struct cli *cli, const struct redrive_job *job, const char *confirm,
                       struct err *err) MUST_CHECK;
/* Of a command that saw the job's end. */
int redrive_exit_code(const struct redrive_job *job);

#endif
