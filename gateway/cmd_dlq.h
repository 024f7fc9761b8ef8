/* What the verbs of `oncegate dlq` share. */
#ifndef OG_GATEWAY_CMD_DLQ_H
#define OG_GATEWAY_CMD_DLQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "cli.h"
#include "config/config.h"
#include "json_print.h"

struct dlq {
    struct cli *cli; /* argv[0] is the verb */
    const struct config *config;
    struct loop *loop;
    enum output output;
};

/* One file each; the exit code. */
int dlq_groups(struct dlq *dlq);
int dlq_list(struct dlq *dlq);
int dlq_show(struct dlq *dlq);
int dlq_export(struct dlq *dlq);
int dlq_import(struct dlq *dlq);
int dlq_archive(struct dlq *dlq);
int dlq_archive_to(struct dlq *dlq);
int dlq_purge(struct dlq *dlq);

/* Takes a number; false where it is no number of at most most (said on stderr). */
bool dlq_number(struct dlq *dlq, const char *option, uint64_t fallback, uint64_t most,
                uint64_t *out) MUST_CHECK;
/*
 * Whether it may be done: --yes, or a person at the terminal who says so. Without a terminal nobody
 * is asked; then, and where the answer is no, it says so and *code is the exit code.
 */
bool dlq_may(struct dlq *dlq, const char *question, int *code) MUST_CHECK;
/* user@host, for state and audit. */
#define DLQ_BY_MAX 200
void dlq_by(char out[DLQ_BY_MAX]);

#endif
