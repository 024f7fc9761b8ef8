/*
 * What an import is about to do: how many letters to which topics, and how many lines are bad. The
 * first pass over the lines fills it, whoever looks at them; what it says and asks is the same.
 */
#ifndef OG_GATEWAY_IMPORT_PLAN_H
#define OG_GATEWAY_IMPORT_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "cmd_dlq.h"
#include "import_lines.h"

struct import_plan {
    struct dlq *dlq;            /* borrowed, as the next */
    struct import_lines *lines; /* are open */
    uint64_t good, bad;
    struct import_topic {
        char *name;
        uint64_t letters;
    } * topics; /* in the order added */
    size_t topic_count;
};
void import_plan_deinit(struct import_plan *plan);

/* Letters that are good, all of one topic. */
void import_plan_add(struct import_plan *plan, const char *topic, uint64_t letters);
/* A line that is bad: the first of them are shown, by number and column. */
void import_plan_add_bad(struct import_plan *plan, uint64_t number, size_t column,
                         const char *what);
/* After the first pass, which has looked at all lines, or failed with err: says what is planned,
 * and asks a person where that has to be. False: nothing is to be sent, and *code is the exit code.
 */
bool import_plan_may(const struct import_plan *plan, bool looked, struct err *err,
                     int *code) MUST_CHECK;
/* After the second one: says how many were produced. The exit code; failed: NULL where all that is
 * good was sent. */
int import_plan_ended(const struct import_plan *plan, uint64_t produced, const struct err *failed);

#endif
