/* What the verbs of `oncegate dlq` share. */
#ifndef OG_GATEWAY_CMD_DLQ_H
#define OG_GATEWAY_CMD_DLQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "cli.h"
#include "config/config.h"
#include "console/client.h"
#include "dlq/filter.h"
#include "dlq/index.h"
#include "json_print.h"

struct dlq {
    struct cli *cli;                /* argv[0] is the verb */
    struct console_client *console; /* that is asked; NULL: the topics are read */
    const struct config *config;    /* NULL where a console is asked, as the next */
    struct loop *loop;
    enum output output;
    bool by_console; /* a console could be asked for it */
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

/* The filter of the command's options; dlq_filter_deinit in any case. False: one of them is wrong,
 * and *code is the exit code (said on stderr). */
bool dlq_filter_of(struct dlq *dlq, struct dlq_filter *filter, int *code) MUST_CHECK;
/* Reads what the filter may be asked of; says on stderr where that took a while. To be closed with
 * dlq_index_close. */
struct dlq_index *dlq_read_letters(struct dlq *dlq, const struct dlq_filter *filter,
                                   struct err *err) MUST_CHECK;
/* Says on stderr where an answer does not cover everything. */
void dlq_say_covered(const struct dlq_covered *covered);
struct table;
/* The exit code; says so on stderr where it is empty. */
int dlq_print_table(const struct dlq *dlq, const struct table *table);
/* Appends a line's id, "topic/partition/offset". */
void dlq_row_id(const struct dlq_row *row, struct buf *out);
/* Where its newest letter lies. */
void dlq_row_latest(const struct dlq_row *row, int32_t *partition, int64_t *offset);
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
